"""Volatilities, prices and Greeks against a textbook, a tree of our own, and finite differences."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from src.options.pricing import Pricer, Terms
from tests.options.oracles import black_scholes, tree

EUROPEAN, AMERICAN = Pricer(american=False), Pricer()


def terms(call, spot, strike, years, rate, dividend=0.0) -> Terms:
    return Terms(call, strike, spot, spot * math.exp((rate - dividend) * years), years, rate)


def test_prices_of_hulls_example():
    # Hull, Options, Futures and Other Derivatives, 9th edition (2015), example 15.6, page 338
    assert EUROPEAN.european_price(terms(True, 42, 40, 0.5, 0.1), 0.2) == pytest.approx(4.76, abs=0.005)
    assert EUROPEAN.european_price(terms(False, 42, 40, 0.5, 0.1), 0.2) == pytest.approx(0.81, abs=0.005)


def test_implied_volatility_of_hulls_example():
    # the same, section 15.11, page 341: a call of 1.875 implies 23.5%
    assert EUROPEAN.volatility(terms(True, 21, 20, 0.25, 0.1), 1.875) == pytest.approx(0.235, abs=0.0005)


def test_greeks_of_hulls_example():
    # the same, chapter 19: spot 49, strike 50, rate 5%, volatility 20%, 20 weeks
    found = EUROPEAN.greeks(terms(True, 49, 50, 0.3846, 0.05), 0.2, 2.4)
    assert found.delta == pytest.approx(0.522, abs=0.0005)
    assert found.gamma == pytest.approx(0.066, abs=0.0005)
    assert found.theta == pytest.approx(-4.31, abs=0.005)
    assert found.vega == pytest.approx(12.1, abs=0.05)
    assert found.rho == pytest.approx(8.91, abs=0.005)


def test_american_put_of_hulls_example():
    # the same, example 21.1 and the text after it: 4.49 by five steps, 4.278 in the limit
    assert AMERICAN.price(terms(False, 50, 50, 5 / 12, 0.1), 0.4) == pytest.approx(4.28, abs=0.005)


@pytest.mark.parametrize("call", [True, False])
def test_greeks_are_the_slopes_of_the_formula(call):
    spot, strike, years, rate, sigma, dividend = 103.0, 98.0, 0.7, 0.04, 0.27, 0.015
    found = EUROPEAN.greeks(terms(call, spot, strike, years, rate, dividend), sigma, 8.0)

    def slope(by, **at):
        base = {"spot": spot, "years": years, "rate": rate, "sigma": sigma} | {"dividend": dividend, "strike": strike}
        name = next(iter(at))
        above, below = ({**base, name: base[name] + sign * by} for sign in (1, -1))
        return (black_scholes(call, **above) - black_scholes(call, **below)) / (2 * by)

    def delta(at):
        return (
            black_scholes(call, at + 1e-3, strike, years, rate, sigma, dividend)
            - black_scholes(call, at - 1e-3, strike, years, rate, sigma, dividend)
        ) / 2e-3

    assert found.delta == pytest.approx(slope(1e-3, spot=0), abs=1e-6)
    assert found.gamma == pytest.approx((delta(spot + 0.05) - delta(spot - 0.05)) / 0.1, abs=1e-6)
    assert found.vega == pytest.approx(slope(1e-4, sigma=0), abs=1e-4)
    assert found.theta == pytest.approx(-slope(1e-4, years=0), abs=1e-4)
    assert found.rho == pytest.approx(slope(1e-5, rate=0), abs=1e-3)


GRID = [
    (call, spot, years, sigma, dividend)
    for call in (True, False)
    for spot in (85.0, 100.0, 115.0)
    for years, sigma, dividend in ((0.05, 0.6, 0.0), (0.5, 0.25, 0.03), (2.0, 0.3, 0.08), (1.0, 0.15, 0.0))
]


@pytest.mark.parametrize(("call", "spot", "years", "sigma", "dividend"), GRID)
def test_american_prices_and_volatilities_agree_with_a_tree(call, spot, years, sigma, dividend):
    asked = terms(call, spot, 100.0, years, 0.05, dividend)
    price = tree(call, spot, 100.0, years, 0.05, sigma, dividend)
    assert AMERICAN.price(asked, sigma) == pytest.approx(price, abs=0.01)
    found = AMERICAN.volatility(asked, price)
    if price > max(AMERICAN.least(asked) + 0.05, 0.05):
        assert found == pytest.approx(sigma, abs=0.002)


def test_a_deep_put_is_valued_with_the_right_of_early_exercise():
    asked = terms(False, 80.0, 100.0, 1.0, 0.06)
    price = tree(False, 80.0, 100.0, 1.0, 0.06, 0.25)
    assert AMERICAN.volatility(asked, price) == pytest.approx(0.25, abs=0.003)
    assert EUROPEAN.volatility(asked, price) > 0.28  # what a European formula would have said


@pytest.mark.parametrize(("call", "spot", "years", "sigma", "dividend"), GRID)
def test_deltas_and_gammas_know_of_early_exercise(call, spot, years, sigma, dividend):
    asked = terms(call, spot, 100.0, years, 0.05, dividend)
    found = AMERICAN.greeks(asked, sigma, AMERICAN.price(asked, sigma))
    step = 2.0
    below, here, above = (
        tree(call, at, 100.0, years, 0.05, sigma, dividend, steps=1500) for at in (spot - step, spot, spot + step)
    )
    assert found.delta == pytest.approx((above - below) / (2 * step), abs=0.015)
    assert found.gamma == pytest.approx((above - 2 * here + below) / step**2, abs=0.006)


def test_a_put_to_be_exercised_at_once_moves_one_to_one():
    asked = terms(False, 70.0, 100.0, 1.0, 0.06)
    assert AMERICAN.greeks(asked, 0.2, 30.0).delta == pytest.approx(-1.0, abs=1e-6)
    assert EUROPEAN.greeks(asked, 0.2, 26.0).delta > -0.96


def test_a_call_without_dividend_is_worth_the_same_on_both_styles():
    asked = terms(True, 105.0, 100.0, 0.8, 0.05)
    assert AMERICAN.price(asked, 0.3) == pytest.approx(EUROPEAN.price(asked, 0.3), abs=1e-9)
    assert AMERICAN.least(asked) == pytest.approx(105 - 100 * math.exp(-0.04))


def test_a_price_outside_its_bounds_has_no_volatility():
    assert EUROPEAN.volatility(terms(True, 100, 80, 0.5, 0.04), 19.0) is None  # below the forward's worth
    assert EUROPEAN.volatility(terms(True, 100, 80, 0.5, 0.04), 101.0) is None  # above the underlying
    assert AMERICAN.volatility(terms(False, 100, 130, 0.5, 0.04), 29.0) is None  # below exercise at once
    assert AMERICAN.volatility(terms(False, 100, 130, 0.5, 0.04), 30.0) is None  # exercise at once: tells nothing


def test_a_put_worth_more_than_a_european_one_can_be_has_a_volatility():
    asked = terms(False, 20.0, 20.0, 3.0, 0.0625, 0.0625)
    price = AMERICAN.price(asked, 2.0)
    assert price > 20 * math.exp(-3 * 0.0625) and EUROPEAN.volatility(asked, price) is None
    assert AMERICAN.volatility(asked, price) == pytest.approx(2.0, abs=0.005)
    assert AMERICAN.volatility(asked, 20.5) is None


@settings(max_examples=150)
@example(call=True, strike=20.0, moneyness=1.5, years=2.0, sigma=2.0, rate=0.0625, dividend=0.015625)
@given(
    call=st.booleans(),
    strike=st.floats(20, 500),
    moneyness=st.floats(-1.5, 1.5),
    years=st.floats(0.003, 3),
    sigma=st.floats(0.05, 2.0),
    rate=st.floats(0.0, 0.1),
    dividend=st.floats(0.0, 0.08),
)
def test_the_volatility_of_a_price_gives_that_price(call, strike, moneyness, years, sigma, rate, dividend):
    spot = strike * math.exp(moneyness * sigma * math.sqrt(years))
    asked = terms(call, spot, strike, years, rate, dividend)
    price = AMERICAN.price(asked, sigma)
    assert price >= AMERICAN.least(asked) - 1e-6 * strike
    found = AMERICAN.volatility(asked, price)
    if price - AMERICAN.least(asked) > 0.002 * strike:
        assert found is not None
        assert AMERICAN.price(asked, found) == pytest.approx(price, abs=2e-4 * strike)


@pytest.mark.parametrize("factor", [0.01, 7.0, 1000.0])
def test_prices_times_a_factor_leave_the_volatility_alone(factor):
    asked = terms(False, 95.0, 100.0, 0.6, 0.05, 0.02)
    price = AMERICAN.price(asked, 0.33)
    scaled = terms(False, 95.0 * factor, 100.0 * factor, 0.6, 0.05, 0.02)
    assert AMERICAN.volatility(scaled, price * factor) == pytest.approx(AMERICAN.volatility(asked, price), abs=1e-6)
