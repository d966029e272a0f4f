"""The same work on local processes or on a Ray cluster: bounded in flight, one dead worker costs one item.

`run` is what stages call; `src/engine/local.py` (``engine=local``) and `src/engine/ray.py` (``engine=ray``) do the
work, each behind the same signature.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from src.config import EngineConfig

Item = TypeVar("Item")
Result = TypeVar("Result")

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True)
class Failure:
    """An item that could not be done: one line for a person, and the traceback for the log."""

    reason: str
    traceback: str = ""


DIED = Failure("the worker process died twice on it (out of memory, or a crash in native code)")


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """An item with its result, or with why there is none."""

    item: Item
    result: Result | Failure


def workers(config: EngineConfig) -> int:
    """Number of processes: as configured, else one for each core that this process may use."""
    if config.workers:
        return config.workers
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return max(1, len(cores))


def run(task: Callable[[Item], Result], items: Iterable[Item], config: EngineConfig) -> Iterator[Outcome[Item, Result]]:
    """Do `task` on every item in worker processes and yield outcomes as they come, in no stated order.

    Parameters
    ----------
    task : callable
        A function at module level. What it raises becomes a `Failure`.
    items : iterable
        Taken lazily: at most ``config.batch_size`` items are in flight at once.
    config : EngineConfig
        The engine (``kind``), number of workers and of items in flight.

    Notes
    -----
    A worker that dies (out of memory, a crash in native code) costs at most the item that kills it twice.
    """
    engine = importlib.import_module(f"src.engine.{config.kind}")
    outcomes: Iterator[Outcome[Item, Result]] = engine.run(task, items, config)
    return outcomes
