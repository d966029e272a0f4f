"""What trading costs, and how much capital it has room for."""

from dataclasses import replace

import numpy as np
import pytest

from src.config.schema import PortfolioConfig, StrategyConfig
from src.evaluation.pooled.capacity import capacity
from src.evaluation.pooled.costs import borrowed, rates
from src.evaluation.pooled.portfolio import traded
from src.evaluation.strategy import costs
from src.market.spread import spread
from tests.evaluation.pooled.portfolio_case import DAYS, SMALL, market
from tests.evaluation.test_strategy import made

ALL = np.arange(40)


def test_a_name_pays_what_its_instrument_would_pay_alone() -> None:
    alone = made(n=120)
    section, *_ = market(days=120, names=4)
    width = spread(alone.high, alone.low, alone.close, 63)
    section.half_spread[:, 0], section.traded_price[:, 0] = width / 2, alone.traded_price
    rows = np.arange(5, 118)
    expected = costs(rows, alone, StrategyConfig())
    np.testing.assert_allclose(rates(section, np.array([0]), rows, PortfolioConfig())[:, 0], expected, rtol=1e-6)
    assert len(set(expected.round(9))) > 5


def test_the_largest_of_three_costs_is_paid_and_coins_have_no_cents() -> None:
    section, *_ = market()
    section.half_spread[:] = 0.0
    section.traded_price[:] = 2.5
    rows = np.array([80, 81])
    np.testing.assert_allclose(rates(section, ALL, rows, PortfolioConfig()), 0.002, rtol=1e-6)
    np.testing.assert_allclose(rates(section, ALL, rows, PortfolioConfig(half_cent=0.0)), 0.0005, rtol=1e-6)
    coins = replace(section, asset_class="crypto")
    np.testing.assert_allclose(rates(coins, ALL, rows, PortfolioConfig()), 0.001, rtol=1e-6)


def test_a_name_that_does_not_trade_costs_what_it_did_before() -> None:
    section, *_ = market()
    before = int(np.flatnonzero(np.isfinite(section.half_spread[:60, 36]))[-1])
    halted = rates(section, np.array([36]), np.arange(before, 75), PortfolioConfig(half_cent=0.0))[:, 0]
    assert (halted == halted[0]).all()
    assert halted[0] == max(section.half_spread[before, 36], 0.0005)


def test_a_loan_costs_its_rate_over_a_year() -> None:
    assert borrowed(np.array([0.5]), PortfolioConfig(borrow_bps=100.0), 250.0) * 250 == pytest.approx(0.005)


def test_at_its_capacity_one_trade_in_twenty_by_value_takes_more_than_the_participation() -> None:
    section, eligible, styles, scores = market()
    out = traded(scores, DAYS, section, eligible, styles, SMALL, -0.3)
    capital = capacity(out, section, SMALL)
    assert capital is not None
    more, total, previous = 0.0, 0.0, np.zeros(40)
    for day in range(len(out.dates)):
        for name in range(40):
            size = abs(float(out.weights[day, name]) - previous[name])
            volume = section.dollar_volume[DAYS.start + day + 1, name]
            if size > 0 and np.isfinite(volume):
                total += size
                more += size if capital * size > 1.0001 * SMALL.max_participation * volume else 0.0
        previous = out.weights[day].astype(float)
    assert more / total == pytest.approx(0.05, abs=0.01)
    doubled = replace(section, dollar_volume=section.dollar_volume * 2)
    assert capacity(out, doubled, SMALL) == pytest.approx(2 * capital)


def test_a_portfolio_without_a_trade_has_no_capacity() -> None:
    section, eligible, styles, scores = market()
    out = traded(np.ones_like(scores), DAYS, section, eligible, styles, SMALL, -0.3)
    assert capacity(out, section, SMALL) is None
