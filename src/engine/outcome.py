"""What an item of work ended with: its result, or the failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from src.core.failure import Failure

Item = TypeVar("Item")
Result = TypeVar("Result")


DIED = Failure("the worker process died twice on it (out of memory, or a crash in native code)", final=True)


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """An item of work with its result or its failure.

    Attributes
    ----------
    item : Item
        The item as it was handed over, the same object.
    result : Result or Failure
        What the task returned, or why it could not be done.
    peak_bytes : int
        Most memory that the item's worker has taken so far; 0 where it is not known.
    """

    item: Item
    result: Result | Failure
    peak_bytes: int = 0
