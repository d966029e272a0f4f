"""The queue of one provider: which task is asked next, and what an answer, a fault or a refusal means for it.

A fault counts against an instrument only while the provider is known to work, that is, once another request was
answered. After many faults in a row the queue works like a circuit breaker that is half open: it sends one request at a
time, among them probes that repeat requests which were answered before. If probes fail too, the provider or the
connection is down: all requests pause, and no instrument is blamed.

Nothing here waits or locks. The pool calls the queue under its own lock.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Generic

from src.config.schema import LiveSource
from src.core.failure import Failure
from src.fetching.fetch_task import Asked, FetchOutcome, FetchTask, Got, PendingFetch
from src.fetching.obstacle import REMEDIES
from src.fetching.provider import (
    Malformed,
    ProviderError,
    Refusal,
    Stopped,
    Unavailable,
    Unknown,
    Unreachable,
    WebPage,
)
from src.fetching.rate_gate import RateGate

_FAULTS = (Unavailable, Malformed)  # may pass: ask again
_FAULTS_IN_A_ROW = 6  # faults with no answer between them that open the breaker by half
_FIRST_ASKED, _FIRST_FAULTS = (
    20,
    12,
)  # so do 12 faults among the 20 instruments last asked for the first time
_FIRST_DELAY = 0.25  # of source.live.pause, before an instrument is asked again; doubles each time
_PROBES = 3  # that must succeed after many faults among answers: the provider may work for some requests only
_WITNESSES = 3  # latest answered tasks, which probes repeat: one of them may fail for its own reasons by now
_EXCUSED = 5  # times ``tries``: faults on the way to a provider which others reach, before they count
_BEHIND, _REFUSALS = 8, 6  # answers to others before a refused instrument's next turn (doubles); refusals that end it


class FetchQueue(Generic[Asked, Got]):
    """The tasks of one provider.

    Parameters
    ----------
    gate : RateGate
        Is notified of outages and of their end.
    settings : LiveSource
        ``tries``, and ``pause`` and ``max_pause`` (seconds) for the delay before an instrument is asked again.
    clock : callable
        Monotonic time in seconds.
    answered : FetchTask or None
        A task that this provider answered in an earlier run, which a probe can repeat.
    """

    def __init__(
        self, gate: RateGate, settings: LiveSource, clock: Callable[[], float], answered: FetchTask[Asked] | None = None
    ) -> None:
        self.gate = gate
        self.busy = 0  # tasks that are being asked
        self.ended = ""  # reason why nothing is asked any more
        self._settings, self._clock = settings, clock
        self._most_excused = _EXCUSED * settings.tries
        self._witnesses = deque([answered] if answered else [], maxlen=_WITNESSES)
        self._ready: list[tuple[int, int, PendingFetch[Asked]]] = []
        self._later: list[tuple[float, int, PendingFetch[Asked]]] = []
        self._suspects: list[tuple[PendingFetch[Asked], ProviderError]] = []  # faults since the latest answer
        self._refused: list[
            tuple[int, PendingFetch[Asked]]
        ] = []  # with the number of answers after which it is their turn
        self._first: deque[bool] = deque(maxlen=_FIRST_ASKED)  # fault? of instruments asked for the first time
        self._half_open = False  # one request at a time until one is answered
        self._probes_due = 1  # answers that close the breaker
        self._vain = 0  # requests in vain since it opened
        self._trial: PendingFetch[Asked] | None = None  # the one request
        self._answers = 0
        self._number = 0

    def __len__(self) -> int:
        """Tasks that are neither settled nor being asked."""
        return len(self._ready) + len(self._later) + len(self._suspects) + len(self._refused)

    @property
    def ready(self) -> int:
        """Tasks that could be asked at once."""
        return len(self._ready)

    @property
    def settled(self) -> bool:
        """Whether every task has its outcome."""
        return not (self.busy or len(self))

    def put(self, task: FetchTask[Asked]) -> None:
        """Add a task in the place that its order gives it."""
        self._number += 1
        self._push(PendingFetch(task, self._number))

    def take(self) -> PendingFetch[Asked] | None:
        """Take the task to ask now.

        Returns
        -------
        PendingFetch or None
            The caller must `settle` it. None if nothing may be asked now.
        """
        if self.ended:
            return None
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            self._push(heapq.heappop(self._later)[-1])
        if self._half_open:
            pending = self._next_trial()
        elif self._ready:
            pending = heapq.heappop(self._ready)[-1]
        else:
            pending = self._next_refused()
        self.busy += pending is not None
        return pending

    def wait(self) -> float | None:
        """Return how long `take` will have no task unless one is put or settled.

        Returns
        -------
        float or None
            Seconds; None if no task waits for a time.
        """
        return max(0.0, self._later[0][0] - self._clock()) if self._later else None

    def settle(
        self, pending: PendingFetch[Asked], result: Got | BaseException, seconds: float
    ) -> list[FetchOutcome[Asked, Got]]:
        """Decide what a result means.

        Parameters
        ----------
        pending : PendingFetch
            From `take`.
        result : object or BaseException
            What the request returned or raised.
        seconds : float
            Time that the request took.

        Returns
        -------
        list of FetchOutcome
            Every outcome that this decides: the task's own, and those of faults that waited for a sign of life.
        """
        self.busy -= 1
        pending.seconds += seconds
        is_trial = pending is self._trial
        if is_trial:
            self._trial = None
        if isinstance(result, Stopped):
            self.ended = str(result) or "stopped"
            if not pending.probe:
                self._push(pending)
            return self._stopped()
        if self.ended:
            return ([] if pending.probe else [self._outcome(pending, result)]) + self._stopped()
        if isinstance(result, Refusal):
            outcomes = self._on_refusal(pending, result)
        elif isinstance(result, _FAULTS):
            outcomes = self._on_fault(pending, result, is_trial)
        else:
            outcomes = self._on_answer(pending, result)
        if self._suspects and not self.busy and not self._ready:  # no other request will show whether it works
            self._half_open = bool(self._witnesses)
            outcomes += [] if self._half_open else self._charge_suspects()
        return outcomes

    def stopped(self) -> list[FetchOutcome[Asked, Got]]:
        """Settle the tasks that were added after the end.

        Returns
        -------
        list of FetchOutcome
            Of kind ``stopped``; empty while the queue works.
        """
        return self._stopped() if self.ended else []

    def _push(self, pending: PendingFetch[Asked]) -> None:
        heapq.heappush(self._ready, (pending.task.order, pending.number, pending))

    def _next_trial(self) -> PendingFetch[Asked] | None:
        """While half open: a probe, or in turn with probes (always without witnesses) the task least hit by outages."""
        if self._trial is not None or not (self._ready or self._suspects or self._refused):
            return None
        turn = self._vain % (len(self._witnesses) + 1)
        if turn == len(self._witnesses) and self._ready:
            entry = min(self._ready, key=lambda entry: (entry[2].excused, *entry[:2]))
            self._ready.remove(entry)
            heapq.heapify(self._ready)
            self._trial = entry[2]
        elif turn == len(self._witnesses) and self._refused:
            self._trial = self._least_refused()
        elif self._witnesses:
            self._trial = self._probe(turn % len(self._witnesses))
        return self._trial

    def _next_refused(self) -> PendingFetch[Asked] | None:
        """With nothing else to ask: the least refused task, but first a probe: was the task refused, or everything?"""
        if self.busy or not self._refused:
            return None
        if self._witnesses and any(pending.seen == self._answers for _, pending in self._refused):
            self._trial = self._probe(0)
            return self._trial
        return self._least_refused()

    def _least_refused(self) -> PendingFetch[Asked]:
        turn = min(self._refused, key=lambda turn: (turn[1].refusals, turn[1].task.order, turn[1].number))
        self._refused.remove(turn)
        return turn[1]

    def _probe(self, back: int) -> PendingFetch[Asked]:
        return PendingFetch(self._witnesses[-1 - back], 0, seen=self._answers, probe=True)

    def _on_answer(self, pending: PendingFetch[Asked], result: Got | BaseException) -> list[FetchOutcome[Asked, Got]]:
        """The provider works: charge the faults that waited to know, then judge the task by itself."""
        self._answers += 1
        self.gate.up()
        for turn in [turn for turn in self._refused if turn[0] <= self._answers]:
            self._refused.remove(turn)
            self._push(turn[1])
        outcomes = self._close(pending)
        if pending.probe:
            return outcomes
        if not pending.tries and not pending.excused:
            self._first.append(False)
        if isinstance(result, Unknown) and not pending.unknown:
            pending.unknown += 1
            pending.tries += 1
            self._put_off(pending)
            return outcomes
        if not isinstance(result, BaseException):
            self._witnesses.append(pending.task)
        return [*outcomes, self._outcome(pending, result)]

    def _close(self, pending: PendingFetch[Asked]) -> list[FetchOutcome[Asked, Got]]:
        """Close the breaker, unless more probes are due."""
        if self._half_open and self._probes_due > 1:
            self._probes_due -= pending.probe
            return []
        self._half_open, self._vain = False, 0
        return self._charge_suspects()

    def _outcome(self, pending: PendingFetch[Asked], result: Got | BaseException) -> FetchOutcome[Asked, Got]:
        pending.tries += 1
        task, tries, seconds = pending.task, pending.tries, pending.seconds
        if not isinstance(result, BaseException):
            return FetchOutcome(task, "ok", result, tries=tries, seconds=seconds)
        if isinstance(result, ProviderError):
            return FetchOutcome(task, result.kind, None, Failure(str(result)), tries=tries, seconds=seconds)
        return FetchOutcome(task, "error", None, Failure.of(result), tries, seconds)

    def _on_refusal(self, pending: PendingFetch[Asked], refusal: Refusal) -> list[FetchOutcome[Asked, Got]]:
        """Ask again after others, without counting a try; a task that alone is refused ends after some refusals."""
        if pending.probe:
            return []
        if pending.seen != self._answers:
            pending.seen = self._answers
            pending.refusals += 1
        if pending.refusals >= _REFUSALS:
            return [self._outcome(pending, refusal)]
        self._refused.append((self._answers + _BEHIND * 2 ** (pending.refusals - 1), pending))
        return []

    def _on_fault(
        self, pending: PendingFetch[Asked], fault: ProviderError, is_trial: bool
    ) -> list[FetchOutcome[Asked, Got]]:
        if not pending.probe:
            self._suspects.append((pending, fault))
            if not pending.tries and not pending.excused:
                self._first.append(True)
        if is_trial and (self._half_open or (pending.probe and pending.seen == self._answers)):
            return self._on_outage(fault)
        if pending.probe or self._half_open:
            return []
        dense = sum(self._first) >= _FIRST_FAULTS
        if dense or len(self._suspects) >= _FAULTS_IN_A_ROW:
            if not self._witnesses:
                return self._on_outage(fault)
            self._half_open, self._probes_due = True, _PROBES if dense else 1
            self._first.clear()
        return []

    def _on_outage(self, fault: ProviderError) -> list[FetchOutcome[Asked, Got]]:
        """Pause, and ask the tasks that met the outage again without counting a try.

        Up to ``tries`` times each; without limit where the request did not reach the provider, which patience ends.
        """
        self._half_open, self._probes_due = True, 1
        self._vain += 1
        self._first.clear()
        self.gate.down(f"{self.gate.name} can't be used: {fault}", unheard=isinstance(fault, Unreachable))
        outcomes: list[FetchOutcome[Asked, Got]] = []
        suspects, self._suspects = self._suspects, []
        for pending, error in suspects:
            if pending.excused < self._settings.tries or isinstance(error, Unreachable | WebPage):
                pending.excused += 1
                self._push(pending)
            else:
                outcomes += self._charge(pending, error)
        return outcomes

    def _charge_suspects(self) -> list[FetchOutcome[Asked, Got]]:
        suspects, self._suspects = self._suspects, []
        return [outcome for pending, error in suspects for outcome in self._charge(pending, error)]

    def _charge(self, pending: PendingFetch[Asked], error: ProviderError) -> list[FetchOutcome[Asked, Got]]:
        """Count a try: the last one decides, after the others the task is asked again later.

        A name that does not resolve or a proxy that refuses is no fault of the task, though others were answered.
        """
        if isinstance(error, Unreachable) and REMEDIES[error.obstacle].certain and pending.excused < self._most_excused:
            pending.excused += 1
            self._put_off(pending)
            return []
        if pending.tries + 1 >= self._settings.tries:
            return [self._outcome(pending, error)]
        pending.tries += 1
        self._put_off(pending)
        return []

    def _put_off(self, pending: PendingFetch[Asked]) -> None:
        doubled = 2 ** min(max(pending.tries - 1, 0), 40)
        delay = min(self._settings.pause * _FIRST_DELAY * doubled, self._settings.max_pause)
        heapq.heappush(self._later, (self._clock() + delay, pending.number, pending))

    def _stopped(self) -> list[FetchOutcome[Asked, Got]]:
        """Outcomes of all tasks that will not be asked any more."""
        left = [entry[2] for entry in self._ready] + [entry[2] for entry in self._later]
        left += [pending for _, pending in self._refused] + [pending for pending, _ in self._suspects]
        self._ready, self._later, self._refused, self._suspects = [], [], [], []
        left.sort(key=lambda pending: (pending.task.order, pending.number))
        failure = Failure(self.ended)
        return [FetchOutcome(p.task, "stopped", None, failure, tries=p.tries, seconds=p.seconds) for p in left]
