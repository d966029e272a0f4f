"""Microstructure from daily bars: spreads, price impact, staleness."""

from __future__ import annotations

import numpy as np

from src.features.moments import beta, covariance
from src.features.registry import family, feature
from src.features.windows import Array, lag, mean
from src.market.spread import two_day_spread

FAMILY = family("microstructure", group="technical", order=60)


@feature(FAMILY, window=22, source="Corwin and Schultz (2012), A simple way to estimate bid-ask spreads, JF 67:719")
def corwin_schultz_21(high: Array, low: Array, close: Array) -> Array:
    """Mean of 21 two-bar high-low spread estimates (`src.market.spread`), negative ones included.

    Returns
    -------
    float64, shape (bars,), any sign
        As a share of the price; negative estimates stay in the mean. 0 where bars have no range.
    """
    return mean(two_day_spread(high, low, close), 21)


@feature(FAMILY, window=22, source="Abdi and Ranaldo (2017), A simple estimation of bid-ask spreads, RFS 30:4437")
def abdi_ranaldo_21(log_close: Array, high: Array, low: Array) -> Array:
    """2 sqrt(max(mean((c[t-1] - m[t-1]) (c[t-1] - m[t])), 0)), 21 pairs of log closes c and mid-ranges m.

    Returns
    -------
    float64, shape (bars,), at least 0
        As a share of the price; a negative mean counts as 0.
    """
    middle = np.log(high * low) / 2
    before = lag(log_close, 1)
    value: Array = 2 * np.sqrt(np.maximum(mean((before - lag(middle, 1)) * (before - middle), 21), 0.0))
    return value


@feature(FAMILY, window=65, source="Roll (1984), A simple implicit measure of the bid-ask spread, JF 39:1127")
def roll_63(log_return: Array) -> Array:
    """2 sqrt(max(-cov(r[t], r[t-1]), 0)) of 63 log returns.

    Returns
    -------
    float64, shape (bars,), at least 0
        As a share of the price; a positive covariance counts as no spread.
    """
    value: Array = 2 * np.sqrt(np.maximum(-covariance(log_return, lag(log_return, 1), 63), 0.0))
    return value


@feature(FAMILY, window=253, source="Amihud (2002), Illiquidity and stock returns, J. Financial Markets 5:31")
def amihud_ratio_21_252(illiquidity: Array) -> Array:
    """ln of the mean |return| per money traded of 21 bars over that of 252; bars without volume count as 0.

    Returns
    -------
    float64, shape (bars,), any sign
        Above 0 where trading has become costlier. NaN in a window without volume or without a move.
    """
    return np.log(mean(illiquidity, 21) / mean(illiquidity, 252))


@feature(FAMILY, window=64, source="Hasbrouck (2009), Trading costs and returns, JF 64:1445; after Kyle (1985)")
def kyle_impact_63(log_return: Array, direction: Array, dollar_volume: Array, sigma_63: Array) -> Array:
    """Slope of the return on its sign x sqrt(money traded), times that root's mean over the sd of returns; 63 bars.

    Returns
    -------
    float64, shape (bars,), any sign
        Impact of a usual bar's trading in standard deviations of a return. NaN in a window without volume or
        without a move.
    """
    root = np.sqrt(dollar_volume)
    signed = direction * root
    return beta(log_return, signed, 63) * mean(root, 63) / sigma_63


@feature(
    FAMILY, window=64, source="Lesmond, Ogden and Trzcinka (1999), A new estimate of transaction costs, RFS 12:1113"
)
def zero_return_share_63(direction: Array) -> Array:
    """Share of 63 bars whose return is zero (to 1e-6).

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        1 where the price does not move in the window.
    """
    return mean(1.0 - np.abs(direction), 63)


@feature(FAMILY, window=22, source="Alizadeh, Brandt and Diebold (2002), Range-based estimation, JF 57:1047")
def range_to_return_21(log_range: Array, log_return: Array) -> Array:
    """ln of the mean log range over the mean absolute log return, 21 bars: high where trades bounce in place.

    Returns
    -------
    float64, shape (bars,), any sign
        In logs. NaN where the price does not move in the window.
    """
    return np.log(mean(log_range, 21) / mean(np.abs(log_return), 21))
