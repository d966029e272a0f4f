"""What came of an item of work: its result, or why there is none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Generic, TypeVar

from src.config.schema import EngineConfig

Item = TypeVar("Item")
Result = TypeVar("Result")
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True)
class Failure:
    """An item that could not be done: one line for a person, and the tracebacks of what was tried.

    `final` says that trying again is no use: it was tried twice already.
    """

    reason: str
    traceback: str = ""
    final: bool = False


DIED = Failure("the worker process died twice on it (out of memory, or a crash in native code)", final=True)


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """An item with its result, or with why there is none; and the worker's peak memory so far, where it is known."""

    item: Item
    result: Result | Failure
    peak_bytes: int = 0


def workers(config: EngineConfig) -> int:
    """Number of processes: as configured, else one for each core that this process may use."""
    if config.workers:
        return config.workers
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return max(1, len(cores))
