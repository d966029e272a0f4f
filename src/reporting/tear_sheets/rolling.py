"""Sharpe ratio and AUC over the year before each day."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from src.core.arrays import FloatArray, IntArray

_ROWS = 512  # windows in work at once


def rolling_sharpe(net: FloatArray, window: int, bars_per_year: float, ends: IntArray) -> FloatArray:
    """Annualised Sharpe ratio of the last returns, as `src.evaluation.metrics.sharpe` has it.

    Parameters
    ----------
    net : float64, shape (n,)
    window : int
        Returns of a window.
    bars_per_year : float
    ends : int64, shape (k,)
        Last row of each window, ascending.

    Returns
    -------
    float64, shape (k,)
        NaN where a window is not full or its returns are constant; 0 where all are zero.
    """
    out = np.full(ends.size, np.nan)
    full = np.flatnonzero(ends >= window - 1)
    if not full.size:
        return out
    windows, scale = sliding_window_view(net, window), float(np.sqrt(bars_per_year))
    for first in range(0, full.size, _ROWS):
        rows = full[first : first + _ROWS]
        block = windows[ends[rows] - window + 1]
        deviation, largest = block.std(axis=1, ddof=1), np.abs(block).max(axis=1)
        varies = deviation > 1e-15 * largest
        out[rows[largest == 0.0]] = 0.0
        out[rows[varies]] = block[varies].mean(axis=1) / deviation[varies] * scale
    return out


def rolling_auc(label: FloatArray, score: FloatArray, window: int) -> FloatArray:
    """AUC of the last scores, as `src.evaluation.metrics.auc` has it.

    Each pair of an up day and a down day is compared once when the later day enters the window and once when the
    earlier one leaves it, so the counts are exact and nothing is sorted.

    Parameters
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
    score : float64, shape (n,)
    window : int
        Days of a window, unlabelled ones included.

    Returns
    -------
    float64, shape (n,)
        NaN where the window is not full or one of the classes is missing.
    """
    n, out = label.size, np.full(label.size, np.nan)
    if n < window:
        return out
    side = np.nan_to_num(2.0 * label - 1.0, nan=0.0)  # 1 up, -1 down, 0 without a label
    order = np.unique(score, return_inverse=True)[1].astype(np.int64)
    entering = _won(side, order, window)
    leaving = _won(side[::-1], order[::-1], window)[::-1]
    change = entering.copy()
    change[window:] -= leaving[: n - window]
    ups, downs = (_trailing_sum((side == sign).astype(np.float64), window) for sign in (1.0, -1.0))
    pairs = ups * downs
    known = (pairs > 0) & (np.arange(n) >= window - 1)
    out[known] = np.cumsum(change)[known] / pairs[known]
    return out


def _won(side: FloatArray, order: IntArray, window: int) -> FloatArray:
    """Pairs that each day wins with the window - 1 days before it: right order 1, tie a half, unlike labels alone."""
    ahead, n = window - 1, side.size
    sides = sliding_window_view(np.concatenate((np.zeros(ahead), side)).astype(np.int8), window)
    orders = sliding_window_view(np.concatenate((np.zeros(ahead, dtype=np.int32), order.astype(np.int32))), window)
    out = np.zeros(n)
    for first in range(0, n, _ROWS):
        rows = slice(first, min(first + _ROWS, n))
        own, others = sides[rows, -1:], sides[rows, :-1]
        unlike = own * others == -1
        right = np.sign(orders[rows, -1:] - orders[rows, :-1]).astype(np.int8) * own  # 1 right, 0 tie, -1 wrong
        out[rows] = ((right + np.int8(1)) * unlike).sum(axis=1, dtype=np.int64) / 2.0
    return out


def _trailing_sum(values: FloatArray, window: int) -> FloatArray:
    sums: FloatArray = np.cumsum(values)
    sums[window:] = sums[window:] - sums[:-window]
    return sums
