"""Progress for people: a bar on a terminal, a plain line now and then everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from src.runtime import heartbeat

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

_EVERY = 30.0  # seconds between plain lines
_HANDFUL = 5  # finished units before a time left is said: the first ones carry the start-up
_FRAMES = 4  # drawings of the bar a second
_CELLS = 24  # of the bar


class Progress:
    """Count finished units of a stage and show them with rate and time left.

    On a terminal a bar is drawn in place, below what else is written there, and a plain line takes its place at the
    end. Elsewhere (a log, DVC, CI) one plain line without control characters is written every 30 seconds, and none at
    all for work that is shorter. Where there is nothing to do, nothing is shown. In any case the command's heartbeat
    is kept, from which ``python -m src.status`` shows the same in another terminal.

    Parameters
    ----------
    verb : str
        What is being done, the stage's name.
    total : int
        Units in all.
    unit : str
        Singular name of what is counted.
    file : TextIO, optional
        Where to write; standard error by default.
    facts : callable, optional
        Asked now and then for what else the heartbeat should hold.
    before : int
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
        self._bar: Bar | None = None
        self._started = self._said = time.monotonic()
        self._pace = heartbeat.Pace(self._started, before)

    def __enter__(self) -> Progress:
        self._started = self._said = time.monotonic()
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
        """Count `n` more units as finished; `note` is shown beside them (the last symbol, the passes so far)."""
        self.done += n
        self._note = note
        if self._beat is not None:
            self._beat.count(self.done, note, self._facts)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.done)
            return
        now = time.monotonic()
        if self.total and now - self._said >= _EVERY:
            self._said = now
            self._write(self.words())

    def reuse(self, n: int) -> None:
        """Count `n` more that turn out to have been finished before: they are done, and not in the rate."""
        if not n:
            return
        self._before += n
        self._pace.reuse(n)
        self.done += n
        if self._beat is not None:
            self._beat.reuse(n)

    def tell(self, note: str) -> None:
        """Show other words beside the count while nothing is finished: that a provider asks for a pause, say."""
        if note != self._note:
            self.advance(0, note)

    def words(self) -> str:
        """Say how far the work is, at any time and from any thread: the count, the rate, the time left and the note."""
        rate = self._pace.rate(time.monotonic(), self.done)
        enough = self.done - self._before >= _HANDFUL
        return self._line(self._count(), rate, (self.total - self.done) / rate if rate and enough else None)

    def _count(self) -> str:
        return f"{self.done:,} of {self.total:,} {self.unit}s"

    def _line(self, count: str, rate: float | None, left: float | None = None) -> str:
        parts = [count, *([pace(rate)] if rate else []), *([f"about {duration(left)} left"] if left else [])]
        words = ", ".join(parts)
        return printable(f"{words}; {self._note}" if self._note else words)

    def _write(self, words: str) -> None:
        self._file.write(f"{self.verb}: {words}\n")
        self._file.flush()


def terminal(stream: TextIO) -> Console | None:
    """Open a stream's terminal for drawing.

    Returns
    -------
    rich.console.Console or None
        One that takes text as it is: `[red]` in a symbol is no markup. None where the stream is no terminal, or one
        that can't move its cursor (``TERM=dumb``).
    """
    if not stream.isatty():
        return None
    from rich.console import Console  # takes a tenth of a second, for which --help need not wait

    console = Console(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=True)
    return None if console.is_dumb_terminal else console


def printable(words: str) -> str:
    """Replace control characters by spaces, so that text from outside can't steer a terminal."""
    return words if words.isprintable() else "".join(letter if letter.isprintable() else " " for letter in words)


def pace(rate: float) -> str:
    """Units a second as people say it: `0.5` is `30.0 a minute`."""
    return f"{rate:,.1f} a second" if rate >= 1 else f"{rate * 60:,.1f} a minute"


def duration(seconds: float) -> str:
    """Seconds as people say them: `5,400` is `90 min`."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _bar(console: Console, progress: Progress) -> Bar:
    """Start to draw a bar, with the progress in words beside it.

    What is printed meanwhile appears above it, as far as it goes to a terminal; the cursor stays visible, so that
    even a killed command leaves the terminal as it was.
    """
    from rich.progress import BarColumn
    from rich.progress import Progress as Bar

    verb = progress.verb
    bar = Bar(
        _words_column(lambda: verb, len(verb)), BarColumn(_CELLS), _words_column(progress.words),
        console=console, refresh_per_second=_FRAMES, transient=True,
        redirect_stdout=sys.stdout.isatty(), redirect_stderr=sys.stderr.isatty(),
    )  # fmt: skip
    bar.add_task(verb, total=progress.total, completed=progress.done)
    bar.start()
    console.show_cursor()
    return bar


def _words_column(words: Callable[[], str], min_width: int = 0) -> ProgressColumn:
    """Make a column of plain words, cut where the terminal is too narrow."""
    from rich.progress import ProgressColumn
    from rich.table import Column
    from rich.text import Text

    class Words(ProgressColumn):
        def render(self, task: Task) -> Text:  # noqa: ARG002 (rich's own signature)
            return Text(words())

    return Words(Column(no_wrap=True, overflow="ellipsis", min_width=min_width))
