"""Worker processes of this machine.

Workers are spawned, never forked (a forked OpenMP runtime can deadlock), run one thread each, ignore Ctrl+C (the
parent decides) and leave when the parent is gone, however it went.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for_sentinel

from src.config import EngineConfig
from src.engine import DIED, ONE_THREAD, Failure, Item, Outcome, Result, workers


def run(task: Callable[[Item], Result], items: Iterable[Item], config: EngineConfig) -> Iterator[Outcome[Item, Result]]:
    """Do `task` on every item; see `src.engine.run`.

    Notes
    -----
    A worker that dies (out of memory, a crash in native code) breaks the pool. The items then in flight are tried
    again one at a time on a fresh pool, so that only the one that kills its worker fails.
    """
    pending = iter(items)
    suspects: deque[Item] = deque()
    while True:
        with _pool(config) as pool:
            try:
                while suspects:
                    outcome = Outcome(suspects[0], _alone(pool, task, suspects[0]))
                    suspects.popleft()
                    yield outcome
                    if outcome.result is DIED:
                        break
                else:
                    yield from _stream(pool, task, pending, config.batch_size, suspects)
                    return
            except BrokenProcessPool:
                continue
            except BaseException:
                _abandon(pool)
                raise


def _stream(
    pool: ProcessPoolExecutor,
    task: Callable[[Item], Result],
    pending: Iterator[Item],
    in_flight: int,
    suspects: deque[Item],
) -> Iterator[Outcome[Item, Result]]:
    """Keep the pool busy from `pending`; when it breaks, leave what was in flight in `suspects`."""
    futures: dict[Future[Result | Failure], Item] = {}
    exhausted = False
    while futures or not exhausted:
        while not exhausted and len(futures) < in_flight:
            try:
                item = next(pending)
            except StopIteration:
                exhausted = True
                break
            try:
                futures[pool.submit(_guarded, task, item)] = item
            except BrokenProcessPool:
                suspects.extend([item, *futures.values()])
                raise
        # The time-out keeps Ctrl+C alive on Windows, where an endless wait can't be interrupted.
        for future in wait(futures, timeout=0.5, return_when=FIRST_COMPLETED).done:
            try:
                result = future.result()
            except BrokenProcessPool:
                suspects.extend(futures.values())
                raise
            yield Outcome(futures.pop(future), result)


def _alone(pool: ProcessPoolExecutor, task: Callable[[Item], Result], item: Item) -> Result | Failure:
    """Try a suspect with nothing beside it: if the worker dies again, that item is the cause."""
    try:
        return pool.submit(_guarded, task, item).result()
    except BrokenProcessPool:
        return DIED


def _guarded(task: Callable[[Item], Result], item: Item) -> Result | Failure:
    """Turn what the task raises into a value: some exceptions do not survive pickling."""
    try:
        return task(item)
    except Exception as error:  # noqa: BLE001 - whatever a task raises is that item's outcome
        return Failure(f"{type(error).__name__}: {error}", traceback.format_exc())


def _pool(config: EngineConfig) -> ProcessPoolExecutor:
    """Create a pool of spawned single-threaded workers."""
    for name in ONE_THREAD:
        os.environ[name] = "1"
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers(config), mp_context=context, initializer=_start_worker)


def _start_worker() -> None:
    """Leave Ctrl+C to the parent, and leave with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_sentinel([parent.sentinel])
        os._exit(1)


def _abandon(pool: ProcessPoolExecutor) -> None:
    """Stop at once: work in flight is lost, which is what an interruption may cost."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
