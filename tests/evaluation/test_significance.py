import math

import numpy as np
import pytest
from scipy import stats

from src.evaluation import significance


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


def shifts_that_are_alike(m, persistence, seed=0):
    """A figure at m shifts, the neighbours of which are alike."""
    noise = np.random.default_rng(seed).normal(size=m)
    for j in range(1, m):
        noise[j] += persistence * noise[j - 1]
    return 0.5 + 0.02 * noise


def p_by_hand(value, null):
    """Take the tail from SciPy and every autocorrelation from a loop."""
    m, away, tau = null.size, null - null.mean(), 1.0
    for j in range(1, m):
        if j < m / 4 or (m < 256 and j < min(m / 2, 64)):
            r = (away[:-j] * away[j:]).sum() / (away**2).sum()
            tau += 2.0 * max(r**2 - 1.0 / m, 0.0)
    t = (value - null.mean()) / null.std(ddof=1) / math.sqrt(1.0 + 1.0 / m)
    return stats.t.sf(t, max(1.0, m / tau - 1.0))


def p_of(value, null):
    return significance.p_value(significance.z_score(value, null), null)


@pytest.mark.parametrize("m", [2, 3, 4, 5, 8, 9, 59, 150, 255, 256, 374, 1373])
@pytest.mark.parametrize("persistence", [0.0, 0.9, 0.99, 1.0])
def test_p_is_students_tail_with_as_many_degrees_of_freedom_as_the_shifts_are_worth(m, persistence):
    null = shifts_that_are_alike(m, persistence)
    for value in (0.3, 0.5, 0.53, 0.6, 0.9):
        assert p_of(value, null) == pytest.approx(p_by_hand(value, null), rel=1e-6)


def test_few_or_slow_shifts_make_a_high_z_less_rare():
    many, slow, few = (shifts_that_are_alike(*of) for of in ((1373, 0.0), (1373, 0.99), (4, 0.0)))
    p = [significance.p_value(6.0, null) for null in (many, slow, few)]
    assert stats.norm.sf(6.0) < p[0] < p[1] < p[2]
    assert p[0] < 1e-8
    assert p[2] > 0.005


def test_p_is_one_half_in_the_middle_of_the_shifts_and_falls_without_end():
    null = shifts_that_are_alike(500, 0.5)
    assert p_of(null.mean(), null) == pytest.approx(0.5, abs=1e-6)
    p = [p_of(value, null) for value in (0.4, 0.6, 0.8, 2.0)]
    assert p == sorted(p, reverse=True)
    assert p[-1] > 0.0


def test_z_is_taken_over_the_shifts():
    null = np.array([0.50, 0.52, 0.48, 0.51])
    assert significance.z_score(0.56, null) == pytest.approx((0.56 - null.mean()) / null.std(ddof=1))
    np.testing.assert_allclose(significance.standardized(null), stats.zscore(null, ddof=1))


@pytest.mark.parametrize("null", [[0.5] * 9, [np.nan] * 9, [0.4, np.nan, 0.6], [0.5], []])
def test_without_a_spread_of_shifts_there_is_no_z_and_p_is_one(null):
    null = np.array(null)
    assert significance.z_score(0.6, null) is None
    assert significance.standardized(null) is None
    assert p_of(0.6, null) == 1.0
    assert p_of(None, np.array([0.1, 0.5, 0.6, 0.7])) == 1.0


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
        np.testing.assert_array_equal(significance.q_values(p), stats.false_discovery_control(p, method="bh"))
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
