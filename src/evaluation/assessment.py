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
from src.evaluation.graded_bars import GradedBars, graded_bars
from src.evaluation.labels import Decisions
from src.evaluation.shift_test import Shifts, shifts
from src.evaluation.shifted_returns import shifted_deflated_sharpe
from src.evaluation.strategy import Performance, directions, exposures, performance

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


class Grader:
    """Grades the runs of one instrument; what depends on its bars alone is computed once.

    Parameters
    ----------
    decisions : Decisions
        Of the instrument, recomputed from its bars.
    strategy : StrategyConfig
    gate : GradeConfig
    """

    def __init__(self, decisions: Decisions, strategy: StrategyConfig, gate: GradeConfig) -> None:
        self.decisions = decisions
        self._strategy = strategy
        self._gate = gate
        self._bars: GradedBars | None = None

    def assess(self, probability: FloatArray, positions: IntArray, *, trials: int = 1) -> Assessment:
        """Grade one run's out-of-sample predictions as `assess` does."""
        if self._bars is None or not np.array_equal(self._bars.positions, positions):
            self._bars = graded_bars(positions, self.decisions, self._strategy)
        bars, gate = self._bars, self._gate
        run, limits = _traded(probability, bars), Thresholds.of(gate)
        figures: Figures = {metric.name: metric.compute(run.outcomes) for metric in GATE_METRICS}
        figures["n_oos"] = int(positions.size)
        shifted = run.shifts(limits, gate.exclude_lags)
        luck, later = _luck(figures, shifted, gate.min_oos), run.one_bar_later(gate.exclude_lags)
        doubt = _doubt(run, gate, figures | luck, later)
        verdict = grade(figures, limits, doubt)
        values = {
            **bars.identity(),
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
        return Assessment(values, verdict, bars.stamps, run.earned.net, bars.always.net, *_common(shifted, bars, gate))


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
    return Grader(decisions, strategy, gate).assess(probability, positions, trials=trials)


@dataclass(frozen=True)
class _TradedRun:
    """One run's predictions beside what trading them earned."""

    bars: GradedBars
    probability: FloatArray
    scores: FoldValues
    exposure: FloatArray
    earned: Performance
    active: FloatArray  # net returns less what the mean exposure earns by being long

    @property
    def outcomes(self) -> Outcomes:
        """What the gate's metrics are computed from."""
        return Outcomes(self.bars.label, self.probability, self.earned.net, self.bars.decisions.bars_per_year)

    def shifts(self, thresholds: Thresholds, exclude_lags: int) -> Shifts:
        """Grade every circular shift of the predictions."""
        bars = self.bars
        return shifts(
            bars.label,
            self.scores,
            bars.strategy,
            bars.decisions.horizon,
            bars.conditions,
            bars_per_year=bars.decisions.bars_per_year,
            thresholds=thresholds,
            exclude_lags=exclude_lags,
        )

    def deflated_luck_rate(self, shifted: Shifts, trials: int) -> float | None:
        """Share of the admissible shifts that clear all thresholds and reach a credible deflated Sharpe ratio."""
        if not shifted.admissible.size:
            return None
        bars = self.bars
        direction = self.scores.mapped(lambda values: directions(values, bars.strategy))
        clearing = np.flatnonzero(shifted.clears)
        deflated = shifted_deflated_sharpe(
            direction, bars.decisions.horizon, bars.conditions, clearing, bars.always, trials
        )
        reached = np.count_nonzero(deflated >= significance.CREDIBLE_DEFLATED_SHARPE)
        return reached / shifted.admissible.size

    def one_bar_later(self, exclude_lags: int) -> suspicion.OneBarLater:
        """What is left with every prediction acted on one bar late."""
        bars = self.bars
        return suspicion.one_bar_later(
            self.probability, self.exposure, bars.conditions, bars.decisions.bars_per_year, exclude_lags
        )

    def baselines(self) -> Figures:
        """Figures of simpler strategies on the same days, and the turnover a year."""
        bars, turnover = self.bars, self.earned.turnover
        yearly = bars.decisions.bars_per_year
        unsized = performance(self.exposure, replace(bars.conditions, size=np.ones(bars.positions.size)))
        return {
            "majority_accuracy": bars.majority_accuracy,
            "buy_hold_sharpe": bars.buy_hold_sharpe,
            "unsized_drawdown": metrics.max_drawdown(unsized.net),
            "active_sharpe": metrics.sharpe(self.active, yearly),
            "turnover": float(turnover.sum()) / turnover.size * yearly,
        }


def _traded(probability: FloatArray, bars: GradedBars) -> _TradedRun:
    bars.check(probability)
    exposure = exposures(directions(probability, bars.strategy), bars.decisions.horizon)
    earned, always = performance(exposure, bars.conditions), bars.always
    active = significance.active_returns(earned.net, earned.position, always.net, always.position)
    scores = one_fold(probability)  # moved whole, see docs/evidence.md
    return _TradedRun(bars, probability, scores, exposure, earned, active)


def _common(shifted: Shifts, bars: GradedBars, gate: GradeConfig) -> tuple[bytes, bytes]:
    """Pass bits, and z-scores of the AUC, at the session's common shifts."""
    common = -(-gate.common_shifts // 8) * 8  # whole bytes of bits
    yearly = bars.decisions.bars_per_year
    passes = np.packbits(shifted.common(common, yearly)).tobytes()
    return passes, shifted.common_z(common, yearly).astype("<f2").tobytes()


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


def _doubt(run: _TradedRun, gate: GradeConfig, figures: Figures, later: suspicion.OneBarLater) -> str | None:
    """Why the run looks too good to be true, if it does."""
    limits, bars = Thresholds.of(gate), run.bars
    passed = grade(figures, limits).passed
    late_auc = metrics.auc(bars.label[1:], run.probability[:-1])  # against the run's own label, as the threshold is
    kept = limits.cleared_by({"auc": late_auc, "sharpe": later.late_ratio})
    return suspicion.suspicion(
        bars.positions, bars.decisions, gate, figures=figures, later=later, passed=passed, kept=kept
    )
