"""Run a task on every item of a stream, on local processes or on a Ray cluster.

Stages call `run`. The work is done by `src/engine/local.py` (``engine=local``) or `src/engine/ray.py`
(``engine=ray``); each has a context manager `opened` that gives a function from a stream of items to a stream of
outcomes. Both bound the number of items in flight, and both lose at most one item to a worker that dies. `run` adds the
retry: an item that fails is tried once more, by the same workers.
"""

from __future__ import annotations

import importlib
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from src.config.schema import EngineConfig
from src.core.failure import Failure
from src.engine.outcome import Item, Outcome, Result

log = logging.getLogger(__name__)


def run(task: Callable[[Item], Result], items: Iterable[Item], config: EngineConfig) -> Iterator[Outcome[Item, Result]]:
    """Run `task` on every item in worker processes and yield outcomes as they arrive, in no particular order.

    Parameters
    ----------
    task : callable
        A function at module level. An exception that it raises twice becomes a `Failure`.
    items : iterable
        Consumed lazily: at most ``config.batch_size`` items are in flight at once. If it is empty, no worker starts.
        On a Ray cluster, an item whose attribute ``device`` is not ``"cpu"`` is given a GPU.
    config : EngineConfig
        The engine (``kind``), the number of workers and the number of items in flight.

    Yields
    ------
    Outcome
        One for each item: its result, or its failure.

    Raises
    ------
    StageError
        If no worker can be started.

    Notes
    -----
    A worker that dies (out of memory, a crash in native code) costs at most the item that kills it twice.
    """
    head = list(itertools.islice(items := iter(items), 1))
    if not head:
        return
    engine = importlib.import_module(f"src.engine.{config.kind}")
    failed: dict[int, tuple[Item, Failure]] = {}  # by id of the item, which stays valid while the item is kept here
    retries: deque[Item] = deque()

    def stream() -> Iterator[Item]:
        """Retries before new items, so that no more than a batch of failures is ever kept."""
        while head:
            yield head.pop()
        for item in items:
            while retries:
                yield retries.popleft()
            yield item
        while retries:
            yield retries.popleft()

    with engine.opened(task, config) as outcomes:
        for _ in range(2):  # a failure among the last items in flight comes after the stream has ended
            for outcome in outcomes(stream()):
                result, before = outcome.result, failed.pop(id(outcome.item), None)
                if isinstance(result, Failure) and before is None and not result.final:
                    log.info("an item failed and is tried again: %s", result.reason)
                    failed[id(outcome.item)] = (outcome.item, result)
                    retries.append(outcome.item)
                elif isinstance(result, Failure) and before is not None:
                    yield Outcome(outcome.item, _merged(before[1], result), outcome.peak_bytes)
                else:
                    yield outcome
            if not retries:
                return


def _merged(first: Failure, second: Failure) -> Failure:
    """Two failures of the same item as one: the second's reason, both tracebacks."""
    if first.traceback == second.traceback:
        return Failure(second.reason, f"{second.traceback}(the same twice)", final=True)
    lines = (f"first try: {first.reason}", first.traceback, f"second try: {second.reason}", second.traceback)
    return Failure(second.reason, "\n".join(line for line in lines if line), final=True)
