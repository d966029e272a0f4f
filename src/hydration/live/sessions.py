"""Which bar is the last that is final, so that no bar still in the making is stored and nothing is asked in vain.

Weekdays count as sessions: holidays are not known here, so that an instrument is asked once more on the day after one.
"""

from __future__ import annotations

import datetime as dt
import functools
from zoneinfo import ZoneInfo

import polars as pl

_NEW_YORK = ZoneInfo("America/New_York")
_DAY, _HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
_FINAL = dt.time(16, 30)  # New York: daily bars of stocks and ETFs, closing auctions and late prints included
_FIRST_HOUR, _LAST_HOUR = dt.time(9, 30), dt.time(15, 30)  # starts of hourly bars; the last one ends at 16:00
_QUOTES_LATE = dt.timedelta(minutes=15)  # delay of the exchanges' quotes, so of an hourly bar
_COINS_LATE = dt.timedelta(minutes=10)


def last_complete(asset_class: str, interval: str, now: dt.datetime) -> dt.date | dt.datetime:
    """Date, or start in UTC where intraday, of the last bar that will not change any more.

    Stocks and ETFs: daily bars are final at 16:30 New York time on weekdays, hourly ones (9:30 to 15:30) a quarter of
    an hour after their end. Coins trade without a break: bars are final ten minutes after their end, in UTC.

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
    if asset_class == "crypto":
        return _last_coin_bar(interval, now.astimezone(dt.UTC) - _COINS_LATE)
    there = now.astimezone(_NEW_YORK)
    return _last_session(there) if interval == "1d" else _last_session_hour(there)


def due(checked: dt.datetime | None, asset_class: str, interval: str, now: dt.datetime) -> bool:
    """Whether a bar became final since an instrument was last asked for with a good answer (None: never)."""
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


_last_complete = functools.lru_cache(maxsize=256)(last_complete)  # of thousands of instruments, `now` is one


def _last_coin_bar(interval: str, final: dt.datetime) -> dt.date | dt.datetime:
    if interval == "1d":
        return final.date() - _DAY
    return final.replace(minute=0, second=0, microsecond=0) - _HOUR


def _last_session(there: dt.datetime) -> dt.date:
    day = there.date() if there.time() >= _FINAL else there.date() - _DAY
    while day.weekday() > 4:
        day -= _DAY
    return day


def _last_session_hour(there: dt.datetime) -> dt.datetime:
    """Start of the last hourly bar that ended long enough ago. No clock is put forward in a session's hours."""
    if there.weekday() <= 4:
        for hour in range(_LAST_HOUR.hour, _FIRST_HOUR.hour - 1, -1):
            start = there.replace(hour=hour, minute=_FIRST_HOUR.minute, second=0, microsecond=0)
            length = _HOUR / 2 if start.time() == _LAST_HOUR else _HOUR
            if start + length + _QUOTES_LATE <= there:
                return start.astimezone(dt.UTC)
    day = there.date() - _DAY
    while day.weekday() > 4:
        day -= _DAY
    return dt.datetime.combine(day, _LAST_HOUR, _NEW_YORK).astimezone(dt.UTC)
