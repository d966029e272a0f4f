"""Dividends, factors and as-traded closes of files: used or refused. Oracle for total return: a plain loop."""

import math

import numpy as np
import polars as pl
import pytest

from src.hydration.validation import validate
from tests.hydration.events_case import DAY, as_traded, returns, right
from tests.market_case import series

BAR = pl.int_range(pl.len())


def one(frame, **settings):
    bars, states = validate(frame, **settings)
    return bars, states.row(0, named=True)


def paying(every=63, amount=0.5, n=800, fall=True):
    """Prices that fall by each dividend, a column of dividends, and the total return without prices as an oracle."""
    frame = series(n=n).drop("adj_close")
    due = (BAR % every == every - 1) & (BAR > 0)
    frame = frame.with_columns(dividend=pl.when(due).then(amount).otherwise(0.0))
    if not fall:
        return frame
    held, by = 1.0, []
    for close, paid in frame.with_columns(before=pl.col("close").shift(1)).select("before", "dividend").rows():
        held *= 1.0 if close is None else 1 - paid / close
        by.append(held)
    scale = pl.Series(by)
    return frame.with_columns(pl.col(name) * scale for name in ("open", "high", "low", "close"))


def reinvested(close, paid):
    """Total return of a holder who buys more shares with each dividend at the last close, as a factor."""
    shares, out = 1.0, []
    for k, value in enumerate(paid):
        if k and value:
            shares *= close[k - 1] / (close[k - 1] - value)
        out.append(shares)
    return out


def test_two_dollars_on_a_close_of_100_step_the_factor_by_100_over_98():
    frame = series(n=3).drop("adj_close").with_columns(
        **{name: pl.Series([100.0, 98.0, 98.0]) for name in ("open", "high", "low", "close")},
        dividend=pl.Series([0.0, 2.0, 0.0]),
    )  # fmt: skip
    bars, state = one(frame)
    assert bars["factor"].to_list() == pytest.approx([1, 100 / 98, 100 / 98], rel=1e-12)
    assert state["basis"] == "split_adjusted"
    assert "total return from the 1 dividend given (no adjusted close)" in state["reason"]


def test_dividends_without_adj_close_give_the_total_return_of_a_plain_loop():
    frame = paying()
    bars, state = one(frame)
    oracle = reinvested(frame["close"].to_list(), frame["dividend"].to_list())
    np.testing.assert_allclose(bars["factor"], oracle, rtol=1e-12)
    assert state["basis"] == "split_adjusted" and "12 dividends given" in state["reason"]


def test_a_column_of_dividends_without_any_is_a_known_total_return():
    _, state = one(series(n=300).drop("adj_close").with_columns(dividend=0.0))
    assert state["basis"] == "split_adjusted" and state["reason"] == ""


def test_adj_close_counts_beside_dividends_and_a_disagreement_is_said():
    frame = paying()
    frame = frame.with_columns(adj_close=pl.col("close") * pl.Series(reinvested(frame["close"], frame["dividend"])))
    bars, state = one(frame)
    assert state["reason"] == ""
    other = frame.with_columns(dividend=pl.when(BAR == 125).then(1.5).otherwise("dividend"))
    again, said = one(other)
    assert again["factor"].to_list() == bars["factor"].to_list()
    assert "adj_close and the dividends given differ on 1 day (most on" in said["reason"]
    assert said["reason"].endswith("adj_close counts")


def test_an_adj_close_that_is_the_close_again_gives_way_to_the_dividends():
    frame = paying()
    bars, state = one(frame.with_columns(adj_close="close"))
    assert "12 dividends given (adj_close equals the close)" in state["reason"]
    assert bars["factor"].to_list() == one(frame)[0]["factor"].to_list()


@pytest.mark.parametrize("dividends", [True, False])
def test_an_adj_close_that_stands_still_is_refused_or_replaced_by_dividends(dividends):
    frame = paying().with_columns(adj_close=pl.lit(50.0))
    bars, state = one(frame if dividends else frame.drop("dividend"))
    assert "adj_close is 50 throughout while the close moves" in state["reason"]
    assert state["state"] == ("done" if dividends else "quarantined")
    assert dividends or "source.basis=total_return" in state["reason"]
    assert one(frame.drop("dividend"), basis="total_return")[1]["state"] == "done"
    if dividends:
        assert bars["factor"].to_list() == one(paying())[0]["factor"].to_list()


def test_dividends_are_not_used_and_said_where_the_configuration_says_total_return():
    bars, state = one(paying(), basis="total_return")
    assert set(bars["factor"]) == {1.0} and state["basis"] == "total_return"
    assert state["reason"] == "dividends are not used: source.basis=total_return"


def test_prices_that_include_their_dividends_are_taken_as_total_return_prices():
    frame = paying(every=21, amount=1.0, fall=False)
    bars, state = one(frame)
    assert set(bars["factor"]) == {1.0} and state["basis"] == "total_return"
    assert "the prices include the dividends given" in state["reason"]


def test_whole_cents_after_the_last_dividend_only_show_that_earlier_prices_were_adjusted():
    frame = paying(every=300, amount=0.2, fall=False)  # too small to be missed in the moves
    cents = [
        pl.when(BAR >= 599).then(pl.col(n).round(2)).otherwise(n).alias(n) for n in ("open", "high", "low", "close")
    ]
    bars, state = one(frame.with_columns(cents))
    assert state["basis"] == "total_return" and set(bars["factor"]) == {1.0}


def test_dividends_as_paid_follow_prices_as_traded_into_the_basis_after_the_split():
    adjusted = paying().with_columns(split=pl.when(BAR == DAY).then(4.0).otherwise(1.0))
    traded = as_traded(adjusted, 4.0).with_columns(
        dividend=pl.when(BAR < DAY).then(pl.col("dividend") * 4).otherwise("dividend")
    )
    bars, state = one(traded)
    expected, _ = one(adjusted)
    for name in ("close", "volume", "factor", "split"):
        np.testing.assert_allclose(bars[name], expected[name], rtol=1e-9)
    assert "prices as traded" in state["reason"]


def test_an_adj_close_that_has_the_split_stays_while_prices_as_traded_are_brought_into_its_basis():
    adjusted = paying().drop("dividend").with_columns(split=pl.when(BAR == DAY).then(2.0).otherwise(1.0))
    adjusted = adjusted.with_columns(adj_close=pl.col("close") * pl.when(BAR < 300).then(0.97).otherwise(1.0))
    bars, _ = one(as_traded(adjusted, 2.0))  # Tiingo, Alpha Vantage, Quandl: close as traded beside an adjusted one
    np.testing.assert_allclose(bars["close"], adjusted["close"], rtol=1e-9)
    np.testing.assert_allclose(bars["factor"], np.where(np.arange(800) < 300, 1.0, 1 / 0.97), rtol=1e-9)


@pytest.mark.parametrize("traded", [True, False])
def test_factors_of_splits_are_compared_with_the_bars_like_events(traded):
    frame = right(4.0).with_columns(split=pl.when(BAR < DAY).then(4.0).otherwise(1.0))
    bars, state = one(as_traded(frame, 4.0) if traded else frame)
    np.testing.assert_allclose(bars["close"], frame["close"], rtol=1e-9)
    assert bars["split"].to_list() == frame["split"].to_list() and ("as traded" in state["reason"]) == traded


def test_closes_as_traded_give_the_history_of_splits():
    frame = right(4.0).drop("split")
    traded = as_traded(frame, 4.0)["close"].round(2)  # Sharadar's closeunadj beside a close adjusted for splits
    bars, state = one(frame.with_columns(unadjusted_close=traded))
    assert state["reason"] == ""
    np.testing.assert_allclose(bars["close"] * bars["split"], traded, rtol=1e-3)
    assert bars["split"].n_unique() == 2 and bars["split"][-1] == pytest.approx(1, abs=1e-3)


def test_a_split_of_zero_costs_no_split_and_no_instrument():
    frame = series(n=300).drop("adj_close").with_columns(split=0.0)
    bars, state = one(frame)
    assert set(bars["split"]) == {1.0} and state["state"] == "done"
    factors = frame.with_columns(split=pl.when(BAR < 100).then(4.0).when(BAR < 200).then(0.0).otherwise(1.0))
    bars, state = one(factors)
    assert bars["split"].is_null().all() and "column of splits: a factor of 0 is not above 0" in state["reason"]


def test_events_change_no_earlier_return_when_later_bars_come():
    frame = paying().with_columns(split=pl.when(BAR == DAY).then(4.0).otherwise(0.0))
    whole, _ = one(as_traded(frame, 4.0))
    for k in (200, DAY, DAY + 1, 700):
        cut, _ = one(as_traded(frame, 4.0).head(k))
        np.testing.assert_allclose(returns(cut), returns(whole)[: k - 1], atol=1e-12)


def test_a_capital_gain_column_adds_to_the_dividends():
    frame = paying(every=300, amount=0.5).with_columns(capital_gain=pl.when(BAR == 299).then(1.0).otherwise(0.0))
    factor = one(frame)[0]["factor"]
    before = frame["close"][298]
    assert factor[299] == pytest.approx(before / (before - 1.5))
    assert math.isclose(factor[298], 1.0)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("value", [0.0, 2.0])
def test_a_stored_split_is_positive_for_the_shortest_series_too(n, value):
    bars, _ = one(series(n=n).drop("adj_close").with_columns(split=value))
    assert (bars["split"] > 0).all()


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_an_adj_close_that_is_never_positive_is_not_used_and_said(value):
    _, state = one(series(n=100).with_columns(adj_close=pl.lit(value)))
    assert state["basis"] == "total_return" and state["reason"] == "adj_close is never positive: not used"


def test_of_many_dividends_that_are_none_three_are_shown_and_the_others_counted():
    _, state = one(series(n=100).drop("adj_close").with_columns(dividend=-1.0))
    assert state["reason"].count("it is no payment") == 3 and "96 more dividends like these" in state["reason"]
