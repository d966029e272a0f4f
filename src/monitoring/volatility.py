"""Returns in units of their own recent volatility, and how well a scale is known.

A year in which everything moves twice as much is no evidence against a champion, and neither is one very bad day.
"""

from __future__ import annotations

import math

import numpy as np

from src.core.arrays import FloatArray

DECAY = 0.97
"""Weight of the past in the running mean of squares, a day with a position."""
WIDEST = 3.0
"""Standard deviations beyond which a day counts as this many."""
_USUAL_NOISE = 0.15  # of a year's log volatility, where a record holds fewer than two years


def in_deviations(record: FloatArray, live: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Divide returns by the volatility known before each day, and hold them within `WIDEST`.

    Parameters
    ----------
    record : float64, shape (n,)
        Net returns out of sample; 0 on days without a position, which leave the volatility as it is.
    live : float64, shape (days,)
        Those since.

    Returns
    -------
    tuple of float64 arrays, shape (n,) and (days,)
        The first days are divided by the mean square of the record's days with a position. A live day depends on no
        later one. Where the record has no return but 0, both are zero or beyond.

    Source
    ------
    J.P. Morgan and Reuters, "RiskMetrics: Technical Document", 4th edition (1996), p. 78: exponentially weighted
    volatility. A square counts at most as `WIDEST` + 1 deviations of the volatility before it.
    """
    returns = np.concatenate([record, live])
    active = np.flatnonzero(returns)
    squares = returns[active] ** 2
    first = float(np.mean(record[record != 0.0] ** 2)) if record.any() else 0.0
    if first <= 0.0:
        return np.sign(record) * WIDEST, np.sign(live) * WIDEST
    held = np.minimum(squares, (WIDEST + 1.0) ** 2 * _known_before(squares, first))
    scaled: FloatArray = np.zeros(returns.size)
    scaled[active] = returns[active] / np.sqrt(np.maximum(_known_before(held, first), 1e-6 * first))
    scaled = np.clip(scaled, -WIDEST, WIDEST)
    return scaled[: record.size], scaled[record.size :]


def scale_noise(values: FloatArray, looks: int, block: int) -> float:
    """Standard deviation of the logarithm of a year's scale over the one that a record gives.

    Parameters
    ----------
    values : float64, shape (n,)
        One a day.
    looks : int
        Days of a year.
    block : int
        Mean length of the bootstrap's blocks.

    Returns
    -------
    float
        The root of ``v (n + looks) / (n - looks) + block / (2 n)``: v is the variance of the log standard deviations of
        the record's years, which overlap by three quarters; the first term is what years differ by, from each other and
        from the record; the second what the bootstrap's own variance is uncertain by.

    Source
    ------
    Nordman, "A Note on the Stationary Bootstrap's Variance", Annals of Statistics 37 (2009), p. 359: the variance of a
    variance from the stationary bootstrap is about ``2 block / n`` of its square.
    """
    n = values.size
    known = block / (2.0 * n)
    if n < 2 * looks:
        return math.sqrt(_USUAL_NOISE**2 * (1.0 + looks / n) + known)
    starts = range(0, n - looks + 1, max(1, looks // 4))
    deviations = np.array([float(np.std(values[first : first + looks])) for first in starts])
    logs = np.log(np.maximum(deviations, 1e-3 * float(np.std(values))))
    return math.sqrt(float(np.var(logs)) * (n + looks) / (n - looks) + known)


def _known_before(squares: FloatArray, first: float) -> FloatArray:
    """Exponentially weighted mean of the squares before each, beginning with `first`."""
    from scipy.signal import lfilter

    after = lfilter([1.0 - DECAY], [1.0, -DECAY], squares, zi=np.array([DECAY * first]))[0]
    before: FloatArray = np.concatenate([[first], after[:-1]]) if squares.size else after
    return before
