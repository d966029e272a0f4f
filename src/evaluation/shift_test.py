"""Luck by circular shifts: what a run's own predictions would have earned had they been made at another time.

Directions and scores are shifted against labels and returns. Size, volatility and costs stay with the returns, so the
net return of a bar depends on the pair (previous, current exposure) alone; sums over bars are then circular
correlations, and AUC, accuracy and Sharpe of every shift come from a few Fourier transforms. Drawdown, and any metric
without such a form, is computed on the shifts that clear those three. Nothing here is sampled: the figures equal those
of a loop over all shifts.

Shift s pairs the prediction of bar k - s with the return of bar k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.core.arrays import BoolArray, FloatArray, IntArray
from src.evaluation.grade import GATE_METRICS, GateMetric, Outcomes, Thresholds
from src.evaluation.metrics import midranks
from src.evaluation.strategy import TradingConditions, net_returns

COMMON_SPAN_DAYS = 2200  # displacements are spread over six years: no more, so that few runs need to wrap them round
GOLDEN = 0.6180339887498949
_CELLS = 4_000_000  # matrix cells held at once: bounds memory for long histories
Spectrum = npt.NDArray[np.complex128]


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


def shifts(
    label: FloatArray,
    score: FloatArray,
    exposure: FloatArray,
    conditions: TradingConditions,
    *,
    bars_per_year: float,
    thresholds: Thresholds,
    exclude_lags: int,
) -> Shifts:
    """Grade every circular shift of scores and exposures against labels and returns.

    Parameters
    ----------
    label, score, exposure : float64, shape (n,)
        Of the out-of-sample decisions; label in {0, 1, NaN}.
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
    n = label.size
    by_shift = {
        "auc": shifted_auc(label, score),
        "accuracy": shifted_accuracy(label, score),
        "sharpe": shifted_sharpe(exposure, conditions, bars_per_year),
    }
    clears = np.ones(n, dtype=np.bool_)
    for metric in GATE_METRICS:
        if metric.name in by_shift:
            clears &= _clears(metric, by_shift[metric.name], thresholds)
    admissible = np.arange(1, n - min(exclude_lags, n // 4), dtype=np.int64)
    survivors = admissible[clears[admissible]]
    for metric in GATE_METRICS:
        if metric.name not in by_shift:
            values = _of_chosen(metric, label, score, exposure, conditions, bars_per_year, survivors)
            survivors = survivors[_clears(metric, values, thresholds)]
    clears = np.zeros(n, dtype=np.bool_)
    clears[survivors] = True
    return Shifts(**by_shift, clears=clears, admissible=admissible)


def _clears(metric: GateMetric, values: FloatArray, thresholds: Thresholds) -> BoolArray:
    """Whether each value is on the right side of the metric's limit; NaN is not."""
    limit = thresholds.limit(metric)
    with np.errstate(invalid="ignore"):
        return values >= limit if metric.at_least else values <= limit


def _of_chosen(
    metric: GateMetric,
    label: FloatArray,
    score: FloatArray,
    exposure: FloatArray,
    conditions: TradingConditions,
    bars_per_year: float,
    chosen: IntArray,
) -> FloatArray:
    """Metric of each chosen shift, shape of `chosen`: by its fast form where there is one, else shift by shift."""
    if metric.name == "max_drawdown":
        return shifted_drawdown(exposure, conditions, chosen)
    values = np.full(chosen.size, np.nan)
    for at, s in enumerate(chosen):
        net = net_returns(np.roll(exposure, s) * conditions.size, conditions)
        value = metric.compute(Outcomes(label, np.roll(score, s), net, bars_per_year))
        values[at] = np.nan if value is None else value
    return values


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
    return wrapped


def shifted_auc(label: FloatArray, score: FloatArray) -> FloatArray:
    """AUC of ``score`` rolled by each s against ``label``.

    Parameters
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
    score : float64, shape (n,)

    Returns
    -------
    float64, shape (n,), in [0, 1]
        NaN where a class is missing.

    Notes
    -----
    The rank sum over up days is a circular correlation. Days without a label must not be ranked, and which scores they
    take out changes with the shift: what they add to the ranks is counted and subtracted.
    """
    n = label.size
    up = (label == 1.0).astype(np.float64)
    silent = np.isnan(label)
    ups = float(up.sum())
    downs = n - np.count_nonzero(silent) - ups
    if ups == 0 or downs == 0:
        return np.full(n, np.nan)
    rank_sums = np.rint(2.0 * _correlation(up, midranks(score))) / 2.0
    above = rank_sums - ups - ups * (ups - 1.0) / 2.0
    if silent.any():
        above = above - _above_silent(up, score, silent)
    return above / (ups * downs)


def _above_silent(up: FloatArray, score: FloatArray, silent: BoolArray) -> FloatArray:
    """Count, for each shift, the pairs of an up day scored above an unlabelled day (ties one half), shape (n,).

    One pass over the scores in ascending order, all shifts at once: under shift s the prediction of bar a meets bar
    a + s, so a slice of the days written twice is what that prediction meets at each shift.
    """
    n = score.size
    whole = np.int32 if n < 40_000 else np.int64  # pairs reach n**2 / 2
    order = np.argsort(score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])) + 1, n).tolist()
    ups = np.lib.stride_tricks.sliding_window_view(np.tile(2 * up.astype(whole), 2), n)
    quiet = np.lib.stride_tricks.sliding_window_view(np.tile(silent.astype(whole), 2), n)
    below = np.zeros(n, dtype=whole)  # twice the up days scored lower, by shift
    pairs, term = np.zeros(n, dtype=whole), np.empty(n, dtype=whole)
    start = 0
    for end in ends:
        if end - start == 1:
            met, mute = ups[order[start]], quiet[order[start]]
            np.multiply(below, mute, out=term)
        else:
            met = ups[order[start:end]].sum(axis=0, dtype=whole)
            mute = quiet[order[start:end]].sum(axis=0, dtype=whole)
            np.multiply(below + met // 2, mute, out=term)
        np.add(pairs, term, out=pairs)
        np.add(below, met, out=below)
        start = end
    above: FloatArray = np.count_nonzero(silent) * float(up.sum()) - pairs.astype(np.float64) / 2.0
    return above


def shifted_accuracy(label: FloatArray, probability: FloatArray) -> FloatArray:
    """Accuracy at 0.5 of ``probability`` rolled by each s.

    Parameters
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
    probability : float64, shape (n,)

    Returns
    -------
    float64, shape (n,), in [0, 1]
        NaN where no day is labelled.
    """
    sign = np.where(np.isnan(label), 0.0, np.where(label == 1.0, 1.0, -1.0))
    known = np.count_nonzero(sign)
    if known == 0:
        return np.full(label.size, np.nan)
    agreement = np.rint(_correlation(sign, np.where(probability > 0.5, 1.0, -1.0)))
    return (agreement + known) / (2.0 * known)


def shifted_sharpe(exposure: FloatArray, conditions: TradingConditions, bars_per_year: float) -> FloatArray:
    """Sharpe ratio of ``exposure`` rolled by each s.

    Parameters
    ----------
    exposure : float64, shape (n,)
    conditions : TradingConditions
    bars_per_year : float

    Returns
    -------
    float64, shape (n,)
        NaN where undefined, 0 where no shifted bar earns anything.

    Notes
    -----
    Every pair (previous, current exposure) that occurs gets its indicator and the net return it would earn on each bar;
    the first bar, entered from cash, is looked up instead.
    """
    n = exposure.size
    if n < 2:
        return np.full(n, np.nan)
    levels, code = np.unique(exposure, return_inverse=True)
    pairs, pair = np.unique(np.roll(code, 1) * levels.size + code, return_inverse=True)
    before, now = levels[pairs // levels.size], levels[pairs % levels.size]
    trading = (before != 0.0) | (now != 0.0)
    indicators = (pair == np.flatnonzero(trading)[:, None]).astype(np.float64)
    net = _pair_returns(before[trading], now[trading], conditions)
    transformed = np.conj(np.fft.rfft(indicators))
    first = (
        exposure * conditions.size[0] * conditions.change[0]
        - np.abs(exposure) * conditions.size[0] * conditions.cost[0]
    )
    first = first[-np.arange(n) % n]
    total = np.fft.irfft((np.fft.rfft(net) * transformed).sum(axis=0), n) + first
    squares = np.fft.irfft((np.fft.rfft(net**2) * transformed).sum(axis=0), n) + first**2
    variance = (squares - total**2 / n) / (n - 1)
    noise = 1e-12 * np.max(squares, initial=0.0) / n
    out = np.full(n, np.nan)
    out[squares <= noise] = 0.0
    moving = variance > noise
    out[moving] = total[moving] / n / np.sqrt(variance[moving]) * np.sqrt(bars_per_year)
    return out


def _pair_returns(before: FloatArray, now: FloatArray, conditions: TradingConditions) -> FloatArray:
    """Net return of each bar (column) for each pair of exposures (row); zero on the first bar, exit on the last."""
    position = now[:, None] * conditions.size
    held = np.zeros_like(position)
    held[:, 1:] = before[:, None] * conditions.size[:-1]
    net = position * conditions.change - np.abs(position - held) * conditions.cost
    net[:, -1] -= np.abs(position[:, -1]) * conditions.cost[-1]
    net[:, 0] = 0.0
    return net


def shifted_drawdown(exposure: FloatArray, conditions: TradingConditions, chosen: IntArray) -> FloatArray:
    """Maximum drawdown of ``exposure`` rolled by each chosen s.

    Parameters
    ----------
    exposure : float64, shape (n,)
    conditions : TradingConditions
    chosen : int64, shape (m,)
        Shifts.

    Returns
    -------
    float64, shape (m,), in [0, 1]
    """
    n = exposure.size
    out = np.empty(chosen.size)
    twice = np.lib.stride_tricks.sliding_window_view(np.concatenate((exposure, exposure)), n) if n else exposure
    width = max(1, _CELLS // 8 // max(n, 1))
    for start in range(0, chosen.size, width):
        some = chosen[start : start + width]
        net = net_returns(twice[n - some] * conditions.size, conditions)
        curve = np.cumprod(np.maximum(1.0 + net, 0.0), axis=1)
        peak = np.maximum(np.maximum.accumulate(curve, axis=1), 1.0)
        out[start : start + width] = np.max(1.0 - curve / peak, axis=1)
    return out


def _correlation(fixed: FloatArray, rolled: FloatArray) -> FloatArray:
    """Sum over k of fixed[k] * rolled[k - s] for each s, shape (n,)."""
    return np.fft.irfft(np.fft.rfft(fixed) * np.conj(np.fft.rfft(rolled)), fixed.size)
