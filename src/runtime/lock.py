"""Two commands on the same data wait in turn: a lock that dies with its process, and a word about who holds it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from src.config.paths import main_root
from src.runtime.redaction import masked, masked_address
from src.storage.atomic import read_json, write_json

# Verbs that write the same files share a group; any other verb is a group of its own.
GROUPS = {"train": "runs", "regrade": "runs", "sync": "runs", "clean": "runs"}
_REMIND = 600.0  # seconds between reminders while waiting
_POLL = 0.5


@contextlib.contextmanager
def turn(verb: str, dataset: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the turn of `verb` on `dataset`; where another process has it, `say` who, and wait until it ends.

    The system releases the lock when its process ends, however it ends, so nothing has to be cleaned up by hand.
    """
    from filelock import FileLock, Timeout

    folder = main_root() / "data" / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{GROUPS.get(verb, verb)}-{dataset}"
    lock = FileLock(folder / f"{name}.lock")
    holder = folder / f"{name}.json"
    limit = 0.0
    while True:
        try:
            lock.acquire(timeout=limit, poll_interval=_POLL)
            break
        except Timeout:
            say(f"{verb} waits its turn on {dataset}: {_holder(holder)} (Ctrl+C gives up waiting)")
            limit = _REMIND
    try:
        write_json({"pid": os.getpid(), "command": command(), "since": time.strftime("%Y-%m-%d %H:%M")}, holder)
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def command() -> str:
    """The command line of this process as typed, with passwords in addresses masked."""
    program = Path(sys.argv[0])
    module = f"python -m src.{program.stem}" if program.parent.name == "src" else program.name
    words = [name + is_set + masked_address(value) for name, is_set, value in (w.partition("=") for w in sys.argv[1:])]
    return masked(" ".join([module, *words]))


def _holder(path: Path) -> str:
    try:
        held: dict[str, Any] = read_json(path)
        return f"process {held['pid']} runs `{held['command']}` since {held['since']}"
    except (OSError, ValueError, KeyError):
        return "another process is at work"
