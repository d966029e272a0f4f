"""Progress of a stage: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from src.runtime import heartbeat
from src.runtime.redaction import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

_LINE_SECONDS = 30.0  # between plain lines
_MIN_UNITS = 5  # finished before a time left is shown: the first ones include the start-up
_FRAMES_PER_SECOND = 4
_BAR_WIDTH = 24  # characters


class Progress:
    """Count finished units of a stage and show them with rate and time left.

    On a terminal a bar is drawn in place, below other output, and a plain line replaces it at the end. Elsewhere (a
    log, DVC, CI) one plain line without control characters is written every 30 seconds, and none for shorter work.
    Without units nothing is shown. In every case the command's heartbeat is updated, from which
    ``python -m src.status`` shows the same in another terminal.

    Parameters
    ----------
    verb : str
        The stage's name.
    total : int
        Units in all.
    unit : str
        Name of one unit.
    file : TextIO, optional
        Where to write; standard error by default.
    facts : callable, optional
        Called now and then for other counts that the heartbeat should hold.
    before : int
        Units that an earlier command finished; they do not count for the rate.
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
        self._bar: Bar | None = None
        self._started = self._last_line = time.monotonic()
        self._pace = heartbeat.Pace(self._started, before)

    def __enter__(self) -> Progress:
        self._started = self._last_line = time.monotonic()
        self._pace = heartbeat.Pace(self._started, self.done)
        if self._beat is not None:
            self._beat.begin(self.total, self.unit, self.done)
        console = terminal(self._file) if self.total else None
        if console is not None:
            self._bar = _bar(console, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            seconds = time.monotonic() - self._started
            rate = (self.done - self._before) / seconds if seconds else None
            self._write(self._line(f"{self._count()} in {duration(seconds)}", rate))
        if self._beat is not None:
            self._beat.count(self.done, self._note, self._facts, now=True)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count finished units.

        Parameters
        ----------
        n : int
            How many more are finished.
        note : str
            Shown beside the count: the last symbol, the passes so far.
        """
        self.done += n
        self._note = note
        if self._beat is not None:
            self._beat.count(self.done, note, self._facts)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.done)
            return
        now = time.monotonic()
        if self.total and now - self._last_line >= _LINE_SECONDS:
            self._last_line = now
            self._write(self.summary())

    def reuse(self, n: int) -> None:
        """Count units that were finished earlier; they do not count for the rate.

        Parameters
        ----------
        n : int
            How many more of them were found.
        """
        if not n:
            return
        self._before += n
        self._pace.reuse(n)
        self.done += n
        if self._beat is not None:
            self._beat.reuse(n)

    def extend(self, n: int) -> None:
        """Count units that turned up on the way, such as pages that follow from others.

        Parameters
        ----------
        n : int
            How many more there are in all.
        """
        self.total += n
        if self._beat is not None:
            self._beat.extend(self.total)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], total=self.total)

    def set_note(self, note: str) -> None:
        """Change the note while nothing is finished: a provider asks for a pause, for example.

        Parameters
        ----------
        note : str
            Shown beside the count.
        """
        if note != self._note:
            self.advance(0, note)
            if self._beat is not None:
                self._beat.count(self.done, note, self._facts, now=True)  # it may stay the latest for hours

    def summary(self) -> str:
        """Describe how far the work is; may be called at any time and from any thread.

        Returns
        -------
        str
            Count, rate, time left and note.
        """
        rate = self._pace.rate(time.monotonic(), self.done)
        enough = self.done - self._before >= _MIN_UNITS
        return self._line(self._count(), rate, (self.total - self.done) / rate if rate and enough else None)

    def _count(self) -> str:
        return f"{self.done:,} of {self.total:,} {self.unit}s"

    def _line(self, count: str, rate: float | None, left: float | None = None) -> str:
        parts = [count, *([pace(rate)] if rate else []), *([f"about {duration(left)} left"] if left else [])]
        text = ", ".join(parts)
        return shown(f"{text}; {self._note}" if self._note else text)

    def _write(self, text: str) -> None:
        self._file.write(f"{self.verb}: {text}\n")
        self._file.flush()


def terminal(stream: TextIO) -> Console | None:
    """Open a stream's terminal for drawing.

    Parameters
    ----------
    stream : TextIO

    Returns
    -------
    rich.console.Console or None
        It shows text as it is, so `[red]` in a symbol is not markup. None if the stream is not a terminal, or one that
        can't move its cursor (``TERM=dumb``).
    """
    if not stream.isatty():
        return None
    from rich.console import Console  # takes 0.1 s, which --help need not wait for

    console = Console(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=True)
    return None if console.is_dumb_terminal else console


def pace(rate: float) -> str:
    """Format a rate for reading: 0.5 is ``30.0 a minute``.

    Parameters
    ----------
    rate : float
        Units per second.
    """
    return f"{rate:,.1f} a second" if rate >= 1 else f"{rate * 60:,.1f} a minute"


def duration(seconds: float) -> str:
    """Format a duration for reading: 5,400 is ``90 min``.

    Parameters
    ----------
    seconds : float
    """
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _bar(console: Console, progress: Progress) -> Bar:
    """Start to draw a bar with the summary beside it.

    Other output to the terminal appears above it. The cursor stays visible, so that even a killed command leaves the
    terminal as it was.
    """
    from rich.progress import BarColumn
    from rich.progress import Progress as Bar

    verb = progress.verb
    bar = Bar(
        _text_column(lambda: verb, len(verb)), BarColumn(_BAR_WIDTH), _text_column(progress.summary),
        console=console, refresh_per_second=_FRAMES_PER_SECOND, transient=True,
        redirect_stdout=sys.stdout.isatty(), redirect_stderr=sys.stderr.isatty(),
    )  # fmt: skip
    bar.add_task(verb, total=progress.total, completed=progress.done)
    bar.start()
    console.show_cursor()
    return bar


def _text_column(text: Callable[[], str], min_width: int = 0) -> ProgressColumn:
    """Make a column of plain text, cut if the terminal is too narrow."""
    from rich.progress import ProgressColumn
    from rich.table import Column
    from rich.text import Text

    class PlainText(ProgressColumn):
        def render(self, task: Task) -> Text:  # noqa: ARG002 (rich's own signature)
            return Text(text())

    return PlainText(Column(no_wrap=True, overflow="ellipsis", min_width=min_width))
