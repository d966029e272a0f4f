"""Luck by circular shifts: what a run's own predictions would have earned had they been made at another time.

Whole scores are shifted against labels and returns; size, volatility and costs stay with the returns. Directions and
exposures follow from the shifted scores. AUC, accuracy and Sharpe ratio are computed for every shift; drawdown, and any
metric without a fast form, on the shifts that clear those three. Nothing here is sampled: the figures equal those of a
loop over all shifts.

Under shift s, bar k has the score of bar k - s; shift 0 is the graded run. The functions also take scores that have a
level in each fold, which stays with the calendar (`src.evaluation.fold_levels`): only studies use that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import BoolArray, FloatArray, IntArray
from src.evaluation.fold_levels import FoldValues
from src.evaluation.grade import GATE_METRICS, GateMetric, Outcomes, Thresholds
from src.evaluation.shifted_auc import shifted_accuracy, shifted_auc
from src.evaluation.shifted_returns import shifted_drawdown, shifted_exposures, shifted_sharpe
from src.evaluation.significance import standardized
from src.evaluation.strategy import TradingConditions, directions, net_returns

if TYPE_CHECKING:
    from src.config.schema import StrategyConfig

COMMON_SPAN_DAYS = 2200  # displacements are spread over six years: no more, so that few runs need to wrap them round
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Shifts:
    """The null distribution of one run: one row for each circular shift s = 0..n-1.

    Attributes
    ----------
    auc, accuracy, sharpe : float64, shape (n,)
        NaN where undefined.
    clears : bool, shape (n,)
        Whether the shift is admissible and clears all thresholds.
    admissible : int64, shape (m,)
        Shifts that count: neither 0 nor those that pair a prediction with one of the returns just before it.
    """

    auc: FloatArray
    accuracy: FloatArray
    sharpe: FloatArray
    clears: BoolArray
    admissible: IntArray

    @property
    def luck_rate(self) -> float | None:
        """Share of the admissible shifts that clear all thresholds; None where no shift is admissible."""
        return float(np.mean(self.clears[self.admissible])) if self.admissible.size else None

    def common(self, count: int, bars_per_year: float) -> BoolArray:
        """Whether each of the session's common displacements clears the thresholds.

        Parameters
        ----------
        count : int
            Number of displacements.
        bars_per_year : float
            Of the run's kind.

        Returns
        -------
        bool, shape (count,)
            False everywhere where no shift is admissible.
        """
        if not self.admissible.size:
            return np.zeros(count, dtype=np.bool_)
        return self.clears[common_shifts(count, self.admissible.size, bars_per_year)]

    def common_z(self, count: int, bars_per_year: float) -> FloatArray:
        """Z-score of the AUC at each of the session's common displacements, as `common` takes them.

        Returns
        -------
        float64, shape (count,)
            0 everywhere where it is undefined.
        """
        z = standardized(self.auc[self.admissible])
        if z is None:
            return np.zeros(count)
        return z[common_shifts(count, z.size, bars_per_year) - 1]


def shifts(
    label: FloatArray,
    scores: FoldValues,
    strategy: StrategyConfig,
    horizon: int,
    conditions: TradingConditions,
    *,
    bars_per_year: float,
    thresholds: Thresholds,
    exclude_lags: int,
) -> Shifts:
    """Grade every circular shift of the scores against labels and returns.

    Parameters
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
        Of the out-of-sample decisions.
    scores : FoldValues
        Of the same decisions; a shift's directions follow from the scores that it puts in order.
    strategy : StrategyConfig
    horizon : int
        Bars that a decision is held.
    conditions : TradingConditions
        Sizes, costs and returns of the same decisions: these stay in place.
    bars_per_year : float
    thresholds : Thresholds
    exclude_lags : int
        At most this many preceding returns, and at most n/4, are kept from meeting a prediction made after them.

    Returns
    -------
    Shifts
    """
    n, direction = label.size, scores.mapped(lambda values: directions(values, strategy))
    by_shift = {
        "auc": shifted_auc(label, scores),
        "accuracy": shifted_accuracy(label, scores),
        "sharpe": shifted_sharpe(direction, horizon, conditions, bars_per_year),
    }
    clears = np.ones(n, dtype=np.bool_)
    for metric in GATE_METRICS:
        if metric.name in by_shift:
            clears &= _clears(metric, by_shift[metric.name], thresholds)
    admissible = np.arange(1, n - min(exclude_lags, n // 4), dtype=np.int64)
    survivors = admissible[clears[admissible]]
    for metric in GATE_METRICS:
        if metric.name == "max_drawdown":
            values = shifted_drawdown(direction, horizon, conditions, survivors)
            survivors = survivors[_clears(metric, values, thresholds)]
        elif metric.name not in by_shift:
            position = shifted_exposures(direction, horizon, survivors) * conditions.size
            values = _one_by_one(
                metric, label, scores.shifted(survivors), net_returns(position, conditions), bars_per_year
            )
            survivors = survivors[_clears(metric, values, thresholds)]
    clears = np.zeros(n, dtype=np.bool_)
    clears[survivors] = True
    return Shifts(**by_shift, clears=clears, admissible=admissible)


def _clears(metric: GateMetric, values: FloatArray, thresholds: Thresholds) -> BoolArray:
    """Whether each value is on the right side of the metric's limit; NaN is not."""
    limit = thresholds.limit(metric)
    with np.errstate(invalid="ignore"):
        return values >= limit if metric.at_least else values <= limit


def _one_by_one(
    metric: GateMetric, label: FloatArray, scores: FloatArray, net: FloatArray, bars_per_year: float
) -> FloatArray:
    """Metric of each shift's scores and net returns, one shift a row; NaN where undefined."""
    values = [metric.compute(Outcomes(label, *of, bars_per_year)) for of in zip(scores, net, strict=True)]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


@lru_cache(maxsize=256)
def common_shifts(count: int, admissible: int, bars_per_year: float) -> IntArray:
    """Map the session's calendar displacements to shifts of one run.

    Displacement i is 2,200 days times the fractional part of i times the golden section, the same for every run ever
    graded: evenly spread, without a seed, and comparable between sessions. It is turned into bars by the bars a year
    of the run's kind, so two instruments that trade on the same days are displaced by the same number of bars wherever
    their histories start, and a lucky displacement of one is that of what moves with it. A run too short for a
    displacement takes it modulo its admissible shifts, which are 1 to ``admissible``.

    Returns
    -------
    int64, shape (count,), in [1, admissible].
    """
    days = COMMON_SPAN_DAYS * np.modf(np.arange(1, count + 1) * GOLDEN)[0]
    bars = np.rint(days * bars_per_year / 365.25).astype(np.int64)
    wrapped: IntArray = 1 + (np.maximum(bars, 1) - 1) % admissible
    wrapped.flags.writeable = False  # shared by all runs of this length
    return wrapped
