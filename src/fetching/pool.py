"""Requests to several providers at once, whose outcomes are yielded one by one.

Each provider has its own queue of tasks and its own threads, so a provider that pauses for an hour delays no other. The
threads only send requests; tasks are read and outcomes yielded in the one thread that iterates.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Generic, Self

from src.config.schema import LiveSource
from src.fetching.fetch_queue import FetchQueue
from src.fetching.fetch_task import Asked, FetchOutcome, FetchTask, Got, PendingFetch
from src.fetching.rate_gate import RateGate

__all__ = ["FetchOutcome", "FetchTask", "Pool"]

_LOOK = 0.2  # seconds that the consumer waits at a time: on Windows, Ctrl+C is only delivered between waits
_READ = 64  # tasks read at a time
_AHEAD = 50_000  # tasks held at most
_PARTING = 1.0  # seconds to wait at the end for threads whose request hangs; they are daemons


class Pool(Generic[Asked, Got]):
    """Threads that send requests to providers through their gates.

    Ending early (an exception, Ctrl+C, leaving the loop) stops the gates. Use the pool as a context manager, so that
    this does not wait for the garbage collector.

    Parameters
    ----------
    settings : LiveSource
        ``workers`` threads for each provider; ``tries`` and pauses as `FetchQueue` uses them.
    gates : mapping of str to RateGate
        By provider. Every task's provider needs one.
    answered : iterable of FetchTask
        At most one task for each provider, which the provider answered in an earlier run. It is repeated to tell an
        outage from instruments that fail.
    clock : callable
        Monotonic time in seconds.
    """

    def __init__(
        self,
        settings: LiveSource,
        gates: Mapping[str, RateGate],
        answered: Iterable[FetchTask[Asked]] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        witnesses = {task.provider: task for task in answered}
        self._workers = settings.workers
        self._room = max(32, 8 * settings.workers)  # outcomes that wait for the consumer; then the threads wait
        self._clock = clock
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)  # for the consumer
        self._settings = settings
        self._crew: dict[str, _Crew[Asked, Got]] = {}
        for name, gate in gates.items():
            self._open(name, gate, witnesses.get(name))
        self._done: deque[FetchOutcome[Asked, Got]] = deque()
        self._fetch: Callable[[FetchTask[Asked]], Got] | None = None  # while results are iterated
        self._closed = False
        self._crash: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, task: FetchTask[Asked]) -> None:
        """Add a task: before the first result, or while results are iterated, also from within that loop.

        Parameters
        ----------
        task : FetchTask
            Goes to the queue of its provider.

        Raises
        ------
        ValueError
            If its provider has no gate.
        """
        if task.provider not in self._crew:
            names = ", ".join(self._crew) or "none"
            raise ValueError(f"provider {task.provider!r} has no gate (there are: {names}): give the pool one for it")
        with self._lock:
            crew = self._crew[task.provider]
            crew.queue.put(task)
            self._deliver(crew.queue.stopped())
            self._staff(crew)

    def admit(self, name: str, gate: RateGate) -> None:
        """Open the queue of one more provider; one that has a queue keeps it.

        Parameters
        ----------
        name : str
            The provider.
        gate : RateGate
            Its gate.
        """
        with self._lock:
            if name not in self._crew:
                self._open(name, gate, None)

    def results(
        self,
        tasks: Iterable[FetchTask[Asked]],
        fetch: Callable[[FetchTask[Asked]], Got],
        idle: Callable[[], None] = lambda: None,
    ) -> Iterator[FetchOutcome[Asked, Got]]:
        """Ask for every task and yield one outcome for each, as soon as it is decided.

        Parameters
        ----------
        tasks : iterable of FetchTask
            Read lazily, in the thread that iterates.
        fetch : callable
            ``fetch(task)``, called in the pool's threads. It raises a `ProviderError` or `Stopped` if there
            is no answer; any other exception becomes an outcome of kind ``error``.
        idle : callable
            Called in the thread that iterates, several times a second, while no outcome is ready.

        Yields
        ------
        FetchOutcome
            Of kind ``stopped`` for the tasks that were left when the gate gave up.
        """
        self._begin(fetch)
        feed, finished = iter(tasks), False
        reading = True
        try:
            while self._fetch is fetch:
                if reading and self._wants_tasks():
                    reading = self._read(feed)
                if (ready := self._pop()) is not None:
                    yield ready
                elif not (reading and self._wants_tasks()):
                    if not reading and self._all_settled():
                        finished = True
                        return
                    idle()
                    self._look()
        finally:
            self._end(finished)

    def close(self) -> None:
        """End now: drop what is under way, stop the gates, and let the threads end."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = self._fetch is not None
        if running:
            self._end(finished=False)

    def waiting(self) -> dict[str, int]:
        """Count the tasks that have been read and have no outcome yet.

        Returns
        -------
        dict of str to int
            By provider.
        """
        with self._lock:
            return {name: len(crew.queue) + crew.queue.busy for name, crew in self._crew.items()}

    def _open(self, name: str, gate: RateGate, witness: FetchTask[Asked] | None) -> None:
        queue: FetchQueue[Asked, Got] = FetchQueue(gate, self._settings, self._clock, witness)
        self._crew[name] = _Crew(queue, threading.Condition(self._lock))

    def _begin(self, fetch: Callable[[FetchTask[Asked]], Got]) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool was closed: make a new one, with new gates")
            if self._fetch is not None:
                raise RuntimeError("the pool's results are iterated already: one loop at a time")
            self._fetch = fetch
            for crew in self._crew.values():
                self._staff(crew)

    def _end(self, finished: bool) -> None:
        with self._lock:
            if self._fetch is None:
                return
            self._fetch = None
            self._closed = self._closed or not finished
            threads = [thread for crew in self._crew.values() for thread in crew.threads]
            for crew in self._crew.values():
                crew.threads = []
                crew.wake.notify_all()
            if not finished:
                self._done.clear()
        if not finished:
            for crew in self._crew.values():
                crew.queue.gate.stop()
        until = time.monotonic() + _PARTING
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _wants_tasks(self) -> bool:
        """Whether to read on: a queue could run dry while tasks for other queues are read before its own."""
        with self._lock:
            queues = [crew.queue for crew in self._crew.values()]
            room = len(self._done) < self._room and sum(map(len, queues)) < _AHEAD
            return room and any(queue.ready < self._room for queue in queues)

    def _read(self, feed: Iterator[FetchTask[Asked]]) -> bool:
        """Read some tasks; False at their end."""
        for _ in range(_READ):
            task = next(feed, None)
            if task is None:
                return False
            self.add(task)
        return True

    def _pop(self) -> FetchOutcome[Asked, Got] | None:
        with self._lock:
            if self._crash is not None:
                raise self._crash
            if not self._done:
                return None
            if len(self._done) == self._room:
                for crew in self._crew.values():
                    crew.wake.notify_all()
            return self._done.popleft()

    def _all_settled(self) -> bool:
        with self._lock:
            return not self._done and self._crash is None and all(crew.queue.settled for crew in self._crew.values())

    def _look(self) -> None:
        with self._news:
            if not self._done and self._crash is None:
                self._news.wait(_LOOK)

    def _deliver(self, outcomes: list[FetchOutcome[Asked, Got]]) -> None:
        if outcomes:
            self._done.extend(outcomes)
        self._news.notify()

    def _staff(self, crew: _Crew[Asked, Got]) -> None:
        """Wake a thread for tasks that are ready, or start one."""
        if self._fetch is None or not crew.queue.ready:
            return
        crew.wake.notify()
        while len(crew.threads) < min(self._workers, crew.queue.busy + crew.queue.ready):
            name = f"{crew.queue.gate.name}-{len(crew.threads)}"
            thread = threading.Thread(target=self._work, args=(crew, self._fetch), name=name, daemon=True)
            thread.start()
            crew.threads.append(thread)

    def _work(self, crew: _Crew[Asked, Got], fetch: Callable[[FetchTask[Asked]], Got]) -> None:
        try:
            while (pending := self._take(crew, fetch)) is not None:
                self._ask(crew, pending, fetch)
        except BaseException as error:  # noqa: BLE001 (a fault of our own must reach the consumer, not kill a thread)
            with self._lock:
                self._crash = error
                self._news.notify()

    def _take(self, crew: _Crew[Asked, Got], fetch: Callable[[FetchTask[Asked]], Got]) -> PendingFetch[Asked] | None:
        with self._lock:
            while self._fetch is fetch:
                room = len(self._done) < self._room
                if room and (pending := crew.queue.take()) is not None:
                    return pending
                crew.idle += 1
                try:
                    crew.wake.wait(crew.queue.wait() if room else None)
                finally:
                    crew.idle -= 1
            return None

    def _ask(
        self, crew: _Crew[Asked, Got], pending: PendingFetch[Asked], fetch: Callable[[FetchTask[Asked]], Got]
    ) -> None:
        began = self._clock()
        result: Got | BaseException
        try:
            result = fetch(pending.task)
        except BaseException as error:  # noqa: BLE001 (all that a provider's library raises is this task's outcome)
            result = error
        seconds = self._clock() - began
        with self._lock:
            if self._fetch is not fetch:
                return
            self._deliver(crew.queue.settle(pending, result, seconds))
            if crew.idle:
                crew.wake.notify_all()


class _Crew(Generic[Asked, Got]):
    """A queue and the threads that send its requests."""

    def __init__(self, queue: FetchQueue[Asked, Got], wake: threading.Condition) -> None:
        self.queue = queue
        self.wake = wake
        self.threads: list[threading.Thread] = []
        self.idle = 0
