"""The log file of a command, and which of its lines also reach the terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from src.runtime.redaction import shown, shown_lines

SHOWN = {"shown": True}
"""``extra`` of a log record that the terminal has already shown. ``extra={"traceback": text}`` logs a traceback that
came from another process."""

_ROTATE_BYTES = 10_000_000  # a larger log becomes .1 when the next command starts
_KEPT = 3


_INDENT = "    "


class _RecordFormatter(logging.Formatter):
    """One line a record, so that no text from outside can pass for another record; a traceback follows indented."""

    traces = True

    def format(self, record: logging.LogRecord) -> str:
        """Format the record without secrets and without hidden characters."""
        record.message = shown(record.getMessage())
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        traces = [getattr(record, "traceback", ""), record.stack_info or ""] if self.traces else []
        if record.exc_info and self.traces:
            traces.append(self.formatException(record.exc_info))
        lines = (line for trace in traces if trace for line in shown_lines(trace).rstrip().split("\n"))
        return "\n".join([self.formatMessage(record), *(_INDENT + line for line in lines)])


class _LineFormatter(_RecordFormatter):
    """The record alone, for the terminal: its traceback is in the log file."""

    traces = False


class _LogFileHandler(logging.FileHandler):
    """Appends to the log file. A disk that refuses the log doesn't stop the work: the terminal says it once."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say why the record could not be written, and stop writing."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError | ValueError):
            super().handleError(record)
            return
        self._give_up(error)

    def close(self) -> None:
        """Close the file; what a full disk refused of its buffer is lost."""
        try:
            super().close()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        if not self.filters:
            self.addFilter(lambda _record: False)
            with contextlib.suppress(OSError, ValueError):
                cause = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
                sys.stderr.write(shown(f"the log {self.baseFilename} can't be written ({cause})") + "\n")
                sys.stderr.flush()


class _TerminalHandler(logging.Handler):
    """Writes each record to the present standard error: a StreamHandler would write through a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):  # standard error is gone
            self.handleError(record)


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Append log records to a file while the block runs; the project's own warnings also go to the terminal.

    Parameters
    ----------
    path : Path
        A log of 10 MB or more is renamed first, and three old ones are kept.

    Raises
    ------
    OSError
        If the file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _rotate(path)
    to_file = _LogFileHandler(path, encoding="utf-8")
    to_file.setFormatter(_RecordFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    to_terminal = _TerminalHandler()
    to_terminal.setLevel(logging.WARNING)
    to_terminal.addFilter(lambda record: record.name.startswith("src.") and not hasattr(record, "shown"))
    to_terminal.setFormatter(_LineFormatter("%(message)s"))
    root, project = logging.getLogger(), logging.getLogger("src")
    level = project.level
    root.addHandler(to_file)
    root.addHandler(to_terminal)
    project.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        project.setLevel(level)
        root.removeHandler(to_terminal)
        root.removeHandler(to_file)
        to_file.close()


def _rotate(path: Path) -> None:
    """Rename a large log before a command starts: on Windows an open log can't be renamed."""
    try:
        if path.stat().st_size < _ROTATE_BYTES:
            return
        for number in range(_KEPT - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number + 1}"))
        path.replace(path.with_name(f"{path.name}.1"))
    except OSError:
        return  # absent, or open in another process: append to it
