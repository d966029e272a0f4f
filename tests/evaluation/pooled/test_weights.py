"""Weights of a day: projections, caps and kinds."""

import numpy as np
import pytest
from scipy.optimize import minimize

from src.config.schema import PortfolioConfig
from src.evaluation.pooled.prepared import SignalDay
from src.evaluation.pooled.weights import capped, day_weights, projection


def day(n=200, seed=0):
    rng = np.random.default_rng(seed)
    volatility, beta = rng.uniform(0.01, 0.05, n), rng.uniform(0.3, 1.8, n)
    return SignalDay(row=0, names=np.arange(n), volatility=volatility, beta=beta)


def signal(n=200, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, n) / day(n).volatility


def test_the_hedge_is_the_nearest_portfolio_without_sum_and_beta_as_an_optimiser_finds_it() -> None:
    rng = np.random.default_rng(0)
    weight, room, beta = rng.normal(size=8), rng.uniform(0.5, 2, 8), rng.uniform(0, 2, 8)
    constraints = [{"type": "eq", "fun": np.sum}, {"type": "eq", "fun": lambda w: w @ beta}]
    best = minimize(lambda w: np.sum((w - weight) ** 2 / room), weight, constraints=constraints, tol=1e-12)
    np.testing.assert_allclose(projection(room, beta)(weight), best.x, atol=1e-5)


def test_three_names_by_hand() -> None:
    # Without a sum: 3, 0 and 0 less their mean. Betas 0, 1 and 2 lie -1, 0 and 1 from their mean; the slope of
    # 2, -1, -1 on them is -3/2, and what is left is 1/2, -1 and 1/2.
    out = projection(np.ones(3), np.array([0.0, 1.0, 2.0]))(np.array([3.0, 0.0, 0.0]))
    np.testing.assert_allclose(out, [0.5, -1.0, 0.5])
    alike = projection(np.ones(3), np.ones(3))(np.array([3.0, 0.0, 0.0]))
    np.testing.assert_allclose(alike, [2.0, -1.0, -1.0])


def test_a_name_without_room_keeps_its_weight() -> None:
    out = projection(np.array([1.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.5, 0.2, 9.0]))(np.array([1.0, 2.0, 0.0, 0.0]))
    assert out[3] == 0.0
    assert abs(out.sum()) < 1e-12


@pytest.mark.parametrize("kind", ["neutral", "quantiles"])
def test_capped_weights_keep_the_cap_the_sum_and_the_beta(kind: str) -> None:
    value = signal() if kind == "neutral" else np.repeat([1.0, 0.0, -1.0], [40, 120, 40]) * np.linspace(0.2, 1, 200)
    for cap in (0.008, 0.012, 0.02, 1.0):
        out = day_weights(value, day(), PortfolioConfig(kind=kind, max_weight=cap))[0]
        held = np.count_nonzero(value)
        assert np.abs(out).max() <= max(cap, 2 / held) * (1 + 1e-9)
        assert np.abs(out).sum() == pytest.approx(1.0)
        assert abs(out.sum()) < 1e-9
        assert abs(out @ day().beta) < 1e-9
        assert out[value > 0].sum() > 0.4


def test_a_cap_that_binds_changes_weights() -> None:
    free, tight = (day_weights(signal(), day(), PortfolioConfig(max_weight=cap))[0] for cap in (1.0, 0.01))
    assert np.abs(free).max() > 0.012
    assert np.corrcoef(free, tight)[0, 1] > 0.9


def test_few_names_are_held_although_the_cap_would_not_let_them() -> None:
    out = day_weights(signal(10), day(10), PortfolioConfig(max_weight=0.02))[0]
    assert np.abs(out).sum() == pytest.approx(1.0)
    assert np.abs(out).max() <= 0.2 * (1 + 1e-9)


def test_quantiles_are_equally_weighted_on_each_side() -> None:
    value = np.repeat([1.0, 0.0, -1.0], [5, 10, 4])
    out = day_weights(value, day(19), PortfolioConfig(kind="quantiles", beta_hedged=False, max_weight=1.0))[0]
    assert len(set(out[:5].round(12))) == 1
    assert len(set(out[-4:].round(12))) == 1
    assert (out[5:15] == 0).all()
    assert out[:5].sum() == pytest.approx(0.5) == -out[-4:].sum()


def test_the_best_names_stand_against_the_mean_of_all() -> None:
    value = np.array([np.nan, 0.0, 1.0, 0.5, 0.0])
    out = day_weights(value, day(5), PortfolioConfig(kind="long_excess", beta_hedged=False, max_weight=1.0))
    np.testing.assert_allclose(out[0], [0, 0, 1 / 3, 1 / 6, 0])
    np.testing.assert_allclose(out[1], -0.1)


@pytest.mark.parametrize("kind", ["neutral", "quantiles", "long_excess"])
def test_without_a_signal_nothing_is_held(kind: str) -> None:
    assert not day_weights(np.full(50, np.nan), day(50), PortfolioConfig(kind=kind)).any()
    assert not day_weights(np.zeros(50), day(50), PortfolioConfig(kind=kind)).any()
    assert not day_weights(signal(2), day(2), PortfolioConfig(kind="neutral")).any(), "two names have no hedge"


def test_nothing_to_cap_stays_nothing() -> None:
    assert not capped(np.zeros(5), 0.1, lambda weight: weight).any()
