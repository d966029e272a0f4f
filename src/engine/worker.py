"""The loop of a local worker process: one item after the other, until its parent closes the connection or is gone.

A worker computes with one thread. It ignores Ctrl+C and SIGTERM, which a terminal or a service manager sends to all
processes of a command: the parent decides what they mean. It exits when its parent is gone, for whatever reason. It
also exits when it takes more memory than its limit, so that a shortage of memory ends a worker and not the parent.
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
OVER_MEMORY = 71  # exit status of a worker that exceeded its memory limit
_POLL_SECONDS = 0.1  # between two checks of the memory in use
_OOM_SCORE = "800"  # of 1,000: the kernel kills the process with the highest score first


@dataclass(frozen=True)
class WorkerReply:
    """A worker's answer to an item.

    Attributes
    ----------
    result : object
        What the task returned, or a `Failure`.
    peak_bytes : int
        Peak resident memory of the worker so far, in bytes.
    exits : bool
        Whether the worker exits after this reply.
    """

    result: Any
    peak_bytes: int
    exits: bool = False


def serve(connection: Connection, task: bytes, max_bytes: int) -> None:
    """Run a task on each item that arrives over a connection.

    Parameters
    ----------
    connection : Connection
        Receives pickled items and sends pickled replies. The first message is `READY`, or the traceback if the task
        can't be imported.
    task : bytes
        The pickled function.
    max_bytes : int
        Resident memory that this process may use; above it, it exits with status `OVER_MEMORY`.
    """
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(max_bytes,), daemon=True).start()
    with contextlib.suppress(OSError):  # exists on Linux only, and some containers do not allow writing it
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    try:
        work = pickle.loads(task)  # noqa: S301 (from the parent, by a pipe that no other process has)
    except Exception:  # noqa: BLE001 - any error of the import is sent to the parent
        connection.send_bytes(traceback.format_exc().encode())
        return
    connection.send_bytes(READY)
    exits = False
    while not exits:
        try:
            item = connection.recv_bytes()
            reply = _reply(work, item)
            exits = reply.exits
            connection.send_bytes(_pickled(reply))
        except (EOFError, OSError):  # the parent has closed the connection, or is gone
            return


def _reply(work: Callable[[Any], Any], item: bytes) -> WorkerReply:
    """Do an item; an exception becomes a `Failure`. After a MemoryError the process is replaced."""
    try:
        return WorkerReply(work(pickle.loads(item)), memory.peak_bytes())  # noqa: S301 (from the parent)
    except Exception as error:  # noqa: BLE001 - any exception of a task is that item's outcome
        failure = Failure.of(error)
        return WorkerReply(failure, memory.peak_bytes(), isinstance(error, MemoryError))


def _pickled(reply: WorkerReply) -> bytes:
    try:
        return pickle.dumps(reply, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - pickling may raise anything, and it is that item's outcome
        reason = f"its result can't be sent back: {type(error).__name__}: {error}"
        failure = Failure(reason, traceback.format_exc(), final=True)
        return pickle.dumps(WorkerReply(failure, reply.peak_bytes), pickle.HIGHEST_PROTOCOL)


def _watch(max_bytes: int) -> None:
    """End the process when the parent is gone, or when it uses more memory than its limit."""
    import psutil

    parent, this = multiprocessing.parent_process(), psutil.Process()
    sentinels = [parent.sentinel] if parent is not None else []
    while not wait_for_sentinel(sentinels, timeout=_POLL_SECONDS):
        if this.memory_info().rss > max_bytes:
            os._exit(OVER_MEMORY)
    os._exit(1)
