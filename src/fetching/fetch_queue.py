"""One provider's questions: which is asked next, and what an answer, a fault or a refusal means for it.

A fault counts against an instrument only where the provider is known to be there: once something else was answered.
Many faults in a row are put to the proof by asking again for what was served before; where that fails too, the
provider or the line is down, everybody pauses, and no instrument is blamed.

Nothing here waits or locks; the pool calls it under its own lock.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from src.config.schema import LiveSource
from src.core.failure import Failure
from src.fetching.provider import Answer, BarRequest, Malformed, ProviderError, Refusal, Stopped, Unavailable, Unknown
from src.fetching.rate_gate import RateGate

_FAULTS = (Unavailable, Malformed)  # passing, perhaps: ask again
_ROW = 6  # faults without an answer between them that put the provider in doubt
_LAST, _MOST = 20, 12  # of so many instruments asked for the first time, so many faults are an outage as well
_FIRST_DELAY = 0.25  # of source.live.pause, before an instrument is asked again; doubles each time
_PROOFS = 3  # that must succeed where many faults come among answers: the provider may be there by halves
_WITNESSES = 3  # answered last, of which a proof is asked again: one of them may have gone bad since
_BEHIND, _STUBBORN = 8, 6  # answers to others before a refused instrument's next turn (doubles); refusals that end it


@dataclass(frozen=True)
class FetchTask:
    """One question to one provider."""

    provider: str
    wanted: BarRequest
    order: int = 0  # the lowest first: its bucket


@dataclass(frozen=True)
class FetchOutcome:
    """What became of a task: an answer, or why there is none."""

    task: FetchTask
    kind: str  # ok, refused, unavailable, malformed, unknown, unfit, error (in our own code), stopped (never asked out)
    answer: Answer | None = None
    failure: Failure | None = None  # where there is no answer; with a traceback only if our own code raised
    tries: int = 0  # questions that count: no refusals, no outages
    seconds: float = 0.0  # that they took, waiting at the gate included

    @property
    def reason(self) -> str:
        """Reason of the failure; empty where there is an answer."""
        return self.failure.reason if self.failure else ""


@dataclass(eq=False)
class PendingFetch:
    """A task under way."""

    task: FetchTask
    number: int
    tries: int = 0
    unknown: int = 0
    refusals: int = 0  # of this instrument, with answers to others between them
    excused: int = 0  # faults in an outage
    seconds: float = 0.0
    seen: int = -1  # how many answers there had been when it was last refused, or begun where it is a proof
    proof: bool = False  # asked again to see whether the provider is there; its answer goes nowhere


class FetchQueue:
    """The tasks of one provider.

    Parameters
    ----------
    gate
        Told of outages; asked about nothing.
    settings
        ``tries``, and ``pause`` and ``max_pause`` (seconds) for the delay before an instrument is asked again.
    clock
        Seconds, never running backwards.
    known
        A task that this provider has answered before, where there is one: the proof in an outage.
    """

    def __init__(
        self, gate: RateGate, settings: LiveSource, clock: Callable[[], float], known: FetchTask | None = None
    ) -> None:
        self.gate = gate
        self.busy = 0  # jobs that are being asked
        self.ended = ""  # why nothing is asked here any more
        self._settings, self._clock = settings, clock
        self._known = deque([known] if known else [], maxlen=_WITNESSES)
        self._ready: list[tuple[int, int, PendingFetch]] = []
        self._later: list[tuple[float, int, PendingFetch]] = []
        self._suspects: list[tuple[PendingFetch, ProviderError]] = []  # faults that nothing was answered since
        self._refusals: list[tuple[int, PendingFetch]] = []  # refused, and the number of answers that is their turn
        self._first: deque[bool] = deque(maxlen=_LAST)  # fault? of instruments asked for the first time
        self._doubt = False  # one question at a time, until one is answered
        self._proofs = 1  # answers that end the doubt
        self._vain = 0  # questions that did not
        self._asked: PendingFetch | None = None  # that question
        self._good = 0  # answers
        self._number = 0

    def __len__(self) -> int:
        """Tasks without an outcome that nobody is asking just now."""
        return len(self._ready) + len(self._later) + len(self._suspects) + len(self._refusals)

    @property
    def ready(self) -> int:
        """Tasks that could be asked at once."""
        return len(self._ready)

    @property
    def over(self) -> bool:
        """Whether every task has its outcome."""
        return not (self.busy or len(self))

    def put(self, task: FetchTask) -> None:
        """Add a task; it takes its place by its order."""
        self._number += 1
        self._push(PendingFetch(task, self._number))

    def take(self) -> PendingFetch | None:
        """The job to ask now, or None; whoever takes it settles it."""
        if self.ended:
            return None
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            self._push(heapq.heappop(self._later)[-1])
        if self._doubt:
            job = self._question()
        elif self._ready:
            job = heapq.heappop(self._ready)[-1]
        else:
            job = self._refused_before()
        self.busy += job is not None
        return job

    def wait(self) -> float | None:
        """Seconds until `take` may have something without anybody settling or putting; None: it never will."""
        return max(0.0, self._later[0][0] - self._clock()) if self._later else None

    def settle(self, job: PendingFetch, found: Answer | BaseException, seconds: float) -> list[FetchOutcome]:
        """Judge what a job found.

        Returns
        -------
        list of FetchOutcome
            Those that are decided by it: its own, and those of faults that waited for a sign of life.
        """
        self.busy -= 1
        job.seconds += seconds
        question = job is self._asked
        if question:
            self._asked = None
        if isinstance(found, Stopped):
            self.ended = str(found) or "stopped"
            if not job.proof:
                self._push(job)
            return self._abandoned()
        if self.ended:
            return ([] if job.proof else [self._judged(job, found)]) + self._abandoned()
        if isinstance(found, Refusal):
            outcomes = self._refused(job, found)
        elif isinstance(found, _FAULTS):
            outcomes = self._faulted(job, found, question)
        else:
            outcomes = self._alive(job, found)
        if self._suspects and not self.busy and not self._ready:  # nobody else will tell
            self._doubt = bool(self._known)
            outcomes += [] if self._doubt else self._charged()
        return outcomes

    def _push(self, job: PendingFetch) -> None:
        heapq.heappush(self._ready, (job.task.order, job.number, job))

    def _question(self) -> PendingFetch | None:
        """In doubt: proofs, and in turn with them, or for want of them, the job that outages have struck least."""
        if self._asked is not None or not (self._ready or self._suspects or self._refusals):
            return None
        turn = self._vain % (len(self._known) + 1)
        if turn == len(self._known) and self._ready:
            entry = min(self._ready, key=lambda each: (each[2].excused, *each[:2]))
            self._ready.remove(entry)
            heapq.heapify(self._ready)
            self._asked = entry[2]
        elif turn == len(self._known) and self._refusals:
            self._asked = self._least_refused()
        elif self._known:
            self._asked = self._proof(turn % len(self._known))
        return self._asked

    def _refused_before(self) -> PendingFetch | None:
        """With nothing else to ask: the least refused job, but first a proof, to tell whom the last refusal meant."""
        if self.busy or not self._refusals:
            return None
        if self._known and any(job.seen == self._good for _, job in self._refusals):
            self._asked = self._proof(0)
            return self._asked
        return self._least_refused()

    def _least_refused(self) -> PendingFetch:
        turn = min(self._refusals, key=lambda each: (each[1].refusals, each[1].task.order, each[1].number))
        self._refusals.remove(turn)
        return turn[1]

    def _proof(self, back: int) -> PendingFetch:
        return PendingFetch(self._known[-1 - back], 0, seen=self._good, proof=True)

    def _alive(self, job: PendingFetch, found: Answer | BaseException) -> list[FetchOutcome]:
        """The provider is there: what waited for a sign of it is counted, then the job judged on its own."""
        self._good += 1
        self.gate.up()
        for turn in [each for each in self._refusals if each[0] <= self._good]:
            self._refusals.remove(turn)
            self._push(turn[1])
        outcomes = self._believed(job)
        if job.proof:
            return outcomes
        if not job.tries and not job.excused:
            self._first.append(False)
        if isinstance(found, Unknown) and not job.unknown:
            job.unknown += 1
            job.tries += 1
            self._put_off(job)
            return outcomes
        if not isinstance(found, BaseException):
            self._known.append(job.task)
        return [*outcomes, self._judged(job, found)]

    def _believed(self, job: PendingFetch) -> list[FetchOutcome]:
        """End the doubt, unless more proofs are demanded."""
        if self._doubt and self._proofs > 1:
            self._proofs -= job.proof
            return []
        self._doubt, self._vain = False, 0
        return self._charged()

    def _judged(self, job: PendingFetch, found: Answer | BaseException) -> FetchOutcome:
        job.tries += 1
        if not isinstance(found, BaseException):
            return FetchOutcome(job.task, "ok", found, tries=job.tries, seconds=job.seconds)
        if isinstance(found, ProviderError):
            return FetchOutcome(job.task, found.kind, None, Failure(str(found)), tries=job.tries, seconds=job.seconds)
        return FetchOutcome(job.task, "error", None, Failure.of(found), job.tries, job.seconds)

    def _refused(self, job: PendingFetch, found: Refusal) -> list[FetchOutcome]:
        """Ask again, after others and without counting a try; but what alone is refused is not asked for ever."""
        if job.proof:
            return []
        if job.seen != self._good:
            job.seen = self._good
            job.refusals += 1
        if job.refusals >= _STUBBORN:
            return [self._judged(job, found)]
        self._refusals.append((self._good + _BEHIND * 2 ** (job.refusals - 1), job))
        return []

    def _faulted(self, job: PendingFetch, found: ProviderError, question: bool) -> list[FetchOutcome]:
        if not job.proof:
            self._suspects.append((job, found))
            if not job.tries and not job.excused:
                self._first.append(True)
        if question and (self._doubt or (job.proof and job.seen == self._good)):
            return self._rested(found)
        if job.proof or self._doubt:
            return []
        dense = sum(self._first) >= _MOST
        if dense or len(self._suspects) >= _ROW:
            if not self._known:
                return self._rested(found)
            self._doubt, self._proofs = True, _PROOFS if dense else 1
            self._first.clear()
        return []

    def _rested(self, found: ProviderError) -> list[FetchOutcome]:
        """An outage: pause, and ask again what met it without counting it, though not without end."""
        self._doubt, self._proofs = True, 1
        self._vain += 1
        self._first.clear()
        self.gate.down(f"{self.gate.name} can't be used: {found}")
        outcomes: list[FetchOutcome] = []
        suspects, self._suspects = self._suspects, []
        for job, error in suspects:
            if job.excused < self._settings.tries:
                job.excused += 1
                self._push(job)
            else:
                outcomes += self._counted(job, error)
        return outcomes

    def _charged(self) -> list[FetchOutcome]:
        suspects, self._suspects = self._suspects, []
        return [outcome for job, error in suspects for outcome in self._counted(job, error)]

    def _counted(self, job: PendingFetch, error: ProviderError) -> list[FetchOutcome]:
        """A try that counts: the last one decides, the others are asked again later."""
        if job.tries + 1 >= self._settings.tries:
            return [self._judged(job, error)]
        job.tries += 1
        self._put_off(job)
        return []

    def _put_off(self, job: PendingFetch) -> None:
        delay = self._settings.pause * _FIRST_DELAY * 2 ** min(job.tries - 1, 40)
        heapq.heappush(self._later, (self._clock() + min(delay, self._settings.max_pause), job.number, job))

    def _abandoned(self) -> list[FetchOutcome]:
        """Outcomes of all that will not be asked any more."""
        jobs = [entry[2] for entry in self._ready] + [entry[2] for entry in self._later]
        jobs += [job for _, job in self._refusals] + [job for job, _ in self._suspects]
        self._ready, self._later, self._refusals, self._suspects = [], [], [], []
        jobs.sort(key=lambda job: (job.task.order, job.number))
        failure = Failure(self.ended)
        return [FetchOutcome(j.task, "stopped", None, failure, tries=j.tries, seconds=j.seconds) for j in jobs]

    def closed(self) -> list[FetchOutcome]:
        """Outcomes of tasks that came after the end; empty where the queue goes on."""
        return self._abandoned() if self.ended else []
