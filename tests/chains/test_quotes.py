"""Every flag is raised by its fault and by nothing else, and no contract is ever dropped."""

import datetime as dt

import polars as pl
import pytest

from src.chains.quotes import FLAGS, SCHEMA, SPOILING, contract_table, with_flags
from src.fetching.provider import OptionChain
from src.options.staleness import age_flags
from src.options.valuation import with_values
from tests.options.oracles import CAPTURED, chain, changed

CALL, PUT = "AAA260515C00090000", "AAA260515P00090000"  # a call in the money, a put out of it


def quotes(given: OptionChain) -> pl.DataFrame:
    rows = contract_table(given, "stock")
    return with_values(with_flags(rows, **age_flags(rows)), 0.04)


def up(rows: pl.DataFrame, contract: str = CALL) -> set[str]:
    """Flags that are up in one contract."""
    row = rows.filter(pl.col("contract") == contract).row(0, named=True)
    return {name for name in FLAGS if row[name]}


def test_a_chain_without_a_fault_raises_no_flag():
    rows = quotes(chain(strikes=(90, 95, 100, 105)))
    assert rows.columns == list(SCHEMA) and dict(rows.schema) == SCHEMA
    assert {name: rows[name].sum() for name in FLAGS if rows[name].any()} == {}
    assert rows["clean"].all() and rows["iv"].null_count() == 0


LONG_AGO = CAPTURED - dt.timedelta(days=30, minutes=1)
FAULTS = {
    "no_bid": ({"bid": 0.0}, {"no_bid"}),
    "a null bid": ({"bid": None}, {"no_bid"}),
    "no_ask": ({"ask": 0.0}, {"no_ask"}),
    "crossed": ({"bid": 12.5, "ask": 12.4}, {"crossed"}),
    "locked": ({"bid": 12.5, "ask": 12.5}, {"locked"}),
    "wide": ({"bid": 10.5, "ask": 15.0}, {"wide"}),
    "placeholder_iv": ({"iv_provider": 1e-5}, {"placeholder_iv"}),
    "no iv": ({"iv_provider": None}, {"placeholder_iv"}),
    "a step of the search": ({"iv_provider": 0.500005, "bid": 0.0}, {"placeholder_iv", "no_bid"}),
    "an honest one half": ({"iv_provider": 0.500005}, set()),
    "stale_trade": ({"last_trade": CAPTURED - dt.timedelta(days=1)}, {"stale_trade"}),
    "never traded": ({"last_trade": None}, {"stale_trade"}),
    "stale_quote": ({"last_trade": LONG_AGO}, {"stale_trade", "stale_quote"}),
    "no_time_value": ({"bid": 8.0, "ask": 11.0}, {"no_time_value", "wide"}),
    "below_intrinsic": ({"bid": 8.0, "ask": 8.1}, {"no_time_value", "below_intrinsic"}),
    "foreign": ({"currency": "CAD"}, {"foreign"}),
    "adjusted": ({"contract_size": "MINI"}, {"adjusted"}),
    "a strike of another contract": ({"strike": 91.0}, {"malformed"}),
    "a kind of another contract": ({"type": "put"}, {"malformed"}),
    "no strike": ({"strike": None}, {"malformed"}),
    "a negative bid": ({"bid": -1.0}, {"malformed", "no_bid"}),
    "not a number": ({"ask": float("nan")}, {"malformed", "no_ask"}),
    "infinite": ({"last": float("inf")}, {"malformed"}),
    "an unknown kind": ({"type": "straddle"}, {"malformed"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_raises_its_flag_and_nothing_else(fault):
    values, expected = FAULTS[fault]
    given = changed(chain(strikes=(90, 95, 100, 105)), CALL, **values)
    rows = quotes(given)
    assert rows.height == given.contracts.height
    found = up(rows)
    assert found - {"no_time_value", "wide"} == expected - {"no_time_value", "wide"}
    assert expected <= found
    row = rows.filter(pl.col("contract") == CALL).row(0, named=True)
    assert row["clean"] == (not found & set(SPOILING))
    assert up(rows, PUT) == set(), "the fault of one contract is not another's"


def test_every_flag_is_tried():
    raised = {flag for _, flags in FAULTS.values() for flag in flags}
    assert raised | {"closed", "expired", "duplicate"} == set(FLAGS)  # those have tests of their own
    assert set(SPOILING) < set(FLAGS)


def test_contracts_of_yesterday_are_expired_and_those_of_today_are_not():
    today = CAPTURED.date()
    rows = quotes(chain(expiries=(today - dt.timedelta(days=1), today, today + dt.timedelta(days=30))))
    assert dict(rows.group_by("expiry").agg(pl.col("expired").all()).sort("expiry").iter_rows()) == {
        today - dt.timedelta(days=1): True,
        today: False,
        today + dt.timedelta(days=30): False,
    }
    assert rows.filter("expired")["iv"].null_count() == rows.filter("expired").height
    assert rows.filter(pl.col("expiry") == today)["iv"].null_count() < rows.height / 3


def test_a_contract_that_occurs_twice_is_kept_twice_and_flagged():
    given = chain()
    doubled = OptionChain("AAA", 100.0, CAPTURED, pl.concat([given.contracts, given.contracts.head(3)]))
    rows = quotes(doubled)
    assert rows.height == given.contracts.height + 3 and rows["duplicate"].sum() == 3


def test_an_adjusted_contract_is_recognised_by_its_root():
    given = chain()
    frame = given.contracts.with_columns(pl.col("contract").str.replace("AAA", "AAA1"))
    assert quotes(OptionChain("AAA", 100.0, CAPTURED, frame))["adjusted"].all()
    weekly = given.contracts.with_columns(pl.col("contract").str.replace("AAA", "AAAW"))  # as SPXW of SPX
    assert not quotes(OptionChain("AAA", 100.0, CAPTURED, weekly))["adjusted"].any()
    assert not quotes(chain("BRK.B"))["malformed"].any()


def test_columns_that_a_provider_lacks_are_null_and_an_empty_chain_is_no_rows():
    few = chain(strikes=(90, 95, 100, 105)).contracts.select("contract", "expiry", "type", "strike", "bid", "ask")
    rows = quotes(OptionChain("AAA", None, CAPTURED, few))
    assert rows["iv"].null_count() == 0 and rows["placeholder_iv"].all() and rows["clean"].all()
    assert dict(quotes(OptionChain("AAA", 1.0, CAPTURED, few.head(0))).schema) == SCHEMA


def test_each_contract_keeps_the_time_and_price_of_its_own_answer():
    given = chain()
    later = CAPTURED + dt.timedelta(seconds=90)
    frame = given.contracts.with_columns(
        captured=pl.when(pl.col("type") == "put").then(pl.lit(later)), underlying_price=pl.lit(float("inf"))
    )
    rows = quotes(OptionChain("AAA", 100.0, CAPTURED, frame))
    assert set(rows.filter(pl.col("type") == "put")["captured"]) == {later}
    assert set(rows.filter(pl.col("type") == "call")["captured"]) == {CAPTURED}
    assert set(rows["underlying_price"]) == {100.0}, "an infinite price is none, so the chain's stands in"
    assert rows["malformed"].all()
