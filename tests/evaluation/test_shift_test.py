"""The shift machinery against a loop over all shifts, which is too slow to use and too plain to be wrong."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from src.config.schema import GradeConfig
from src.evaluation import metrics, shift_test
from src.evaluation.grade import Thresholds, grade
from src.evaluation.strategy import TradingConditions, exposures, performance

LIMITS = Thresholds.of(GradeConfig())


def limits_of(max_drawdown):
    """Limits that many shifts clear up to the drawdown."""
    limits = {"min_auc": 0.5, "min_accuracy": 0.5, "min_sharpe": 0.0, "max_drawdown": max_drawdown}
    return Thresholds(limits, 1, 1)


def one_run(n=331, seed=0, *, horizon=1, short=False, ties=True, zeros=0.05, persistence=0.9):
    """Make one run's label, score, exposure and conditions, with zero-return days and tied scores."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(size=n) * 0.3) * 0.6
    change = rng.standard_t(4, size=n) * 0.01 + 0.0005
    change[rng.random(n) < zeros] = 0.0
    label = np.where(change == 0.0, np.nan, (change > 0) * 1.0)
    noise = rng.normal(size=n)
    for k in range(1, n):
        noise[k] += persistence * noise[k - 1]
    score = 0.5 + 0.02 * noise / max(noise.std(), 1e-9)
    if ties:
        score = np.round(score, 2)
    direction = (score > 0.5) * 1.0 - ((score < 0.5) * 1.0 if short else 0.0)
    cost = 0.0005 + 0.0005 * rng.random(n)
    return label, score, exposures(direction, horizon), TradingConditions(size=size, cost=cost, change=change)


def shifted_by_hand(label, score, exposure, conditions, limits):
    """Grade every shift by the public metric functions, one after another."""
    n = label.size
    rows = []
    for s in range(n):
        rolled = np.roll(score, s)
        net = performance(np.roll(exposure, s), conditions).net
        four = {
            "auc": metrics.auc(label, rolled),
            "accuracy": metrics.accuracy(label, rolled),
            "sharpe": metrics.sharpe(net, 252.0),
            "max_drawdown": metrics.max_drawdown(net),
            "n_oos": n,
        }
        admissible = s != 0 and n - s > min(126, n // 4)
        rows.append(
            (four["auc"], four["accuracy"], four["sharpe"], admissible and grade(four, limits).passed, admissible)
        )
    return [np.array(column) for column in zip(*rows, strict=True)]


CASES = [
    {},
    {"ties": False, "zeros": 0.0},
    {"zeros": 0.4},
    {"short": True},
    {"horizon": 5},
    {"horizon": 3, "short": True, "n": 256},
    {"n": 257, "persistence": 0.99},
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_shift_equals_a_loop_over_all_shifts(case, seed):
    label, score, exposure, conditions = one_run(seed=seed, **case)
    easy = limits_of(0.1)  # so that many shifts reach the drawdown
    got = shift_test.shifts(label, score, exposure, conditions, bars_per_year=252.0, thresholds=easy, exclude_lags=126)
    auc, accuracy, sharpe, clears, admissible = shifted_by_hand(label, score, exposure, conditions, easy)
    np.testing.assert_allclose(got.auc, auc.astype(float), atol=1e-12)
    np.testing.assert_allclose(got.accuracy, accuracy.astype(float), atol=1e-12)
    np.testing.assert_allclose(got.sharpe, sharpe.astype(float), atol=1e-9)
    assert got.admissible.tolist() == np.flatnonzero(admissible).tolist()
    assert got.clears.tolist() == clears.tolist()
    assert got.luck_rate == pytest.approx(clears.sum() / admissible.sum(), abs=1e-15)


def test_the_cases_above_do_reach_the_drawdown():
    rates = []
    for seed in (1, 2):
        label, score, exposure, conditions = one_run(seed=seed)
        easy = limits_of(0.1)
        loose = limits_of(1.0)
        for limits in (easy, loose):
            rates.append(
                shift_test.shifts(
                    label, score, exposure, conditions, bars_per_year=252.0, thresholds=limits, exclude_lags=126
                ).luck_rate
            )
    assert 0 < rates[0] < rates[1]


def test_shifted_auc_of_tied_scores_and_unlabelled_days_is_that_of_scikit_learn():
    label, score, _, _ = one_run(n=120, seed=3, zeros=0.3)
    known = ~np.isnan(label)
    want = [roc_auc_score(label[known], np.roll(score, s)[known]) for s in range(120)]
    np.testing.assert_allclose(shift_test.shifted_auc(label, score), want, atol=1e-12)


def test_no_shift_pairs_a_prediction_with_a_return_just_before_it():
    """A score that is the preceding return itself has skill at no admissible shift."""
    n, lags = 800, 126
    rng = np.random.default_rng(5)
    change = rng.normal(size=n) * 0.01
    label = (change > 0) * 1.0
    for lag in (1, 60, 126):
        score = np.roll(change, lag)  # what happened `lag` bars earlier
        area = shift_test.shifted_auc(label, score)
        assert area[n - lag] == 1.0
        admissible = np.arange(1, n - min(lags, n // 4))
        assert area[admissible].max() < 0.65


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 9])
def test_a_tiny_run_is_graded_without_a_crash(n):
    label, score, exposure, conditions = one_run(n=n, zeros=0.0)
    got = shift_test.shifts(
        label, score, exposure, conditions, bars_per_year=252.0, thresholds=LIMITS, exclude_lags=126
    )
    assert got.clears.shape == (n,)
    assert (got.luck_rate is None) == (got.admissible.size == 0)
    assert got.common(200, 252.0).shape == (200,)


def test_a_run_that_never_trades_has_sharpe_zero_at_every_shift_and_no_luck():
    label, score, _, conditions = one_run()
    got = shift_test.shifts(
        label, score * 0, np.zeros(331), conditions, bars_per_year=252.0, thresholds=LIMITS, exclude_lags=126
    )
    assert (got.sharpe == 0.0).all()
    assert (got.auc == 0.5).all()
    assert got.luck_rate == 0.0


def test_one_class_only_leaves_auc_undefined_and_no_luck():
    label, score, exposure, conditions = one_run()
    got = shift_test.shifts(
        label * 0 + 1, score, exposure, conditions, bars_per_year=252.0, thresholds=LIMITS, exclude_lags=126
    )
    assert np.isnan(got.auc).all()
    assert got.luck_rate == 0.0


def test_common_shifts_are_admissible_spread_out_and_the_same_for_instruments_on_one_calendar():
    long, short = shift_test.common_shifts(200, 1673, 252.0), shift_test.common_shifts(200, 1500, 252.0)
    assert long.min() >= 1
    assert long.max() <= 1673
    assert short.max() <= 1500
    assert np.unique(long).size == 200
    assert (long[long <= 1500] == short[long <= 1500]).all()
    assert np.histogram(long, bins=10, range=(0, 1518))[0].min() >= 18


def test_common_shifts_displace_coins_and_stocks_by_the_same_calendar_time():
    stocks, coins = shift_test.common_shifts(200, 10**6, 252.0), shift_test.common_shifts(200, 10**6, 365.0)
    assert np.abs(stocks / 252.0 - coins / 365.0).max() < 1 / 252.0


def test_the_first_common_shifts_do_not_depend_on_how_many_there_are():
    assert shift_test.common_shifts(80, 900, 252.0).tolist() == shift_test.common_shifts(200, 900, 252.0)[:80].tolist()


def test_long_histories_are_cut_into_blocks_without_changing_the_drawdown(monkeypatch):
    _, _, exposure, conditions = one_run()
    chosen = np.arange(1, 250)
    whole = shift_test.shifted_drawdown(exposure, conditions, chosen)
    monkeypatch.setattr(shift_test, "_CELLS", 331 * 8 * 7)
    assert shift_test.shifted_drawdown(exposure, conditions, chosen).tolist() == whole.tolist()
