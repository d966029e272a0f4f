"""All columns of a row of grades, computed from the predictions of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray, IntArray
from src.evaluation import metrics, significance
from src.evaluation.grade import Grade, Thresholds, grade
from src.evaluation.labels import Decisions
from src.evaluation.shift_test import Shifts, shifts
from src.evaluation.strategy import (
    Performance,
    TradingConditions,
    directions,
    exposures,
    performance,
    trading_conditions,
)

if TYPE_CHECKING:
    from src.config.schema import GradeConfig, StrategyConfig

SCHEMA: dict[str, Any] = {
    "asset_class": pl.String,
    "symbol": pl.String,
    "n_oos": pl.Int64,
    "first_oos": pl.Date,
    "last_oos": pl.Date,
    "auc": pl.Float64,
    "accuracy": pl.Float64,
    "majority_accuracy": pl.Float64,
    "sharpe": pl.Float64,
    "max_drawdown": pl.Float64,
    "buy_hold_sharpe": pl.Float64,
    "unsized_drawdown": pl.Float64,
    "active_sharpe": pl.Float64,
    "turnover": pl.Float64,
    "passed": pl.Boolean,
    "reasons": pl.List(pl.String),
    "registrable": pl.Boolean,
    "luck_rate": pl.Float64,
    "z": pl.Float64,
    "p_value": pl.Float64,
    "q_value": pl.Float64,
    "deflated_sharpe": pl.Float64,
    "late_auc": pl.Float64,
    "late_sharpe": pl.Float64,
    "suspicious": pl.String,
    "n_trials": pl.Int64,
    "shift_passes": pl.Binary,
}
"""Columns of `Assessment.row`, with their types; a row of grades adds the run's keys, family and fit seconds."""


@dataclass(frozen=True)
class Assessment:
    """The grade of one run, its baselines and its evidence.

    Attributes
    ----------
    values : dict
        The columns of `SCHEMA` but for ``shift_passes``.
    verdict : Grade
        The four thresholds' verdict, with what stands against registration and promotion.
    stamps : datetime64, shape (n_oos,)
        Date on which each return is booked.
    net, always_net : float64, shape (n_oos,)
        Net returns of the strategy, and of always long with the same sizing, costs and days.
    shift_passes : bytes
        Pass bit at each of the session's common shifts (rounded up to whole bytes), the first in the highest bit.
    """

    values: dict[str, Any]
    verdict: Grade
    stamps: DateArray
    net: FloatArray
    always_net: FloatArray
    shift_passes: bytes

    @property
    def equity(self) -> FloatArray:
        """Capital after each return, from 1."""
        return metrics.equity(self.net)

    def row(self) -> dict[str, Any]:
        """Return the columns of `SCHEMA` as plain values; undefined ones are None."""
        return {**self.values, "shift_passes": self.shift_passes}


def assess(
    probability: FloatArray,
    positions: IntArray,
    decisions: Decisions,
    strategy: StrategyConfig,
    gate: GradeConfig,
    *,
    trials: int = 1,
) -> Assessment:
    """Grade one run's out-of-sample predictions, with baselines and evidence, without fitting anything.

    Parameters
    ----------
    probability : float64, shape (m,), in [0, 1]
        P(up), the folds' predictions put end to end.
    positions : int64, shape (m,)
        Their decisions, consecutive. For stored predictions, ``decisions.positions(dates)``.
    decisions : Decisions
        Of the instrument, recomputed from its bars.
    strategy : StrategyConfig
    gate : GradeConfig
    trials : int
        Distinct run keys ever graded on this instrument's out-of-sample window, this one included.

    Raises
    ------
    ValueError
        Where a probability is missing or outside [0, 1], or the decisions are not consecutive or lack a return.
    """
    _check(probability, positions, decisions)
    label, yearly = decisions.label[positions], decisions.bars_per_year
    exposure = exposures(directions(probability, strategy), decisions.horizon)
    conditions = trading_conditions(positions, decisions, strategy)
    earned = performance(exposure, conditions)
    four = {
        "auc": metrics.auc(label, probability),
        "accuracy": metrics.accuracy(label, probability),
        "sharpe": metrics.sharpe(earned.net, yearly),
        "max_drawdown": metrics.max_drawdown(earned.net),
        "n_oos": int(positions.size),
    }
    limits, lags = Thresholds.of(gate), gate.exclude_lags
    shifted = shifts(
        label, probability, exposure, conditions, bars_per_year=yearly, thresholds=limits, exclude_lags=lags
    )
    crypto = decisions.asset_class == "crypto"
    late = significance.one_bar_later(label, probability, exposure, conditions, yearly) if crypto else (None, None)
    doubt = _doubt(positions, decisions, gate, four, late)
    verdict = grade(four, limits, doubt)
    always = performance(np.ones(positions.size), conditions)
    values = {
        "asset_class": decisions.asset_class,
        "symbol": decisions.symbol,
        "first_oos": _day(decisions.dates[positions[0]]),
        "last_oos": _day(decisions.dates[positions[-1]]),
        **four,
        "majority_accuracy": metrics.majority_accuracy(label),
        **_beside(exposure, earned, always, conditions, yearly),
        "deflated_sharpe": significance.deflated_sharpe_of(_active(earned, always), trials),
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        "registrable": verdict.registrable,
        **_luck(four["auc"], shifted),
        "late_auc": late[0],
        "late_sharpe": late[1],
        "suspicious": doubt,
        "n_trials": trials,
    }
    whole_bytes = -(-gate.common_shifts // 8) * 8
    bits = np.packbits(shifted.common(whole_bytes, yearly)).tobytes()
    return Assessment(values, verdict, decisions.stamps[positions], earned.net, always.net, bits)


def _luck(area: float | None, shifted: Shifts) -> dict[str, float | None]:
    z = significance.z_score(area, shifted)
    return {"luck_rate": shifted.luck_rate, "z": z, "p_value": significance.p_value(z), "q_value": None}


def _active(earned: Performance, always: Performance) -> FloatArray:
    return significance.active_returns(earned.net, earned.position, always.net, always.position)


def _beside(
    exposure: FloatArray, earned: Performance, always: Performance, conditions: TradingConditions, yearly: float
) -> dict[str, float | None]:
    """Compute the baselines that need returns, and the turnover a year."""
    unsized = performance(
        exposure, TradingConditions(np.ones(conditions.size.size), conditions.cost, conditions.change)
    )
    return {
        "buy_hold_sharpe": metrics.sharpe(always.net, yearly),
        "unsized_drawdown": metrics.max_drawdown(unsized.net),
        "active_sharpe": metrics.sharpe(_active(earned, always), yearly),
        "turnover": float(earned.turnover.sum()) / earned.turnover.size * yearly,
    }


def _doubt(
    positions: IntArray,
    decisions: Decisions,
    gate: GradeConfig,
    four: dict[str, float | int | None],
    late: tuple[float | None, float | None],
) -> str | None:
    """Say why the run looks too good to be true, if it does."""
    limits = Thresholds.of(gate)
    passed = grade(four, limits).passed
    collapse = passed and decisions.asset_class == "crypto" and _gone(late, limits)
    return significance.suspicion(
        positions, decisions, gate, area=four["auc"], ratio=four["sharpe"], passed=passed, collapse=collapse
    )


def _gone(late: tuple[float | None, float | None], limits: Thresholds) -> bool:
    area, ratio = late
    return area is None or area < limits.min_auc or ratio is None or ratio < limits.min_sharpe


def _check(probability: FloatArray, positions: IntArray, decisions: Decisions) -> None:
    who = f"{decisions.asset_class} {decisions.symbol}"
    if positions.size == 0 or probability.shape != positions.shape:
        raise ValueError(
            f"{who}: one probability for each decision is needed, got {probability.size} for {positions.size}"
        )
    if not ((probability >= 0.0) & (probability <= 1.0)).all():
        wrong = int((~((probability >= 0.0) & (probability <= 1.0))).sum())
        raise ValueError(
            f"{who}: probabilities must lie in [0, 1], got {wrong} of {probability.size} missing or outside"
        )
    if (np.diff(positions) != 1).any():
        raise ValueError(f"{who}: out-of-sample decisions must be consecutive, got gaps: drop no row before grading")
    if positions[0] < 0 or positions[-1] > decisions.size - 3:
        raise ValueError(f"{who}: decision {positions[-1]} has no return yet among {decisions.size} bars: end at n-3")


def _day(date: Any) -> Any:
    return np.datetime64(date, "D").item()
