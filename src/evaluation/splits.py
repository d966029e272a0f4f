"""Purged, embargoed walk-forward over fixed calendar boundaries: the same folds for every instrument of a session."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import DateArray, IntArray
from src.market.bars import BARS_PER_YEAR

if TYPE_CHECKING:
    from src.config.schema import SplitConfig

DAYS_PER_YEAR = 365.25


class InsufficientData(ValueError):
    """Too few or too thinly spread bars for a walk-forward: a skip, its message the reason."""


@dataclass(frozen=True)
class Fold:
    """One train/test pair, as positions k among the tradable bars.

    Attributes
    ----------
    first : date
        The fold's boundary: no test decision is earlier.
    train, test : int64
        Consecutive decisions from 0; consecutive decisions from the boundary to the next one.
    """

    first: dt.date
    train: IntArray
    test: IntArray


def walk_forward(
    dates: DateArray,
    asset_class: str,
    split: SplitConfig,
    horizon: int,
    bars_per_year: float | None = None,
) -> list[Fold]:
    """Cut the decisions of one instrument into folds at fixed dates.

    The label of training decision s is known at the open of bar s+1+horizon; training for a fold whose first test
    decision is b uses s + 1 + horizon <= b - embargo. Tests end at n-3, the last decision whose one-bar return is
    known. New bars lengthen the last fold or, past a boundary, open a new one; they change no other.

    Parameters
    ----------
    dates : datetime64, shape (n,)
        Of the tradable bars, ascending, none after ``split.until``.
    asset_class : str
    split : SplitConfig
    horizon : int
        Of the label, in bars.
    bars_per_year : float, optional
        Default: that of daily bars of the class.

    Returns
    -------
    list of Fold, one at least, their tests consecutive.

    Raises
    ------
    InsufficientData
        Where the bars are too thinly spread, or none of them is left to test on after a first training window.
    ValueError
        Where bars after ``split.until`` are given.

    Source
    ------
    Lopez de Prado, "Advances in Financial Machine Learning" (2018), ch. 7.4: purging and embargo.
    """
    n = int(dates.size)
    if split.until is not None and n and dates[-1] >= np.datetime64(split.until) + np.timedelta64(1, "D"):
        raise ValueError(f"bars must end at split.until={split.until}, got {dates[-1]}: cut them before")
    if n < 2:
        raise InsufficientData(f"insufficient data: {n} tradable bars")
    _require_density(dates, split, float(bars_per_year or BARS_PER_YEAR[asset_class]))
    purged = horizon + split.embargo
    edges = _boundaries(dates, split)
    starts = np.append(np.searchsorted(dates, edges), n)
    folds = []
    for edge, start, end in zip(edges, starts[:-1], starts[1:], strict=True):
        test = np.arange(start, min(end, n - 2), dtype=np.int64)
        if start - purged >= split.first_train_bars and test.size:
            first = edge.astype("datetime64[D]").item()
            folds.append(Fold(first=first, train=np.arange(start - purged, dtype=np.int64), test=test))
    if not folds:
        raise InsufficientData(_shortage(dates, split, purged))
    return folds


def first_boundary(dates: DateArray, split: SplitConfig, horizon: int) -> dt.date | None:
    """First day on which a decision may be out of sample: the first fold's boundary of `walk_forward`, by dates alone.

    Parameters
    ----------
    dates : datetime64, shape (n,)
        Of the tradable bars, ascending.
    split : SplitConfig
    horizon : int
        Of the label, in bars.

    Returns
    -------
    date, or None where no boundary has a first training window before it.
    """
    if dates.size == 0:
        return None
    edges = _boundaries(dates, split)
    long_enough = np.searchsorted(dates, edges) - (horizon + split.embargo) >= split.first_train_bars
    first: dt.date | None = edges[long_enough][0].astype("datetime64[D]").item() if long_enough.any() else None
    return first


def _boundaries(dates: DateArray, split: SplitConfig) -> DateArray:
    """All fold boundaries from the first bar to the last."""
    anchor = np.datetime64(split.anchor, "D")
    month = anchor.astype("datetime64[M]")
    offset = anchor - month.astype("datetime64[D]")
    step = split.fold_months
    low = (dates[0].astype("datetime64[M]") - month).astype(int) // step
    high = (dates[-1].astype("datetime64[M]") - month).astype(int) // step
    months = month + np.arange(low, high + 1) * step
    edges: DateArray = months.astype("datetime64[D]") + offset
    inside: DateArray = edges[(edges >= dates[0].astype("datetime64[D]")) & (edges <= dates[-1])]
    return inside


def _require_density(dates: DateArray, split: SplitConfig, expected: float) -> None:
    days = (dates[-1] - dates[0]) / np.timedelta64(1, "D")
    a_year = (dates.size - 1) / max(float(days), 1.0) * DAYS_PER_YEAR
    if a_year < split.min_density * expected:
        raise InsufficientData(
            f"thinly traded: {a_year:.0f} tradable bars a year, fewer than {split.min_density:.0%} of {expected:.0f}"
        )


def _shortage(dates: DateArray, split: SplitConfig, purged: int) -> str:
    needed = split.first_train_bars + purged
    edges = _boundaries(dates, split)
    before = int(np.searchsorted(dates, edges[-1])) if edges.size else 0
    where = (
        f"{before} of them before the last fold boundary {edges[-1]}" if edges.size else "no fold boundary among them"
    )
    return (
        f"insufficient data: {dates.size} tradable bars from {dates[0]} to {dates[-1]}, {where};"
        f" {needed} are needed before it ({split.first_train_bars} to train, {purged} purged) and 3 after"
    )
