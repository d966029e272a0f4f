"""Worker processes of this machine, each fed by a thread of the parent.

Workers are spawned, never forked (a forked OpenMP runtime can deadlock), and each has a line of its own to the parent:
when one dies it is known which item it had, and with what exit status. That item is tried again with nothing beside
it, so that only an item that kills its worker fails; all others go on.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing
import os
import pickle
import queue
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Generic

from src.config.schema import EngineConfig
from src.core.errors import StageError
from src.core.failure import Failure
from src.engine.cores import ONE_THREAD, worker_count
from src.engine.outcome import DIED, Item, Outcome, Result
from src.engine.worker import OVER_MEMORY, READY, WorkerReply, serve
from src.runtime import memory

log = logging.getLogger(__name__)
_STARTS = 3  # tries to start a worker, none of which succeeds
_PATIENCE = 5.0  # seconds that a worker may take to leave
_MOST = 60 if sys.platform == "win32" else 4096  # workers; Windows waits for no more


@contextlib.contextmanager
def opened(
    task: Callable[[Item], Result], config: EngineConfig
) -> Iterator[Callable[[Iterable[Item]], Iterator[Outcome[Item, Result]]]]:
    """Give what does `task` on every item of a stream, as often as it is called; see `src.engine.dispatch.run`.

    Raises
    ------
    StageError
        Where no worker can be started.
    """
    pool: _Pool[Item, Result] = _Pool(task, config)
    try:
        yield functools.partial(_outcomes, pool, config.batch_size)
    finally:
        pool.stop()


def _outcomes(pool: _Pool[Item, Result], most: int, items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
    """Keep `most` items in flight and yield each when it has ended."""
    pending, in_flight, exhausted = iter(items), 0, False
    while True:
        while not exhausted and in_flight < most:
            try:
                pool.put(next(pending))
            except StopIteration:
                exhausted = True
            else:
                in_flight += 1
        if not in_flight:
            return
        outcome = pool.get()
        in_flight -= 1
        yield outcome


class _Died(Exception):
    """The worker process went away, with this exit status."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class _NotStarted(_Died):
    """It went away before it was ready."""


class _Worker:
    """One process and the line to it."""

    def __init__(self, task: bytes, most_bytes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, task, most_bytes), daemon=True)
        self._process.start()
        theirs.close()  # so that the line ends with the worker

    def greet(self) -> None:
        """Wait until it is ready.

        Raises
        ------
        StageError
            It can't import the task.
        """
        try:
            word = self._heard()
        except _Died as died:
            raise _NotStarted(died.status) from died
        if word != READY:
            trouble = word.decode(errors="replace").strip()
            log.error("a worker can't import its task:\n%s", trouble)
            raise StageError(f"worker processes can't start: {trouble.splitlines()[-1]}")

    def do(self, item: Any) -> WorkerReply:
        """Send an item and wait for what comes of it."""
        try:
            sent = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # noqa: BLE001 - pickling raises what it likes, and it is that item's outcome
            return WorkerReply(_unfit("the item can't be sent to a worker", error), 0)
        try:
            self._line.send_bytes(sent)
        except OSError as error:
            raise _Died(self._status()) from error
        found = self._heard()
        try:
            reply: WorkerReply = pickle.loads(found)  # noqa: S301 (from our own worker)
        except Exception as error:  # noqa: BLE001 - as above
            return WorkerReply(_unfit("its result can't be read", error), 0)
        return reply

    def stop(self) -> None:
        """Let it leave, as an idle one does at once; end it where it doesn't."""
        self._line.close()
        self._process.join(_PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ValueError, OSError):  # gone already
            self._process.kill()

    def _heard(self) -> bytes:
        try:
            return self._line.recv_bytes()
        except (EOFError, OSError) as error:
            raise _Died(self._status()) from error

    def _status(self) -> int | None:
        self._process.join(_PATIENCE)
        return self._process.exitcode


class _Pool(Generic[Item, Result]):
    """Items that wait, those that are in work, and one thread for each worker."""

    def __init__(self, task: Callable[[Item], Result], config: EngineConfig) -> None:
        for name in ONE_THREAD:
            os.environ[name] = "1"
        self._task = pickle.dumps(task)
        self._workers_most = min(worker_count(config), config.batch_size, _MOST)
        self._bytes_most = memory.limit_bytes(config.memory_gib, self._workers_most)
        self._ready: deque[Item] = deque()
        self._suspects: deque[Item] = deque()  # each had a worker that died
        self._busy, self._alone, self._closed = 0, False, False
        self._failed_starts = 0
        self._turn = threading.Condition()
        self._workers: set[_Worker] = set()
        self._threads: list[threading.Thread] = []
        self._outcomes: queue.Queue[Outcome[Item, Result] | BaseException] = queue.Queue()

    def put(self, item: Item) -> None:
        """Hand over an item; another worker is started for it where all have enough to do."""
        with self._turn:
            self._ready.append(item)
            wanted = self._busy + len(self._ready) + len(self._suspects)
            if len(self._threads) < min(wanted, self._workers_most):
                self._threads.append(threading.Thread(target=self._feed, daemon=True))
                self._threads[-1].start()
            self._turn.notify_all()

    def get(self) -> Outcome[Item, Result]:
        """Wait for the next outcome."""
        while True:
            # The time-out keeps Ctrl+C alive on Windows, where an endless wait can't be interrupted.
            with contextlib.suppress(queue.Empty):
                found = self._outcomes.get(timeout=0.5)
                if isinstance(found, BaseException):
                    raise found
                return found

    def stop(self) -> None:
        """End all workers: idle ones leave; work in flight is lost, which is what an interruption may cost."""
        with self._turn:
            self._closed = True
            left = list(self._workers) if self._busy else []
            self._turn.notify_all()
        for worker in left:
            worker.kill()
        for thread in self._threads:
            thread.join(2 * _PATIENCE)

    def _feed(self) -> None:
        """Keep one worker at work until there is no more to do."""
        worker: _Worker | None = None
        try:
            while (taken := self._take()) is not None:
                worker = self._serve(worker, *taken)
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits for outcomes
            self._outcomes.put(error)
        finally:
            if worker is not None:
                worker.stop()

    def _take(self) -> tuple[Item, bool] | None:
        """Wait for an item to do, and whether with nothing beside it; None at the end."""
        with self._turn:
            while not self._closed:
                if self._suspects:  # they wait until all others have finished, and nothing is begun before
                    if not self._busy:
                        self._busy, self._alone = 1, True
                        return self._suspects.popleft(), True
                elif self._ready and not self._alone:
                    self._busy += 1
                    return self._ready.popleft(), False
                self._turn.wait()
        return None

    def _serve(self, worker: _Worker | None, item: Item, alone: bool) -> _Worker | None:
        """Have an item done; return the worker where it is good for another."""
        try:
            worker = worker or self._started()
            reply = worker.do(item)
            self._outcomes.put(Outcome(item, reply.result, reply.peak_bytes))
            if not reply.leaves:
                return worker
            self._drop(worker)
        except _NotStarted as died:
            with self._turn:
                (self._suspects if alone else self._ready).appendleft(item)
            self._count_failed_start(died)
        except _Died as died:
            if alone:
                self._outcomes.put(Outcome(item, self._cause(died.status)))
            else:
                log.warning("a worker process died (exit status %s); its work is tried again alone", died.status)
                with self._turn:
                    self._suspects.append(item)
            if worker is not None:
                self._drop(worker)
        finally:
            with self._turn:
                self._busy -= 1
                self._alone = self._alone and not alone
                self._turn.notify_all()
        return None

    def _started(self) -> _Worker:
        worker = _Worker(self._task, self._bytes_most)
        with self._turn:
            self._workers.add(worker)
            if self._closed:
                worker.kill()
        try:
            worker.greet()
        except BaseException:
            self._drop(worker)
            raise
        self._failed_starts = 0
        return worker

    def _drop(self, worker: _Worker) -> None:
        worker.stop()
        with self._turn:
            self._workers.discard(worker)

    def _count_failed_start(self, died: _NotStarted) -> None:
        """Try again a few times: an endless loop would hide what is wrong."""
        with self._turn:
            self._failed_starts += 1
            if self._failed_starts < _STARTS or self._closed:
                return
        raise StageError(
            f"worker processes end before they begin (exit status {died.status}, {_STARTS} times): see the lines above;"
            " where memory is short, lower engine.workers"
        ) from died

    def _cause(self, status: int | None) -> Failure:
        """Why a worker died, as its exit status tells."""
        if status == OVER_MEMORY:
            most = self._bytes_most / memory.GIB
            words = f"each time it took more than {most:.3g} GiB of memory: raise engine.memory_gib"
        elif status == -9:
            words = "killed: out of memory, or by somebody"
        elif status is not None and status < 0:
            words = f"signal {-status}: a crash in native code"
        else:
            words = f"exit status {status}"
        return replace(DIED, reason=f"the worker process died twice on it ({words})")


def _unfit(words: str, error: Exception) -> Failure:
    return Failure(f"{words}: {type(error).__name__}: {error}", traceback.format_exc(), final=True)
