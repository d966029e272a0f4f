"""What a worker process of this machine does: one item after the other, until its parent has no more or has ended.

It runs one thread. It ignores Ctrl+C and SIGTERM, which a service manager sends to all processes of a command: the
parent decides. It exits when the parent has ended, however that happened, and when it takes more memory than it may:
where memory runs out, a worker has to go and not the parent.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for_sentinel
from pathlib import Path
from typing import Any

from src.core.failure import Failure
from src.runtime import memory

READY = b"ready"
OVER_MEMORY = 71  # exit status of a worker that took more than it may
_INTERVAL = 0.1  # seconds between two checks of the memory taken
_OOM_SCORE = "800"  # of 1,000: the kernel ends processes with a high score first where memory runs out


@dataclass(frozen=True)
class WorkerReply:
    """Reply of a worker to one item.

    Attributes
    ----------
    result : object
        What the task returned, or its `Failure`.
    peak_bytes : int
        Most memory that the worker has taken so far.
    leaves : bool
        Whether the worker exits now.
    """

    result: Any
    peak_bytes: int
    leaves: bool = False


def serve(line: Connection, task: bytes, most_bytes: int) -> None:
    """Do `task` on each item that comes along the line.

    Parameters
    ----------
    line : Connection
        Items come and replies go, pickled by the sender.
    task : bytes
        The pickled function.
    most_bytes : int
        Resident memory that this process may take.
    """
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(most_bytes,), daemon=True).start()
    with contextlib.suppress(OSError):  # only Linux has it, and not every container lets it be written
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    try:
        work = pickle.loads(task)  # noqa: S301 (from the parent, by a private pipe)
    except Exception:  # noqa: BLE001 - whatever importing the task raises is sent to the parent
        line.send_bytes(traceback.format_exc().encode())
        return
    line.send_bytes(READY)
    leaves = False
    while not leaves:
        try:
            item = line.recv_bytes()
            reply = _reply(work, item)
            leaves = reply.leaves
            line.send_bytes(_pickled(reply))
        except (EOFError, OSError):  # the parent has closed the line or has ended
            return


def _reply(work: Callable[[Any], Any], item: bytes) -> WorkerReply:
    """Do an item and turn what the task raises into a value; after a MemoryError the worker exits."""
    try:
        return WorkerReply(work(pickle.loads(item)), memory.peak_bytes())  # noqa: S301 (from the parent)
    except Exception as error:  # noqa: BLE001 - whatever a task raises is that item's outcome
        failure = Failure.of(error)
        return WorkerReply(failure, memory.peak_bytes(), isinstance(error, MemoryError))


def _pickled(reply: WorkerReply) -> bytes:
    try:
        return pickle.dumps(reply, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - pickling raises anything, and it is that item's failure
        reason = f"its result can't be sent back: {type(error).__name__}: {error}"
        failure = Failure(reason, traceback.format_exc(), final=True)
        return pickle.dumps(WorkerReply(failure, reply.peak_bytes), pickle.HIGHEST_PROTOCOL)


def _watch(most_bytes: int) -> None:
    """Exit with the parent, and when too much memory is taken."""
    import psutil

    parent, this = multiprocessing.parent_process(), psutil.Process()
    sentinels = [] if parent is None else [parent.sentinel]
    while not wait_for_sentinel(sentinels, timeout=_INTERVAL):
        if this.memory_info().rss > most_bytes:
            os._exit(OVER_MEMORY)
    os._exit(1)
