"""Worker processes on this machine, each fed by a thread of the parent.

Workers are spawned, never forked: a forked OpenMP runtime can deadlock. Each worker has its own connection to the
parent, so that when one dies, its item and its exit status are known. That item is tried again while no other item is
in work, so that only an item that kills its worker fails; all others continue.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from multiprocessing import resource_tracker
from typing import Any, Generic

from src.config.schema import EngineConfig
from src.core.errors import StageError
from src.core.failure import Failure
from src.engine.cores import ONE_THREAD, worker_count
from src.engine.outcome import DIED, Item, Outcome, Result
from src.engine.worker import OVER_MEMORY, READY, WorkerReply, serve
from src.runtime import memory

log = logging.getLogger(__name__)
_START_ATTEMPTS = 3  # workers in a row that may fail to start
_EXIT_TIMEOUT = 5.0  # seconds that a worker may take to exit
_MAX_WORKERS = 60 if sys.platform == "win32" else 4096  # Windows can't wait for more


@contextlib.contextmanager
def opened(
    task: Callable[[Item], Result], config: EngineConfig
) -> Iterator[Callable[[Iterable[Item]], Iterator[Outcome[Item, Result]]]]:
    """Open a pool of worker processes for a task; see `src.engine.dispatch.run`.

    Parameters
    ----------
    task : callable
        A function that can be pickled.
    config : EngineConfig
        The section ``engine``.

    Yields
    ------
    callable
        Turns a stream of items into a stream of outcomes. It may be called several times, one after the other, and
        uses the same workers.

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


def _outcomes(pool: _Pool[Item, Result], max_in_flight: int, items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
    """Keep `max_in_flight` items in flight and yield each outcome when it arrives."""
    pending, in_flight, exhausted = iter(items), 0, False
    while True:
        while not exhausted and in_flight < max_in_flight:
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


class _WorkerDied(Exception):
    """The worker process ended, with this exit status."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class _WorkerNotStarted(_WorkerDied):
    """The worker process ended before it was ready."""


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Start a worker with Ctrl+C and SIGTERM blocked: its interpreter would die of them before it can ignore them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which a first worker starts, and that would let the signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """A worker process and the parent's connection to it."""

    def __init__(self, task: bytes, max_bytes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, worker_end = context.Pipe()
        self._process = context.Process(target=serve, args=(worker_end, task, max_bytes), daemon=True)
        self._process.start()
        worker_end.close()  # so that the connection closes when the worker ends

    def wait_until_ready(self) -> None:
        """Wait until the worker has imported the task.

        Raises
        ------
        StageError
            If it can't import the task.
        _WorkerNotStarted
            If it ends before.
        """
        try:
            message = self._receive()
        except _WorkerDied as died:
            raise _WorkerNotStarted(died.status) from died
        if message != READY:
            import_error = message.decode(errors="replace").strip()
            log.error("a worker can't import its task:\n%s", import_error)
            raise StageError(f"worker processes can't start: {import_error.splitlines()[-1]}")

    def do(self, item: Any) -> WorkerReply:
        """Send an item and wait for the reply.

        Raises
        ------
        _WorkerDied
            If the worker ends before it replies.
        """
        try:
            request = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # noqa: BLE001 - pickling may raise anything, and it is that item's outcome
            return WorkerReply(_pickle_failure("the item can't be sent to a worker", error), 0)
        try:
            self._connection.send_bytes(request)
        except OSError as error:
            raise _WorkerDied(self._exit_status()) from error
        response = self._receive()
        try:
            reply: WorkerReply = pickle.loads(response)  # noqa: S301 (from our own worker)
        except Exception as error:  # noqa: BLE001 - as above
            return WorkerReply(_pickle_failure("its result can't be read", error), 0)
        return reply

    def stop(self) -> None:
        """Close the connection, at which an idle worker exits at once; kill the worker if it doesn't."""
        self._connection.close()
        self._process.join(_EXIT_TIMEOUT)
        self.kill()

    def kill(self) -> None:
        """Kill the worker at once."""
        with contextlib.suppress(ValueError, OSError):  # already gone
            self._process.kill()

    def _receive(self) -> bytes:
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise _WorkerDied(self._exit_status()) from error

    def _exit_status(self) -> int | None:
        self._process.join(_EXIT_TIMEOUT)
        return self._process.exitcode


class _Pool(Generic[Item, Result]):
    """Items that wait or are in work, and one thread for each worker."""

    def __init__(self, task: Callable[[Item], Result], config: EngineConfig) -> None:
        for name in ONE_THREAD:
            os.environ[name] = "1"
        self._task = pickle.dumps(task)
        self._max_workers = min(worker_count(config), config.batch_size, _MAX_WORKERS)
        self._max_bytes = memory.limit_bytes(config.memory_gib, self._max_workers)
        self._ready: deque[Item] = deque()
        self._suspects: deque[Item] = deque()  # items whose worker died
        self._busy, self._alone, self._closed = 0, False, False
        self._failed_starts = 0
        self._changed = threading.Condition()
        self._workers: set[_Worker] = set()
        self._threads: list[threading.Thread] = []
        self._outcomes: queue.Queue[Outcome[Item, Result] | BaseException] = queue.Queue()

    def put(self, item: Item) -> None:
        """Hand over an item; start another worker if all are busy and the limit allows it."""
        with self._changed:
            self._ready.append(item)
            wanted = self._busy + len(self._ready) + len(self._suspects)
            if len(self._threads) < min(wanted, self._max_workers):
                self._threads.append(threading.Thread(target=self._feed, daemon=True))
                self._threads[-1].start()
            self._changed.notify_all()

    def get(self) -> Outcome[Item, Result]:
        """Wait for the next outcome; raise the error of a feeding thread, if there is one."""
        while True:
            # The timeout keeps Ctrl+C working on Windows, where a wait without one can't be interrupted.
            with contextlib.suppress(queue.Empty):
                outcome = self._outcomes.get(timeout=0.5)
                if isinstance(outcome, BaseException):
                    raise outcome
                return outcome

    def stop(self) -> None:
        """End all workers: idle ones exit; work in flight is lost, which an interruption may cost."""
        with self._changed:
            self._closed = True
            to_kill = list(self._workers) if self._busy else []
            self._changed.notify_all()
        for worker in to_kill:
            worker.kill()
        for thread in self._threads:
            thread.join(2 * _EXIT_TIMEOUT)

    def _feed(self) -> None:
        """Keep one worker busy until the pool is closed."""
        worker: _Worker | None = None
        try:
            while (taken := self._take()) is not None:
                worker = self._serve(worker, *taken)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for outcomes
            self._outcomes.put(error)
        finally:
            if worker is not None:
                worker.stop()

    def _take(self) -> tuple[Item, bool] | None:
        """Wait for an item, and whether it must run alone; None when the pool is closed."""
        with self._changed:
            while not self._closed:
                if self._suspects:  # a suspect waits until all others have finished, and no new item starts before it
                    if not self._busy:
                        self._busy, self._alone = 1, True
                        return self._suspects.popleft(), True
                elif self._ready and not self._alone:
                    self._busy += 1
                    return self._ready.popleft(), False
                self._changed.wait()
        return None

    def _serve(self, worker: _Worker | None, item: Item, alone: bool) -> _Worker | None:
        """Have an item done; return the worker if it can take another."""
        try:
            worker = worker or self._started()
            reply = worker.do(item)
            self._outcomes.put(Outcome(item, reply.result, reply.peak_bytes))
            if not reply.exits:
                return worker
            self._drop(worker)
        except _WorkerNotStarted as died:
            with self._changed:
                (self._suspects if alone else self._ready).appendleft(item)
            self._count_failed_start(died)
        except _WorkerDied as died:
            if alone:
                self._outcomes.put(Outcome(item, self._failure(died.status)))
            else:
                self._suspect(item, died.status)
            if worker is not None:
                self._drop(worker)
        finally:
            with self._changed:
                self._busy -= 1
                self._alone = self._alone and not alone
                self._changed.notify_all()
        return None

    def _suspect(self, item: Item, status: int | None) -> None:
        """Have an item tried again alone, unless the pool was closed: then we killed the worker ourselves."""
        with self._changed:
            if self._closed:
                return
            self._suspects.append(item)
        log.warning("a worker process died (exit status %s); its item is tried again alone", status)

    def _started(self) -> _Worker:
        with _signals_held():
            worker = _Worker(self._task, self._max_bytes)
        with self._changed:
            self._workers.add(worker)
            if self._closed:
                worker.kill()
        try:
            worker.wait_until_ready()
        except BaseException:
            self._drop(worker)
            raise
        self._failed_starts = 0
        return worker

    def _drop(self, worker: _Worker) -> None:
        worker.stop()
        with self._changed:
            self._workers.discard(worker)

    def _count_failed_start(self, died: _WorkerNotStarted) -> None:
        """Allow a few failed starts in a row; more would hide what is wrong in an endless loop."""
        with self._changed:
            self._failed_starts += 1
            if self._failed_starts < _START_ATTEMPTS or self._closed:
                return
        raise StageError(
            f"worker processes end before they are ready (exit status {died.status}, {_START_ATTEMPTS} times): see the "
            "lines above; if memory is short, lower engine.workers"
        ) from died

    def _failure(self, status: int | None) -> Failure:
        """The failure of an item that killed two workers, with the cause that the exit status shows."""
        if status == OVER_MEMORY:
            limit = self._max_bytes / memory.GIB
            cause = f"it took more than {limit:.3g} GiB of memory: raise engine.memory_gib"
        elif status == -9:
            cause = "killed: out of memory, or by a user"
        elif status is not None and status < 0:
            cause = f"signal {-status}: a crash in native code"
        else:
            cause = f"exit status {status}"
        return replace(DIED, reason=f"its worker process died twice ({cause})")


def _pickle_failure(problem: str, error: Exception) -> Failure:
    return Failure(f"{problem}: {type(error).__name__}: {error}", traceback.format_exc(), final=True)
