"""Which bar is the last final one, so that no unfinished bar is stored and no request is made in vain."""

from __future__ import annotations

import datetime as dt
import functools

import polars as pl

from src.market import calendar

_HOUR = dt.timedelta(hours=1)
_SETTLING = {  # after the end of a daily bar: closing auctions and late prints
    "stock": dt.timedelta(minutes=30),
    "etf": dt.timedelta(minutes=30),
    "crypto": dt.timedelta(minutes=10),
}
_QUOTES_LATE = dt.timedelta(minutes=15)  # delay of the exchanges' quotes, so of an hourly bar


def last_complete(asset_class: str, interval: str, now: dt.datetime) -> dt.date | dt.datetime:
    """Date, or start in UTC if intraday, of the last bar that will not change any more.

    Stocks and ETFs: daily bars are final half an hour after the session's close (16:30 New York time, 13:30 where it
    closes early). Hourly bars start at 9:30, the last one covers the half hour before the close, and they are final a
    quarter of an hour after their end. Coins trade without a break: bars are final ten minutes after their end, in UTC.

    Parameters
    ----------
    asset_class
        stock, etf or crypto.
    interval
        1d or 1h.
    now
        With a time zone.

    Raises
    ------
    ValueError
        For another interval, or a time without a zone.
    """
    if interval not in ("1d", "1h"):
        raise ValueError(f"live bars have the interval 1d or 1h, got {interval!r}: set universe.interval")
    if now.tzinfo is None:
        raise ValueError(f"now must have a time zone, got {now}: give it in UTC")
    if interval == "1d":
        return calendar.last_final_session(asset_class, now, _SETTLING[asset_class])
    if asset_class == "crypto":
        return _hour(now.astimezone(dt.UTC) - _SETTLING[asset_class]) - _HOUR
    return _last_session_hour(asset_class, now.astimezone(dt.UTC))


def due(checked: dt.datetime | None, asset_class: str, interval: str, now: dt.datetime) -> bool:
    """Whether a bar has become final since the last good answer.

    Parameters
    ----------
    checked : datetime or None
        When the last good answer came, with a time zone; None if there was none.
    asset_class : str
        stock, etf or crypto.
    interval : str
        1d or 1h.
    now : datetime
        With a time zone.

    Returns
    -------
    bool
        True if there was no good answer.
    """
    if checked is None:
        return True
    before, today = (_last_complete(asset_class, interval, when) for when in (checked, now))
    return before < today


def without_partial(bars: pl.DataFrame, asset_class: str, interval: str, now: dt.datetime) -> pl.DataFrame:
    """Bars without those that may still change; rows without a date stay, validation judges them.

    Parameters
    ----------
    bars
        Rows of one asset class, with a column date: a date, or where intraday a UTC timestamp.
    """
    last = pl.lit(last_complete(asset_class, interval, now), dtype=bars.schema["date"])
    return bars.filter((pl.col("date") <= last).fill_null(True))


def ahead(bars: pl.DataFrame, now: dt.datetime) -> dict[str, str]:
    """A fact about bars that are dated in the future, which `without_partial` leaves out with the running one.

    Parameters
    ----------
    bars : DataFrame
        Rows with a column date.
    now : datetime
        With a time zone.

    Returns
    -------
    dict of str to str
        The fact ``ahead``; empty without such bars.
    """
    tomorrow = now.astimezone(dt.UTC).date() + dt.timedelta(days=1)  # it has begun east of Greenwich
    days = bars.select(pl.col("date").cast(pl.Date)).filter(pl.col("date") > tomorrow).to_series()
    if not days.len():
        return {}
    plural = "bar dated" if days.len() == 1 else "bars dated"
    return {"ahead": f"{days.len():,} {plural} in the future left out, the last {days.sort()[-1]}"}


_last_complete = functools.lru_cache(maxsize=256)(last_complete)  # of thousands of instruments, `now` is one


def _hour(moment: dt.datetime) -> dt.datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _last_session_hour(asset_class: str, now: dt.datetime) -> dt.datetime:
    """Start of the last hourly bar that ended long enough ago. No clock is put forward in a session's hours."""
    day = calendar.latest_session(asset_class, now.astimezone(calendar.NEW_YORK).date())
    start, final = calendar.session_open(asset_class, day), now - _QUOTES_LATE
    if final >= calendar.session_close(asset_class, day):
        return calendar.session_close(asset_class, day) - _HOUR / 2
    if final >= start + _HOUR:
        return start + ((final - start) // _HOUR - 1) * _HOUR
    return calendar.session_close(asset_class, calendar.previous_session(asset_class, day)) - _HOUR / 2
