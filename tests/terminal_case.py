"""A command in a terminal of its own, and what a person sees there. POSIX alone: Windows has no pty module."""

from __future__ import annotations

import contextlib
import os
import re
import select
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from src.core.project import ROOT
from tests.process_case import HANG, begin

CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Session:
    """A Python program that runs in a terminal of some columns and rows; all its three streams are the terminal.

    Parameters
    ----------
    arguments
        Of the Python interpreter.
    environment
        Beside that of the tests; ``TERM`` is xterm unless it says otherwise.
    """

    def __init__(
        self, *arguments: str, columns: int = 100, rows: int = 30, environment: Mapping[str, str] | None = None
    ) -> None:
        import fcntl
        import pty
        import termios

        self.text = ""
        self._master, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")}
        settings = {"TERM": "xterm", "PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)}
        self.process = begin(
            [sys.executable, *arguments], stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT,
            env={**clean, **settings, **(environment or {})},
        )  # fmt: skip
        os.close(terminal)

    def read_until(self, seen: Callable[[str], bool]) -> str:
        """Read until the text so far is as wanted; return it."""
        while not seen(self.text):
            assert self._read(), f"ended without it: {self.text!r}"
        return self.text

    def type(self, text: str) -> None:
        """Type at the keyboard; the Tab key is a tab."""
        os.write(self._master, text.encode())

    def end(self, signal: int | None = None) -> int:
        """Send a signal, if any, read all that is left, and return the exit status."""
        if signal is not None:
            self.process.send_signal(signal)
        while self._read():
            pass
        os.close(self._master)
        return self.process.wait(HANG)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], HANG)
        assert ready, f"silent after {self.text!r}"
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            got = os.read(self._master, 65_536)
            self.text += got.decode(errors="replace")
            return bool(got)
        return False


def script(folder: Path, text: str) -> str:
    """Write a program and return its path."""
    path = folder / "program.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def lines(text: str) -> list[str]:
    """What stands on the terminal after all of `text`, cursor movements obeyed; nothing may wrap.

    Understands what a bar drawn in place uses: the start of the line, one line up, and a line erased.
    """
    rows, at = [""], 0
    for code, letters in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)|([^\x1b\r\n]+)", text):
        if code == "\n":
            at += 1
            rows += [""] * (at + 1 - len(rows))
        elif code == "\x1b[1A":
            at -= 1
            assert at >= 0, "above the first line"
        elif code == "\x1b[2K":
            rows[at] = ""
        elif letters:
            rows[at] += letters
    return [row.rstrip() for row in rows]


def cursor_is_shown(text: str) -> bool:
    """Whether the cursor is visible after all of `text`, on the usual screen."""
    hidden, other = text.rfind("\x1b[?25l"), text.rfind("\x1b[?1049h")
    return text.rfind("\x1b[?25h") >= hidden and text.rfind("\x1b[?1049l") >= other
