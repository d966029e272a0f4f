"""Whether a name's scores would pass at the common shifts: the same displacement in days for all names of a class.

Equal to `src.evaluation.shift_test.shifts` at these shifts. Cheap bounds of AUC and accuracy come first, by Fourier
transforms, and most shifts end there; returns are computed for the others, and ranks for what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from src.core.arrays import BoolArray, FloatArray, IntArray
from src.evaluation.fold_levels import one_fold
from src.evaluation.grade import GATE_METRICS, Outcomes, Thresholds
from src.evaluation.pooled.hedged_names import NameDays
from src.evaluation.shift_test import common_shifts
from src.evaluation.shifted_auc import correlation, shifted_accuracy
from src.evaluation.strategy import directions

if TYPE_CHECKING:
    from src.config.schema import GradeConfig, StrategyConfig

_FAST = ("auc", "accuracy", "sharpe", "max_drawdown")


@dataclass(frozen=True)
class NameScores:
    """Scores of one model for consecutive days of one name.

    Attributes
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
    probability : float64, shape (n,), in [0, 1]
        0.5, which is in cash, on days that are not graded.
    horizon : int
        Days that a decision is held.
    days : NameDays
    """

    label: FloatArray
    probability: FloatArray
    horizon: int
    days: NameDays

    def values(self, strategy: StrategyConfig, bars_per_year: float) -> dict[str, float | None]:
        """Compute the metrics of the gate.

        Parameters
        ----------
        strategy : StrategyConfig
        bars_per_year : float

        Returns
        -------
        dict of str to float or None
            By the metric's name.
        """
        net = self._net(directions(self.probability, strategy), np.zeros(1, dtype=np.int64))[0]
        outcomes = Outcomes(self.label, self.probability, net, bars_per_year)
        return {metric.name: metric.compute(outcomes) for metric in GATE_METRICS}

    def passes(self, strategy: StrategyConfig, gate: GradeConfig, bars_per_year: float) -> BoolArray:
        """Say at which of the common shifts the scores clear every threshold.

        Parameters
        ----------
        strategy : StrategyConfig
        gate : GradeConfig
        bars_per_year : float

        Returns
        -------
        bool, shape (common_shifts,)
            Rounded up to whole bytes. False everywhere where no shift is admissible.
        """
        n, limits = self.label.size, Thresholds.of(gate)
        count, admissible = -(-gate.common_shifts // 8) * 8, n - 1 - min(gate.exclude_lags, n // 4)
        if admissible < 1:
            return np.zeros(count, dtype=np.bool_)
        common = _common(count, admissible, bars_per_year)
        codes, ranks = _ranked(self.probability)
        shifts = np.flatnonzero(self._may_clear(ranks, limits)[: admissible + 1] & _among(common, admissible + 1))
        net = self._net(directions(self.probability, strategy), shifts)
        cleared = _clears("sharpe", _sharpes(net, bars_per_year), limits)
        cleared[cleared] = _clears("max_drawdown", _drawdowns(net[cleared]), limits)
        cleared[cleared] = _clears("auc", _areas(self.label, one_fold(codes).shifted(shifts[cleared])), limits)
        others = [metric for metric in GATE_METRICS if metric.name not in _FAST]
        if others:
            rows = zip(one_fold(self.probability).shifted(shifts[cleared]), net[cleared], strict=True)
            outcomes = [Outcomes(self.label, score, own, bars_per_year) for score, own in rows]
            cleared[cleared] = [limits.cleared_by({m.name: m.compute(each) for m in others}) for each in outcomes]
        passed: BoolArray = _among(shifts[cleared], admissible + 1)[common]
        return passed

    def _may_clear(self, ranks: FloatArray, limits: Thresholds) -> BoolArray:
        """Whether each shift's accuracy clears, as does the highest AUC that it may have, shape (n,)."""
        known = np.isfinite(self.label)
        ups, labelled, n = int(np.nansum(self.label)), int(np.count_nonzero(known)), self.label.size
        if ups in (0, labelled):
            return np.zeros(n, dtype=np.bool_)
        accurate = _clears("accuracy", shifted_accuracy(self.label, one_fold(self.probability)), limits)
        weight = np.where(known, np.where(self.label == 1.0, 1.0 / ups, -1.0 / (labelled - ups)), 0.0)
        excess = correlation(weight, ranks) / n
        share = 1.0 - labelled / n  # days without a label are ranked too: they may hide as much
        highest = 0.5 + (excess + share / 2.0) / (1.0 - share) + 1e-9
        return accurate & _clears("auc", np.minimum(highest, 1.0), limits)

    def _net(self, direction: FloatArray, shifts: IntArray) -> FloatArray:
        """Net returns under each shift, shape (shifts, n): exposures are differences of one cumulated sum."""
        n = direction.size
        sums = np.concatenate(([0.0], np.cumsum(np.concatenate((direction, direction)))))
        windows = np.lib.stride_tricks.sliding_window_view(sums, n + 1)[n - shifts]
        held, first = np.empty((shifts.size, n)), min(self.horizon, n)
        np.subtract(windows[:, 1 : first + 1], windows[:, :1], out=held[:, :first])
        np.subtract(windows[:, first + 1 :], windows[:, 1 : n + 1 - first], out=held[:, first:])
        held *= self.days.conditions.size / self.horizon
        return self.days.net(held)


@lru_cache(maxsize=4096)
def _common(count: int, admissible: int, bars_per_year: float) -> IntArray:
    return common_shifts(count, admissible, bars_per_year)


def _among(shifts: IntArray, size: int) -> BoolArray:
    out = np.zeros(size, dtype=np.bool_)
    out[shifts] = True
    return out


def _ranked(values: FloatArray) -> tuple[npt.NDArray[Any], FloatArray]:
    """Place of each value among the distinct ones, from 0, and its mean rank among all, from 1."""
    _, code, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: FloatArray = (ends - (counts - 1) / 2.0)[code]
    return code.astype(np.int32), ranks


def _areas(label: FloatArray, codes: npt.NDArray[Any]) -> FloatArray:
    """AUC of each row of codes, as `src.evaluation.metrics.auc`; both classes occur."""
    known = np.flatnonzero(np.isfinite(label))
    twice, up = 2 * codes[:, known], (label[known] == 1.0).astype(np.int32)
    ups = int(up.sum())
    pairs = ups * (known.size - ups)
    won = _placed_above(twice + up, ups)  # of two equal codes the even one, of a day that fell, comes first
    lost = _placed_above(twice + (1 - up), known.size - ups)
    return (won + pairs - lost) / (2.0 * pairs)


def _placed_above(keys: npt.NDArray[Any], odd: int) -> FloatArray:
    """Count for each row the pairs of an odd key placed above an even one."""
    keys.sort(axis=1)
    placed: FloatArray = (keys & 1).astype(np.float64) @ np.arange(keys.shape[1], dtype=np.float64)
    return placed - odd * (odd - 1) / 2.0


def _clears(name: str, values: FloatArray, limits: Thresholds) -> BoolArray:
    """Whether each value is on the right side of the limit of a metric; NaN is not."""
    metric = next(metric for metric in GATE_METRICS if metric.name == name)
    limit = limits.limit(metric)
    with np.errstate(invalid="ignore"):
        return values >= limit if metric.at_least else values <= limit


def _sharpes(net: FloatArray, bars_per_year: float) -> FloatArray:
    """Sharpe ratio of each row, as `src.evaluation.metrics.sharpe`; NaN where undefined."""
    if net.shape[1] < 2:
        return np.full(net.shape[0], np.nan)
    bars, mean, squares = net.shape[1], net.mean(axis=1), np.einsum("sn,sn->s", net, net)
    deviation = np.sqrt(np.maximum(squares - bars * mean**2, 0.0) / (bars - 1))
    deviation[deviation <= 1e-9 * np.sqrt(squares)] = np.nan
    ratio: FloatArray = mean / deviation * np.sqrt(bars_per_year)
    ratio[squares == 0.0] = 0.0
    return ratio


def _drawdowns(net: FloatArray) -> FloatArray:
    """Maximum drawdown of each row, as `src.evaluation.metrics.max_drawdown`."""
    curve = np.cumprod(np.maximum(1.0 + net, 0.0), axis=1)
    peak = np.maximum(np.maximum.accumulate(curve, axis=1), 1.0)
    deepest: FloatArray = np.max(1.0 - curve / peak, axis=1, initial=0.0)
    return deepest
