"""The rate limiter of one provider, shared by all threads that send it requests.

Requests leave one by one, no closer together than the rate allows. The rate begins low, grows while requests are
answered, and halves in a storm of refusals. The density of refusals counts: a single refusal slows all threads down for
a moment (or for as long as the provider says), several among the latest answers stop them, twice as long each time.
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

_LATEST = 20  # answers among which refusals are counted
_SEVERAL = 3  # refusals among them that make a storm
_SETTLED = 10  # answers after which the next storm begins with the shortest pause again
_GROWTH = 1 / 200  # of the ceiling, added to the rate at each answer
_FLOOR = 1 / 8  # of the first rate: the lowest that storms lead to
_SLOWER = 0.8  # factor of the rate after a single refusal
_SHORT = 0.1  # of source.live.pause: the pause after a single refusal that names no time
_SHOWN = 5.0  # seconds; shorter pauses are not reported
_LOOK = 0.25  # seconds that a thread waits at a time: on Windows, Ctrl+C is only delivered between waits


@dataclass(frozen=True)
class Counts:
    """What has passed a gate.

    Attributes
    ----------
    requests, refused, answered : int
        Requests sent, and how many of them were refused or answered otherwise.
    paused : float
        Seconds of pauses so far.
    """

    requests: int
    refused: int
    paused: float
    answered: int = 0


class RateGate:
    """The gate of one provider.

    Parameters
    ----------
    name : str
        The provider, as in ``source.live.rates`` and ``source.live.ceilings``.
    settings : LiveSource
        Rates (requests a second), pauses (seconds) and patience (hours).
    clock : callable
        Monotonic time in seconds.
    wait : callable or None
        ``wait(seconds)`` returns after that time, or earlier if the gate is stopped; None takes the gate's own.
    rate : float
        Requests a second to begin with, unless the settings have a rate for `name`.
    ceiling : float or None
        Highest rate, unless the settings have one for `name`; None keeps to the first rate.
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
        self.gave_up = ""  # the reason, once patience is exhausted
        self._settings = settings
        self._ceiling = settings.ceilings.get(name, ceiling or start)
        self._rate = min(start, self._ceiling)
        self._floor = self._rate * _FLOOR
        self._clock = clock
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._look = math.inf if wait else _LOOK
        self._own = threading.local()  # when this thread's latest request was let in
        self._next = -math.inf  # the rate forbids requests before
        self._until = -math.inf  # the pause forbids requests before
        self._since = -math.inf  # when that pause began, or was last prolonged
        self._reason = ""  # of the pause
        self._probing = False  # after a storm one request goes first, and the others wait for its answer
        self._probe_until = -math.inf  # but no longer than this: it may never be answered
        self._recent: deque[bool] = deque(maxlen=_LATEST)  # refused?
        self._clean = 0  # answers since the last storm
        self._storms = 0  # in a row
        self._silent: float | None = None  # since when requests are sent without any answer
        self._down: float | None = None  # since when the provider gives no usable answer
        self._requests = self._refused = self._answered = 0
        self._paused = 0.0

    def enter(self) -> None:
        """Wait until one request may be sent.

        Raises
        ------
        Stopped
            If the gate was stopped, or gave up: `gave_up` then has the reason.
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
        """Record that a request was answered in any way but a refusal."""
        with self._lock:
            self._answered += 1
            self._silent = None
            if self._sent_before_pause():
                return
            self._probing = False
            self._recent.append(False)
            self._clean += 1
            if self._clean >= _SETTLED:
                self._storms = 0
            self._rate = min(self._ceiling, self._rate + self._ceiling * _GROWTH)

    def refused(self, retry_after: float | None) -> None:
        """Record that a request was refused. Requests under way when a pause began count once, with that pause.

        Parameters
        ----------
        retry_after : float or None
            Seconds that the provider demands, honoured up to ``source.live.max_pause``; None if it names none.
        """
        with self._lock:
            now = self._clock()
            sent_before = self._sent_before_pause()
            self._refused += 1
            named = min(_seconds(retry_after), self._settings.max_pause)
            if named > 0:
                self._hold(now, now + named, f"{self.name} asked to be left alone for {named:,.0f} s")
            if sent_before:
                return
            self._recent.append(True)
            if sum(self._recent) >= _SEVERAL or (self._storms and not self._clean):
                self._rate = max(self._floor, self._rate / 2)
                self._storm(now, f"{self.name} refuses")
            elif named <= 0:
                self._rate = max(self._floor, self._rate * _SLOWER)
                self._hold(now, now + self._settings.pause * _SHORT, f"{self.name} refused once")

    def down(self, reason: str, unheard: bool = False) -> None:
        """Record that the provider gives no usable answer to any request, and pause as in a storm of refusals.

        Parameters
        ----------
        reason : str
            Shown while the pause lasts.
        unheard : bool
            The requests did not reach the provider: the pause spares it nothing, and stays short so that the end of
            the fault is noticed.
        """
        with self._lock:
            now = self._clock()
            self._down = now if self._down is None else self._down
            self._storm(now, reason, self._settings.pause if unheard else math.inf)

    def up(self) -> None:
        """Record that the provider gives usable answers again."""
        with self._lock:
            self._down = self._silent = None

    def give_up(self, reason: str) -> None:
        """End the requests to this provider alone.

        Parameters
        ----------
        reason : str
            Kept as `gave_up`, and raised as `Stopped` in every thread that waits or enters from now on.
        """
        with self._lock:
            self.gave_up = self.gave_up or reason
        self._stop.set()

    def stop(self) -> None:
        """Raise `Stopped` in every thread that waits or enters from now on."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether the gate was stopped, or gave up."""
        return self._stop.is_set()

    @property
    def rate(self) -> float:
        """Requests a second at present."""
        return self._rate

    @property
    def pausing(self) -> tuple[float, str] | None:
        """The present pause.

        Returns
        -------
        (float, str) or None
            Seconds left and the reason; None without a pause.
        """
        with self._lock:
            left = self._until - self._clock()
            return (left, self._reason) if left > 0 else None

    @property
    def counts(self) -> Counts:
        """What has passed the gate so far."""
        with self._lock:
            ahead = max(0.0, self._until - self._clock())
            return Counts(self._requests, self._refused, self._paused - ahead, self._answered)

    def _require_going(self, now: float) -> float:
        """Return the seconds of patience left; raise `Stopped` if there are none, or if the gate was stopped."""
        if self._stop.is_set():
            raise Stopped(self.gave_up or f"{self.name}: the run is ending")
        hours = self._settings.patience_hours
        left = min((t for t in (self._silent, self._down) if t is not None), default=now) + hours * 3600 - now
        if left <= 0:
            latest = f"; last: {self._reason}" if self._reason else ""
            self.gave_up = f"{self.name}: no good answer in {hours:g} hours (source.live.patience_hours){latest}"
            self._stop.set()
            raise Stopped(self.gave_up)
        return left

    def _let_in(self, now: float) -> None:
        self._own.entered = now
        self._next = now + 1 / self._rate
        self._requests += 1
        if self._silent is None:
            self._silent = now
        if self._probing:
            self._probe_until = now + self._settings.timeout

    def _sent_before_pause(self) -> bool:
        """Whether this thread's request was sent before the present or latest pause began.

        No request is let in during a pause, so a later request has a later time.
        """
        return bool(getattr(self._own, "entered", math.inf) <= self._since)

    def _storm(self, now: float, reason: str, longest: float = math.inf) -> None:
        length = min(self._settings.pause * 2 ** min(self._storms, 40), self._settings.max_pause, longest)
        self._storms += 1
        self._clean = 0
        self._recent.clear()
        self._probing, self._probe_until = True, -math.inf
        self._hold(now, now + length, reason)

    def _hold(self, now: float, until: float, reason: str) -> None:
        self._since = now
        if until > self._until:
            self._paused += until - max(now, self._until)
            self._until, self._reason = until, reason


def pauses(gates: Iterable[RateGate]) -> str:
    """Describe the pauses of gates, for a progress line.

    Parameters
    ----------
    gates : iterable of RateGate
        Pauses with less than five seconds left are not reported.

    Returns
    -------
    str
        Reason and seconds left of each pause; empty without one.
    """
    present = [pause for gate in gates if (pause := gate.pausing) is not None and pause[0] > _SHOWN]
    return "; ".join(f"{reason}: paused, {seconds:,.0f} s left" for seconds, reason in present)


def _seconds(retry_after: float | None) -> float:
    return retry_after if retry_after is not None and math.isfinite(retry_after) else 0.0
