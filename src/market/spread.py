"""Bid-ask spread estimated from daily highs and lows, point in time."""

from __future__ import annotations

import numpy as np

from src.core.arrays import FloatArray

_K = 3.0 - 2.0 * np.sqrt(2.0)


def two_day_spread(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Corwin and Schultz's estimate of the proportional spread from bars k-1 and k.

    The high is mostly a buy and the low a sell, so a range contains variance and spread; variance grows with time and
    the spread does not, which separates them. If bar k lies entirely above or below the close before it, it is first
    moved by the overnight gap.

    Parameters
    ----------
    high, low, close : float64, shape (n,)
        Positive prices on one basis.

    Returns
    -------
    float64, shape (n,), a fraction of the price; NaN at 0. Single values are noisy and may be negative.

    Source
    ------
    Corwin and Schultz, "A Simple Way to Estimate Bid-Ask Spreads from Daily High and Low Prices", Journal of Finance 67
    (2012), equations 14 and 18, p. 726 on overnight gaps.
    """
    out = np.full(high.size, np.nan)
    if high.size < 2:
        return out
    gap = np.maximum(low[1:] - close[:-1], 0.0) + np.minimum(high[1:] - close[:-1], 0.0)
    later_high, later_low = high[1:] - gap, low[1:] - gap
    beta = np.log(high[:-1] / low[:-1]) ** 2 + np.log(later_high / later_low) ** 2
    gamma = np.log(np.maximum(high[:-1], later_high) / np.minimum(low[:-1], later_low)) ** 2
    alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / _K - np.sqrt(gamma / _K)
    out[1:] = 2.0 * np.expm1(alpha) / (1.0 + np.exp(alpha))
    return out


def spread(high: FloatArray, low: FloatArray, close: FloatArray, window: int) -> FloatArray:
    """Average the two-day estimates of the last ``window`` bars; a negative average counts as a spread of 0.

    Negative values stay in the average. Setting each to zero first, as the paper also tries, triples the half spread of
    liquid names by noise alone (27 instead of 9 basis points for the 97 most traded stocks of a real file, window 21).

    Parameters
    ----------
    high, low, close : float64, shape (n,)
        Positive prices on one basis.
    window : int
        Number of bars.

    Returns
    -------
    float64, shape (n,), >= 0, a fraction of the price; 0 until ``window`` estimates exist.
    """
    estimates = two_day_spread(high, low, close)
    out = np.zeros(estimates.size)
    if estimates.size > window:
        sums = np.cumsum(np.concatenate(([0.0], estimates[1:])))
        out[window:] = np.maximum((sums[window:] - sums[:-window]) / window, 0.0)
    return out
