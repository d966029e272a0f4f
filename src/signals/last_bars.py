"""Bars of the instruments of one bucket, and which of them each book's decision is made on."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.instruments import KEY, Key
from src.evaluation import labels
from src.evaluation.label_kinds.declaration import forward_return, later_dates
from src.evaluation.label_kinds.registry import label_kind
from src.evaluation.labels import Decisions
from src.market import bar_scan
from src.market.bars import BARS_PER_YEAR, tradable
from src.signals.book_dates import ages, bar_day
from src.training.walk_forward import bars_per_year

if TYPE_CHECKING:
    from src.config.schema import LabelConfig
    from src.core.arrays import BoolArray, DateArray, FloatArray, IntArray
    from src.market.bars import BarStore

PRICES = ("open", "high", "low", "close", "factor")
_NUMBERS = (*PRICES, "split")


class BucketBars:
    """All bars of one bucket up to a day, as arrays: an instrument's bars are taken out without a sort.

    Parameters
    ----------
    store : BarStore
    bucket : int
    last : date
        Of the last book; later bars are left out.
    is_daily : bool

    Raises
    ------
    StageError
        If a file is missing or can't be read.
    """

    def __init__(self, store: BarStore, bucket: int, last: dt.date, *, is_daily: bool = True) -> None:
        scan = bar_scan.scan(store.root, store.ledger, bucket)
        self._parts: dict[Key, list[slice]] = defaultdict(list)
        self._daily = is_daily
        if scan is None:
            return
        known = scan.filter(pl.col("date").cast(pl.Date) <= last)
        self._rows = bar_scan.collected(known, store.root, bucket)
        starts = self._rows.select(pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in KEY))
        first = np.flatnonzero(starts.to_series().to_numpy())
        ends = [*first[1:].tolist(), self._rows.height] if first.size else []
        for key, row, end in zip(self._rows.select(KEY)[first].rows(), first.tolist(), ends, strict=True):
            self._parts[key].append(slice(row, end))
        day = bar_day(pl.col("date"), pl.col("asset_class"), self._rows.schema["date"])
        made = self._rows.select(day=day, tradable=tradable(), **{name: _number(name) for name in _NUMBERS})
        self._columns = {name: made[name].to_numpy() for name in made.columns}
        self._columns["time"] = self._rows["date"].to_numpy().astype("datetime64[us]")

    def of(self, key: Key) -> LastBars | None:
        """Bars of one instrument; None where it has none.

        Parameters
        ----------
        key : (asset_class, symbol)
        """
        parts = self._parts.get(key)
        if not parts:
            return None

        def column(name: str) -> Any:
            values = self._columns[name]
            return np.concatenate([values[part] for part in parts])

        def table() -> pl.DataFrame:
            return pl.concat([self._rows[part] for part in parts])

        return LastBars(
            key, column("time"), column("day").astype("datetime64[D]"), column("tradable"),
            {name: column(name) for name in _NUMBERS}, table, self._daily,
        )  # fmt: skip


def _number(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64).fill_null(float("nan"))


@dataclass(frozen=True)
class LastBars:
    """Bars of one instrument up to the last book, sorted by date: its whole history.

    Attributes
    ----------
    key : (asset_class, symbol)
    times : datetime64[us], shape (bars,)
        Dates, or times in UTC.
    days : datetime64[D], shape (bars,)
        Day of each bar, see `bar_day`.
    tradable : bool, shape (bars,)
    numbers : dict of str to float64 array, shape (bars,)
        Open, high, low, close, factor and split as stored; NaN where null.
    table : callable
        Returns the bars with the columns of ``bars.SCHEMA``.
    is_daily : bool
    """

    key: Key
    times: DateArray
    days: DateArray
    tradable: BoolArray
    numbers: dict[str, FloatArray]
    table: Callable[[], pl.DataFrame]
    is_daily: bool

    @classmethod
    def of(cls, bars: pl.DataFrame, *, is_daily: bool) -> LastBars:
        """Take the bars of one instrument from a table.

        Parameters
        ----------
        bars : DataFrame
            Columns of ``bars.SCHEMA``, sorted by date.
        is_daily : bool
        """
        day = bar_day(pl.col("date"), pl.col("asset_class"), bars.schema["date"])
        made = bars.select(day=day, tradable=tradable(), **{name: _number(name) for name in _NUMBERS})
        columns = {name: made[name].to_numpy() for name in made.columns}
        return cls(
            (bars.item(0, "asset_class"), bars.item(0, "symbol")), bars["date"].to_numpy().astype("datetime64[us]"),
            columns["day"].astype("datetime64[D]"), columns["tradable"], {name: columns[name] for name in _NUMBERS},
            lambda: bars, is_daily,
        )  # fmt: skip

    def prices(self, row: int) -> FloatArray:
        """Open, high, low, close and factor of a bar, as stored."""
        return np.array([self.numbers[name][row] for name in PRICES])

    def decisions(self, label: LabelConfig, market: pl.DataFrame | None, last_oos: dt.date | None) -> Decisions:
        """Fix the tradable bars and what is known at each, as training does.

        Parameters
        ----------
        label : LabelConfig
        market : DataFrame or None
            As `src.evaluation.labels.decisions` takes it.
        last_oos : date or None
            Of the last decision that was graded: bars up to it say how many an intraday year has.

        Returns
        -------
        Decisions
            Their label is NaN where the label has no hedge: what comes of a decision is not asked for.
        """
        yearly = float(BARS_PER_YEAR[self.key[0]])
        if not self.is_daily:
            table = self.table()
            graded = table if last_oos is None else table.filter(pl.col("date").dt.date() <= last_oos)
            yearly = bars_per_year(graded if graded.height else table, self.key[0])
        if label_kind(label.kind).hedge is not None:
            return labels.decisions(self.table(), label, market, yearly)
        return self._outright(label.horizon, yearly)

    def _outright(self, horizon: int, yearly: float) -> Decisions:
        """What `labels.unhedged` gives but for the label; from arrays, which is ten times faster."""
        rows = np.flatnonzero(self.tradable).astype(np.int64)
        numbers = {name: values[rows] for name, values in self.numbers.items()}
        factor, close, dates = numbers["factor"], numbers["close"], self.times[rows]
        split = np.where(np.isnan(numbers["split"]), 1.0, numbers["split"])
        opens, high, low = (numbers[name] * factor for name in ("open", "high", "low"))
        total = close * factor
        none = np.zeros(rows.size, dtype=bool)
        return Decisions(
            asset_class=self.key[0],
            symbol=self.key[1],
            horizon=horizon,
            bars_per_year=yearly,
            rows=rows,
            dates=dates,
            stamps=later_dates(dates, 2),
            label=np.full(rows.size, np.nan),
            bar_return=forward_return(opens, 1),
            close_return=_change(total),
            high=high,
            low=low,
            close=total,
            traded_price=close * split,
            repaired=none,
            stale=none,
        )


@dataclass(frozen=True)
class Chosen:
    """For each book, the bar that its decision is made on.

    Attributes
    ----------
    books : datetime64[D], shape (n,)
        Dates of books that have a line, ascending.
    row : int64, shape (n,)
        Last row of the bars up to the book; -1 without one.
    age : int64, shape (n,)
        Sessions between that bar and the book; -1 without one.
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
    age = np.where(row < 0, -1, ages(bars.key[0], bars.days[np.maximum(row, 0)], books))
    decision = np.searchsorted(decisions.rows, row).astype(np.int64)
    inside = (row >= 0) & (decision < decisions.size)
    inside[inside] = decisions.rows[decision[inside]] == row[inside]
    return Chosen(books, row, age, np.where(inside, decision, -1))


def trained_through(decisions: Decisions, last_oos: dt.date, until: dt.date | None) -> int:
    """Number of the last tradable bar that training used.

    The last decision out of sample is the third last of its bars: its profit is booked two bars later. Where the day of
    that decision has later bars, which one it was made on is not known, and the last of the day is taken.

    Parameters
    ----------
    decisions : Decisions
    last_oos : date
        Of the last decision that was graded.
    until : date or None
        Last date that training could use.

    Returns
    -------
    int
        -1 where all bars came since.
    """
    graded = _up_to(decisions, last_oos)
    if not graded:
        return -1
    last = min(graded + 1, decisions.size - 1)
    return last if until is None else max(graded - 1, min(last, _up_to(decisions, until) - 1))


def _up_to(decisions: Decisions, day: dt.date) -> int:
    """Number of decisions up to a day."""
    return int(np.searchsorted(decisions.dates, np.datetime64(day) + np.timedelta64(1, "D")))


def _change(prices: FloatArray) -> FloatArray:
    out = np.full(prices.size, np.nan)
    out[1:] = prices[1:] / prices[:-1] - 1.0
    return out
