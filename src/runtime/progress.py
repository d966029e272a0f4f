"""Progress for people: a bar on a terminal, a plain line now and then everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

from src.runtime import heartbeat

_EVERY = 30.0  # seconds between plain lines
_HANDFUL = 5  # finished units before a time left is said: the first ones carry the start-up


class Progress:
    """Count finished units of a stage and show them with rate and time left.

    On a terminal a bar is drawn in place. Elsewhere (a log, DVC, CI) one plain line without control characters is
    written every 30 seconds, and none at all for work that is shorter. Where there is nothing to do, nothing is shown.
    In any case the command's heartbeat is kept, from which ``python -m src.status`` tells the same in another terminal.

    Parameters
    ----------
    verb
        What is being done, the stage's name.
    total
        Units in all.
    unit
        Singular name of what is counted.
    file
        Where to write; standard error by default.
    facts
        Asked now and then for what else the heartbeat should tell.
    before
        Units that an earlier command finished: counted as done, not in the rate.
    """

    def __init__(
        self,
        verb: str,
        total: int,
        unit: str = "instrument",
        file: TextIO | None = None,
        facts: Callable[[], heartbeat.Facts] | None = None,
        before: int = 0,
    ) -> None:
        self.verb, self.total, self.unit = verb, total, unit
        self.done = self._before = before
        self._facts, self._beat, self._note = facts, heartbeat.current(), ""
        self._file = sys.stderr if file is None else file
        self._bar: Any = None
        self._started = self._said = time.monotonic()

    def __enter__(self) -> Progress:
        self._started = self._said = time.monotonic()
        if self._beat is not None:
            self._beat.begin(self.total, self.unit, self.done)
        if self.total and self._file.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=self.total, initial=self.done, desc=self.verb, unit=self.unit, file=self._file,
                dynamic_ncols=True, smoothing=0.05,
            )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._beat is not None:
            self._beat.count(self.done, self._note, self._facts, now=True)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` more units as finished; `note` is shown beside them (the last symbol, the passes so far)."""
        self.done += n
        self._note = note
        if self._beat is not None:
            self._beat.count(self.done, note, self._facts)
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(n)
            return
        now = time.monotonic()
        if self.total and now - self._said >= _EVERY:
            self._said = now
            self._file.write(self._line(now - self._started, note) + "\n")
            self._file.flush()

    def reuse(self, n: int) -> None:
        """Count `n` more that turn out to have been finished before: they are done, and not in the rate."""
        if not n:
            return
        self._before += n
        if self._beat is not None:
            self._beat.reuse(n)
        if self._bar is not None:
            for name in ("initial", "last_print_n"):
                setattr(self._bar, name, getattr(self._bar, name) + n)
            self._bar.n += n
        self.done += n

    def tell(self, note: str) -> None:
        """Show other words beside the count while nothing is finished: that a provider asks for a pause, say."""
        if note == self._note:
            return
        self.advance(0, note)
        if self._bar is not None:
            self._bar.refresh()  # a bar that does not move is not drawn again of itself

    def _line(self, elapsed: float, note: str) -> str:
        rate = (self.done - self._before) / elapsed if elapsed > 0 else 0.0
        words = f"{self.verb}: {self.done:,} of {self.total:,} {self.unit}s, {pace(rate)}"
        if rate > 0 and self.total > self.done and self.done - self._before >= _HANDFUL:
            words += f", about {duration((self.total - self.done) / rate)} left"
        return f"{words}; {note}" if note else words


def pace(rate: float) -> str:
    """Units a second as people say it: `0.5` is `30.0 a minute`."""
    return f"{rate:,.1f} a second" if rate >= 1 else f"{rate * 60:,.1f} a minute"


def duration(seconds: float) -> str:
    """Seconds as people say them: `5,400` is `90 min`."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
