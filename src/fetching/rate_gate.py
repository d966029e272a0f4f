"""Who may send a request now: one gate for each provider and run, shared by the threads that ask it.

Requests leave one by one, never closer than the rate allows. The rate begins low, grows while answers are clean, and
halves in a storm of refusals. What counts is how dense refusals are: a single one slows everybody for a moment (or for
as long as the provider says), several among the last answers stop everybody, twice as long each time.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from src.config.schema import LiveSource
from src.fetching.provider import Stopped

_LAST = 20  # answers that the density of refusals looks at
_SEVERAL = 3  # refusals among them that make a storm
_SETTLED = 10  # clean answers after which the next storm begins with the shortest pause again
_GROWTH = 1 / 200  # of the ceiling, added to the rate at each clean answer
_FLOOR = 1 / 8  # of the rate to begin with: no storm slows further
_SLOWER = 0.8  # what a single refusal leaves of the rate
_SHORT = 0.1  # of source.live.pause: what a single refusal without a named time stops everybody for
_PAUSE = 5.0  # seconds; a shorter pause is not worth a word
_LOOK = 0.25  # seconds between two looks of a waiter: Windows hands Ctrl+C to the main thread between waits alone


@dataclass(frozen=True)
class Counts:
    """What has passed a gate: requests sent, refusals met, seconds of silence because of them, answers."""

    requests: int
    refused: int
    paused: float
    answered: int = 0


class RateGate:
    """The gate of one provider.

    Parameters
    ----------
    name
        The provider, as `settings.rates` and `settings.ceilings` name it. Without a rate: one request a second;
        without a ceiling: the rate never grows.
    settings
        Rates (requests a second), pauses (seconds) and patience (hours).
    clock
        Seconds, never running backwards.
    wait
        Waits so many seconds, or less where the gate is stopped; None takes the gate's own.
    """

    def __init__(
        self,
        name: str,
        settings: LiveSource,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
        rate: float = 1.0,
        ceiling: float | None = None,
    ) -> None:
        start = settings.rates.get(name, rate)
        self.name = name
        self.gave_up = ""  # why, once patience is at its end
        self._settings = settings
        self._ceiling = settings.ceilings.get(name, ceiling or start)
        self._rate = min(start, self._ceiling)
        self._floor = self._rate * _FLOOR
        self._clock = clock
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._look = math.inf if wait else _LOOK
        self._mine = threading.local()  # when this thread's latest request was let in
        self._next = -math.inf  # the rate forbids requests before
        self._until = -math.inf  # the pause forbids requests before
        self._since = -math.inf  # when that pause began, or was last prolonged
        self._words = ""  # why there is a pause
        self._probing = False  # after a storm, one request goes first; the others wait for its answer
        self._probe_until = -math.inf  # but not for ever: it may have died without one
        self._recent: deque[bool] = deque(maxlen=_LAST)  # refused?
        self._clean = 0  # answers since the last storm
        self._storms = 0  # in a row
        self._silent: float | None = None  # since when requests are sent and none is answered
        self._down: float | None = None  # since when the provider gives nothing of use
        self._requests = self._refused = self._answered = 0
        self._paused = 0.0

    def enter(self) -> None:
        """Wait until one request may be sent.

        Raises
        ------
        Stopped
            Where the gate was stopped, or patience is at its end: `gave_up` says why then.
        """
        while True:
            with self._lock:
                now = self._clock()
                patience = self._require_going(now)
                left = max(self._next, self._until, self._probe_until if self._probing else -math.inf) - now
                if left <= 0:
                    self._let_in(now)
                    return
            self._wait(min(left, patience, self._look))

    def answered(self) -> None:
        """A request was answered, well or badly, without a refusal."""
        with self._lock:
            self._answered += 1
            self._silent = None
            if self._of_before():
                return
            self._probing = False
            self._recent.append(False)
            self._clean += 1
            if self._clean >= _SETTLED:
                self._storms = 0
            self._rate = min(self._ceiling, self._rate + self._ceiling * _GROWTH)

    def refused(self, retry_after: float | None) -> None:
        """A request was refused; requests that were under way when the others were stopped count with them, once.

        Parameters
        ----------
        retry_after
            Seconds that the provider demands; honoured up to ``source.live.max_pause``. None where it names none.
        """
        with self._lock:
            now = self._clock()
            same = self._of_before()
            self._refused += 1
            named = min(_seconds(retry_after), self._settings.max_pause)
            if named > 0:
                self._hold(now, now + named, f"{self.name} asked to be left alone for {named:,.0f} s")
            if same:
                return
            self._recent.append(True)
            if sum(self._recent) >= _SEVERAL or (self._storms and not self._clean):
                self._rate = max(self._floor, self._rate / 2)
                self._storm(now, f"{self.name} refuses")
            elif named <= 0:
                self._rate = max(self._floor, self._rate * _SLOWER)
                self._hold(now, now + self._settings.pause * _SHORT, f"{self.name} refused once")

    def down(self, words: str) -> None:
        """The provider gives nothing of use, whatever is asked: pause as in a storm of refusals."""
        with self._lock:
            now = self._clock()
            self._down = now if self._down is None else self._down
            self._storm(now, words)

    def up(self) -> None:
        """The provider gives something of use again."""
        with self._lock:
            self._down = self._silent = None

    def stop(self) -> None:
        """Send whoever waits, or comes later, away with `Stopped`."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether nobody is let in any more."""
        return self._stop.is_set()

    @property
    def rate(self) -> float:
        """Requests a second at present."""
        return self._rate

    @property
    def pausing(self) -> tuple[float, str] | None:
        """Seconds left of the present pause, and why; None where there is none."""
        with self._lock:
            left = self._until - self._clock()
            return (left, self._words) if left > 0 else None

    @property
    def counts(self) -> Counts:
        """What has passed so far."""
        with self._lock:
            ahead = max(0.0, self._until - self._clock())
            return Counts(self._requests, self._refused, self._paused - ahead, self._answered)

    def _require_going(self, now: float) -> float:
        """Seconds that patience lasts yet; raises `Stopped` where it is at its end, or the gate was stopped."""
        if self._stop.is_set():
            raise Stopped(self.gave_up or f"{self.name}: the run is ending")
        hours = self._settings.patience_hours
        left = min((t for t in (self._silent, self._down) if t is not None), default=now) + hours * 3600 - now
        if left <= 0:
            why = f"; last: {self._words}" if self._words else ""
            self.gave_up = f"{self.name}: no good answer in {hours:g} hours (source.live.patience_hours){why}"
            self._stop.set()
            raise Stopped(self.gave_up)
        return left

    def _let_in(self, now: float) -> None:
        self._mine.entered = now
        self._next = now + 1 / self._rate
        self._requests += 1
        if self._silent is None:
            self._silent = now
        if self._probing:
            self._probe_until = now + self._settings.timeout

    def _of_before(self) -> bool:
        """Whether this thread's request was sent before the present pause began, or the last one where there is none.

        Nobody is let in while a pause lasts, so a later request has a later time.
        """
        return bool(getattr(self._mine, "entered", math.inf) <= self._since)

    def _storm(self, now: float, words: str) -> None:
        length = min(self._settings.pause * 2 ** min(self._storms, 40), self._settings.max_pause)
        self._storms += 1
        self._clean = 0
        self._recent.clear()
        self._probing, self._probe_until = True, -math.inf
        self._hold(now, now + length, words)

    def _hold(self, now: float, until: float, words: str) -> None:
        self._since = now
        if until > self._until:
            self._paused += until - max(now, self._until)
            self._until, self._words = until, words


def pauses(gates: Iterable[RateGate]) -> str:
    """Why nothing happens, where providers are left alone for a while; empty where none is."""
    found = [pause for gate in gates if (pause := gate.pausing) is not None and pause[0] > _PAUSE]
    return "; ".join(f"{words}: paused, {seconds:,.0f} s left" for seconds, words in found)


def _seconds(retry_after: float | None) -> float:
    return retry_after if retry_after is not None and math.isfinite(retry_after) else 0.0
