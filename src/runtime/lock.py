"""Locks between commands: only one at a time may write the same files of a dataset."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from src.config import paths
from src.config.commands import shell_word
from src.runtime.redaction import masked_setting, shown
from src.storage.atomic import read_json, write_json

# Verbs that write the same files share a group; any other verb is a group of its own.
GROUPS = {"train": "runs", "regrade": "runs", "sync": "runs", "clean": "runs"}
_REMINDER_SECONDS = 600.0  # between two notifications while waiting
_POLL_SECONDS = 0.5


@contextlib.contextmanager
def dataset_lock(verb: str, dataset: str, notify: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a verb on a dataset, waiting while another process holds it.

    The operating system releases the lock when the process ends, however it ends, so a killed command leaves nothing
    to clean up.

    Parameters
    ----------
    verb : str
        The command, such as ``train``. Verbs of one group in `GROUPS` share a lock.
    dataset : str
    notify : callable
        Called with one line that names the holder, when waiting begins and every ten minutes after that.
    """
    from filelock import FileLock, Timeout

    folder = paths.locks()
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{GROUPS.get(verb, verb)}-{dataset}"
    lock = FileLock(folder / f"{name}.lock")
    holder = folder / f"{name}.json"
    timeout = 0.0
    while True:
        try:
            lock.acquire(timeout=timeout, poll_interval=_POLL_SECONDS)
            break
        except Timeout:
            notify(f"{verb} waits for the lock on {dataset}: {_describe_holder(holder)} (Ctrl+C stops waiting)")
            timeout = _REMINDER_SECONDS
    try:
        write_json({"pid": os.getpid(), "command": command_line(), "since": time.strftime("%Y-%m-%d %H:%M")}, holder)
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def command_line() -> str:
    """The command line of this process, to be typed into a shell, without secrets."""
    program = Path(sys.argv[0])
    module = f"python -m src.{program.stem}" if program.parent.name == "src" else program.name
    parts = (argument.partition("=") for argument in sys.argv[1:])
    arguments = [name + separator + masked_setting(name, value) for name, separator, value in parts]
    return shown(" ".join([module, *map(shell_word, arguments)]))


def _describe_holder(path: Path) -> str:
    try:
        holder: dict[str, Any] = read_json(path)
        return f"process {holder['pid']} has run `{holder['command']}` since {holder['since']}"
    except (OSError, ValueError, KeyError):
        return "another process is running"
