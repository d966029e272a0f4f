"""The study of promotion grades displaced runs by one transform: what `assess` gives, run by run."""

from __future__ import annotations

import numpy as np
import pytest

from src.config.schema import GradeConfig, LabelConfig, SimulatedSource, StrategyConfig
from src.evaluation import labels
from src.evaluation.assessment import assess
from src.evaluation.metrics import auc
from src.evaluation.shift_test import common_shifts
from src.sources.simulated import instrument
from tests.benchmarks.study_promotion import EDGE, StoredRun, displaced_grades, planted_scores

EASY = GradeConfig(min_auc=0.49, min_accuracy=0.48, min_sharpe=-0.5, max_drawdown=0.9)


@pytest.fixture(scope="module")
def run() -> StoredRun:
    bars = instrument(SimulatedSource(first="2019-01-02"), ("stock", "SIM01"), "2022-12-30", 0.2)
    bars = bars.with_columns(factor=1.0, repaired=False)
    decisions = labels.decisions(bars, LabelConfig(), None, 252.0)
    positions = np.arange(100, decisions.size - 2)
    probability = np.random.default_rng(3).uniform(0.3, 0.7, positions.size)
    return StoredRun(
        "stock", "SIM01", "lightgbm", probability, positions, decisions, StrategyConfig(threshold=0.45), EASY, 3
    )


def test_a_displaced_run_has_the_grade_that_assess_gives_it(run: StoredRun) -> None:
    found = list(displaced_grades(run, 40))
    moves = common_shifts(40, run.positions.size - 1 - EASY.exclude_lags, 252.0)
    assert {row["passed"] for row in found} == {True, False}
    for session in (0, 7, 13, 21, 39):
        moved = np.roll(run.probability, moves[session])
        values = assess(moved, run.positions, run.decisions, run.strategy, run.gate, trials=3).values
        assert found[session]["passed"] == values["passed"]
        assert found[session]["p_value"] == pytest.approx(values["p_value"], rel=1e-9)


@pytest.mark.parametrize("persistence", [0.0, 0.9])
def test_planted_scores_have_the_stated_area_under_the_curve(persistence: float) -> None:
    rng = np.random.default_rng(1)
    label = (rng.normal(size=200_000) > 0.0).astype(float)
    scores = planted_scores(label, 3, persistence, rng)
    assert [auc(label, score) for score in scores] == pytest.approx([EDGE] * 3, abs=0.006)
    assert np.corrcoef(scores)[0, 1] == pytest.approx(0.8, abs=0.03)
    assert (scores > 0.5).mean() == pytest.approx(0.5, abs=0.05)
