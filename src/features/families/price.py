"""Price dynamics: returns, the two halves of the day, volatility estimates, the shape of the returns' distribution."""

from __future__ import annotations

import numpy as np

from src.features.moments import correlation, deviation
from src.features.registry import family, feature
from src.features.windows import Array, lag, mean, total

FAMILY = family("price", group="technical", order=10)
LN2 = float(np.log(2.0))


@feature(FAMILY, bars=(1, 5, 21, 63), window=lambda bars: bars + 1, source="definition")
def return_(close: Array, bars: int) -> Array:
    """ln(C[t] / C[t-n]), total-return prices.

    Returns
    -------
    float64, shape (bars,), any sign
        Log return. 0 where the price does not move, also over a gap: bars are counted, not days.
    """
    return np.log(close / lag(close, bars))


@feature(FAMILY, window=2, source="definition")
def overnight_return(overnight: Array) -> Array:
    """ln(O[t] / C[t-1]).

    Returns
    -------
    float64, shape (bars,), any sign
        Log return; over a gap, all that happened in it.
    """
    return overnight.copy()


@feature(FAMILY, window=22, source="Lou, Polk and Skouras (2019), A tug of war, JFE 134:192")
def overnight_share_21(overnight: Array, intraday: Array) -> Array:
    """Sum of overnight returns over the sum of all overnight and intraday moves in size, 21 bars: -1 to 1.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        NaN where the price does not move in the window.
    """
    return total(overnight, 21) / total(np.abs(overnight) + np.abs(intraday), 21)


@feature(FAMILY, window=22, source="definition")
def volatility_21(sigma_21: Array) -> Array:
    """Sample standard deviation of 21 log returns, not annualised.

    Returns
    -------
    float64, shape (bars,), at least 0
        Per bar, in log returns. 0 where the price does not move in the window.
    """
    return sigma_21.copy()


@feature(FAMILY, window=21, source="Parkinson (1980), The extreme value method, J. Business 53:61")
def parkinson_21(log_range: Array) -> Array:
    """sqrt(mean(ln(H/L)^2) / (4 ln 2)) of 21 bars.

    Returns
    -------
    float64, shape (bars,), at least 0
        Per bar, in log returns. 0 in a window of bars without range.
    """
    return np.sqrt(mean(log_range**2, 21) / (4 * LN2))


@feature(FAMILY, window=21, source="Garman and Klass (1980), On the estimation of volatilities, J. Business 53:67")
def garman_klass_21(log_range: Array, intraday: Array) -> Array:
    """sqrt(mean(0.5 ln(H/L)^2 - (2 ln 2 - 1) ln(C/O)^2)) of 21 bars.

    Returns
    -------
    float64, shape (bars,), at least 0
        Per bar, in log returns; a negative variance counts as 0.
    """
    value: Array = np.sqrt(np.maximum(mean(0.5 * log_range**2 - (2 * LN2 - 1) * intraday**2, 21), 0.0))
    return value


@feature(FAMILY, window=22, source="Yang and Zhang (2000), Drift-independent volatility estimation, J. Business 73:477")
def yang_zhang_21(overnight: Array, intraday: Array, rogers_satchell: Array) -> Array:
    """sqrt(V_overnight + k V_intraday + (1 - k) V_rogers_satchell), k = 0.34 / (1.34 + 22/20), 21 bars.

    Returns
    -------
    float64, shape (bars,), at least 0
        Per bar, in log returns; a negative variance counts as 0.
    """
    k = 0.34 / (1.34 + 22 / 20)
    variance = deviation(overnight, 21) ** 2 + k * deviation(intraday, 21) ** 2 + (1 - k) * mean(rogers_satchell, 21)
    value: Array = np.sqrt(np.maximum(variance, 0.0))
    return value


@feature(FAMILY, window=64, source="Joanes and Gill (1998), The Statistician 47:183 (g1)")
def skewness_63(moments_63: Array) -> Array:
    """Skewness g1 of 63 log returns.

    Returns
    -------
    float64, shape (bars,), any sign
        0 for a symmetric distribution. NaN where the price does not move in the window.
    """
    row: Array = moments_63[0]
    return row


@feature(FAMILY, window=64, source="Joanes and Gill (1998), The Statistician 47:183 (g2)")
def kurtosis_63(moments_63: Array) -> Array:
    """Excess kurtosis g2 of 63 log returns.

    Returns
    -------
    float64, shape (bars,), at least -2
        0 for the normal distribution. NaN where the price does not move in the window.
    """
    row: Array = moments_63[1]
    return row


@feature(FAMILY, bars=(21,), window=lambda bars: bars + 2, source="Lo and MacKinlay (1988), RFS 1:41")
def autocorrelation(log_return: Array, bars: int) -> Array:
    """Correlation of n log returns with the ones before them.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        NaN where the price does not move in the window.
    """
    return correlation(log_return, lag(log_return, 1), bars)


@feature(FAMILY, window=68, source="Lo and MacKinlay (1988), Stock market prices do not follow random walks, RFS 1:41")
def variance_ratio_5_63(close: Array, sigma_63: Array) -> Array:
    """Variance of 63 overlapping 5-bar log returns over 5 times that of the 63 one-bar returns; 1 for a random walk.

    Returns
    -------
    float64, shape (bars,), at least 0
        Below 1 where moves reverse, above where they go on. NaN where the price does not move in the window.
    """
    return deviation(np.log(close / lag(close, 5)), 63) ** 2 / (5 * sigma_63**2)


@feature(
    FAMILY,
    window=64,
    source="Barndorff-Nielsen, Kinnebrock and Shephard (2010), Measuring downside risk: realised semivariance",
)
def downside_share_63(log_return: Array) -> Array:
    """Share of the sum of 63 squared log returns that falls on negative ones: 0 to 1.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        NaN where the price does not move in the window.
    """
    squared = log_return**2
    return total(np.where(log_return < 0, squared, 0.0 * squared), 63) / total(squared, 63)
