"""The log file of a command, and which of its lines also reach the terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from src.runtime.redaction import masked

SHOWN = {"shown": True}
"""``extra`` of a log record that the terminal has already shown."""

_ROTATE_BYTES = 10_000_000  # a larger log becomes .1 when the next command starts
_KEPT = 3


class _MaskingFormatter(logging.Formatter):
    """A formatter that masks secrets in messages and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


class _TerminalHandler(logging.Handler):
    """Writes each record to the present standard error: a StreamHandler would write through a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as one line."""
        try:
            sys.stderr.write(masked(self.format(record)) + "\n")
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
    to_file = logging.FileHandler(path, encoding="utf-8")
    to_file.setFormatter(_MaskingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    to_terminal = _TerminalHandler()
    to_terminal.setLevel(logging.WARNING)
    to_terminal.addFilter(lambda record: record.name.startswith("src.") and not hasattr(record, "shown"))
    to_terminal.setFormatter(_MaskingFormatter("%(message)s"))
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
