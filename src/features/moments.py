"""Rolling moments: variance, covariance, shape, and regressions on time or on another series."""

from __future__ import annotations

import numpy as np

from src.features.windows import Array, padded, ramp_sums, window_sums


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
    return padded(_scatter(x, window_sums(x, bars), bars) / (bars - 1), len(x))


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


def mean_deviation(x: Array, bars: int) -> Array:
    """Mean absolute deviation of the last `bars` values from their mean.

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
    centre = window_sums(x, bars) / bars
    apart = np.zeros(len(centre))
    for at in range(bars):
        apart += np.abs(x[at : at + len(centre)] - centre)
    return padded(apart / bars, len(x))


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
    sums = window_sums(x, bars)
    spread = np.sqrt(_scatter(x, sums, bars) / (bars - 1))
    spread[spread == 0] = np.nan  # rounding over nothing would be infinite
    return padded((x[len(x) - len(sums) :] - sums / bars) / spread, len(x))


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
    return padded(_scatter_of(x, y, window_sums(x, bars), window_sums(y, bars), bars) / (bars - 1), len(x))


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
    sx, sy = window_sums(x, bars), window_sums(y, bars)
    return padded(_scatter_of(x, y, sx, sy, bars) / _scatter(x, sx, bars), len(x))


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
    sx, sy = window_sums(x, bars), window_sums(y, bars)
    spread = np.sqrt(_scatter(x, sx, bars) * _scatter(y, sy, bars))
    return padded(_scatter_of(x, y, sx, sy, bars) / spread, len(x))


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
    sums = window_sums(x, bars)
    centre, square = sums / bars, window_sums(squared, bars) / bars
    cube, fourth = window_sums(squared * x, bars) / bars, window_sums(squared * squared, bars) / bars
    second = _scatter(x, sums, bars) / bars
    third = cube - centre * (3 * square - 2 * centre * centre)
    fourth = fourth - centre * (4 * cube - centre * (6 * square - 3 * centre * centre))
    variance = second * second
    return np.stack([padded(third / (second * np.sqrt(second)), len(x)), padded(fourth / variance - 3, len(x))])


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
    product = ramp_sums(y, bars)
    slope = product / (bars * (bars**2 - 1) / 12)
    explained = slope * product / _scatter(y, window_sums(y, bars), bars)
    return np.stack([padded(slope, len(y)), padded(explained, len(y))])


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
    sx, sy, so = window_sums(x, bars), window_sums(y, bars), window_sums(other, bars)
    xx, oo = _scatter(x, sx, bars), _scatter(other, so, bars)
    xo, oy = _scatter_of(x, other, sx, so, bars), _scatter_of(other, y, so, sy, bars)
    apart = xx * oo - xo * xo
    apart[apart < 1e-8 * xx * oo] = np.nan  # cancellation leaves less than eight digits: collinear
    slope = (_scatter_of(x, y, sx, sy, bars) * oo - xo * oy) / apart
    return padded(slope * np.sqrt(xx / _scatter(y, sy, bars)), len(x))


def _scatter(x: Array, sums: Array, bars: int) -> Array:
    """Sum of squared deviations from the mean, of all full windows."""
    return _scatter_of(x, x, sums, sums, bars)


def _scatter_of(x: Array, y: Array, sx: Array, sy: Array, bars: int) -> Array:
    """Sum of products of deviations from the means, of all full windows.

    Taken as the sum of products less the product of sums over n. What that loses to cancellation is about 1e-16 of the
    sum of products, so a result below 1e-13 of it counts as 0: equal values have no spread.
    """
    product, apart = window_sums(x * y, bars), sx * sy
    apart /= bars
    np.subtract(product, apart, out=apart)
    np.abs(product, out=product)
    product *= 1e-13
    apart[np.abs(apart) < product] = 0.0
    return apart
