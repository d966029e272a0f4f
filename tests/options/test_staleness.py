"""Sessions of the exchange, old trades and frozen quotes."""

import datetime as dt
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from src.chains.quotes import contract_table, with_flags
from src.options.staleness import age_flags, session, unmoved_contracts
from src.options.valuation import with_values
from tests.options.oracles import CAPTURED, SIGMA, chain

NY = ZoneInfo("America/New_York")

SESSIONS = {  # when in New York -> day of the session, whether it is on
    "2026-02-11 12:00": ("2026-02-11", True),
    "2026-02-11 09:30": ("2026-02-11", True),
    "2026-02-11 09:00": ("2026-02-10", False),
    "2026-02-11 16:14": ("2026-02-11", True),
    "2026-02-11 16:16": ("2026-02-11", False),
    "2026-02-14 12:00": ("2026-02-13", False),  # Saturday
    "2026-02-16 12:00": ("2026-02-13", False),  # Washington's birthday
    "2026-02-17 08:00": ("2026-02-13", False),  # before the opening after the long weekend
    "2026-07-01 09:45": ("2026-07-01", True),  # in summer time
    "2026-01-01 12:00": ("2025-12-31", False),
    "2025-11-27 12:00": ("2025-11-26", False),  # Thanksgiving
    "2025-11-28 13:14": ("2025-11-28", True),
    "2025-11-28 13:16": ("2025-11-28", False),  # closed at 13:00
    "2025-01-09 12:00": ("2025-01-08", False),  # day of mourning
}


@pytest.mark.parametrize("when", SESSIONS)
def test_the_session_that_a_capture_shows(when):
    day, on = SESSIONS[when]
    opening, found = session(dt.datetime.fromisoformat(when).replace(tzinfo=NY))
    assert (opening.astimezone(NY).date().isoformat(), found) == (day, on)
    assert opening.astimezone(NY).time() == dt.time(9, 29) and opening.tzinfo is dt.UTC


def flags(captured: dt.datetime, traded: dt.datetime) -> set[str]:
    given = chain(captured=captured)
    rows = contract_table(given, "stock").with_columns(last_trade=pl.lit(traded).cast(pl.Datetime("us", "UTC")))
    rows = with_flags(rows, **age_flags(rows))
    return {name for name in ("closed", "stale_trade", "stale_quote") if rows[name].all()}


def test_on_saturday_a_trade_of_friday_is_of_the_session_shown_and_one_of_thursday_is_not():
    saturday = dt.datetime(2026, 2, 14, 12, tzinfo=NY).astimezone(dt.UTC)
    friday, thursday = (saturday - dt.timedelta(days=n) for n in (1, 2))
    assert flags(saturday, friday) == {"closed"}
    assert flags(saturday, thursday) == {"closed", "stale_trade"}


def test_before_the_opening_the_trades_of_the_day_before_are_the_latest_there_are():
    morning = dt.datetime(2026, 2, 11, 8, tzinfo=NY).astimezone(dt.UTC)
    assert flags(morning, morning - dt.timedelta(hours=17)) == {"closed"}
    noon = morning + dt.timedelta(hours=4)
    assert flags(noon, noon - dt.timedelta(hours=21)) == {"stale_trade"}


def test_on_saturday_volatilities_are_those_of_friday_s_close():
    friday = dt.datetime(2026, 2, 13, 16, tzinfo=NY).astimezone(dt.UTC)
    priced = chain("^AAA", captured=friday)  # at Friday's close, and read on Saturday noon
    saturday = friday + dt.timedelta(hours=20)
    rows = with_values(contract_table(type(priced)("^AAA", 100.0, saturday, priced.contracts), "etf"), 0.04)
    assert set(rows["captured"]) == {saturday} and set(rows["quoted"]) == {friday}
    found = rows.filter(pl.col("mid") > 0.06)
    assert found.height > 20 and (found["iv"] - SIGMA).abs().max() < 1e-4


def test_after_an_early_close_quotes_are_of_one_o_clock_and_an_option_of_that_day_has_expired():
    captured = dt.datetime(2025, 11, 28, 14, 30, tzinfo=NY).astimezone(dt.UTC)
    rows = contract_table(chain("^AAA", captured=captured), "etf").with_columns(expiry=pl.date(2025, 11, 28))
    rows = with_values(rows, 0.04)
    assert set(rows["quoted"]) == {dt.datetime(2025, 11, 28, 18, tzinfo=dt.UTC)}
    assert set(rows["years"]) == {0.0} and rows["iv"].null_count() == rows.height


def snapshots(spot: float, moved: float, days: int = 1):
    """Two valued snapshots; the first two contracts of the second are quoted as in the first."""
    strikes = (90, 95, 100, 105, 110)
    first = chain(spot=spot, strikes=strikes)
    second = chain(spot=spot + moved, strikes=strikes, captured=CAPTURED + dt.timedelta(days=days))
    old = first.contracts.sort("expiry", "strike", "type").filter(pl.col("expiry") == first.contracts["expiry"].max())
    frozen = old.head(2)
    rest = second.contracts.filter(~pl.col("contract").is_in(frozen["contract"].to_list()))
    both = []
    for given, frame in ((first, first.contracts), (second, pl.concat([rest, frozen]))):
        rows = contract_table(type(given)("AAA", None, given.captured, frame), "stock")
        both.append(with_values(with_flags(rows, **age_flags(rows)), 0.04))
    return both[0], both[1], frozen["contract"].to_list()


def test_a_quote_that_stayed_while_the_underlying_moved_is_found():
    former, now, frozen = snapshots(100.0, -4.0)
    assert [name for name in unmoved_contracts(now, former) if name not in frozen] == []
    assert frozen[0] in unmoved_contracts(now, former)  # the call in the money: it had to lose over three dollars


def test_a_quote_that_stayed_while_the_underlying_did_is_not():
    former, now, _ = snapshots(100.0, 0.02)
    assert unmoved_contracts(now, former) == []


def test_two_snapshots_of_one_session_prove_nothing():
    former, now, _ = snapshots(100.0, -4.0, days=0)
    assert unmoved_contracts(now, former) == [] and unmoved_contracts(now, now.head(0)) == []
