"""A tag on unfinished runs and models that names their writer, so that leftovers of killed commands are recognised.

A writer on this machine is looked up among the running processes. A process of another machine can't be checked: what
it began counts as left behind after a day.
"""

from __future__ import annotations

import os
import platform
import time

from src.core import process

WRITER = "alpha.writer"
_FOREIGN_SECONDS = 24 * 3600  # after which an unfinished run or model of another machine counts as left behind


def writer_tag() -> str:
    """Value of the tag for this process.

    Returns
    -------
    str
        Machine, process id, start of the process and current time, separated by colons.
    """
    pid = os.getpid()
    return f"{platform.node()}:{pid}:{process.process_start(pid)}:{int(time.time())}"


def is_writer_alive(tag: str) -> bool:
    """Whether the writer may still be working.

    Parameters
    ----------
    tag : str
        From `writer_tag`.

    Returns
    -------
    bool
        False for this process itself, which has ended what it began before. True for any other text: tags not written
        by the project are ignored.
    """
    try:
        machine, pid, start, began = tag.rsplit(":", 3)
        numbers = int(pid), int(start), int(began)
    except ValueError:
        return True
    if machine != platform.node():
        return time.time() - numbers[2] < _FOREIGN_SECONDS
    return numbers[0] != os.getpid() and process.is_alive(*numbers[:2])
