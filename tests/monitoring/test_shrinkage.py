import math

import numpy as np
import pytest
from scipy import integrate, stats

from src.monitoring import shrinkage

CHOSEN = 0.5  # a Sharpe ratio that the gate demands


def runs(kind, count, rng):
    """True Sharpe ratios, their standard errors, and what their records show."""
    if kind == "normal":
        truth = rng.normal(0.1, 0.4, size=count)
    elif kind == "few skilled":
        truth = np.where(rng.random(count) < 0.05, 1.2, 0.0) + rng.normal(0.0, 0.05, size=count)
    else:
        truth = np.zeros(count)
    errors = rng.choice([0.25, 0.35, 0.6], size=count)
    return truth, errors, truth + errors * rng.normal(size=count)


@pytest.mark.parametrize("kind", ["normal", "few skilled", "none"])
def test_shrunk_estimates_of_the_chosen_are_right_on_average_and_their_own_are_not(kind):
    truth, errors, seen = runs(kind, 6000, np.random.default_rng(0))
    found = shrinkage.shrunk(seen, errors, unskilled=0.0)
    chosen = seen >= CHOSEN
    mean, tolerance = truth[chosen].mean(), 4 * found.spread[chosen].mean() / math.sqrt(chosen.sum()) + 0.02
    assert found.mean[chosen].mean() == pytest.approx(mean, abs=tolerance)
    assert seen[chosen].mean() > mean + 3 * tolerance  # without shrinkage


@pytest.mark.parametrize("kind", ["normal", "few skilled"])
def test_truths_lie_as_far_from_shrunk_estimates_as_their_spread_says(kind):
    truth, errors, seen = runs(kind, 6000, np.random.default_rng(1))
    found = shrinkage.shrunk(seen, errors, unskilled=0.0)
    chosen = seen >= CHOSEN
    away = truth[chosen] - found.mean[chosen]
    assert np.mean(away**2) == pytest.approx(np.mean(found.spread[chosen] ** 2), rel=0.15)
    assert found.prior_mean == pytest.approx(truth.mean(), abs=0.03)
    assert found.prior_spread == pytest.approx(truth.std(), abs=0.05)


def test_maximum_likelihood_of_the_prior_is_that_of_a_search():
    _, errors, seen = runs("normal", 300, np.random.default_rng(2))

    def loss(mean, deviation):
        return -stats.norm.logpdf(seen, mean, np.hypot(errors, deviation)).sum()

    mean, deviation = shrinkage.normal_prior(seen, errors)
    best = loss(mean, deviation)
    for dm in (-0.01, 0.0, 0.01):
        for ds in (-0.01, 0.0, 0.01):
            assert loss(mean + dm, deviation + ds) >= best - 1e-6


def test_equal_errors_give_the_textbook_prior():
    """Morris (1983), p. 47: mean of the estimates; variance of the estimates less that of their errors."""
    seen = np.random.default_rng(3).normal(0.2, 0.5, size=400)
    mean, deviation = shrinkage.normal_prior(seen, np.full(400, 0.3))
    assert mean == pytest.approx(seen.mean(), abs=1e-6)
    assert deviation**2 == pytest.approx(seen.var() - 0.09, abs=1e-4)


def test_few_runs_are_shrunk_linearly_as_the_normal_prior_says():
    seen, errors = np.array([0.9, 0.1, -0.2, 0.4]), np.full(4, 0.3)
    with_pseudo = np.append(seen, np.zeros(shrinkage.PSEUDO_RUNS))
    mean, deviation = shrinkage.normal_prior(with_pseudo, np.full(7, 0.3))
    want = mean + deviation**2 / (deviation**2 + 0.09) * (seen - mean)
    found = shrinkage.shrunk(seen, errors, unskilled=0.0)
    assert found.mean == pytest.approx(want, abs=0.06)


def test_the_posterior_is_bayes_rule_over_the_fitted_prior():
    seen, errors = np.random.default_rng(4).normal(0.1, 0.5, size=50), np.full(50, 0.35)
    grid, width = np.linspace(-1.0, 2.0, 31), 0.1
    weights = np.random.default_rng(5).dirichlet(np.ones(31))
    mean, spread = shrinkage._posterior(seen[:1], errors[:1], grid, width, weights)

    def density(t):
        return (weights * stats.norm.pdf(t, grid, width)).sum() * stats.norm.pdf(seen[0], t, errors[0])

    moments = [integrate.quad(lambda t, p=p: t**p * density(t), -2.0, 3.0, limit=300)[0] for p in range(3)]
    want = moments[1] / moments[0]
    assert mean[0] == pytest.approx(want, abs=1e-6)
    assert spread[0] == pytest.approx(math.sqrt(moments[2] / moments[0] - want**2), abs=1e-6)


def test_one_run_alone_is_shrunk_by_the_runs_without_skill_that_count_as_seen():
    found = shrinkage.shrunk(np.array([1.5]), np.array([0.35]), unskilled=0.0)
    assert 0.3 < found.mean[0] < 1.2


def test_runs_without_a_figure_have_none_and_change_nothing():
    seen, errors = np.array([0.5, math.nan, 0.2]), np.array([0.3, 0.3, 0.4])
    found = shrinkage.shrunk(seen, errors, unskilled=0.0)
    alone = shrinkage.shrunk(seen[[0, 2]], errors[[0, 2]], unskilled=0.0)
    assert math.isnan(found.mean[1]) and math.isnan(found.spread[1])
    assert found.mean[[0, 2]].tolist() == alone.mean.tolist()
    assert np.isnan(shrinkage.shrunk(np.array([math.nan]), np.array([0.3]), unskilled=0.5).mean).all()


def test_order_of_runs_changes_nothing():
    _, errors, seen = runs("normal", 40, np.random.default_rng(6))
    back = np.arange(40)[::-1]
    one, two = shrinkage.shrunk(seen, errors, unskilled=0.0), shrinkage.shrunk(seen[back], errors[back], unskilled=0.0)
    assert two.mean[back] == pytest.approx(one.mean, abs=1e-6)


def test_error_of_an_auc_is_that_of_scores_without_skill():
    rng = np.random.default_rng(7)
    areas = []
    for _ in range(2000):
        ranks = rng.permutation(100) + 1.0
        areas.append((ranks[:40].sum() - 40 * 41 / 2) / (40 * 60))
    want = shrinkage.auc_error(np.array([40.0]), np.array([60.0]))[0]
    assert np.std(areas) == pytest.approx(want, rel=0.05)
    assert shrinkage.auc_error(np.array([40.0]), np.array([60.0]), 4)[0] == pytest.approx(2 * want)
    assert math.isnan(shrinkage.auc_error(np.array([0.0]), np.array([60.0]))[0])


def test_error_of_a_sharpe_ratio_is_that_of_simulated_years():
    """Lo (2002), table 1: a daily ratio has the standard error sqrt((1 + ratio^2 / 2) / days)."""
    rng = np.random.default_rng(8)
    returns = rng.normal(2.0 / math.sqrt(252), 1.0, size=(3000, 504))
    ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1) * math.sqrt(252)
    want = shrinkage.sharpe_error(np.array([2.0]), np.array([504.0]), np.array([252.0]))[0]
    assert ratios.std() == pytest.approx(want, rel=0.05)
