"""How often the setting that was best on one half of the days is below the middle on the other half."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np

from src.core.arrays import FloatArray, IntArray

BLOCKS = 16


def backtest_overfitting(returns: FloatArray, blocks: int = BLOCKS) -> float | None:
    """Probability of backtest overfitting, by combinatorially symmetric cross-validation.

    The days are cut into blocks of equal length (those left over at the start are dropped). Each choice of half of
    the blocks is once in sample: the setting with the best Sharpe ratio there is ranked by its Sharpe ratio on the
    other blocks. The probability is the share of choices at which it is below the middle of all settings; at the
    middle, which exists where their number is odd, a choice counts one half.

    Parameters
    ----------
    returns : float64, shape (t, n)
        Of n settings on the same t days.
    blocks : int
        Even.

    Returns
    -------
    float in [0, 1], best 0; about 0.5 where no setting is better than another
        None for fewer than two settings that differ, or fewer than two days a block.

    Source
    ------
    Bailey, Borwein, Lopez de Prado and Zhu, "The probability of backtest overfitting", Journal of Computational Finance
    20(4) (2017), p. 39: algorithm 2.3, in which the logit of the relative rank is at most zero.
    """
    length, settings = returns.shape[0] // blocks, returns.shape[1]
    if settings < 2 or length < 2 or np.ptp(returns, axis=1).max() == 0.0:
        return None
    kept = returns[returns.shape[0] - length * blocks :].reshape(blocks, length, settings)
    sums, squares = kept.sum(axis=1), (kept**2).sum(axis=1)
    chosen = _halves(blocks)
    days = length * blocks // 2
    inside = _sharpe(chosen @ sums, chosen @ squares, days)
    outside = _sharpe((1.0 - chosen) @ sums, (1.0 - chosen) @ squares, days)
    best = np.argmax(inside, axis=1)
    own = outside[np.arange(chosen.shape[0]), best][:, None]
    below = np.count_nonzero(outside < own, axis=1)
    above = np.count_nonzero(outside > own, axis=1)
    return float(np.mean((below < above) + 0.5 * (below == above)))


@cache
def _halves(blocks: int) -> FloatArray:
    """Each choice of half of the blocks, as rows of zeros and ones: 12,870 of them for 16 blocks."""
    picks: IntArray = np.array(list(combinations(range(blocks), blocks // 2)), dtype=np.int64)
    rows = np.zeros((picks.shape[0], blocks))
    np.put_along_axis(rows, picks, 1.0, axis=1)
    return rows


def _sharpe(sums: FloatArray, squares: FloatArray, days: int) -> FloatArray:
    """Mean over standard deviation; 0 where nothing varies."""
    mean = sums / days
    variance = squares / days - mean**2
    moving = variance > 1e-14 * np.maximum(squares / days, 1e-300)
    ratio: FloatArray = np.where(moving, mean / np.sqrt(np.where(moving, variance, 1.0)), 0.0)
    return ratio
