"""Long lists in parts: a statement of sqlite and a request to MLflow take a few hundred values each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield parts of a sequence in its order.

    Parameters
    ----------
    items : sequence
    size : int
        Of each part; the last one may be shorter.

    Examples
    --------
    >>> list(batches("abcde", 2))
    ['ab', 'cd', 'e']
    """
    for start in range(0, len(items), size):
        yield items[start : start + size]
