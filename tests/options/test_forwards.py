"""The forward a chain implies, whatever price of the underlying stands beside it."""

import datetime as dt
import math

import polars as pl
import pytest

from src.chains.quotes import contract_table
from src.options.forwards import forward_curve
from src.options.pricing import Pricer
from src.options.valuation import with_values
from tests.options.oracles import SIGMA, chain, changed, tree, years_to

NEAR, FAR = dt.date(2026, 2, 20), dt.date(2026, 5, 15)


def rows(given, american=False):
    """Rows with years, and their curve."""
    frame = contract_table(given, "stock")
    years = {expiry: years_to(expiry) for expiry in frame["expiry"].unique()}
    frame = frame.with_columns(years=pl.col("expiry").replace_strict(years, return_dtype=pl.Float64))
    return forward_curve(frame, 0.04, Pricer(american))


def forwards(given, american=False) -> dict[dt.date, float]:
    return dict(rows(given, american).forwards.select("expiry", "forward").iter_rows())


def true(expiry: dt.date, spot=100.0, rate=0.04, dividend=0.01) -> float:
    return spot * math.exp((rate - dividend) * years_to(expiry))


def test_parity_gives_the_forward_whatever_price_stands_beside_it():
    for quoted in (100.0, 97.0, 103.0, None):
        found = rows(chain(quoted=quoted))
        assert dict(found.forwards.select("expiry", "forward").iter_rows()) == pytest.approx(
            {NEAR: true(NEAR), FAR: true(FAR)}, abs=1e-6
        )
        assert found.spot == pytest.approx(100.0, abs=0.03)  # the near expiry's forward less nine days of interest
        assert set(found.forwards["forward_from"]) == {"parity"}


def test_the_right_of_early_exercise_is_taken_out():
    given = chain(price=lambda *a: tree(*a, steps=200), rate=0.04, dividend=0.0, strikes=tuple(range(90, 115, 5)))
    assert forwards(given, american=True)[FAR] == pytest.approx(true(FAR, dividend=0.0), abs=0.02)
    assert abs(forwards(given, american=False)[FAR] - true(FAR, dividend=0.0)) > 0.03


def test_a_frozen_or_crossed_quote_near_the_money_moves_nothing():
    given = changed(chain(), "AAA260515C00100000", bid=30.0, ask=30.1)
    given = changed(given, "AAA260515P00105000", bid=3.0, ask=2.0)
    assert forwards(given)[FAR] == pytest.approx(true(FAR), abs=1e-6)


def test_an_expiry_quoted_too_widely_takes_the_carry_of_its_neighbours():
    middle = dt.date(2026, 3, 27)
    given = chain(expiries=(NEAR, middle, FAR))
    wide = pl.when(pl.col("expiry") == middle)
    given.contracts.replace_column(
        given.contracts.get_column_index("ask"),
        given.contracts.select(wide.then(pl.col("ask") + 4).otherwise("ask").alias("ask"))["ask"],
    )
    found = rows(given)
    by_expiry = {expiry: (forward, origin) for expiry, forward, origin in found.forwards.iter_rows()}
    assert by_expiry[middle] == (pytest.approx(true(middle), abs=0.01), "neighbours")
    assert by_expiry[FAR][1] == "parity"


def test_without_any_pair_the_quoted_price_grows_at_the_rate():
    given = chain()
    calls = given.contracts.filter(pl.col("type") == "call")
    found = rows(type(given)(given.underlying, 101.0, given.captured, calls))
    assert set(found.forwards["forward_from"]) == {"spot"} and found.spot == 101.0
    assert dict(found.forwards.select("expiry", "forward").iter_rows())[FAR] == pytest.approx(
        101.0 * math.exp(0.04 * years_to(FAR))
    )


def test_without_a_pair_and_without_a_price_nothing_is_valued():
    given = chain()
    calls = given.contracts.filter(pl.col("type") == "call")
    found = with_values(contract_table(type(given)("AAA", None, given.captured, calls), "stock"), 0.04)
    assert found["iv"].null_count() == found["forward_from"].null_count() == found.height == calls.height


def test_volatilities_and_greeks_of_a_whole_chain_are_those_it_was_made_with():
    found = with_values(contract_table(chain("^AAA", quoted=97.0), "etf"), 0.04)  # an index: European
    priced = found.filter(pl.col("mid") > 0.06)
    assert priced.height > 20
    assert (priced["iv"] - SIGMA).abs().max() < 1e-4
    calls, puts = (priced.filter(pl.col("type") == kind) for kind in ("call", "put"))
    both = calls.join(puts, on=["expiry", "strike"], suffix="_put")
    growth = (both["forward"] / both["spot"]) * (-0.04 * both["years"]).exp()
    assert (both["delta"] - both["delta_put"] - growth).abs().max() < 1e-4
    assert (both["gamma"] - both["gamma_put"]).abs().max() < 1e-4
    assert found.filter(pl.col("strike") == 100)["moneyness"].to_list() == pytest.approx([1.0] * 4, abs=1e-3)
