"""What the book earned since: the journal's weights beside the bars as they are now.

A weight is held from the open on which it is entered to the next open of its instrument, and on, until a later book
changes it. A change pays what the book said that it costs. The day on which a return is complete is a session of the
exchange where the book holds stocks or funds: what coins earn between sessions counts on the next one.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray, IntArray
from src.core.instruments import KEY
from src.market.bars import BARS_PER_YEAR, BarStore, bucket, tradable
from src.market.calendar import is_session, next_session
from src.monitoring.live_record import TrackRecord
from src.monitoring.outcomes import open_times

_COIN = "crypto"
_SERIES = ("gross", "cost", "net", "turnover")
_WEEKEND = np.timedelta64(4, "D")
DAYS = {
    "date": pl.Date(),
    "live": pl.Boolean(),
    **dict.fromkeys(("gross", "cost", "net", "turnover"), pl.Float64()),
}


def book_days(books: pl.DataFrame, store: BarStore) -> pl.DataFrame:
    """Compute the book's return of each day.

    Parameters
    ----------
    books : DataFrame
        `src.signals.journal.Journal.books`: weights of each book, with entry, kind and said_at. Of a date with two
        books the later stands.
    store : BarStore

    Returns
    -------
    DataFrame
        Columns of `DAYS`, a row a day on which returns are complete, ascending. A day is live where all that is held
        was said before the open at which it was entered.

    Raises
    ------
    StageError
        If the bars can't be read.
    """
    orders = _orders(books)
    if not orders.height or not store.exists():
        return pl.DataFrame(schema=DAYS)
    held = _held(_bars(orders, store), orders)
    on_exchange = bool((orders["asset_class"] != _COIN).any())
    sessions = {day: _session(day, on_exchange=on_exchange) for day in held["stamp"].unique().drop_nulls().to_list()}
    dated = held.filter(pl.col("stamp").is_not_null()).with_columns(
        date=pl.col("stamp").replace_strict(sessions, return_dtype=pl.Date)
    )
    last = dated["date"].filter(pl.Series(dated["asset_class"] != _COIN)).max() if on_exchange else dated["date"].max()
    daily = dated.group_by("date").agg(
        pl.col("timely").all().alias("live"),
        *(pl.col(name).sum() for name in ("gross", "cost", "turnover")),
    )
    kept = daily if last is None else daily.filter(pl.col("date") <= last)
    return kept.with_columns(net=pl.col("gross") - pl.col("cost")).select(list(DAYS)).sort("date")


def book_record(days: pl.DataFrame, *, bars_per_year: float) -> TrackRecord:
    """Make a record of the book's days, which has no scores."""
    series = {name: days[name].to_numpy() for name in _SERIES}
    dates = days["date"].cast(pl.Datetime("us")).to_numpy()
    return TrackRecord(dates=dates, live=days["live"].to_numpy(), bars_per_year=bars_per_year, **series)


def days_per_year(books: pl.DataFrame) -> float:
    """Days a year on which the book's returns are complete: 252, and 365 where it holds coins alone."""
    coins = books.height > 0 and bool((books["asset_class"] == _COIN).all())
    return float(BARS_PER_YEAR[_COIN] if coins else BARS_PER_YEAR["stock"])


def _orders(books: pl.DataFrame) -> pl.DataFrame:
    """Weights that were entered at each open: the last book that was for it, of each instrument."""
    valid = books.filter(pl.col("entry") == pl.col("entry").max().over("book_date"), pl.col("trade_on").is_not_null())
    at = pl.col("said_at").dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.Datetime("us"))
    timely = ((pl.col("kind") == "book") & (at <= pl.col("_opens"))).fill_null(False)
    dated = valid.join(open_times(valid), on=["asset_class", "trade_on"], how="left").with_columns(timely=timely)
    return (
        dated.sort("book_date", "entry")
        .group_by(*KEY, "trade_on", maintain_order=True)
        .agg(pl.col("weight").last().fill_null(0.0), pl.col("timely").last(), pl.col("cost").sum().alias("_cost"))
        .sort(*KEY, "trade_on")
    )


def _bars(orders: pl.DataFrame, store: BarStore) -> pl.DataFrame:
    """Tradable bars of the instruments since their first order, with the return to the next open."""
    count, wanted = store.manifest.buckets, defaultdict(list)
    for asset_class, symbol in orders.select(KEY).unique().sort(KEY).rows():
        wanted[bucket(asset_class, symbol, count)].append((asset_class, symbol))
    first = orders["trade_on"].min()
    columns = [*KEY, "date", "open", "close", "volume", "factor"]
    parts = [pl.DataFrame(schema={**dict.fromkeys(KEY, pl.String()), "date": pl.Date(), "open": pl.Float64()})]
    for number in sorted(set(wanted) & set(store.buckets())):
        rows = store.read_bucket(number, columns, wanted[number])
        rows = rows.filter(tradable(rows), pl.col("date").cast(pl.Date) >= first)
        price = pl.col("open").cast(pl.Float64) * pl.col("factor").cast(pl.Float64)
        parts.append(rows.select(*KEY, pl.col("date").cast(pl.Date), price.alias("open")))
    following = pl.col("open").shift(-1).over(KEY), pl.col("date").shift(-1).over(KEY)
    return (
        pl.concat(parts).sort(*KEY, "date").with_columns(change=following[0] / pl.col("open") - 1.0, stamp=following[1])
    )


def _held(bars: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    """Return, cost and turnover of each instrument from each of its opens to the next."""
    placed = orders.sort("trade_on").with_columns(ordered=pl.col("trade_on"))
    joined = bars.sort("date").join_asof(
        placed, left_on="date", right_on="trade_on", by=KEY, strategy="backward", check_sortedness=False
    )
    entered = joined.filter(pl.col("weight").is_not_null()).sort(*KEY, "date")
    is_new = pl.col("ordered").ne_missing(pl.col("ordered").shift(1).over(KEY))
    before = pl.col("weight").shift(1).over(KEY).fill_null(0.0)
    known = pl.col("stamp").is_not_null()
    return entered.with_columns(
        gross=pl.col("weight") * pl.col("change"),
        turnover=pl.when(known).then((pl.col("weight") - before).abs()),
        cost=pl.when(known & is_new).then(pl.col("_cost").fill_null(0.0)).otherwise(0.0),
    )


def on_sessions(daily: pl.DataFrame) -> pl.DataFrame:
    """Add up figures of each date on sessions of the exchange: what comes between them counts on the next one.

    Parameters
    ----------
    daily : DataFrame
        date, and figures.
    """
    sessions = {day: _session(day, on_exchange=True) for day in daily["date"].unique().to_list()}
    dated = daily.with_columns(pl.col("date").replace_strict(sessions, return_dtype=pl.Date))
    return dated.group_by("date").agg(pl.all().sum()).sort("date")


def _session(day: dt.date, *, on_exchange: bool) -> dt.date:
    return next_session("stock", day - dt.timedelta(days=1)) if on_exchange and not is_session("stock", day) else day


def mean_of_champions(records: dict[tuple[str, int], TrackRecord]) -> TrackRecord | None:
    """Average all champions' net returns of each day: one record of them together, at equal shares.

    Parameters
    ----------
    records : dict
        By name and version.

    Returns
    -------
    TrackRecord or None
        Without scores, of the days on which at least half of the champions of the time decided: later versions and
        former champions don't count on days that are not theirs. None where no champion has a complete day. A day is
        live where all decisions of it were said in time.
    """
    kept = [record for record in records.values() if record.days]
    if not kept:
        return None
    dates = [record.dates for record in kept]
    expected = _terms(dates)
    mean = {
        name: shared_mean(dates, [getattr(each, name) for each in kept], expected)[1] for name in (*_SERIES, "live")
    }
    days = shared_mean(dates, [each.net for each in kept], expected)[0]
    year = float(np.median([record.bars_per_year for record in kept]))
    return TrackRecord(dates=days, bars_per_year=year, **(mean | {"live": mean["live"] == 1.0}))


def shared_mean(
    dates: Sequence[DateArray], values: Sequence[Any], expected: IntArray | None = None
) -> tuple[DateArray, FloatArray]:
    """Average series over the days on which at least half of them have a value: weekends of a few coins are left out.

    Parameters
    ----------
    dates : sequence of datetime64 arrays
    values : sequence of arrays
        One value a date.
    expected : int64, shape (m,), optional
        How many series should have a value on each of all m days; by default all.

    Returns
    -------
    datetime64, shape (n,), and float64, shape (n,)
        Of those that have a value on the day.
    """
    days, place = np.unique(np.concatenate(dates), return_inverse=True)
    count = np.bincount(place)
    total = np.bincount(place, np.concatenate([np.asarray(each, dtype=np.float64) for each in values]))
    shared = 2 * count >= (len(dates) if expected is None else expected)
    return days[shared], (total / count)[shared]


def _terms(dates: Sequence[DateArray]) -> IntArray:
    """Series whose first and last dates are around each of all days, give or take a long weekend."""
    days = np.unique(np.concatenate(dates))
    first = np.sort([each[0] - _WEEKEND for each in dates])
    last = np.sort([each[-1] + _WEEKEND for each in dates])
    begun, ended = np.searchsorted(first, days, side="right"), np.searchsorted(last, days, side="left")
    return np.asarray(begun - ended, dtype=np.int64)
