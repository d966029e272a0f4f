"""The shift machinery against a loop over all shifts, which is too slow to use and too plain to be wrong."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from src.config.schema import GradeConfig, StrategyConfig
from src.evaluation import metrics, shift_test
from src.evaluation.fold_levels import fold_values
from src.evaluation.grade import Thresholds, grade
from src.evaluation.shifted_auc import shifted_auc
from src.evaluation.shifted_returns import shifted_deflated_sharpe, shifted_drawdown
from src.evaluation.significance import active_returns, deflated_sharpe_of
from src.evaluation.strategy import TradingConditions, directions, exposures, performance

LIMITS = Thresholds.of(GradeConfig())


def limits_of(max_drawdown):
    """Limits that many shifts clear up to the drawdown."""
    limits = {"min_auc": 0.5, "min_accuracy": 0.5, "min_sharpe": 0.0, "max_drawdown": max_drawdown}
    return Thresholds(limits, 1, 1)


@dataclass
class Run:
    """What a run is graded by."""

    label: np.ndarray
    score: np.ndarray
    fold: np.ndarray
    strategy: StrategyConfig
    horizon: int
    conditions: TradingConditions

    @property
    def direction(self):
        return fold_values(self.score, self.fold).mapped(lambda values: directions(values, self.strategy))

    def shifts(self, limits, exclude_lags=126):
        return shift_test.shifts(
            self.label,
            fold_values(self.score, self.fold),
            self.strategy,
            self.horizon,
            self.conditions,
            bars_per_year=252.0,
            thresholds=limits,
            exclude_lags=exclude_lags,
        )

    def shifted_by_hand(self, s):
        """Scores and performance under one shift, by the definition and the strategy's own code."""
        n = self.label.size
        level = {f: np.mean(self.score[self.fold == f]) for f in set(self.fold.tolist())}
        moved = np.empty(n)
        for k in range(n):
            j = (k - s) % n
            moved[k] = self.score[j] + (level[self.fold[k]] - level[self.fold[j]])
        exposure = exposures(directions(moved, self.strategy), self.horizon)
        return moved, performance(exposure, self.conditions)


def one_run(
    n=331, seed=0, *, horizon=1, short=False, ties=2, zeros=0.05, persistence=0.9, folds=1, apart=0.02, threshold=0.5
):
    """Make one run with zero-return days, tied scores, and folds of unequal length whose levels differ."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(size=n) * 0.3) * 0.6
    change = rng.standard_t(4, size=n) * 0.01 + 0.0005
    change[rng.random(n) < zeros] = 0.0
    label = np.where(change == 0.0, np.nan, (change > 0) * 1.0)
    noise = rng.normal(size=n)
    for k in range(1, n):
        noise[k] += persistence * noise[k - 1]
    edges = np.sort(rng.choice(np.arange(1, n), size=folds - 1, replace=False)) if folds > 1 else []
    fold = np.searchsorted(edges, np.arange(n), side="right").astype(np.int64)
    score = 0.5 + 0.02 * noise / max(noise.std(), 1e-9) + (apart * rng.normal(size=folds))[fold]
    if ties:
        score = np.round(score, ties)
    cost = 0.0005 + 0.0005 * rng.random(n)
    strategy = StrategyConfig(short=short, threshold=threshold)
    return Run(label, score, fold, strategy, horizon, TradingConditions(size=size, cost=cost, change=change))


def graded_by_hand(run, limits):
    """Grade every shift by the public metric functions, one after another."""
    n, rows = run.label.size, []
    for s in range(n):
        moved, earned = run.shifted_by_hand(s)
        four = {
            "auc": metrics.auc(run.label, moved),
            "accuracy": metrics.accuracy(run.label, moved),
            "sharpe": metrics.sharpe(earned.net, 252.0),
            "max_drawdown": metrics.max_drawdown(earned.net),
            "n_oos": n,
        }
        admissible = s != 0 and n - s > min(126, n // 4)
        rows.append(
            (four["auc"], four["accuracy"], four["sharpe"], admissible and grade(four, limits).passed, admissible)
        )
    return [np.array(column) for column in zip(*rows, strict=True)]


CASES = [
    {},
    {"ties": 0, "zeros": 0.0},
    {"zeros": 0.4},
    {"short": True},
    {"horizon": 5},
    {"horizon": 3, "short": True, "n": 256},
    {"n": 257, "persistence": 0.99},
    {"folds": 2},
    {"folds": 5},
    {"folds": 5, "ties": 0, "zeros": 0.0},
    {"folds": 4, "short": True, "threshold": 0.51},
    {"folds": 5, "horizon": 5},
    {"folds": 5, "horizon": 5, "short": True, "zeros": 0.4},
    {"folds": 7, "horizon": 5, "ties": 3, "apart": 0.3},
    {"folds": 40, "horizon": 5, "short": True},  # folds that are shorter than the horizon
    {"folds": 3, "apart": 0.0},
    {"folds": 4, "n": 30, "horizon": 20},
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_shift_equals_a_loop_over_all_shifts(case, seed):
    run = one_run(seed=seed, **case)
    easy = limits_of(0.1)  # so that many shifts reach the drawdown
    got = run.shifts(easy)
    auc, accuracy, sharpe, clears, admissible = graded_by_hand(run, easy)
    np.testing.assert_allclose(got.auc, auc.astype(float), atol=1e-14)
    np.testing.assert_allclose(got.accuracy, accuracy.astype(float), atol=1e-14)
    np.testing.assert_allclose(got.sharpe, sharpe.astype(float), atol=1e-9)
    assert got.admissible.tolist() == np.flatnonzero(admissible).tolist()
    assert got.clears.tolist() == clears.tolist()
    assert got.luck_rate == pytest.approx(clears.sum() / admissible.sum(), abs=1e-15)
    chosen = np.flatnonzero(admissible)
    drawdown = [metrics.max_drawdown(run.shifted_by_hand(s)[1].net) for s in chosen]
    assert shifted_drawdown(run.direction, run.horizon, run.conditions, chosen).tolist() == drawdown


@pytest.mark.parametrize("case", CASES, ids=str)
def test_shift_zero_is_the_graded_run(case):
    run = one_run(seed=3, **case)
    scores, still = fold_values(run.score, run.fold), np.array([0])
    assert scores.shifted(still)[0].tolist() == run.score.tolist()
    exposure = exposures(directions(run.score, run.strategy), run.horizon)
    graded, got = performance(exposure, run.conditions), run.shifts(LIMITS)
    assert got.auc[0] == pytest.approx(metrics.auc(run.label, run.score), abs=1e-15)
    assert got.accuracy[0] == pytest.approx(metrics.accuracy(run.label, run.score), abs=1e-15)
    assert got.sharpe[0] == pytest.approx(metrics.sharpe(graded.net, 252.0), abs=1e-9)
    drawdown = shifted_drawdown(run.direction, run.horizon, run.conditions, still)
    assert drawdown.tolist() == [metrics.max_drawdown(graded.net)]


def test_shift_zero_gives_every_bit_of_scores_far_from_their_levels():
    rng = np.random.default_rng(8)
    score, fold = rng.beta(0.3, 0.3, size=2000), np.arange(2000) // 300
    scores = fold_values(score, fold)
    assert scores.shifted(np.array([0]))[0].tolist() == score.tolist()
    level = score[fold == 0].mean()
    assert (level + (score[fold == 0] - level)).tolist() != score[fold == 0].tolist()  # the other order would not


def test_the_level_of_a_fold_stays_with_the_calendar_under_every_shift():
    run = one_run(folds=5, apart=0.5, ties=0, persistence=0.0)
    rows = fold_values(run.score, run.fold).shifted(np.arange(run.score.size))
    for f in range(5):
        level = run.score[run.fold == f].mean()
        np.testing.assert_allclose(rows[:, run.fold == f].mean(), level, atol=0.01)
    whole = np.array([np.roll(run.score, s) for s in range(run.score.size)])
    assert np.abs(whole[:, run.fold == 0].mean() - run.score[run.fold == 0].mean()) > 0.1


def test_folds_of_one_level_are_shifted_as_one_fold():
    run = one_run(folds=5, apart=0.0)
    run.score = np.where(np.arange(331) % 2, 0.6, 0.4)  # each level 0.5 but for folds of an odd length
    run.fold = np.minimum(np.arange(331) // 2 // 20, 8)
    run.score[-1] = 0.5
    assert fold_values(run.score, run.fold).values.shape == (1, 331)


def test_a_run_of_one_fold_is_shifted_whole():
    run = one_run(seed=4)
    got = run.shifts(LIMITS)
    for s in (1, 50, 200):
        rolled = np.roll(run.score, s)
        net = performance(np.roll(directions(run.score, run.strategy), s), run.conditions).net
        assert got.auc[s] == pytest.approx(metrics.auc(run.label, rolled), abs=1e-15)
        assert got.sharpe[s] == pytest.approx(metrics.sharpe(net, 252.0), abs=1e-9)


@pytest.mark.parametrize("case", [{}, {"folds": 5}, {"folds": 4, "horizon": 5, "short": True}], ids=str)
def test_the_deflated_sharpe_ratio_of_every_shift_is_that_of_its_active_return(case):
    run = one_run(seed=5, **case)
    always = performance(np.ones(run.label.size), run.conditions)
    chosen = np.arange(1, run.label.size)
    got = shifted_deflated_sharpe(run.direction, run.horizon, run.conditions, chosen, always, 7)
    for s, found in zip(chosen, got, strict=True):
        earned = run.shifted_by_hand(s)[1]
        active = active_returns(earned.net, earned.position, always.net, always.position)
        assert found == pytest.approx(deflated_sharpe_of(active, 7), abs=1e-12)
    assert 0.0 < got.min() < got.max() <= 1.0


def test_a_deflated_sharpe_ratio_without_trades_is_undefined():
    run = one_run(threshold=0.99)
    always = performance(np.ones(331), run.conditions)
    got = shifted_deflated_sharpe(run.direction, 1, run.conditions, np.arange(1, 9), always, 3)
    assert np.isnan(got).all()


def test_the_cases_above_do_reach_the_drawdown():
    rates = [one_run(seed=seed).shifts(limits_of(most)).luck_rate for seed in (1, 2) for most in (0.1, 1.0)]
    assert 0 < rates[0] < rates[1]


def test_shifted_auc_of_tied_scores_and_unlabelled_days_is_that_of_scikit_learn():
    run = one_run(n=120, seed=3, zeros=0.3)
    known = ~np.isnan(run.label)
    want = [roc_auc_score(run.label[known], np.roll(run.score, s)[known]) for s in range(120)]
    np.testing.assert_allclose(shifted_auc(run.label, fold_values(run.score, run.fold)), want, atol=1e-12)


def test_no_shift_pairs_a_prediction_with_a_return_just_before_it():
    """A score that is the preceding return itself has skill at no admissible shift."""
    n, lags = 800, 126
    rng = np.random.default_rng(5)
    change = rng.normal(size=n) * 0.01
    label = (change > 0) * 1.0
    for lag in (1, 60, 126):
        score = np.roll(change, lag)  # what happened `lag` bars earlier
        area = shifted_auc(label, fold_values(score, np.zeros(n)))
        assert area[n - lag] == 1.0
        admissible = np.arange(1, n - min(lags, n // 4))
        assert area[admissible].max() < 0.65


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 9])
@pytest.mark.parametrize("folds", [1, 2])
@pytest.mark.parametrize("horizon", [1, 5])
def test_a_tiny_run_is_graded_without_a_crash(n, folds, horizon):
    got = one_run(n=n, zeros=0.0, folds=min(folds, n), horizon=horizon).shifts(LIMITS)
    assert got.clears.shape == (n,)
    assert (got.luck_rate is None) == (got.admissible.size == 0)
    assert got.common(200, 252.0).shape == (200,)
    assert got.common_z(200, 252.0).shape == (200,)
    assert np.isfinite(got.common_z(200, 252.0)).all()


def test_a_run_that_never_trades_has_sharpe_zero_at_every_shift_and_no_luck():
    run = one_run(threshold=0.99)
    run.score = run.score * 0
    got = run.shifts(LIMITS)
    assert (got.sharpe == 0.0).all()
    assert (got.auc == 0.5).all()
    assert got.luck_rate == 0.0
    assert not got.common_z(200, 252.0).any()


def test_one_class_only_leaves_auc_undefined_and_no_luck():
    run = one_run()
    run.label = run.label * 0 + 1
    got = run.shifts(LIMITS)
    assert np.isnan(got.auc).all()
    assert got.luck_rate == 0.0
    assert not got.common_z(200, 252.0).any()


@pytest.mark.parametrize("folds", [1, 5])
def test_the_z_scores_at_common_shifts_are_those_of_the_aucs_there(folds):
    got = one_run(folds=folds).shifts(LIMITS)
    null = got.auc[got.admissible]
    at = shift_test.common_shifts(200, null.size, 252.0)
    np.testing.assert_allclose(got.common_z(200, 252.0), (got.auc[at] - null.mean()) / null.std(ddof=1))


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


def test_long_histories_are_cut_into_blocks_without_changing_the_figures(monkeypatch):
    run = one_run(folds=3)
    chosen, always = np.arange(1, 250), performance(np.ones(331), run.conditions)
    by_blocks = []
    for cells in (10**9, 331 * 7):
        monkeypatch.setattr("src.evaluation.shifted_returns._CELLS", cells)
        drawdown = shifted_drawdown(run.direction, 1, run.conditions, chosen)
        deflated = shifted_deflated_sharpe(run.direction, 1, run.conditions, chosen, always, 3)
        by_blocks.append((drawdown.tolist(), deflated.tolist()))
    assert by_blocks[0] == by_blocks[1]
