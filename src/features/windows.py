"""Rolling statistics whose value at a bar is a function of the bars in its window and of nothing else.

Sums and extremes are built from blocks of 1, 2, 4, ... bars, so a window of n costs about 2 log2(n) vector operations.
No running total is carried along the series: a NaN or a wild bar is gone when it leaves the window, and the last n bars
alone give the same bits as the whole series.

Every function takes float64 arrays of shape (bars,) and returns float64 of the same shape. The first rows, for which
the window isn't full, are NaN, and so is every window that holds a NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def lag(x: Array, bars: int) -> Array:
    """Value of `bars` bars ago.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int

    Returns
    -------
    float64, shape (n,)
        NaN for the first `bars` values.
    """
    return _padded(x[: max(len(x) - bars, 0)], len(x))


def total(x: Array, bars: int) -> Array:
    """Sum of the last `bars` values.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        NaN where the window isn't full or holds a NaN.
    """
    return _padded(_sums(x, bars), len(x))


def mean(x: Array, bars: int) -> Array:
    """Mean of the last `bars` values.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        NaN where the window isn't full or holds a NaN.
    """
    return total(x, bars) / bars


def weighted(x: Array, weights: Array) -> Array:
    """Sum of the last ``len(weights)`` values times their weights, oldest first.

    Parameters
    ----------
    x : float64, shape (n,)
    weights : float64, shape (bars,)
        For the oldest value first.

    Returns
    -------
    float64, shape (n,)
        NaN where the window isn't full or holds a NaN.
    """
    bars = len(weights)
    out = np.full(len(x), np.nan)
    if bars <= len(x):
        out[bars - 1 :] = sliding(x, bars) @ weights
    return out


def highest(x: Array, bars: int) -> Array:
    """Largest of the last `bars` values.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        NaN where the window isn't full or holds a NaN.
    """
    return _extreme(x, bars, np.maximum)


def lowest(x: Array, bars: int) -> Array:
    """Smallest of the last `bars` values.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        NaN where the window isn't full or holds a NaN.
    """
    return _extreme(x, bars, np.minimum)


def variance(x: Array, bars: int) -> Array:
    """Sample variance (n - 1) of the last `bars` values; exactly 0 where their spread is below rounding.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,), at least 0
        NaN where the window isn't full or holds a NaN.
    """
    return _padded(_scatter(x, _sums(x, bars), bars) / (bars - 1), len(x))


def deviation(x: Array, bars: int) -> Array:
    """Sample standard deviation (n - 1) of the last `bars` values.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,), at least 0
        Exactly 0 in a window of equal values. NaN where the window isn't full or holds a NaN.
    """
    return np.sqrt(variance(x, bars))


def zscore(x: Array, bars: int) -> Array:
    """Last value less the window's mean, over its sample standard deviation.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        NaN in a window of equal values, where the window isn't full, or where it holds a NaN.
    """
    sums = _sums(x, bars)
    spread = np.sqrt(_scatter(x, sums, bars) / (bars - 1))
    return _padded((x[len(x) - len(sums) :] - sums / bars) / spread, len(x))


def covariance(x: Array, y: Array, bars: int) -> Array:
    """Sample covariance (n - 1) of the last `bars` pairs.

    Parameters
    ----------
    x, y : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        NaN where the window isn't full or holds a NaN.
    """
    return _padded(_scatter_of(x, y, _sums(x, bars), _sums(y, bars), bars) / (bars - 1), len(x))


def beta(y: Array, x: Array, bars: int) -> Array:
    """Least-squares slope of `y` on `x` over the last `bars` bars; undefined where `x` is constant.

    Parameters
    ----------
    y, x : float64, shape (n,)
        Dependent and independent variable.
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        In units of y per unit of x. NaN or infinite where `x` is constant, NaN where the window isn't full.
    """
    sx, sy = _sums(x, bars), _sums(y, bars)
    return _padded(_scatter_of(x, y, sx, sy, bars) / _scatter(x, sx, bars), len(x))


def correlation(x: Array, y: Array, bars: int) -> Array:
    """Pearson's correlation of the last `bars` pairs; undefined where either is constant.

    Parameters
    ----------
    x, y : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,), in [-1, 1]
        NaN where either is constant, where the window isn't full, or where it holds a NaN.
    """
    sx, sy = _sums(x, bars), _sums(y, bars)
    spread = np.sqrt(_scatter(x, sx, bars) * _scatter(y, sy, bars))
    return _padded(_scatter_of(x, y, sx, sy, bars) / spread, len(x))


def shape(x: Array, bars: int) -> Array:
    """Skewness g1 and excess kurtosis g2 of the last `bars` values, shape (2, len(x)).

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (2, n)
        Both 0 for the normal distribution; NaN in a window of equal values.

    Source
    ------
    Joanes and Gill, "Comparing measures of sample skewness and kurtosis", The Statistician 47 (1998), p. 183.
    """
    squared = x * x
    sums = _sums(x, bars)
    centre, square = sums / bars, _sums(squared, bars) / bars
    cube, fourth = _sums(squared * x, bars) / bars, _sums(squared * squared, bars) / bars
    second = _scatter(x, sums, bars) / bars
    third = cube - centre * (3 * square - 2 * centre * centre)
    fourth = fourth - centre * (4 * cube - centre * (6 * square - 3 * centre * centre))
    variance = second * second
    return np.stack([_padded(third / (second * np.sqrt(second)), len(x)), _padded(fourth / variance - 3, len(x))])


def regression(y: Array, bars: int) -> Array:
    """Slope per bar and R2 of the least-squares line through the last `bars` values, shape (2, len(y)).

    Parameters
    ----------
    y : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (2, n)
        Slope in units of y per bar, and R2 in [0, 1]; R2 is NaN in a window of equal values.
    """
    product = weighted(y, np.arange(bars, dtype=np.float64) - (bars - 1) / 2)
    slope = product / (bars * (bars**2 - 1) / 12)
    return np.stack([slope, slope * product / _padded(_scatter(y, _sums(y, bars), bars), len(y))])


def standardised_slope(y: Array, x: Array, other: Array, bars: int) -> Array:
    """Coefficient of `x` in y = a + b x + c other over the last `bars` bars, times sd(x) / sd(y).

    Parameters
    ----------
    y, x, other : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        Standard deviations of y for one of x, `other` held fixed. NaN where x and `other` are collinear, or y is
        constant.
    """
    sx, sy, so = _sums(x, bars), _sums(y, bars), _sums(other, bars)
    xx, oo = _scatter(x, sx, bars), _scatter(other, so, bars)
    xo, oy = _scatter_of(x, other, sx, so, bars), _scatter_of(other, y, so, sy, bars)
    slope = (_scatter_of(x, y, sx, sy, bars) * oo - xo * oy) / (xx * oo - xo * xo)
    return _padded(slope * np.sqrt(xx / _scatter(y, sy, bars)), len(x))


def rank(x: Array, bars: int) -> Array:
    """Share of the `bars` - 1 earlier values of the window that lie below the last.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,), in [0, 1]
        Equal values don't lie below. NaN where the window isn't full or holds a NaN.
    """
    out = np.full(len(x), np.nan)
    if bars <= len(x):
        last = x[bars - 1 :]
        below = np.zeros(len(last), dtype=np.int32)
        for at in range(bars - 1):
            below += x[at : at + len(last)] < last
        out[bars - 1 :] = below / (bars - 1) + 0.0 * total(x, bars)[bars - 1 :]
    return out


def age_of_highest(x: Array, bars: int) -> Array:
    """Bars since the largest of the last `bars` values; of equal ones the latest counts.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,), in [0, bars - 1]
        0 where the last value is the largest. NaN where the window isn't full or holds a NaN.
    """
    if bars > len(x):
        return np.full(len(x), np.nan)
    at = np.arange(len(x), dtype=np.float64)
    block: Array = x
    bar: Array = at
    width = 1
    while 2 * width <= bars:
        block, bar = _later_highest(block[:-width], block[width:], bar[:-width], bar[width:])
        width *= 2
    span = len(x) - bars + 1
    block, bar = _later_highest(block[:span], block[bars - width :], bar[:span], bar[bars - width :])
    return at - _padded(bar + 0.0 * block, len(x))


def streak(sign: Array, bars: int) -> Array:
    """Length of the run of equal non-zero signs that ends here, signed and at most `bars` long.

    Parameters
    ----------
    sign : float64, shape (n,), in {-1, 0, 1}
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,), in [-bars, bars]
        0 where the last sign is 0. NaN where the window isn't full or holds a NaN.
    """
    out = np.zeros(len(sign))
    alive = np.ones(len(sign), dtype=bool)
    for back in range(bars):
        alive = alive & (lag(sign, back) == sign)
        out += alive
    return np.where(np.isnan(total(sign, bars)), np.nan, out * sign)


def sliding(x: Array, bars: int) -> Array:
    """View of all windows, the oldest value of each first.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Must not exceed n.

    Returns
    -------
    float64, shape (n - bars + 1, bars)
        Read-only: it shares its memory with `x`.
    """
    return np.lib.stride_tricks.sliding_window_view(x, bars)


def finish(columns: Sequence[Array], windows: Sequence[int]) -> NDArray[np.float32]:
    """Bring columns to the form in which they are stored.

    Parameters
    ----------
    columns : sequence of float64, shape (n,) each
    windows : sequence of int
        Declared window of each: the rows before it is full are cut.

    Returns
    -------
    float32, shape (columns, n)
        NaN in each warm-up, and where a value isn't finite.
    """
    out = np.empty((len(columns), len(columns[0])), dtype=np.float32)
    for row, values, window in zip(out, columns, windows, strict=True):
        row[:] = values
        row[: window - 1] = np.nan
    out[np.isinf(out)] = np.nan
    return out


def as_of(day: Array, known_day: Array, known: Array, oldest_days: float = 10.0) -> Array:
    """Last value known at each day.

    Parameters
    ----------
    day : float64, shape (n,)
        Days since 1970-01-01, ascending.
    known_day, known : float64, shape (m,)
        Days, ascending, and the values that were known from then on.
    oldest_days : float
        Age from which a value no longer counts.

    Returns
    -------
    float64, shape (n,)
        NaN where nothing is known yet, or only values older than `oldest_days`.
    """
    row = row_as_of(day, known_day, oldest_days)
    return np.where(row >= 0, known[row], np.nan) if len(known) else np.full(len(day), np.nan)


def row_as_of(day: Array, known_day: Array, oldest_days: float = 10.0) -> NDArray[np.int64]:
    """Row of the last known day at each day.

    Parameters
    ----------
    day : float64, shape (n,)
        Days since 1970-01-01, ascending.
    known_day : float64, shape (m,)
        Ascending.
    oldest_days : float
        Age from which a day no longer counts.

    Returns
    -------
    int64, shape (n,), in [-1, m - 1]
        -1 where no day is known yet, or only days older than `oldest_days`.
    """
    if not len(known_day):
        return np.full(len(day), -1, dtype=np.int64)
    row = np.searchsorted(known_day, day, side="right") - 1
    return np.where((row >= 0) & (day - known_day[row] <= oldest_days), row, -1).astype(np.int64)


@dataclass(frozen=True)
class Members:
    """What the panel's members measured, as known at each bar.

    Attributes
    ----------
    row : row of `values` that is known at a bar, shape (bars,); -1 where no row is.
    values : members' values of each day, shape (days, 2^k - 1), ascending, NaN after the last.
    """

    row: NDArray[np.int64]
    values: NDArray[np.float32]

    def __getitem__(self, bars: slice) -> Members:
        return Members(self.row[bars], self.values)


def share_below(x: Array, members: Members) -> Array:
    """Share of the panel's members whose value lies below, compared as float32.

    Parameters
    ----------
    x : float64, shape (n,)
        The instrument's own values.
    members : Members
        The members' values, as known at each bar.

    Returns
    -------
    float64, shape (n,), in [0, 1]
        NaN where `x` is, or where no member's value is known.
    """
    own = x.astype(np.float32)
    if not members.values.size:
        return np.full(len(x), np.nan)
    width = members.values.shape[1]
    flat, start = members.values.ravel(), np.maximum(members.row, 0) * width - 1
    below, within = np.zeros(len(x), dtype=np.int64), np.zeros(len(x), dtype=np.int64)
    step = (width + 1) // 2
    while step:
        there = flat[start + below + step] < own
        some = flat[start + within + step] < np.inf
        below += step * there
        within += step * some
        step //= 2
    known = (members.row >= 0) & (within > 0) & ~np.isnan(x)
    return np.where(known, below / np.maximum(within, 1), np.nan)


def _sums(x: Array, bars: int) -> Array:
    """Sums of all full windows, shape (len(x) - bars + 1,); empty where no window is full."""
    size = len(x)
    if bars > size:
        return x[:0]
    block, width, result, have = x, 1, x, 0
    while True:
        if bars & width:
            result = result[: size - have - width + 1] + block[have:] if have else block
            have += width
        if 2 * width > bars:
            return result
        block = block[:-width] + block[width:]
        width *= 2


def _scatter(x: Array, sums: Array, bars: int) -> Array:
    """Sum of squared deviations from the mean, of all full windows."""
    return _scatter_of(x, x, sums, sums, bars)


def _scatter_of(x: Array, y: Array, sx: Array, sy: Array, bars: int) -> Array:
    """Sum of products of deviations from the means, of all full windows.

    Taken as the sum of products less the product of sums over n. What that loses to cancellation is about 1e-16 of the
    sum of products, so a result below 1e-13 of it counts as 0: equal values have no spread.
    """
    product = _sums(x * y, bars)
    apart = product - sx * sy / bars
    apart[np.abs(apart) < 1e-13 * np.abs(product)] = 0.0
    return apart


def _extreme(x: Array, bars: int, pick: Callable[[Array, Array], Array]) -> Array:
    if bars > len(x):
        return np.full(len(x), np.nan)
    block, width = x, 1
    while 2 * width <= bars:
        block = pick(block[:-width], block[width:])
        width *= 2
    return _padded(pick(block[: len(x) - bars + 1], block[bars - width :]), len(x))


def _padded(values: Array, size: int) -> Array:
    out = np.empty(size)
    head = size - len(values)
    out[:head] = np.nan
    out[head:] = values
    return out


def _later_highest(a: Array, b: Array, bar_a: Array, bar_b: Array) -> tuple[Array, Array]:
    """Larger value and its bar, of equal values the later bar; NaN counts as the largest, so that it shows."""
    return np.maximum(a, b), np.where(a > b, bar_a, bar_b)
