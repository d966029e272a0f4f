"""What the panel knew on a day: the last known values, and the share of its members below a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.features.windows import Array

Rows = NDArray[np.int64]


def as_of(day: Array, known_day: Array, known: Array, oldest_days: float = 10.0) -> Array:
    """Last value known at each day.

    Parameters
    ----------
    day : float64, shape (n,)
        Days since 1970-01-01.
    known_day, known : float64, shape (m,)
        Days, ascending, and the values that were known from then on.
    oldest_days : float
        Age from which a value no longer counts.

    Returns
    -------
    float64, shape (n,)
        NaN where nothing is known yet, or only values older than `oldest_days`.
    """
    return taken(known, row_as_of(day, known_day, oldest_days))


def taken(known: Array, row: Rows) -> Array:
    """Values of rows, NaN for a row of -1."""
    return np.append(known, np.nan)[row]


def row_as_of(day: Array, known_day: Array, oldest_days: float = 10.0) -> Rows:
    """Row of the last known day at each day.

    Parameters
    ----------
    day : float64, shape (n,)
        Days since 1970-01-01.
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
    row = _last_known(day, known_day)
    row[~(day - known_day[row] <= oldest_days)] = -1  # a row of -1 is compared with the last day, and stays -1
    return row


def _last_known(day: Array, known_day: Array) -> Rows:
    """Row of the last known day at each day; where instruments share whole days, each of these is looked up once."""
    whole = day.astype(np.int64)
    first, last = (int(whole.min()), int(whole.max())) if len(whole) else (0, 0)
    if last - first < len(whole) and np.array_equal(whole, day):
        return (np.searchsorted(known_day, np.arange(first, last + 1.0), side="right") - 1)[whole - first]
    return np.searchsorted(known_day, day, side="right") - 1


@dataclass(frozen=True)
class Members:
    """What the panel's members measured, as known at each bar.

    Attributes
    ----------
    row : row of `values` that is known at a bar, shape (bars,); -1 where no row is.
    values : members' values of each day, shape (days, 2^k - 1), ascending, NaN after the last.
    """

    row: Rows
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
    if not members.values.size:
        return np.full(len(x), np.nan)
    days, width = members.values.shape
    flat, first = members.values.ravel(), np.arange(days) * width
    count = np.append(_below(flat, first, np.full(days, np.inf, dtype=np.float32), width), 0)[members.row]
    below = _below(flat, np.maximum(members.row, 0) * width, x.astype(np.float32), width)
    share: Array = below / np.maximum(count, 1)
    share[(count == 0) | np.isnan(x)] = np.nan
    return share


def _below(flat: NDArray[np.float32], first: Rows, own: NDArray[np.float32], width: int) -> Rows:
    """Number of the `width` ascending values from `first` on that lie below each of `own`, by bisection."""
    at, step = first - 1, (width + 1) // 2
    probe, value = np.empty_like(at), np.empty_like(own)
    while step:
        np.add(at, step, out=probe)
        flat.take(probe, out=value, mode="clip")  # none is out of range: other modes copy the output once more
        np.multiply(value < own, step, out=probe)
        at += probe
        step //= 2
    return at - first + 1
