"""The last final bar: against New York's clock, which changes twice a year, and against a slow search."""

import datetime as dt
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.hydration.live.sessions import ahead, due, last_complete, without_partial
from tests.market.nyse_case import CLOSES

NEW_YORK = ZoneInfo("America/New_York")
moments = st.datetimes(dt.datetime(2015, 1, 1), dt.datetime(2035, 1, 1), timezones=st.just(dt.UTC))


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("now", "asset_class", "last"),
    [
        ("2026-02-11T21:29:59", "stock", "2026-02-10"),  # winter: 16:30 in New York is 21:30
        ("2026-02-11T21:30:00", "etf", "2026-02-11"),
        ("2026-07-08T20:29:59", "stock", "2026-07-07"),  # summer: 20:30
        ("2026-07-08T20:30:00", "stock", "2026-07-08"),
        ("2026-02-15T12:00:00", "stock", "2026-02-13"),  # Sunday
        ("2026-02-16T12:00:00", "stock", "2026-02-13"),  # Monday morning
        ("2026-02-12T03:00:00", "stock", "2026-02-11"),  # still the 11th there
        ("2026-11-27T12:00:00", "stock", "2026-11-25"),  # the morning after Thanksgiving
        ("2026-11-27T18:29:59", "stock", "2026-11-25"),
        ("2026-11-27T18:30:00", "stock", "2026-11-27"),  # closed at 13:00 there
        ("2026-04-03T23:00:00", "etf", "2026-04-02"),  # Good Friday
        ("2025-01-09T23:00:00", "stock", "2025-01-08"),  # a day of mourning, announced eleven days before
        ("2026-11-27T12:00:00", "crypto", "2026-11-26"),
        ("2026-02-12T00:09:59", "crypto", "2026-02-10"),
        ("2026-02-12T00:10:00", "crypto", "2026-02-11"),
        ("2026-02-15T12:00:00", "crypto", "2026-02-14"),
    ],
)
def test_last_daily_bar(now, asset_class, last):
    assert last_complete(asset_class, "1d", utc(now)) == dt.date.fromisoformat(last)


@pytest.mark.parametrize(
    ("now", "asset_class", "last"),
    [
        ("2026-02-11T15:44:59", "stock", "2026-02-10T20:30"),  # 9:30 to 10:30 there, plus a quarter of an hour
        ("2026-02-11T15:45:00", "stock", "2026-02-11T14:30"),
        ("2026-02-11T21:14:59", "stock", "2026-02-11T19:30"),
        ("2026-02-11T21:15:00", "stock", "2026-02-11T20:30"),  # the last half hour, from 15:30
        ("2026-07-06T04:30:00", "stock", "2026-07-02T19:30"),  # closed on the Friday before Independence Day
        ("2026-11-27T17:59:59", "stock", "2026-11-27T16:30"),  # the day after Thanksgiving closes at 13:00
        ("2026-11-27T18:14:59", "stock", "2026-11-27T16:30"),
        ("2026-11-27T18:15:00", "stock", "2026-11-27T17:30"),
        ("2026-11-27T23:00:00", "stock", "2026-11-27T17:30"),
        ("2026-03-09T12:00:00", "stock", "2026-03-06T20:30"),  # the clock went forward at the weekend
        ("2026-02-11T12:09:59", "crypto", "2026-02-11T10:00"),
        ("2026-02-11T12:10:00", "crypto", "2026-02-11T11:00"),
        ("2026-02-11T00:05:00", "crypto", "2026-02-10T22:00"),
    ],
)
def test_last_hourly_bar(now, asset_class, last):
    assert last_complete(asset_class, "1h", utc(now)) == utc(last)


def bars_of(asset_class: str, interval: str, now: dt.datetime):
    """Every bar around `now`, as (its name, when it is final), by a walk over minutes and days."""
    for back in range(-2, 8):
        day = now.date() - dt.timedelta(days=back)
        if asset_class == "crypto":
            midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
            if interval == "1d":
                yield day, midnight + dt.timedelta(days=1, minutes=10)
                continue
            for hour in range(24):
                start = midnight + dt.timedelta(hours=hour)
                yield start, start + dt.timedelta(hours=1, minutes=10)
        elif day in CLOSES:
            if interval == "1d":
                yield day, CLOSES[day] + dt.timedelta(minutes=30)
                continue
            start = dt.datetime.combine(day, dt.time(9, 30), NEW_YORK).astimezone(dt.UTC)
            while start < CLOSES[day]:
                yield start, min(start + dt.timedelta(hours=1), CLOSES[day]) + dt.timedelta(minutes=15)
                start += dt.timedelta(hours=1)


@given(now=moments, asset_class=st.sampled_from(["stock", "etf", "crypto"]), interval=st.sampled_from(["1d", "1h"]))
def test_the_last_bar_is_the_latest_of_all_that_are_final(now, asset_class, interval):
    final = [name for name, when in bars_of(asset_class, interval, now) if when <= now]
    assert last_complete(asset_class, interval, now) == max(final)


@given(a=moments, b=moments, asset_class=st.sampled_from(["stock", "crypto"]), interval=st.sampled_from(["1d", "1h"]))
def test_an_instrument_is_due_when_a_bar_became_final_since(a, b, asset_class, interval):
    earlier, later = min(a, b), max(a, b)
    new = last_complete(asset_class, interval, earlier) != last_complete(asset_class, interval, later)
    assert due(earlier, asset_class, interval, later) == new
    assert not due(later, asset_class, interval, later)
    assert due(None, asset_class, interval, later)


def test_a_weekend_makes_no_stock_due_but_every_coin():
    friday, sunday = utc("2026-02-13T22:00"), utc("2026-02-15T22:00")
    assert not due(friday, "stock", "1d", sunday)
    assert due(friday, "crypto", "1d", sunday)


def test_a_holiday_makes_no_stock_due_but_every_coin():
    wednesday, thanksgiving = utc("2026-11-25T23:00"), utc("2026-11-27T05:00")  # midnight in New York
    assert not due(wednesday, "stock", "1d", thanksgiving) and not due(wednesday, "etf", "1h", thanksgiving)
    assert due(wednesday, "crypto", "1d", thanksgiving)


def test_only_the_running_bar_is_dropped():
    dates = [dt.date(2026, 2, 10), None, dt.date(2026, 2, 11), dt.date(2026, 2, 12)]
    bars = pl.DataFrame({"date": dates, "close": [1.0, 2.0, 3.0, 4.0]})
    assert without_partial(bars, "stock", "1d", utc("2026-02-11T20:00"))["close"].to_list() == [1.0, 2.0]
    assert without_partial(bars, "stock", "1d", utc("2026-02-11T21:30"))["close"].to_list() == [1.0, 2.0, 3.0]


def test_hourly_bars_are_compared_in_utc_to_the_microsecond():
    starts = [utc("2026-02-11T14:30"), utc("2026-02-11T15:30"), utc("2026-02-11T16:30")]
    bars = pl.DataFrame({"date": starts}, schema={"date": pl.Datetime("us", "UTC")})
    assert without_partial(bars, "stock", "1h", utc("2026-02-11T16:45"))["date"].to_list() == starts[:2]
    assert without_partial(bars.head(0), "stock", "1h", utc("2026-02-11T16:45")).schema == bars.schema


def test_other_intervals_and_times_without_a_zone_are_refused_with_a_clear_message():
    with pytest.raises(ValueError, match=r"1d or 1h, got '5m': set universe.interval"):
        last_complete("stock", "5m", utc("2026-02-11T20:00"))
    with pytest.raises(ValueError, match="must have a time zone, got 2026-02-11"):
        last_complete("stock", "1d", dt.datetime(2026, 2, 11))


def test_bars_dated_in_the_future_are_counted_and_the_running_one_is_not():
    now = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
    days = [dt.date(2026, 11, 27), dt.date(2026, 11, 28), dt.date(2030, 1, 1), None]
    bars = pl.DataFrame({"date": days}, schema={"date": pl.Date})
    assert ahead(bars, now) == {"ahead": "1 bar dated in the future left out, the last 2030-01-01"}
    assert ahead(bars.head(2), now) == {}
    hours = pl.DataFrame({"date": [now, now + dt.timedelta(days=400)]})
    assert list(ahead(hours, now)) == ["ahead"]
