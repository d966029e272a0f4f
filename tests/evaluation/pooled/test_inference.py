"""Means over days that are alike: against naive loops, exact variances, and the distribution of p-values."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm
from scipy.stats import t as student

from src.evaluation.pooled.inference import (
    RESAMPLES,
    after_trials,
    newey_west,
    resampled_sums,
    stationary_bootstrap,
)


def series(n=600, rho=0.6, mean=0.0, seed=0):
    noise = np.random.default_rng(seed).normal(size=n)
    return lfilter([1.0], [1.0, -rho], noise) + mean


def naive_variance_of_a_mean(values, lag):
    n, deviations = len(values), [value - sum(values) / len(values) for value in values]
    total = 0.0
    for i in range(n):
        for j in range(max(0, i - lag), min(n, i + lag + 1)):
            total += (1.0 - abs(i - j) / (lag + 1)) * deviations[i] * deviations[j]
    return total / n**2


@pytest.mark.parametrize("lag", [0, 1, 20])
def test_newey_west_equals_a_loop_over_pairs_of_days(lag):
    values = series(150, mean=0.2)
    found = newey_west(values, lag)
    assert found.mean == pytest.approx(values.mean())
    assert found.t == pytest.approx(values.mean() / math.sqrt(naive_variance_of_a_mean(values.tolist(), lag)), rel=1e-9)
    assert found.p == pytest.approx(student.sf(found.t, 1.5 * 150 / (lag + 1)), rel=1e-9)


def test_newey_west_without_lags_is_the_t_statistic_of_independent_days():
    values = series(rho=0.0, mean=0.1)
    assert newey_west(values, 0).t == pytest.approx(values.mean() / (values.std() / math.sqrt(values.size)))


def test_days_without_a_value_are_left_out_and_too_few_days_or_a_constant_have_no_t():
    values = series(200, mean=0.2)
    gaps = np.insert(values, [0, 50, 200], np.nan)
    assert newey_west(gaps, 5) == newey_west(values, 5)
    assert newey_west(values[:11], 5) == newey_west(values[:11], 5)
    assert newey_west(values[:11], 5).t is None
    assert newey_west(values[:11], 5).p == 1.0
    assert newey_west(np.ones(100), 5).t is None
    assert newey_west(np.full(9, np.nan), 1).mean is None


def test_resampled_means_have_the_variance_that_politis_and_romano_derive():
    values, block = series(400), 15
    n, centred = values.size, values - values.mean()
    keep = 1.0 - 1.0 / block
    autocovariance = [(centred * np.roll(centred, -k)).mean() for k in range(n)]  # of the days put in a circle
    exact = autocovariance[0] + 2.0 * sum((1.0 - k / n) * keep**k * autocovariance[k] for k in range(1, n))
    means = resampled_sums(values[None], block, np.random.default_rng(3))[0] / n
    assert means.mean() == pytest.approx(values.mean(), abs=5 * math.sqrt(exact / n / RESAMPLES))
    assert means.var() == pytest.approx(exact / n, rel=0.06)


def test_a_resample_is_made_of_runs_of_days_that_follow_each_other():
    days = np.eye(12)[None].reshape(12, 12)
    counts = resampled_sums(days, 4, np.random.default_rng(0))
    assert np.allclose(counts.sum(axis=0), 12.0)
    assert counts.min() > -1e-9


def test_a_mean_far_from_zero_has_the_p_of_its_t_and_one_at_zero_a_half():
    strong = stationary_bootstrap(series(2000, mean=0.5), 20, 252.0, seed=1)
    assert strong.t > 5.0
    assert strong.p == pytest.approx(student.sf(strong.t, 100))
    none = series(2000)
    assert stationary_bootstrap(none - none.mean(), 20, 252.0, seed=1).p == pytest.approx(0.5, abs=0.02)


def test_a_few_great_days_have_no_smaller_p_than_the_share_of_resamples_that_reach_the_mean():
    lucky = np.where(np.arange(400) % 100 == 0, 1.0, 0.0) + np.random.default_rng(3).normal(0.0, 0.01, 400)
    lucky += 0.02 - lucky.mean()
    means = resampled_sums((lucky - 0.02)[None], 5, np.random.default_rng([1, 0x50]))[0] / 400
    found = stationary_bootstrap(lucky, 5, 252.0, seed=1)
    assert 0 < np.count_nonzero(means >= 0.02) < 50
    assert found.p == np.mean(means >= 0.02) > 5 * student.sf(found.t, 80)


def test_the_interval_of_the_sharpe_ratio_holds_it_and_narrows_with_the_square_root_of_time():
    values = series(4000, rho=0.0, mean=0.05)
    full, short = (stationary_bootstrap(each, 5, 252.0, seed=1) for each in (values, values[:1000]))
    ratio = values.mean() / values.std() * math.sqrt(252.0)
    assert full.sharpe_low < ratio < full.sharpe_high
    width = (short.sharpe_high - short.sharpe_low) / (full.sharpe_high - full.sharpe_low)
    assert width == pytest.approx(2.0, rel=0.15)
    assert full.sharpe_high - full.sharpe_low == pytest.approx(2 * 1.645 * math.sqrt(252.0 / 4000), rel=0.1)


def test_one_day_that_makes_up_most_of_the_variance_does_not_lift_the_interval():
    values = series(1000, rho=0.0, mean=0.1)
    values[500] = -60.0
    found = stationary_bootstrap(values, 5, 252.0, seed=1)
    ratio = values.mean() / values.std() * math.sqrt(252.0)
    assert found.sharpe_low < ratio < found.sharpe_high
    assert (found.sharpe_low + found.sharpe_high) / 2 == pytest.approx(ratio, abs=0.3)


def test_no_trade_and_too_few_days_have_no_evidence():
    assert stationary_bootstrap(np.zeros(500), 20, 252.0, seed=1).p == 1.0
    assert stationary_bootstrap(series(39), 20, 252.0, seed=1).t is None


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_p_values_of_means_without_skill_are_as_rare_as_they_say(rho):
    by_lags = np.array([newey_west(series(1500, rho, seed=seed), 60).p for seed in range(120)])
    assert 0.01 <= np.mean(by_lags <= 0.05) <= 0.10


@pytest.mark.parametrize(("p", "trials"), [(0.001, 1), (0.001, 66), (1e-9, 66), (0.3, 66)])
def test_t_after_trials_is_the_deviate_of_the_bonferroni_bound(p, trials):
    adjusted, t = after_trials(p, trials)
    assert adjusted == min(1.0, trials * p)
    assert t == pytest.approx(max(0.0, norm.isf(adjusted)))
