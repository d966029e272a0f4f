"""The closing line of a session of the pooled scope."""

from __future__ import annotations

import polars as pl
import pytest

from src.config.compose import compose, families
from src.core.end_state import EndState
from src.evaluation.multiple_testing import session_evidence
from src.training.pooled.settings import PooledSettings
from src.training.pooled.summary import PooledSummary

STATES = [EndState("stock", "AAA", "done"), EndState("stock", "BBB", "skipped", "thin")]


def line(*, luck_rate: float = 0.0, survivors_only: bool = False, runs: int = 1) -> str:
    config = compose(["scope=pooled", "model=lightgbm", "portfolio.borrow_bps=25"])
    summary = PooledSummary(PooledSettings.of(config, families(config)), "a" * 32)
    summary.fits = 12
    row = {
        "asset_class": "pooled", "symbol": "stock.neutral", "family": "lightgbm", "record_id": "r", "n_trials": 66,
        "auc": 0.512, "accuracy": 0.505, "sharpe": 0.61, "max_drawdown": 0.08, "passed": False, "registrable": False,
        "luck_rate": luck_rate, "z": 1.0, "p_value": 0.04, "shift_passes": b"\0", "shift_z": b"\0" * 16,
        "adjusted_t": 1.4, "weak": True,
    }  # fmt: skip
    grades = pl.DataFrame([row] * runs)
    return summary.sentence(session_evidence(grades), STATES, survivors_only=survivors_only)


def test_the_line_has_the_counts_the_four_figures_and_how_strong_the_evidence_is():
    said = line()
    assert said.startswith("train: 1 of 2 instruments eligible; 0 of 1 portfolio passed (0 registrable).")
    assert "stock.neutral by lightgbm: AUC 0.512, accuracy 50.5%, Sharpe 0.61, drawdown 8.0%" in said
    assert "t 1.4 after 66 trials: weak" in said
    assert said.endswith("Borrowing is assumed to cost 25 bp a year. 12 fits")


@pytest.mark.parametrize(
    ("rate", "said"), [(0.0, "fewer than 1 in 200 would"), (0.01, "about 0.01 would"), (0.25, "about 0.25 would")]
)
def test_luck_is_stated_no_more_exactly_than_the_draws_tell(rate: float, said: str):
    assert f"If no model had any skill, {said}." in line(luck_rate=rate)


def test_survivors_are_named_where_the_figures_stand():
    assert "Survivors only; borrowing is assumed to cost 25 bp a year." in line(survivors_only=True)
