"""Sessions and closes against two calendars that others wrote, exchange_calendars and QuantLib, and named days."""

import datetime as dt
import itertools
import sys
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import QuantLib as ql
from hypothesis import given
from hypothesis import strategies as st

from scripts import market_calendar
from src.core.project import ROOT
from src.market import calendar
from tests import process_case
from tests.market.nyse_case import CLOSES

NEW_YORK = ZoneInfo("America/New_York")
HALF_HOUR = dt.timedelta(minutes=30)
classes = st.sampled_from(["stock", "etf", "crypto"])
days = st.dates(dt.date(1953, 2, 1), dt.date(2050, 11, 30))


def date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def test_every_session_and_close_since_1971_is_that_of_exchange_calendars():
    ours = calendar.sessions("stock", "1971-01-01", "2050-12-31").tolist()
    assert ours == list(CLOSES), "write the table again: .venv/bin/python scripts/market_calendar.py"
    assert {day: calendar.session_close("etf", day) for day in ours} == CLOSES


def test_every_session_is_a_business_day_of_quantlib():
    exchange = ql.UnitedStates(ql.UnitedStates.NYSE)
    wanted = exchange.businessDayList(ql.Date(1, 1, 1953), ql.Date(31, 12, 2050))
    ours = calendar.sessions("stock", "1953-01-01", "2050-12-31").tolist()
    assert ours == [day.to_date() for day in wanted]


def test_the_table_is_what_its_script_writes():
    assert calendar.TABLE == market_calendar.TABLE
    assert calendar.TABLE.read_text(encoding="utf-8") == market_calendar.text()


@pytest.mark.parametrize(
    "closed",
    [
        "1963-11-25",  # funeral of President Kennedy
        "1968-06-12",  # the first Wednesday of the paperwork crisis
        "1977-07-14",  # blackout of New York
        "1985-09-27",  # Hurricane Gloria
        "2001-09-11", "2001-09-14",
        "2004-06-11", "2007-01-02", "2018-12-05", "2025-01-09",  # days of mourning for presidents
        "2012-10-29", "2012-10-30",  # Hurricane Sandy
        "2022-06-20", "2023-06-19",  # Juneteenth, a Sunday in 2022
        "2024-03-29", "2026-04-03",  # Good Friday
        "2025-11-27", "2026-11-26", "2026-07-03", "2021-12-24", "2027-12-24",
    ],
)  # fmt: skip
def test_the_exchange_is_closed_on_holidays_and_extraordinary_days(closed):
    assert not calendar.is_session("stock", date(closed)) and not calendar.is_session("etf", date(closed))
    assert calendar.is_session("crypto", date(closed))


@pytest.mark.parametrize(
    "opened",
    [
        "1997-01-20",  # Martin Luther King's day is a holiday of the exchange since 1998
        "2021-06-18", "2021-12-31",  # no holiday is moved to these
        "2022-11-11", "2023-10-09",  # Veterans' day and Columbus day are those of banks alone
        "2025-11-28",  # the day after Thanksgiving
    ],
)  # fmt: skip
def test_the_exchange_trades_on_days_that_are_holidays_elsewhere(opened):
    assert calendar.is_session("stock", date(opened)) and calendar.is_session("etf", date(opened))


@pytest.mark.parametrize(
    ("day", "close"),
    [
        ("2025-07-03", "17:00"),  # 13:00 in summer
        ("2025-11-28", "18:00"),  # the day after Thanksgiving, in winter
        ("2024-12-24", "18:00"),
        ("2025-12-31", "21:00"),
        ("2026-03-06", "21:00"), ("2026-03-09", "20:00"),  # the clock goes forward between
        ("2026-10-30", "20:00"), ("2026-11-02", "21:00"),  # and back
    ],
)  # fmt: skip
def test_a_session_closes_by_new_york_s_clock(day, close):
    expected = dt.datetime.fromisoformat(f"{day}T{close}:00+00:00")
    found = calendar.session_close("stock", date(day))
    assert found == expected and found.tzinfo is dt.UTC
    assert calendar.session_open("stock", date(day)).astimezone(NEW_YORK).time() == dt.time(9, 30)


def test_a_day_of_coins_ends_at_midnight_utc_whatever_the_day():
    sunday = date("2026-11-01")
    assert calendar.session_open("crypto", sunday) == dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    assert calendar.session_close("crypto", sunday) == dt.datetime(2026, 11, 2, tzinfo=dt.UTC)
    assert calendar.session_count("crypto", date("2024-01-01"), date("2024-12-31")) == 366


@given(classes, days, days)
def test_counts_and_neighbours_are_those_of_the_list_of_sessions(asset_class, a, b):
    first, last = min(a, b), min(max(a, b), min(a, b) + dt.timedelta(days=400))
    listed = calendar.sessions(asset_class, first, last).tolist()
    assert calendar.session_count(asset_class, first, last) == len(listed)
    every = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    assert listed == [day for day in every if calendar.is_session(asset_class, day)]
    for before, after in itertools.pairwise(listed):
        assert calendar.next_session(asset_class, before) == after
        assert calendar.previous_session(asset_class, after) == before
        assert calendar.latest_session(asset_class, after - dt.timedelta(days=1)) == before
    assert calendar.session_count(asset_class, last + dt.timedelta(days=1), first) == 0


@given(st.datetimes(dt.datetime(1972, 1, 1), dt.datetime(2050, 1, 1), timezones=st.just(dt.UTC)))
def test_the_last_final_session_is_the_latest_that_closed_half_an_hour_before(now):
    near = [now.date() - dt.timedelta(days=n) for n in range(-1, 12)]
    final = max(day for day in near if day in CLOSES and CLOSES[day] + HALF_HOUR <= now)
    assert calendar.last_final_session("stock", now, HALF_HOUR) == final
    local = now.astimezone(ZoneInfo("Asia/Tokyo"))
    assert calendar.last_final_session("stock", local, HALF_HOUR) == final


def test_closes_of_many_days_are_those_of_the_sessions_on_or_before_them():
    given_days = pl.Series([date("2025-11-28"), None, date("2025-11-29"), date("2014-01-18"), date("2025-11-28")])
    found = calendar.session_closes("stock", given_days)
    early, january = calendar.session_close("stock", date("2025-11-28")), dt.datetime(2014, 1, 17, 21, tzinfo=dt.UTC)
    assert found.to_list() == [early, None, early, january, early]
    assert calendar.session_closes("stock", given_days.head(0)).dtype == pl.Datetime("us", "UTC")


@pytest.mark.parametrize("first", ["1900-01-01", "1952-12-01", "2050-12-31"])
def test_outside_the_table_every_weekday_is_a_session(first):
    begin = date(first)
    for day in (begin + dt.timedelta(days=n) for n in range(30)):
        inside = market_calendar.FIRST <= day <= market_calendar.LAST
        assert inside or calendar.is_session("stock", day) == (day.weekday() < 5)
    outside = dt.date(1952, 12, 25) if begin.year < 1953 else dt.date(2051, 1, 2)
    assert calendar.session_close("stock", outside).astimezone(NEW_YORK).time() == dt.time(16)


def test_the_close_of_no_session_and_a_time_without_a_zone_are_refused():
    with pytest.raises(ValueError, match=r"stock has no session on 2026-11-26: the one before it is 2026-11-25"):
        calendar.session_close("stock", date("2026-11-26"))
    with pytest.raises(ValueError, match="now must have a time zone, got 2026-02-11"):
        calendar.last_final_session("stock", dt.datetime(2026, 2, 11), HALF_HOUR)


def test_the_calendar_and_status_import_no_library_of_calendars():
    code = (
        "import sys, datetime as dt\n"
        "import src.status, src.inspection.overview\n"
        "from src.hydration.live.sessions import last_complete\n"
        "last_complete('stock', '1d', dt.datetime.now(dt.UTC))\n"
        "print([name for name in ('pandas', 'exchange_calendars', 'QuantLib') if name in sys.modules])"
    )
    done = process_case.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
