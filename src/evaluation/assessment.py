"""All columns of a row of grades, computed from the predictions of one run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray, IntArray
from src.evaluation import metrics, significance, suspicion
from src.evaluation.fold_levels import FoldValues, one_fold
from src.evaluation.grade import GATE_METRICS, Grade, Outcomes, Thresholds, grade
from src.evaluation.labels import Decisions
from src.evaluation.shift_test import Shifts, shifts
from src.evaluation.shifted_returns import shifted_deflated_sharpe
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

Figures = dict[str, float | None]
SCHEMA: dict[str, Any] = {
    "asset_class": pl.String,
    "symbol": pl.String,
    "n_oos": pl.Int64,
    "first_oos": pl.Date,
    "last_oos": pl.Date,
    **{metric.name: pl.Float64 for metric in GATE_METRICS},
    "majority_accuracy": pl.Float64,
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
    "sharpe_p_value": pl.Float64,
    "q_value": pl.Float64,
    "deflated_sharpe": pl.Float64,
    "deflated_luck_rate": pl.Float64,
    "late_auc": pl.Float64,
    "late_sharpe": pl.Float64,
    "suspicious": pl.String,
    "n_trials": pl.Int64,
    "shift_passes": pl.Binary,
    "shift_z": pl.Binary,
}
"""Columns of `Assessment.row`, with their types; a row of grades adds the run's keys, family and fit seconds."""


@dataclass(frozen=True)
class Assessment:
    """The grade of one run, its baselines and its evidence.

    Attributes
    ----------
    values : dict
        The columns of `SCHEMA` but for ``shift_passes`` and ``shift_z``.
    verdict : Grade
        The verdict of the gate, with what stands against registration and promotion.
    stamps : datetime64, shape (n_oos,)
        Date on which each return is booked.
    net, always_net : float64, shape (n_oos,)
        Net returns of the strategy, and of always long with the same sizing, costs and days.
    shift_passes : bytes
        Pass bit at each of the session's common shifts (rounded up to whole bytes), the first in the highest bit.
    shift_z : bytes
        Z-score of the AUC at each of these shifts, as little-endian float16; 0 where undefined.
    """

    values: dict[str, Any]
    verdict: Grade
    stamps: DateArray
    net: FloatArray
    always_net: FloatArray
    shift_passes: bytes
    shift_z: bytes

    @property
    def equity(self) -> FloatArray:
        """Capital after each return, from 1."""
        return metrics.equity(self.net)

    def row(self) -> dict[str, Any]:
        """Return the columns of `SCHEMA` as plain values; undefined ones are None."""
        return {**self.values, "shift_passes": self.shift_passes, "shift_z": self.shift_z}


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

    Returns
    -------
    Assessment
        Undefined figures are None.

    Raises
    ------
    ValueError
        Where a probability is missing or outside [0, 1], or the decisions are not consecutive or lack a return.
    """
    _check(probability, positions, decisions)
    run, limits = _traded(probability, positions, decisions, strategy), Thresholds.of(gate)
    figures: Figures = {metric.name: metric.compute(run.outcomes) for metric in GATE_METRICS}
    figures["n_oos"] = int(positions.size)
    shifted = run.shifts(limits, gate.exclude_lags)
    luck, later = _luck(figures, shifted, gate.min_oos), run.one_bar_later(gate.exclude_lags)
    doubt = _doubt(run, positions, decisions, gate, figures | luck, later)
    verdict = grade(figures, limits, doubt)
    values = {
        "asset_class": decisions.asset_class,
        "symbol": decisions.symbol,
        "first_oos": _day(decisions.dates[positions[0]]),
        "last_oos": _day(decisions.dates[positions[-1]]),
        **figures,
        **run.baselines(),
        "deflated_sharpe": significance.deflated_sharpe_of(run.active, trials),
        "deflated_luck_rate": run.deflated_luck_rate(shifted, trials),
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        "registrable": verdict.registrable,
        **luck,
        "late_auc": later.late_area,
        "late_sharpe": later.late_ratio,
        "suspicious": doubt,
        "n_trials": trials,
    }
    common = -(-gate.common_shifts // 8) * 8  # whole bytes of bits
    return Assessment(
        values,
        verdict,
        decisions.stamps[positions],
        run.earned.net,
        run.always.net,
        shift_passes=np.packbits(shifted.common(common, run.bars_per_year)).tobytes(),
        shift_z=shifted.common_z(common, run.bars_per_year).astype("<f2").tobytes(),
    )


@dataclass(frozen=True)
class _TradedRun:
    """One run's predictions beside what trading them earned, and what always being long would have."""

    label: FloatArray
    probability: FloatArray
    scores: FoldValues
    exposure: FloatArray
    conditions: TradingConditions
    earned: Performance
    always: Performance
    strategy: StrategyConfig
    horizon: int
    bars_per_year: float

    @property
    def outcomes(self) -> Outcomes:
        """What the gate's metrics are computed from."""
        return Outcomes(self.label, self.probability, self.earned.net, self.bars_per_year)

    @property
    def active(self) -> FloatArray:
        """Net returns less what the mean exposure earns by being long."""
        earned, always = self.earned, self.always
        return significance.active_returns(earned.net, earned.position, always.net, always.position)

    def shifts(self, thresholds: Thresholds, exclude_lags: int) -> Shifts:
        """Grade every circular shift of the predictions."""
        return shifts(
            self.label,
            self.scores,
            self.strategy,
            self.horizon,
            self.conditions,
            bars_per_year=self.bars_per_year,
            thresholds=thresholds,
            exclude_lags=exclude_lags,
        )

    def deflated_luck_rate(self, shifted: Shifts, trials: int) -> float | None:
        """Share of the admissible shifts that clear all thresholds and reach a credible deflated Sharpe ratio."""
        if not shifted.admissible.size:
            return None
        direction = self.scores.mapped(lambda values: directions(values, self.strategy))
        clearing = np.flatnonzero(shifted.clears)
        deflated = shifted_deflated_sharpe(direction, self.horizon, self.conditions, clearing, self.always, trials)
        reached = np.count_nonzero(deflated >= significance.CREDIBLE_DEFLATED_SHARPE)
        return reached / shifted.admissible.size

    def one_bar_later(self, exclude_lags: int) -> suspicion.OneBarLater:
        """What is left with every prediction acted on one bar late."""
        return suspicion.one_bar_later(
            self.probability, self.exposure, self.conditions, self.bars_per_year, exclude_lags
        )

    def baselines(self) -> Figures:
        """Figures of simpler strategies on the same days, and the turnover a year."""
        unsized = performance(self.exposure, replace(self.conditions, size=np.ones(self.conditions.size.size)))
        turnover = self.earned.turnover
        return {
            "majority_accuracy": metrics.majority_accuracy(self.label),
            "buy_hold_sharpe": metrics.sharpe(self.always.net, self.bars_per_year),
            "unsized_drawdown": metrics.max_drawdown(unsized.net),
            "active_sharpe": metrics.sharpe(self.active, self.bars_per_year),
            "turnover": float(turnover.sum()) / turnover.size * self.bars_per_year,
        }


def _traded(probability: FloatArray, positions: IntArray, decisions: Decisions, strategy: StrategyConfig) -> _TradedRun:
    exposure = exposures(directions(probability, strategy), decisions.horizon)
    conditions = trading_conditions(positions, decisions, strategy)
    return _TradedRun(
        label=decisions.label[positions],
        probability=probability,
        scores=one_fold(probability),  # moved whole, see docs/evidence.md
        exposure=exposure,
        conditions=conditions,
        earned=performance(exposure, conditions),
        always=performance(np.ones(positions.size), conditions),
        strategy=strategy,
        horizon=decisions.horizon,
        bars_per_year=decisions.bars_per_year,
    )


def _luck(figures: Figures, shifted: Shifts, least: int) -> Figures:
    """Luck rate, z-score and p-values; both p-values are 1 below `least` out-of-sample bars."""
    area, ratio = shifted.auc[shifted.admissible], shifted.sharpe[shifted.admissible]
    z, ratio_z = significance.z_score(figures["auc"], area), significance.z_score(figures["sharpe"], ratio)
    enough = (figures["n_oos"] or 0) >= least
    return {
        "luck_rate": shifted.luck_rate,
        "z": z,
        "p_value": significance.p_value(z, area) if enough else 1.0,
        "sharpe_p_value": significance.p_value(ratio_z, ratio) if enough else 1.0,
        "q_value": None,
    }


def _doubt(
    run: _TradedRun,
    positions: IntArray,
    decisions: Decisions,
    gate: GradeConfig,
    figures: Figures,
    later: suspicion.OneBarLater,
) -> str | None:
    """Why the run looks too good to be true, if it does."""
    limits = Thresholds.of(gate)
    passed = grade(figures, limits).passed
    late_auc = metrics.auc(run.label[1:], run.probability[:-1])  # against the run's own label, as the threshold is
    kept = limits.cleared_by({"auc": late_auc, "sharpe": later.late_ratio})
    return suspicion.suspicion(positions, decisions, gate, figures=figures, later=later, passed=passed, kept=kept)


def _check(probability: FloatArray, positions: IntArray, decisions: Decisions) -> None:
    instrument = f"{decisions.asset_class} {decisions.symbol}"
    if positions.size == 0 or probability.shape != positions.shape:
        raise ValueError(
            f"{instrument}: one probability for each decision is needed, got {probability.size} for {positions.size}"
        )
    if not ((probability >= 0.0) & (probability <= 1.0)).all():
        wrong = int((~((probability >= 0.0) & (probability <= 1.0))).sum())
        raise ValueError(
            f"{instrument}: probabilities must lie in [0, 1], got {wrong} of {probability.size} missing or outside"
        )
    if (np.diff(positions) != 1).any():
        raise ValueError(
            f"{instrument}: out-of-sample decisions must be consecutive, got gaps: drop no row before grading"
        )
    if positions[0] < 0 or positions[-1] > decisions.size - 3:
        raise ValueError(
            f"{instrument}: decision {positions[-1]} has no return yet among {decisions.size} bars: end at n-3"
        )


def _day(date: Any) -> Any:
    return np.datetime64(date, "D").item()
