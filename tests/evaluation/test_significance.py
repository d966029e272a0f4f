import math

import numpy as np
import pytest
from scipy import stats

from src.config.schema import GradeConfig
from src.evaluation import significance
from src.evaluation.shift_test import Shifts
from src.evaluation.strategy import TradingConditions


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


def test_a_bounce_of_the_last_print_is_gone_one_bar_later():
    rng = np.random.default_rng(6)
    bounce = rng.normal(size=2000)
    change = -bounce * 0.01 + rng.normal(size=2000) * 0.01
    label, score = (change > 0) * 1.0, 0.5 - 0.02 * bounce
    exposure = (score > 0.5) * 1.0
    conditions = TradingConditions(np.ones(2000), np.full(2000, 0.001), change)
    area, ratio = significance.one_bar_later(label, score, exposure, conditions, 365.0)
    assert area == pytest.approx(0.5, abs=0.04)
    assert ratio < 0.5


def test_a_drift_that_lasts_is_still_there_one_bar_later():
    rng = np.random.default_rng(7)
    slow = np.convolve(rng.normal(size=2100), np.ones(30) / 30, "valid")[:2000]
    change = slow * 0.05 + rng.normal(size=2000) * 0.01
    conditions = TradingConditions(np.ones(2000), np.full(2000, 0.0001), change)
    area, ratio = significance.one_bar_later((change > 0) * 1.0, 0.5 + slow, (slow > 0) * 1.0, conditions, 365.0)
    assert area > 0.6
    assert ratio > 1.0


class Marks:
    """The part of an instrument's decisions that a suspicion looks at."""

    bars_per_year = 365.0

    def __init__(self, repaired=0.0, stale=0.0, daily=0.03):
        self.close_return = daily * np.where(np.arange(100) % 2, 1.0, -1.0)
        self.repaired = np.arange(100) < 100 * repaired
        self.stale = np.arange(100) < 100 * stale


def doubt(marks, *, area=0.53, ratio=0.8, passed=True, collapse=False):
    return significance.suspicion(
        np.arange(100), marks, GradeConfig(), area=area, ratio=ratio, passed=passed, collapse=collapse
    )


def test_a_usual_pass_is_not_suspicious():
    assert doubt(Marks(repaired=0.01, stale=0.03)) is None


def test_too_good_a_figure_is_suspicious_and_names_the_cause_that_was_looked_for():
    assert doubt(Marks(repaired=0.2), area=0.71) == (
        "auc 0.71 is at or above 0.65, too good for its kind of data: 20% of its out-of-sample bars were repaired"
    )
    assert doubt(Marks(), area=0.71, ratio=4.0) == (
        "auc 0.71 is at or above 0.65 and sharpe 4.00 is at or above 3.00, too good for its kind of data:"
        " no repaired bars, stale prices, peg or one-bar-later collapse found"
    )
    assert doubt(Marks(), area=0.65, passed=False)
    pegged = doubt(Marks(daily=0.001), area=0.71)
    assert pegged is not None
    assert pegged.endswith("its price hardly moves (1.9% a year), as of a peg or cash")
    assert doubt(Marks(daily=0.001)) is None  # a quiet price alone is no doubt


def test_a_pass_on_stale_prices_or_one_that_is_gone_a_bar_later_is_suspicious():
    assert "40% of its out-of-sample closes are stale" in doubt(Marks(stale=0.4))
    assert doubt(Marks(), collapse=True) == "passed, but the pass is gone one bar later"
    assert doubt(Marks(stale=0.4), passed=False) is None


def test_an_undefined_figure_is_not_suspicious():
    assert doubt(Marks(), area=None, ratio=None, passed=False) is None
