"""A terminal that is redrawn in place: no flicker, no scrolling, and the last picture stays when it ends.

Each picture is one write: the cursor goes home, every line is written over the former one, and what is left of the
former is cleared; nothing is blank in between. It takes place on the terminal's other screen, as in `top`. Consoles of
Windows 10 and later understand the same once asked.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"
_CODE = re.compile(r"\x1b\[[0-9;]*m")
_PLAIN = "\x1b[0m"
_OUTPUT, _SEQUENCES = -11, 0x0004  # STD_OUTPUT_HANDLE, ENABLE_VIRTUAL_TERMINAL_PROCESSING

Draw = Callable[[list[str]], None]


def redrawable(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can be redrawn in place."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    return os.name != "nt" or _windows_agrees()


def coloured(stream: TextIO) -> bool:
    """Whether colours are wanted: on such a terminal, unless NO_COLOR is set."""
    return redrawable(stream) and not os.environ.get("NO_COLOR")


@contextlib.contextmanager
def redrawn(stream: TextIO) -> Iterator[Draw]:
    """Yield a function that shows a picture in place of the one before; the last one stays on the usual screen."""
    last: list[str] = []

    def draw(lines: list[str]) -> None:
        last[:] = lines
        size = shutil.get_terminal_size()
        stream.write(frame(lines, size.columns, size.lines))
        stream.flush()

    stream.write(_ENTER)
    try:
        yield draw
    finally:
        stream.write(_LEAVE + "".join(f"{line}\n" for line in last))
        stream.flush()


def frame(lines: list[str], columns: int, rows: int) -> str:
    """What to write to turn any picture into this one, cut to the terminal's size."""
    shown = lines if len(lines) <= rows else [*lines[: rows - 1], f"... {len(lines) - rows + 1} more lines"]
    return _HOME + f"{_REST_OF_LINE}\r\n".join(cut(line, columns - 1) for line in shown) + _REST_OF_LINE + _REST


def cut(line: str, columns: int) -> str:
    """A line's first `columns` letters; colours take no room and end with the line."""
    room, parts, at = columns, [], 0
    for code in [*_CODE.finditer(line), None]:
        text = line[at : code.start() if code else None][:room]
        room -= len(text)
        parts += [text, code.group() if code else ""]
        at = code.end() if code else at
    return "".join(parts) + (_PLAIN if _CODE.search(line) else "")


def _windows_agrees() -> bool:
    """Ask a Windows console to understand the sequences; whether it does."""
    if sys.platform != "win32":
        return False
    import ctypes

    kernel: Any = ctypes.windll.kernel32
    handle = kernel.GetStdHandle(_OUTPUT)
    mode = ctypes.c_ulong()
    if not kernel.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    return bool(kernel.SetConsoleMode(handle, mode.value | _SEQUENCES))
