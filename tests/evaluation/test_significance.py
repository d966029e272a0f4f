import math

import numpy as np
import pytest
from scipy import stats

from src.evaluation import significance
from src.evaluation.shift_test import Shifts


def null_of(auc):
    auc = np.asarray(auc, dtype=np.float64)
    return Shifts(auc, auc, auc, np.zeros(auc.size, dtype=bool), np.arange(1, auc.size))


def test_deflated_sharpe_of_the_papers_example():
    """Bailey and Lopez de Prado (2014): 2.5 a year over 1,250 days of 250 a year, 100 trials of annual variance 1/2."""
    daily, variance = 2.5 / math.sqrt(250), 0.5 / 250
    assert significance.expected_best_sharpe(100, variance) == pytest.approx(0.1132, abs=5e-5)
    got = significance.deflated_sharpe(daily, 1250, -3.0, 10.0, 100, variance=variance)
    assert got == pytest.approx(0.9004, abs=5e-5)
    assert significance.deflated_sharpe(daily, 1250, -3.0, 10.0, 46, variance=variance) == pytest.approx(
        0.9505, abs=5e-5
    )


def test_the_best_of_many_skill_less_trials_is_what_simulation_gives():
    best = np.random.default_rng(0).normal(size=(20_000, 30)).max(axis=1)
    assert significance.expected_best_sharpe(30, 1.0) == pytest.approx(best.mean(), abs=0.03)
    assert significance.expected_best_sharpe(1, 1.0) == 0.0


def test_deflated_sharpe_of_a_series_uses_its_moments_and_falls_with_trials():
    returns = np.random.default_rng(1).standard_t(5, size=900) * 0.01 + 0.0008
    ratio = returns.mean() / returns.std(ddof=1)
    want = significance.deflated_sharpe(ratio, 900, stats.skew(returns), stats.kurtosis(returns, fisher=False), 3)
    assert significance.deflated_sharpe_of(returns, 3) == pytest.approx(want)
    many = [significance.deflated_sharpe_of(returns, trials) for trials in (1, 3, 30, 300)]
    assert many == sorted(many, reverse=True)


def test_deflated_sharpe_of_nothing_is_undefined():
    assert significance.deflated_sharpe_of(np.zeros(100), 3) is None
    assert significance.deflated_sharpe_of(np.array([0.1]), 3) is None
    assert (
        significance.deflated_sharpe(3.0, 100, 3.0, 4.0, 3) is None
    )  # no such moments: the variance would be negative


@pytest.mark.parametrize("z", [-3.0, 0.0, 1.0, 4.0, 9.0, 30.0])
def test_p_is_the_normal_tail_far_beyond_what_a_rank_could_give(z):
    assert significance.p_value(z) == pytest.approx(stats.norm.sf(z), rel=1e-9)


def test_z_is_taken_over_admissible_shifts_only():
    shifted = null_of([0.9, 0.50, 0.52, 0.48, 0.51])
    null = np.array([0.50, 0.52, 0.48, 0.51])
    assert significance.z_score(0.56, shifted) == pytest.approx((0.56 - null.mean()) / null.std(ddof=1))


@pytest.mark.parametrize("null", [[0.5] * 9, [np.nan] * 9, [0.5, 0.5], [0.5]])
def test_without_a_spread_of_shifts_there_is_no_z_and_p_is_one(null):
    assert significance.z_score(0.6, null_of(null)) is None
    assert significance.z_score(None, null_of([0.1, 0.5, 0.6, 0.7])) is None
    assert significance.p_value(None) == 1.0


def test_q_values_are_those_of_a_naive_loop_over_ranks():
    """The q-value of the i-th smallest of m p-values is the least of m p / j over all ranks j from i on, at most 1."""
    random = np.random.default_rng(2)
    for size in (1, 2, 3, 10, 200, 1_000):
        p = random.random(size) ** 3
        p[random.random(size) < 0.2] = 1.0  # what an undefined p-value counts as
        p[random.random(size) < 0.1] = p[0]
        order, expected, least = np.argsort(p, kind="stable"), np.empty(size), 1.0
        for rank in range(size, 0, -1):
            least = min(least, p[order[rank - 1]] * size / rank)
            expected[order[rank - 1]] = least
        np.testing.assert_allclose(significance.q_values(p), expected, rtol=1e-15, atol=0.0)
    assert significance.q_values(np.array([])).size == 0


def test_an_instrument_pays_for_every_trial():
    assert significance.instrument_p(0.01, 3) == pytest.approx(0.03)
    assert significance.instrument_p(0.4, 3) == 1.0


def test_reseeding_until_it_passes_does_not_pay():
    """The smallest of k null p-values, charged k times, is below 0.05 in at most 5% of instruments."""
    smallest = np.random.default_rng(3).random((4000, 40)).min(axis=1)
    charged = np.array([significance.instrument_p(p, 40) for p in smallest])
    assert (charged < 0.05).mean() < 0.06
    assert (smallest < 0.05).mean() > 0.8  # what it would be uncharged


def test_the_active_return_has_no_mean_exposure():
    rng = np.random.default_rng(4)
    size, change = rng.uniform(0.3, 1.0, 500), rng.normal(size=500) * 0.01 + 0.002
    position = size * (rng.random(500) > 0.4)
    active = significance.active_returns(position * change, position, size * change, size)
    exposure = position - position.mean() / size.mean() * size
    np.testing.assert_allclose(active, exposure * change, atol=1e-15)
    assert exposure.mean() == pytest.approx(0.0, abs=1e-12)


def test_always_long_has_no_active_return():
    size = np.random.default_rng(5).uniform(0.3, 1.0, 50)
    assert np.abs(significance.active_returns(size * 0.01, size, size * 0.01, size)).max() < 1e-15
