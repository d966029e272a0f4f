"""The calibration study computes what the product computes, and its shares are near nominal on a small scale."""

import numpy as np
import pytest

from src.config.schema import StrategyConfig
from src.evaluation import metrics
from src.evaluation.fold_levels import fold_values
from src.evaluation.grade import Thresholds
from src.evaluation.shift_test import shifts
from src.evaluation.significance import p_value, z_score
from src.evaluation.strategy import TradingConditions
from tests.benchmarks import study_calibration, study_luck

NO_LIMITS = Thresholds({"min_auc": 0.0, "min_accuracy": 0.0, "min_sharpe": -100.0, "max_drawdown": 1.0}, 1, 1)


@pytest.mark.parametrize("horizon", [1, 20])
@pytest.mark.parametrize("bars", [6, 80, 300])
def test_the_study_of_p_values_computes_what_a_grade_does(bars, horizon):
    runs = study_calibration.skill_less(12, bars, 0.9, horizon, np.random.default_rng(0))
    areas, ratios = study_calibration.shifted_figures(runs)
    studied = study_calibration.p_values(areas), study_calibration.p_values(ratios)
    for i in range(12):
        conditions = TradingConditions(size=np.ones(bars), cost=np.zeros(bars), change=runs.pay[i])
        shifted = shifts(
            runs.label[i],
            fold_values(runs.score[i], np.zeros(bars)),
            StrategyConfig(threshold=0.0),
            horizon,
            conditions,
            bars_per_year=1.0,
            thresholds=NO_LIMITS,
            exclude_lags=study_calibration.EXCLUDED,
        )
        for by_shift, p in ((shifted.auc, studied[0][i]), (shifted.sharpe, studied[1][i])):
            null = by_shift[shifted.admissible]
            assert p == pytest.approx(p_value(z_score(by_shift[0], null), null), rel=1e-6)
    assert not np.isfinite(areas).all() or min(studied[0]) < 1.0


def test_a_label_looks_over_its_horizon_and_pay_over_one_bar():
    runs = study_calibration.skill_less(3, 50, 0.0, 20, np.random.default_rng(1))
    assert (runs.pay[:, :19] == 0.0).all()
    assert (runs.pay[:, 19:] != 0.0).all()
    assert set(np.unique(runs.label)) <= {0.0, 1.0}
    changes = (np.diff(runs.label, axis=1) != 0).mean()
    assert changes < 0.25  # labels of neighbouring bars share 19 of 20 returns


def test_small_p_values_are_as_rare_as_they_should_be_on_a_small_scale():
    """The study in docs/evidence.md, with a thirtieth of its series: two standard errors are 0.35 of nominal."""
    for persistence, horizon in ((0.0, 1), (0.98, 1), (0.9, 20)):
        for p in study_calibration.cell(600, 500, persistence, horizon, seed=3):
            assert np.mean(p <= 0.05) <= 1.6 * 0.05
            assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.07)


def test_the_table_has_a_line_for_each_cell():
    lines = list(study_calibration.table(20, (80,)))
    assert len(lines) == 2 + 6
    assert {line.count("|") for line in lines} == {10}


def test_the_study_of_luck_grades_every_instrument_by_each_level():
    grades = study_luck.graded("logistic", 3, 500, 125, seed=1)
    assert set(grades) == {"mean", "none", "prior"}
    assert all(table.height == 3 for table in grades.values())
    for column in metrics_of_a_run():
        assert len({tuple(table[column]) for table in grades.values()}) == 1  # the level changes evidence alone
    assert len({tuple(table["luck_rate"]) for table in grades.values()}) > 1
    assert len(study_luck.lines("logistic", grades)) == 3


def metrics_of_a_run():
    return ("auc", "accuracy", "sharpe", "max_drawdown", "passed")


def test_rotated_features_know_nothing_of_the_day_they_stand_on():
    rng = np.random.default_rng(2)
    decided = study_luck.decided_of(study_luck.opening_prices(1, 700, rng)[0], rng)
    table = study_luck.rotated_features(decided, rng)
    known = np.nan_to_num(decided.close_return)
    assert abs(np.corrcoef(table[:, 0], known)[0, 1]) < 0.15
    assert metrics.auc(decided.label[:690], table[:690, 0].astype(float)) == pytest.approx(0.5, abs=0.08)
