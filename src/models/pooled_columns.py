"""What the families know of a pooled model's columns: bytes, of which the first are ranks and the last categories."""

from __future__ import annotations

from collections.abc import Sequence

TOP = 254
"""Rank of the day's highest value; the lowest has 0."""
MIDDLE = 127
"""Rank halfway between them."""
MISSING = 255
"""Where a name has no value: for trees the highest value of all, for ridge the middle."""
LEVELS = 256
"""Different values of a column."""


def ranked(names: Sequence[str], categories: Sequence[int]) -> int:
    """Return how many of the columns are ranks.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    categories : sequence of int
        Positions of the categories.

    Raises
    ------
    ValueError
        If categories stand before ranks.
    """
    count = len(names) - len(categories)
    if sorted(categories) != list(range(count, len(names))):
        raise ValueError(f"categories must be the last of {len(names)} columns, got {list(categories)}: move them")
    return count
