"""What a run's decisions would have earned under every circular shift, equal to a loop over the shifts.

Size, volatility and costs stay with the returns, so the net return of a bar depends on the pair (previous, current
exposure) alone. Where the decisions behind such a pair lie in one fold, sums over bars are circular correlations; the
few bars at the start of each fold are added up shift by shift.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from src.core.arrays import FloatArray, IntArray
from src.evaluation.fold_levels import FoldValues
from src.evaluation.significance import active_returns, deflated_sharpes
from src.evaluation.strategy import Performance, TradingConditions, exposures, net_returns

_CELLS = 500_000  # matrix cells held at once: bounds memory for long histories


def shifted_exposures(direction: FoldValues, horizon: int, shifts: IntArray) -> FloatArray:
    """Exposure of every bar under each of some shifts: the strategy's, of the directions that the shift puts in order.

    Parameters
    ----------
    direction : FoldValues
        In {-1, 0, 1}.
    horizon : int
        Bars that a decision is held.
    shifts : int64, shape (m,)

    Returns
    -------
    float64, shape (m, n)
    """
    rows = direction.shifted(shifts)
    return rows if horizon == 1 else np.array([exposures(row, horizon) for row in rows]).reshape(rows.shape)


def shifted_sharpe(
    direction: FoldValues, horizon: int, conditions: TradingConditions, bars_per_year: float
) -> FloatArray:
    """Sharpe ratio of the directions under each shift s.

    Parameters
    ----------
    direction : FoldValues
        In {-1, 0, 1}.
    horizon : int
        Bars that a decision is held.
    conditions : TradingConditions
    bars_per_year : float

    Returns
    -------
    float64, shape (n,)
        NaN where undefined, 0 where no shifted bar earns anything.
    """
    n = direction.size
    if n < 2:
        return np.full(n, np.nan)
    total, squares = _within_folds(direction, horizon, conditions)
    for net in _across_folds(direction, horizon, conditions):
        total += net
        squares += net**2
    variance = (squares - total**2 / n) / (n - 1)
    noise = 1e-12 * np.max(squares, initial=0.0) / n
    out = np.full(n, np.nan)
    out[squares <= noise] = 0.0
    moving = variance > noise
    out[moving] = total[moving] / n / np.sqrt(variance[moving]) * np.sqrt(bars_per_year)
    return out


def _within_folds(direction: FoldValues, horizon: int, conditions: TradingConditions) -> tuple[FloatArray, FloatArray]:
    """Sums of the net returns and of their squares over all bars with `horizon` bars of their own fold before them.

    Every pair (previous, current exposure) that occurs gets its indicator and the net return it would earn on each bar.
    """
    n = direction.size
    total, squares = (np.zeros(n // 2 + 1, dtype=np.complex128) for _ in range(2))
    for f, first, last in direction.spans():
        code = _rolling_sums(direction.values[f], horizon).astype(np.int64) + horizon
        levels = 2 * horizon + 1
        pair = np.roll(code, 1) * levels + code
        pairs = np.flatnonzero(np.bincount(pair))
        pairs = pairs[pairs != horizon * levels + horizon]  # out of the market before and now: nothing is earned
        if first + horizon >= last or not pairs.size:
            continue
        met = np.conj(np.fft.rfft((pair == pairs[:, None]).astype(np.float64)))
        before, now = (pairs // levels - horizon) / horizon, (pairs % levels - horizon) / horizon
        net = np.zeros((pairs.size, n))
        net[:, first + horizon : last] = _pair_returns(before, now, conditions, slice(first + horizon, last))
        total += (np.fft.rfft(net) * met).sum(axis=0)
        squares += (np.fft.rfft(net**2) * met).sum(axis=0)
    return np.fft.irfft(total, n), np.fft.irfft(squares, n)


def _rolling_sums(direction: FloatArray, horizon: int) -> FloatArray:
    """Sum of each direction and the `horizon` - 1 before it, the first following the last; whole numbers."""
    if horizon == 1:
        return direction
    sums: FloatArray = np.cumsum(
        np.concatenate((direction[-np.arange(horizon - 1, 0, -1) % direction.size], direction))
    )
    sums[horizon:] = sums[horizon:] - sums[:-horizon]
    return sums[horizon - 1 :]


def _pair_returns(before: FloatArray, now: FloatArray, conditions: TradingConditions, bars: slice) -> FloatArray:
    """Net return of each bar but the first (column) for each pair of exposures (row); the last one exits."""
    held = before[:, None] * conditions.size[bars.start - 1 : bars.stop - 1]
    return _net(held, now[:, None] * conditions.size[bars], conditions, bars)


def _net(held: FloatArray, position: FloatArray, conditions: TradingConditions, bars: slice) -> FloatArray:
    """Net returns as `net_returns` computes them, of some bars alone."""
    turnover = np.abs(position - held)
    if bars.stop == conditions.size.size:
        turnover[..., -1] += np.abs(position[..., -1])
    net: FloatArray = position * conditions.change[bars] - turnover * conditions.cost[bars]
    return net


def _across_folds(direction: FoldValues, horizon: int, conditions: TradingConditions) -> Iterator[FloatArray]:
    """Yield the net return under each shift of each bar with decisions of two folds, or of too few, behind it."""
    n = direction.size
    backwards = np.concatenate((direction.values[:, :1], direction.values[:, :0:-1]), axis=1)
    twice = np.concatenate((backwards, backwards), axis=1)
    fold = np.repeat(np.arange(direction.edges.size - 1), np.diff(direction.edges))

    def decided(bar: int) -> FloatArray:
        """Direction at a bar under each shift."""
        row: FloatArray = twice[fold[bar], n - bar : 2 * n - bar]
        return row

    for _, first, last in direction.spans():
        sums: FloatArray = np.zeros(n)
        for bar in range(max(0, first - horizon), first):
            sums = sums + decided(bar)
        held = sums / horizon * conditions.size[first - 1]
        for bar in range(first, min(first + horizon, last)):
            sums = sums + decided(bar)
            if bar >= horizon:
                sums = sums - decided(bar - horizon)
            position = sums / horizon * conditions.size[bar]
            yield _net(held[:, None], position[:, None], conditions, slice(bar, bar + 1))[:, 0]
            held = position


def shifted_drawdown(
    direction: FoldValues, horizon: int, conditions: TradingConditions, shifts: IntArray
) -> FloatArray:
    """Maximum drawdown of the directions under each of some shifts.

    Parameters
    ----------
    direction : FoldValues
    horizon : int
    conditions : TradingConditions
    shifts : int64, shape (m,)

    Returns
    -------
    float64, shape (m,), in [0, 1]
    """
    out = np.empty(shifts.size)
    for some in _blocks(shifts.size, direction.size):
        curve = net_returns(shifted_exposures(direction, horizon, shifts[some]) * conditions.size, conditions)
        curve += 1.0  # in place from here on: the arrays are large
        np.maximum(curve, 0.0, out=curve)
        np.cumprod(curve, axis=1, out=curve)
        peak = np.maximum.accumulate(curve, axis=1)
        np.maximum(peak, 1.0, out=peak)
        out[some] = 1.0 - np.min(np.divide(curve, peak, out=curve), axis=1)
    return out


def shifted_deflated_sharpe(
    direction: FoldValues,
    horizon: int,
    conditions: TradingConditions,
    shifts: IntArray,
    always: Performance,
    trials: int,
) -> FloatArray:
    """Deflated Sharpe ratio of the active return under each of some shifts.

    Parameters
    ----------
    direction : FoldValues
    horizon : int
    conditions : TradingConditions
    shifts : int64, shape (m,)
    always : Performance
        Of being long all the time under the same conditions.
    trials : int
        Of the run.

    Returns
    -------
    float64, shape (m,), in [0, 1]
        NaN where undefined.
    """
    out = np.empty(shifts.size)
    for some in _blocks(shifts.size, direction.size):
        position = shifted_exposures(direction, horizon, shifts[some]) * conditions.size
        net = net_returns(position, conditions)
        out[some] = deflated_sharpes(active_returns(net, position, always.net, always.position), trials)
    return out


def _blocks(shifts: int, bars: int) -> Iterator[slice]:
    width = max(1, _CELLS // max(bars, 1))
    for start in range(0, shifts, width):
        yield slice(start, start + width)
