"""Lines that a command writes to its terminal: without secrets, and unable to move the cursor or to pass for others."""

from __future__ import annotations

import sys

from src.runtime.redaction import shown, shown_lines


def answer(text: str) -> None:
    """Write a part of a command's answer to standard output.

    Parameters
    ----------
    text : str
        One line, or several of our own making.
    """
    sys.stdout.write(shown_lines(text) + "\n")
    sys.stdout.flush()


def redraw(line: str) -> None:
    """Write a line over the one before, on standard error, which must be a terminal.

    Parameters
    ----------
    line : str
        Empty to clear the line.
    """
    sys.stderr.write(f"\r\x1b[K{shown(line)}")
    sys.stderr.flush()


def notice(line: str) -> None:
    """Write one line about the work to standard error.

    Parameters
    ----------
    line : str
        Any text; line feeds in it are escaped.
    """
    sys.stderr.write(shown(line) + "\n")
    sys.stderr.flush()
