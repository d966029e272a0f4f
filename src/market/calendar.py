"""When each asset class trades: the sessions of the New York Stock Exchange, and every UTC day for coins.

The exchange's closed days and early closes come from the table ``nyse.csv`` beside this module, which
``scripts/market_calendar.py`` writes from exchange_calendars (``XNYS``) and a test compares with it. The library itself
is not imported at run time: with pandas it costs 1.5 seconds of CPU, twice what the whole of ``status`` needs; the
table costs 1 millisecond, once in a process.

Years before 1971 come from QuantLib, because exchange_calendars 4.13 lacks their holidays. Outside the table (before
1953 and after 2050) every weekday counts as a session. Opening and regular closing are today's, 9:30 and 16:00 New York
time, in every year: the exchange opened at 10:00 until September 1985 and closed at 15:30 until September 1974.

Sources: exchange_calendars 4.13, ``exchange_calendar_xnys``; QuantLib 1.44, ``UnitedStates::NYSE``.
"""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

NEW_YORK = ZoneInfo("America/New_York")
TABLE = Path(__file__).with_name("nyse.csv")
_OPEN, _CLOSE = dt.time(9, 30), dt.time(16)
_MIDNIGHT = dt.time(tzinfo=dt.UTC)
_DAY = dt.timedelta(days=1)
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class _Exceptions:
    """The sessions, and the closing times (New York) that differ from the regular one."""

    sessions: np.busdaycalendar
    early: dict[dt.date, dt.time]


def is_session(asset_class: str, day: dt.date) -> bool:
    """Return whether an asset class trades on a date.

    Parameters
    ----------
    asset_class : str
        stock, etf or crypto.
    day : date
        In New York for stocks and ETFs, in UTC for coins.

    Returns
    -------
    bool
        Coins trade every day.
    """
    return bool(np.is_busday(np.datetime64(day, "D"), busdaycal=_sessions(asset_class)))


def sessions(asset_class: str, first: dt.date | str, last: dt.date | str) -> Array:
    """Sessions of a period.

    Parameters
    ----------
    asset_class : str
        stock, etf or crypto.
    first, last : date or str
        Both included; YYYY-MM-DD if text.

    Returns
    -------
    ndarray of datetime64[D], shape (n_sessions,)
        Ascending; empty if `last` is before `first`.
    """
    days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)
    return np.asarray(days[np.is_busday(days, busdaycal=_sessions(asset_class))])


def session_count(asset_class: str, first: dt.date, last: dt.date) -> int:
    """Count the sessions of a period.

    Parameters
    ----------
    asset_class : str
        stock, etf or crypto.
    first, last : date
        Both included.

    Returns
    -------
    int
        0 if `last` is before `first`.
    """
    if last < first:
        return 0
    begin, end = np.datetime64(first, "D"), np.datetime64(last, "D") + 1
    return int(np.busday_count(begin, end, busdaycal=_sessions(asset_class)))


def previous_session(asset_class: str, day: dt.date) -> dt.date:
    """Return the last session before a date.

    Parameters
    ----------
    asset_class : str
        stock, etf or crypto.
    day : date
        Need not be a session.

    Returns
    -------
    date
        Earlier than `day`.
    """
    return latest_session(asset_class, day - _DAY)


def next_session(asset_class: str, day: dt.date) -> dt.date:
    """Return the first session after a date.

    Parameters
    ----------
    asset_class : str
        stock, etf or crypto.
    day : date
        Need not be a session.

    Returns
    -------
    date
        Later than `day`.
    """
    return _moved(asset_class, day + _DAY, "forward")


def latest_session(asset_class: str, day: dt.date) -> dt.date:
    """Return the last session up to a date.

    Parameters
    ----------
    asset_class : str
        stock, etf or crypto.
    day : date
        Need not be a session.

    Returns
    -------
    date
        `day` itself if it is a session.
    """
    return _moved(asset_class, day, "backward")


def session_open(asset_class: str, day: dt.date) -> dt.datetime:
    """Return when a session opens: 9:30 New York time, for coins midnight UTC.

    Parameters
    ----------
    asset_class : str
        stock, etf or crypto.
    day : date
        A session.

    Returns
    -------
    datetime
        UTC.

    Raises
    ------
    ValueError
        If the asset class does not trade on that date.
    """
    _require(asset_class, day)
    if asset_class == "crypto":
        return dt.datetime.combine(day, _MIDNIGHT)
    return dt.datetime.combine(day, _OPEN, NEW_YORK).astimezone(dt.UTC)


@functools.lru_cache(maxsize=4096)  # thousands of instruments ask about a few days
def session_close(asset_class: str, day: dt.date) -> dt.datetime:
    """Return when a session closes: 16:00 New York time or the early close, for coins the next midnight UTC.

    Parameters
    ----------
    asset_class : str
        stock, etf or crypto.
    day : date
        A session.

    Returns
    -------
    datetime
        UTC.

    Raises
    ------
    ValueError
        If the asset class does not trade on that date.

    Examples
    --------
    >>> session_close("stock", dt.date(2025, 11, 28)).isoformat()  # the day after Thanksgiving: 13:00 in New York
    '2025-11-28T18:00:00+00:00'
    """
    _require(asset_class, day)
    if asset_class == "crypto":
        return dt.datetime.combine(day + _DAY, _MIDNIGHT)
    return dt.datetime.combine(day, _exchange().early.get(day, _CLOSE), NEW_YORK).astimezone(dt.UTC)


def session_closes(asset_class: str, days: pl.Series) -> pl.Series:
    """Return the close of the latest session up to each date.

    Parameters
    ----------
    asset_class : str
        stock, etf or crypto.
    days : Series of Date, shape (n,)
        They need not be sessions.

    Returns
    -------
    Series of Datetime("us", "UTC"), shape (n,)
        Null where the date is null.
    """
    dates = days.unique().drop_nulls().to_list()
    closes = [session_close(asset_class, latest_session(asset_class, day)) for day in dates]
    return days.replace_strict(dates, closes, default=None, return_dtype=pl.Datetime("us", "UTC"))


def last_final_session(asset_class: str, now: dt.datetime, settling: dt.timedelta) -> dt.date:
    """Return the last session whose bar will not change any more.

    Parameters
    ----------
    asset_class : str
        stock, etf or crypto.
    now : datetime
        With a time zone.
    settling : timedelta
        Time after the close in which a bar may still change: closing auctions, late prints, delayed quotes.

    Returns
    -------
    date
        The last session with ``session_close(asset_class, session) + settling <= now``.

    Raises
    ------
    ValueError
        If `now` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError(f"now must have a time zone, got {now}: give it in UTC")
    day = latest_session(asset_class, now.astimezone(dt.UTC).date())  # New York's date is never later
    while session_close(asset_class, day) + settling > now:
        day = previous_session(asset_class, day)
    return day


@functools.lru_cache(maxsize=4096)
def _moved(asset_class: str, day: dt.date, roll: Any) -> dt.date:
    offset = np.busday_offset(np.datetime64(day, "D"), 0, roll=roll, busdaycal=_sessions(asset_class))
    session: dt.date = offset.item()
    return session


def _require(asset_class: str, day: dt.date) -> None:
    if not is_session(asset_class, day):
        near = latest_session(asset_class, day)
        raise ValueError(f"{asset_class} has no session on {day}: the one before it is {near}")


def _sessions(asset_class: str) -> np.busdaycalendar:
    return _every_day() if asset_class == "crypto" else _exchange().sessions


@functools.cache
def _every_day() -> np.busdaycalendar:
    return np.busdaycalendar(weekmask="1111111")


@functools.cache
def _exchange() -> _Exceptions:
    lines = TABLE.read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split(",") for line in lines]
    closed = [day for day, close in rows if not close]
    early = {dt.date.fromisoformat(day): dt.time.fromisoformat(close) for day, close in rows if close}
    return _Exceptions(np.busdaycalendar(holidays=closed), early)
