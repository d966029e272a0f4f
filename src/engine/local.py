"""Worker processes of this machine, each fed by a thread of the parent.

Workers are spawned, never forked, since a forked OpenMP runtime can deadlock. Each has a pipe of its own to the parent,
so when one dies the parent knows which item it had and with what exit status it ended. That item is tried again with
nothing beside it: only an item that kills its worker fails, and all others go on.
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
_STARTS = 3  # failed tries to start a worker before the command ends
_PATIENCE = 5.0  # seconds that a worker may take to exit
_MOST = 60 if sys.platform == "win32" else 4096  # workers; Windows can wait for no more


@contextlib.contextmanager
def opened(
    task: Callable[[Item], Result], config: EngineConfig
) -> Iterator[Callable[[Iterable[Item]], Iterator[Outcome[Item, Result]]]]:
    """Open a pool of worker processes for a task.

    Parameters
    ----------
    task : callable
        A function at module level.
    config : EngineConfig
        Number of workers, their memory, and number of items in flight.

    Yields
    ------
    callable
        Does the task on every item of a stream and yields the outcomes; it may be called several times. See
        `src.engine.dispatch.run`.

    Raises
    ------
    StageError
        If no worker can be started.
    """
    pool: _Pool[Item, Result] = _Pool(task, config)
    try:
        yield functools.partial(_outcomes, pool, config.batch_size)
    finally:
        pool.stop()


def _outcomes(pool: _Pool[Item, Result], most: int, items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
    """Keep `most` items in flight and yield the outcome of each when it has ended."""
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
    """The worker process ended, with this exit status."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class _NotStarted(_Died):
    """The worker process ended before it was ready."""


class _Worker:
    """One worker process and the pipe to it."""

    def __init__(self, task: bytes, most_bytes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, far_end = context.Pipe()
        self._process = context.Process(target=serve, args=(far_end, task, most_bytes), daemon=True)
        self._process.start()
        far_end.close()  # so that the pipe closes with the worker

    def greet(self) -> None:
        """Wait until the worker is ready.

        Raises
        ------
        StageError
            If it can't import the task.
        """
        try:
            message = self._receive()
        except _Died as died:
            raise _NotStarted(died.status) from died
        if message != READY:
            traceback_text = message.decode(errors="replace").strip()
            log.error("a worker can't import its task:\n%s", traceback_text)
            raise StageError(f"worker processes can't start: {traceback_text.splitlines()[-1]}")

    def do(self, item: Any) -> WorkerReply:
        """Send an item and wait for the reply."""
        try:
            sent = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # noqa: BLE001 - pickling raises anything, and it is that item's failure
            return WorkerReply(_unfit("the item can't be sent to a worker", error), 0)
        try:
            self._line.send_bytes(sent)
        except OSError as error:
            raise _Died(self._status()) from error
        content = self._receive()
        try:
            reply: WorkerReply = pickle.loads(content)  # noqa: S301 (from our own worker)
        except Exception as error:  # noqa: BLE001 - as above
            return WorkerReply(_unfit("its result can't be read", error), 0)
        return reply

    def stop(self) -> None:
        """Let the worker exit, as an idle one does at once; kill it if it doesn't."""
        self._line.close()
        self._process.join(_PATIENCE)
        self.kill()

    def kill(self) -> None:
        """Kill the worker."""
        with contextlib.suppress(ValueError, OSError):  # gone already
            self._process.kill()

    def _receive(self) -> bytes:
        try:
            return self._line.recv_bytes()
        except (EOFError, OSError) as error:
            raise _Died(self._status()) from error

    def _status(self) -> int | None:
        self._process.join(_PATIENCE)
        return self._process.exitcode


class _Pool(Generic[Item, Result]):
    """Items that wait, items in work, and one thread for each worker."""

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
        """Hand over an item; another worker is started for it if all have enough to do."""
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
                outcome = self._outcomes.get(timeout=0.5)
                if isinstance(outcome, BaseException):
                    raise outcome
                return outcome

    def stop(self) -> None:
        """End all workers: idle ones exit; work in flight is lost, which is what an interruption may cost."""
        with self._turn:
            self._closed = True
            left = list(self._workers) if self._busy else []
            self._turn.notify_all()
        for worker in left:
            worker.kill()
        for thread in self._threads:
            thread.join(2 * _PATIENCE)

    def _feed(self) -> None:
        """Keep one worker busy until there is no more to do."""
        worker: _Worker | None = None
        try:
            while (taken := self._take()) is not None:
                worker = self._serve(worker, *taken)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for outcomes
            self._outcomes.put(error)
        finally:
            if worker is not None:
                worker.stop()

    def _take(self) -> tuple[Item, bool] | None:
        """Wait for an item, and whether it is to be done with nothing beside it; None at the end."""
        with self._turn:
            while not self._closed:
                if self._suspects:  # they wait until all others have finished, and nothing new is begun before them
                    if not self._busy:
                        self._busy, self._alone = 1, True
                        return self._suspects.popleft(), True
                elif self._ready and not self._alone:
                    self._busy += 1
                    return self._ready.popleft(), False
                self._turn.wait()
        return None

    def _serve(self, worker: _Worker | None, item: Item, alone: bool) -> _Worker | None:
        """Have an item done; return the worker if it can do another."""
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
        """Allow a few failed starts: an endless loop would hide what is wrong."""
        with self._turn:
            self._failed_starts += 1
            if self._failed_starts < _STARTS or self._closed:
                return
        raise StageError(
            f"worker processes end before they begin (exit status {died.status}, {_STARTS} times): see the lines above;"
            " where memory is short, lower engine.workers"
        ) from died

    def _cause(self, status: int | None) -> Failure:
        """Return why a worker died, by its exit status."""
        if status == OVER_MEMORY:
            most = self._bytes_most / memory.GIB
            reason = f"each time it took more than {most:.3g} GiB of memory: raise engine.memory_gib"
        elif status == -9:
            reason = "killed: out of memory, or by a signal from outside"
        elif status is not None and status < 0:
            reason = f"signal {-status}: a crash in native code"
        else:
            reason = f"exit status {status}"
        return replace(DIED, reason=f"the worker process died twice on it ({reason})")


def _unfit(reason: str, error: Exception) -> Failure:
    return Failure(f"{reason}: {type(error).__name__}: {error}", traceback.format_exc(), final=True)
