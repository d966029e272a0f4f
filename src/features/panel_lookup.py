"""What the panel knew on a day: the last known values, and the share of its members below a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.features.windows import Array


def as_of(day: Array, known_day: Array, known: Array, oldest_days: float = 10.0) -> Array:
    """Last value known at each day.

    Parameters
    ----------
    day : float64, shape (n,)
        Days since 1970-01-01, ascending.
    known_day, known : float64, shape (m,)
        Days, ascending, and the values that were known from then on.
    oldest_days : float
        Age from which a value no longer counts.

    Returns
    -------
    float64, shape (n,)
        NaN where nothing is known yet, or only values older than `oldest_days`.
    """
    row = row_as_of(day, known_day, oldest_days)
    return np.where(row >= 0, known[row], np.nan) if len(known) else np.full(len(day), np.nan)


def row_as_of(day: Array, known_day: Array, oldest_days: float = 10.0) -> NDArray[np.int64]:
    """Row of the last known day at each day.

    Parameters
    ----------
    day : float64, shape (n,)
        Days since 1970-01-01, ascending.
    known_day : float64, shape (m,)
        Ascending.
    oldest_days : float
        Age from which a day no longer counts.

    Returns
    -------
    int64, shape (n,), in [-1, m - 1]
        -1 where no day is known yet, or only days older than `oldest_days`.
    """
    if not len(known_day):
        return np.full(len(day), -1, dtype=np.int64)
    row = np.searchsorted(known_day, day, side="right") - 1
    return np.where((row >= 0) & (day - known_day[row] <= oldest_days), row, -1).astype(np.int64)


@dataclass(frozen=True)
class Members:
    """What the panel's members measured, as known at each bar.

    Attributes
    ----------
    row : row of `values` that is known at a bar, shape (bars,); -1 where no row is.
    values : members' values of each day, shape (days, 2^k - 1), ascending, NaN after the last.
    """

    row: NDArray[np.int64]
    values: NDArray[np.float32]

    def __getitem__(self, bars: slice) -> Members:
        return Members(self.row[bars], self.values)


def share_below(x: Array, members: Members) -> Array:
    """Share of the panel's members whose value lies below, compared as float32.

    Parameters
    ----------
    x : float64, shape (n,)
        The instrument's own values.
    members : Members
        The members' values, as known at each bar.

    Returns
    -------
    float64, shape (n,), in [0, 1]
        NaN where `x` is, or where no member's value is known.
    """
    own = x.astype(np.float32)
    if not members.values.size:
        return np.full(len(x), np.nan)
    width = members.values.shape[1]
    flat, start = members.values.ravel(), np.maximum(members.row, 0) * width - 1
    below, within = np.zeros(len(x), dtype=np.int64), np.zeros(len(x), dtype=np.int64)
    step = (width + 1) // 2
    while step:
        there = flat[start + below + step] < own
        some = flat[start + within + step] < np.inf
        below += step * there
        within += step * some
        step //= 2
    known = (members.row >= 0) & (within > 0) & ~np.isnan(x)
    return np.where(known, below / np.maximum(within, 1), np.nan)
