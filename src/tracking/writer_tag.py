"""Who writes: a tag on runs and models in the making, so that a later command can tell what a killed one left behind.

On this machine the process itself is asked. Another machine's can't be: what it began counts as left behind after a
day.
"""

from __future__ import annotations

import os
import platform
import time

from src.core import process

WRITER = "alpha.writer"
_FOREIGN_AGE = 24 * 3600  # seconds


def writer() -> str:
    """This machine, this process, when it started and what time it is: what `is_alive` reads."""
    pid = os.getpid()
    return f"{platform.node()}:{pid}:{process.process_start(pid)}:{int(time.time())}"


def is_alive(tag: str) -> bool:
    """Whether the process that left a tag may still be at work; this one has ended what it began before.

    What is no tag of `writer` was written by nobody that we know, and is left alone.
    """
    try:
        machine, pid, started, began = tag.rsplit(":", 3)
        numbers = int(pid), int(started), int(began)
    except ValueError:
        return True
    if machine != platform.node():
        return time.time() - numbers[2] < _FOREIGN_AGE
    return numbers[0] != os.getpid() and process.is_alive(*numbers[:2])
