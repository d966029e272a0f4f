"""Progress for people: a bar on a terminal, a plain line now and then everywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, TextIO

_EVERY = 30.0  # seconds between plain lines


class Progress:
    """Count finished units of a stage and show them with rate and time left.

    On a terminal a bar is drawn in place. Elsewhere (a log, DVC, CI) one plain line without control characters is
    written every 30 seconds, and none at all for work that is shorter.

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
    """

    def __init__(self, verb: str, total: int, unit: str = "instrument", file: TextIO | None = None) -> None:
        self.verb, self.total, self.unit = verb, total, unit
        self.done = 0
        self._file = sys.stderr if file is None else file
        self._bar: Any = None
        self._started = self._said = time.monotonic()

    def __enter__(self) -> Progress:
        self._started = self._said = time.monotonic()
        if self._file.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=self.total, desc=self.verb, unit=self.unit, file=self._file, dynamic_ncols=True, smoothing=0.05
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` more units as finished; `note` is shown beside them (the last symbol, the passes so far)."""
        self.done += n
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(n)
            return
        now = time.monotonic()
        if now - self._said >= _EVERY:
            self._said = now
            self._file.write(self._line(now - self._started, note) + "\n")
            self._file.flush()

    def _line(self, elapsed: float, note: str) -> str:
        rate = self.done / elapsed if elapsed > 0 else 0.0
        words = f"{self.verb}: {self.done:,} of {self.total:,} {self.unit}s, {_pace(rate)}"
        if rate > 0 and self.total > self.done:
            words += f", about {_duration((self.total - self.done) / rate)} left"
        return f"{words}; {note}" if note else words


def _pace(rate: float) -> str:
    return f"{rate:,.1f} a second" if rate >= 1 else f"{rate * 60:,.1f} a minute"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
