from dataclasses import replace

import numpy as np
import pytest

from src.config.schema import StrategyConfig
from src.evaluation import strategy as module
from src.evaluation.labels import Decisions
from src.evaluation.strategy import (
    Market,
    costs,
    directions,
    exposures,
    market,
    performance,
    returns,
    trailing_volatility,
)
from src.market.spread import spread

PLAIN = StrategyConfig(volatility_window=20, spread_window=20)


def made(n=120, seed=0, *, asset_class="stock", horizon=1, price=50.0):
    """Make the decisions of one instrument whose days have a range of about 2%."""
    rng = np.random.default_rng(seed)
    close = np.exp(np.cumsum(rng.normal(size=n) * 0.01)) * price
    opens = close * np.exp(rng.normal(size=n) * 0.002)
    change = np.full(n, np.nan)
    change[:-2] = opens[2:] / opens[1:-1] - 1
    close_return = np.full(n, np.nan)
    close_return[1:] = close[1:] / close[:-1] - 1
    dates = np.datetime64("2020-01-01") + np.arange(n)
    return Decisions(
        asset_class=asset_class,
        symbol="X",
        horizon=horizon,
        bars_per_year=365.0 if asset_class == "crypto" else 252.0,
        rows=np.arange(n),
        dates=dates,
        stamps=dates + 2,
        label=(change > 0) * 1.0,
        bar_return=change,
        close_return=close_return,
        high=np.maximum(opens, close) * 1.008,
        low=np.minimum(opens, close) * 0.992,
        close=close,
        traded_price=close,
        repaired=np.zeros(n, dtype=bool),
        stale=np.zeros(n, dtype=bool),
    )


def naive_returns(probability, first, decided, config):
    """Trade by the words of the design, one decision after another."""
    held, out, signs = 0.0, [], []
    for i, p in enumerate(probability):
        k = first + i
        sign = 1.0 if p > config.threshold else 0.0
        if config.short and p < 1 - config.threshold:
            sign = -1.0
        signs.append(sign)
        exposure = sum(signs[-decided.horizon :]) / decided.horizon
        window = [decided.close[j] / decided.close[j - 1] - 1 for j in range(k - config.volatility_window + 1, k + 1)]
        volatility = np.std(window, ddof=1) * decided.bars_per_year**0.5
        position = exposure * min(config.target_volatility / volatility, config.max_leverage)
        half = spread(decided.high[: k + 1], decided.low[: k + 1], decided.close[: k + 1], config.spread_window)[-1] / 2
        rate = max(config.cost_bps[decided.asset_class] / 1e4, half)
        if decided.asset_class != "crypto":
            rate = max(rate, config.half_cent / decided.traded_price[k])
        net = position * decided.bar_return[k] - rate * abs(position - held)
        if i == len(probability) - 1:
            net -= rate * abs(position)
        out.append(net)
        held = position
    return np.array(out)


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize(("asset_class", "price"), [("stock", 50.0), ("etf", 2.0), ("crypto", 2.0)])
def test_net_returns_are_those_of_a_naive_loop(horizon, short, asset_class, price):
    decided = made(asset_class=asset_class, horizon=horizon, price=price)
    config = replace(PLAIN, short=short, threshold=0.52)
    positions = np.arange(40, 118)
    probability = np.random.default_rng(1).uniform(0.4, 0.6, size=78)
    got = returns(probability, positions, decided, config)
    np.testing.assert_allclose(got.net, naive_returns(probability, 40, decided, config), atol=1e-14)
    np.testing.assert_allclose(got.net, got.gross - got.cost)


def test_entry_resizing_and_the_last_exit_pay_worked_by_hand():
    place = Market(
        size=np.array([0.5, 0.8, 0.8]), cost=np.array([0.001, 0.001, 0.002]), change=np.array([0.01, 0, 0.02])
    )
    got = performance(np.ones(3), place)
    np.testing.assert_allclose(got.turnover, [0.5, 0.3, 0.8])
    np.testing.assert_allclose(got.net, [0.005 - 0.0005, -0.0003, 0.016 - 0.0016])


def test_going_flat_pays_once():
    place = Market(size=np.ones(3), cost=np.full(3, 0.001), change=np.zeros(3))
    assert performance(np.array([1.0, 0.0, 0.0]), place).cost.tolist() == [0.001, 0.001, 0.0]


def test_a_position_held_over_a_change_of_fold_pays_nothing_and_a_turned_one_pays_for_both_sides():
    place = Market(size=np.ones(4), cost=np.full(4, 0.001), change=np.zeros(4))
    np.testing.assert_allclose(performance(np.array([1.0, 1.0, -1.0, -1.0]), place).cost, [0.001, 0, 0.002, 0.001])


def test_directions_long_flat_and_long_short():
    probability = np.array([0.3, 0.45, 0.5, 0.55, 0.7])
    assert directions(probability, PLAIN).tolist() == [0, 0, 0, 1, 1]
    assert directions(probability, replace(PLAIN, short=True)).tolist() == [-1, -1, 0, 1, 1]
    assert directions(probability, replace(PLAIN, short=True, threshold=0.6)).tolist() == [-1, 0, 0, 0, 1]


def test_a_longer_horizon_holds_the_mean_of_its_last_decisions():
    direction = (np.random.default_rng(2).random(50) > 0.4) * 1.0
    want = [direction[max(0, k - 4) : k + 1].sum() / 5 for k in range(50)]
    np.testing.assert_allclose(exposures(direction, 5), want)


def test_size_meets_the_volatility_target_and_the_leverage_cap():
    decided = made()
    positions = np.arange(40, 118)
    got = market(positions, decided, PLAIN)
    volatility = trailing_volatility(decided.close_return, positions, 20) * 252**0.5
    np.testing.assert_allclose(got.size * volatility, 0.10)
    assert (market(positions, decided, replace(PLAIN, target_volatility=2.0)).size == 1.0).all()


def test_size_and_cost_look_at_no_later_bar():
    """The trap: a volatility rolled by one bar contains the entry price."""
    decided = made()
    other = made(seed=9)
    blend = {
        name: np.concatenate([getattr(decided, name)[:61], getattr(other, name)[61:]])
        for name in ("close_return", "high", "low", "close", "traded_price", "bar_return")
    }
    positions = np.arange(40, 61)
    before, after = market(positions, decided, PLAIN), market(positions, replace(decided, **blend), PLAIN)
    assert before.size.tolist() == after.size.tolist()
    assert before.cost.tolist() == after.cost.tolist()


def test_volatility_ends_at_the_decision():
    close_return = np.arange(30, dtype=np.float64) ** 2
    close_return[0] = np.nan
    got = trailing_volatility(close_return, np.array([9, 10, 29]), 10)
    assert np.isnan(got[0])
    assert got[1] == pytest.approx(np.std(close_return[1:11], ddof=1))
    assert got[2] == pytest.approx(np.std(close_return[20:30], ddof=1))


def test_a_frozen_price_gets_no_position():
    decided = replace(made(), close_return=np.zeros(120))
    assert (market(np.arange(40, 118), decided, PLAIN).size == 0).all()


def test_cost_is_the_largest_of_basis_points_half_a_cent_and_half_the_spread():
    positions = np.arange(40, 118)
    calm = replace(made(price=50.0), high=np.full(120, 50.0), low=np.full(120, 50.0), close=np.full(120, 50.0))
    np.testing.assert_allclose(costs(positions, calm, PLAIN), 5e-4)
    penny = replace(calm, traded_price=np.full(120, 0.5))
    np.testing.assert_allclose(costs(positions, penny, PLAIN), 0.01)
    np.testing.assert_allclose(costs(positions, replace(penny, asset_class="crypto"), PLAIN), 1e-3)
    wide = replace(calm, high=np.full(120, 51.0), low=np.full(120, 49.0))
    half = spread(wide.high, wide.low, wide.close, 20)[40] / 2
    assert half > 0.01
    np.testing.assert_allclose(costs(positions, wide, PLAIN), half)


def test_half_a_cent_is_taken_over_the_price_as_traded_not_over_a_split_adjusted_one():
    adjusted = replace(made(price=0.5), traded_price=np.full(120, 200.0))
    assert costs(np.array([10]), adjusted, PLAIN)[0] == pytest.approx(5e-4)


def test_rows_of_positions_are_costed_one_by_one():
    rows = np.random.default_rng(4).random((3, 10))
    place = Market(np.ones(10), np.full(10, 0.001), np.random.default_rng(5).normal(size=10) * 0.01)
    together = module.net_returns(rows, place)
    for row, net in zip(rows, together, strict=True):
        np.testing.assert_allclose(performance(row, place).net, net)
