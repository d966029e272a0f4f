"""The outcome of an item of work: its result or its failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from src.core.failure import Failure

Item = TypeVar("Item")
Result = TypeVar("Result")


DIED = Failure("its worker process died twice (out of memory, or a crash in native code)", final=True)
"""The failure of an item that killed two workers."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """An item of work with its result or its failure.

    Attributes
    ----------
    item : Item
        The same object that was handed to the engine.
    result : Result or Failure
        What the task returned, or why it failed.
    peak_bytes : int
        Peak resident memory so far of the worker that did the item, in bytes; 0 if not known.
    """

    item: Item
    result: Result | Failure
    peak_bytes: int = 0
