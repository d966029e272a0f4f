"""Folds of the pooled scope: the fixed dates of the walk-forward, on the calendar of an asset class."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from src.core.arrays import DateArray, IntArray
from src.evaluation.splits import walk_forward
from src.market.cross_section import STILL_LISTED

if TYPE_CHECKING:
    from src.config.schema import SplitConfig


@dataclass(frozen=True)
class PooledFold:
    """One fit: the days that it learns from, and the days that it scores, as rows of the class's calendar.

    Attributes
    ----------
    first : date
        The fold's boundary, which names it.
    train : int64
        Days at a fixed distance, the last possible one included: labels of neighbouring days overlap.
    score : slice
        Days from the boundary to the next one. The last fold scores to the end of the calendar, beyond the last day
        that can be graded.
    graded : int
        Number of its days that can be graded: their return is known.
    """

    first: dt.date
    train: IntArray
    score: slice
    graded: int


def pooled_folds(dates: DateArray, asset_class: str, split: SplitConfig, horizon: int, every: int) -> list[PooledFold]:
    """Cut a class's calendar into folds; see `src.evaluation.splits.walk_forward` for the rule.

    The embargo is five sessions at least: only then is known whether a name that did not trade on the day of its exit
    has stopped trading.

    Parameters
    ----------
    dates : datetime64[D], shape (T,)
        Sessions of the class, none after ``split.until``.
    asset_class : str
    split : SplitConfig
    horizon : int
        Of the label, in sessions.
    every : int
        Days between two training days.

    Returns
    -------
    list of PooledFold

    Raises
    ------
    InsufficientData
        Where no day is left to test on after a first training window.

    Examples
    --------
    >>> from src.config.schema import SplitConfig
    >>> days = np.arange("2014-01-01", "2018-01-01", dtype="datetime64[D]")
    >>> folds = pooled_folds(days, "crypto", SplitConfig(), 20, 10)
    >>> [(fold.first.isoformat(), int(fold.train[-1]), fold.score.start) for fold in folds]
    [('2015-07-01', 520, 546), ('2017-01-01', 1070, 1096)]
    """
    apart = replace(split, embargo=max(split.embargo, STILL_LISTED))
    folds = walk_forward(dates, asset_class, apart, horizon)
    ends = [*(int(fold.test[0]) for fold in folds[1:]), len(dates)]
    return [
        PooledFold(fold.first, spaced(fold.train, every), slice(int(fold.test[0]), end), int(fold.test.size))
        for fold, end in zip(folds, ends, strict=True)
    ]


def spaced(days: IntArray, every: int) -> IntArray:
    """Take days at a fixed distance, counted back from the last.

    Examples
    --------
    >>> spaced(np.arange(7), 3).tolist()
    [0, 3, 6]
    """
    kept: IntArray = days[(days[-1] - days) % every == 0]
    return kept
