"""The dates of books: days on which at least one instrument of the dataset has a bar."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.market import calendar
from src.storage import partitions

if TYPE_CHECKING:
    from src.core.arrays import DateArray, IntArray
    from src.market.bars import BarStore
    from src.signals.days import BookDays

EXCHANGE_ZONE = "America/New_York"


def bar_day(date: pl.Expr, asset_class: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Day of each bar: of an intraday one the exchange's day, for coins the UTC day.

    Parameters
    ----------
    date, asset_class : Expr
    dtype : polars data type
        Of the dates.
    """
    if not isinstance(dtype, pl.Datetime):
        return date.cast(pl.Date)
    local = date.dt.replace_time_zone("UTC") if dtype.time_zone is None else date
    on_exchange = local.dt.convert_time_zone(EXCHANGE_ZONE).dt.date()
    return pl.when(asset_class == "crypto").then(local.dt.date()).otherwise(on_exchange)


def book_dates(store: BarStore, days: BookDays) -> DateArray:
    """List the dates of books in a range.

    Parameters
    ----------
    store : BarStore
        Bars of the dataset.
    days : BookDays

    Returns
    -------
    datetime64[D], shape (n,)
        Ascending; days of which any instrument has a bar.
    """
    found = []
    for b in store.buckets():
        years = range(days.first.year - 1, days.last.year + 2)  # a day in New York may be one of another year in UTC
        files = [path for year, path in partitions.paths(store.root, b).items() if year in years]
        if files:
            scan = pl.scan_parquet(files, hive_partitioning=False, glob=False).select("asset_class", "date").unique()
            dtype = scan.collect_schema()["date"]
            day = bar_day(pl.col("date"), pl.col("asset_class"), dtype)
            found.append(scan.select(day=day).filter(pl.col("day").is_between(days.first, days.last)).collect())
    if not found:
        return np.empty(0, dtype="datetime64[D]")
    return pl.concat(found)["day"].unique().sort().to_numpy().astype("datetime64[D]")


def ages(asset_class: str, bars: DateArray, books: DateArray) -> IntArray:
    """Count the sessions after a bar up to the date of a book.

    Parameters
    ----------
    asset_class : str
    bars, books : datetime64[D], shape (n,)

    Returns
    -------
    int64, shape (n,)
    """
    if not bars.size:
        return np.empty(0, dtype=np.int64)
    first: dt.date = min(bars.min(), books.min()).item()
    last: dt.date = max(bars.max(), books.max()).item()
    sessions = calendar.sessions(asset_class, first, last)
    later = np.searchsorted(sessions, books, side="right") - np.searchsorted(sessions, bars, side="right")
    return np.asarray(later, dtype=np.int64)
