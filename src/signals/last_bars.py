"""The bars of one champion's instrument, and which of them each book's decision is made on."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.signals.book_dates import ages, bar_day

if TYPE_CHECKING:
    from src.core.arrays import BoolArray, DateArray, FloatArray, IntArray
    from src.evaluation.labels import Decisions

_PRICES = ("open", "high", "low", "close", "factor")


@dataclass(frozen=True)
class LastBars:
    """Bars of one instrument up to the last book.

    Attributes
    ----------
    bars : DataFrame with the columns of ``bars.SCHEMA``
        Its whole history, sorted by date.
    """

    bars: pl.DataFrame

    @cached_property
    def asset_class(self) -> str:
        """Asset class of the instrument."""
        return str(self.bars.item(0, "asset_class"))

    @cached_property
    def days(self) -> DateArray:
        """Day of each bar: datetime64[D], shape (bars,)."""
        dtype = self.bars.schema["date"]
        days = self.bars.select(bar_day(pl.col("date"), pl.col("asset_class"), dtype)).to_series()
        return days.to_numpy().astype("datetime64[D]")

    @cached_property
    def times(self) -> DateArray:
        """Date or UTC time of each bar: datetime64[us], shape (bars,)."""
        return self.bars["date"].to_numpy().astype("datetime64[us]")

    @cached_property
    def prices(self) -> FloatArray:
        """Open, high, low, close and factor as stored: float64, shape (bars, 5)."""
        return self.bars.select(pl.col(_PRICES).cast(pl.Float64)).to_numpy()


@dataclass(frozen=True)
class Chosen:
    """For each book, the bar that its decision is made on.

    Attributes
    ----------
    books : datetime64[D], shape (n,)
        Dates of books that have a line, ascending.
    row : int64, shape (n,)
        Last row of the bars up to the book; -1 where there is none.
    age : int64, shape (n,)
        Sessions between that bar and the book; -1 where there is none.
    decision : int64, shape (n,)
        Number of the tradable bar; -1 where the last bar is not tradable.
    """

    books: DateArray
    row: IntArray
    age: IntArray
    decision: IntArray

    def where(self, chosen: BoolArray) -> Chosen:
        """Keep some of the books."""
        return Chosen(self.books[chosen], self.row[chosen], self.age[chosen], self.decision[chosen])


def choose(bars: LastBars, decisions: Decisions, books: DateArray) -> Chosen:
    """Find the bar of each book.

    Parameters
    ----------
    bars : LastBars
    decisions : Decisions
        Of all its tradable bars.
    books : datetime64[D], shape (n,)

    Returns
    -------
    Chosen
    """
    row = np.searchsorted(bars.days, books, side="right").astype(np.int64) - 1
    age = np.where(row < 0, -1, ages(bars.asset_class, bars.days[np.maximum(row, 0)], books))
    decision = np.searchsorted(decisions.rows, row).astype(np.int64)
    inside = (row >= 0) & (decision < decisions.size)
    inside[inside] = decisions.rows[decision[inside]] == row[inside]
    return Chosen(books, row, age, np.where(inside, decision, -1))


def trained_through(decisions: Decisions, last_oos: dt.date) -> int:
    """Number of the last tradable bar that training used.

    The last decision out of sample is the third last of its bars: its profit is booked two bars later.

    Parameters
    ----------
    decisions : Decisions
    last_oos : date
        Of the last decision that was graded.

    Returns
    -------
    int
        -1 where all bars came since.
    """
    graded = int(np.searchsorted(decisions.dates, np.datetime64(last_oos) + np.timedelta64(1, "D")))
    return min(graded + 1, decisions.size - 1) if graded else -1
