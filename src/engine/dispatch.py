"""Do the same work on local processes or on a Ray cluster, with a bounded number of items in flight.

Stages call `run`. `src/engine/local.py` (``engine=local``) and `src/engine/ray.py` (``engine=ray``) do the work: each
has an `opened` that turns a stream of items into a stream of outcomes. An item that fails is tried once more on either.
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
    """Do `task` on every item in worker processes and yield outcomes as they come, in no stated order.

    Parameters
    ----------
    task : callable
        A function at module level. What it raises becomes a `Failure` after a second try.
    items : iterable
        Taken lazily: at most ``config.batch_size`` items are in flight at once. Without items no worker starts. An item
        with a ``device`` other than cpu asks a Ray cluster for a GPU.
    config : EngineConfig
        The engine (``kind``), number of workers and of items in flight.

    Yields
    ------
    Outcome
        One for each item.

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
    failed: dict[int, tuple[Item, Failure]] = {}  # by identity of the item, which is kept alive here meanwhile
    again: deque[Item] = deque()

    def stream() -> Iterator[Item]:
        """Yield items that failed once before new ones, so that no more than a batch of failures is kept."""
        while head:
            yield head.pop()
        for item in items:
            while again:
                yield again.popleft()
            yield item
        while again:
            yield again.popleft()

    with engine.opened(task, config) as outcomes:
        for _ in range(2):  # an item that fails among the last ones finds the stream at its end
            for outcome in outcomes(stream()):
                result, before = outcome.result, failed.pop(id(outcome.item), None)
                if isinstance(result, Failure) and before is None and not result.final:
                    log.info("failed, tried again: %s", result.reason)
                    failed[id(outcome.item)] = (outcome.item, result)
                    again.append(outcome.item)
                elif isinstance(result, Failure) and before is not None:
                    yield Outcome(outcome.item, _both(before[1], result), outcome.peak_bytes)
                else:
                    yield outcome
            if not again:
                return


def _both(first: Failure, second: Failure) -> Failure:
    """Join two failures of the same item: the second's reason, both tracebacks."""
    if first.traceback == second.traceback:
        return Failure(second.reason, f"{second.traceback}(the same twice)", final=True)
    parts = (f"at first: {first.reason}", first.traceback, f"again: {second.reason}", second.traceback)
    return Failure(second.reason, "\n".join(part for part in parts if part), final=True)
