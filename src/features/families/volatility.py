"""Volatility bands and regimes: where the price lies in its bands, how wide they are, how that compares."""

from __future__ import annotations

import numpy as np

from src.features.moments import deviation, zscore
from src.features.registry import family, feature
from src.features.ta_library import talib
from src.features.ties import tick_free
from src.features.windows import Array, highest, lag, lowest, mean, rank

FAMILY = family("volatility", group="technical", order=40)


@feature(
    FAMILY,
    bars=(14,),
    window=lambda bars: 8 * bars,
    tolerance=0.01,
    source="Wilder (1978), New Concepts in Technical Trading Systems, p. 21",
)
def atr(high: Array, low: Array, close: Array, bars: int) -> Array:
    """Wilder's average true range (alpha 1/n) over the close.

    Returns
    -------
    float64, shape (bars,), at least 0
        As a share of the close. 0 where the price does not move.
    """
    return talib.ATR(high, low, close, bars) / close


@feature(FAMILY, window=20, source="Bollinger (2001), Bollinger on Bollinger Bands")
def bollinger_position_20(close: Array) -> Array:
    """(C - mean) / (2 sd) of 20 closes, sample sd: 1 on the upper band, -1 on the lower (%b = (x + 1) / 2).

    Returns
    -------
    float64, shape (bars,), any sign
        Mostly within -1 to 1. NaN where the price does not move in the window.
    """
    return zscore(close, 20) / 2


@feature(FAMILY, window=20, source="Bollinger (2001), Bollinger on Bollinger Bands")
def bollinger_width_20(close: Array) -> Array:
    """4 sd / mean of 20 closes.

    Returns
    -------
    float64, shape (bars,), at least 0
        As a share of the mean close. 0 where the price does not move in the window.
    """
    return 4 * deviation(close, 20) / mean(close, 20)


@feature(
    FAMILY, window=100, tolerance=0.01, source="Keltner (1960), How to Make Money in Commodities; bands of Raschke"
)
def keltner_position_20(close: Array, atr_20: Array) -> Array:
    """(C - EMA20) / (2 x mean true range of 20 bars).

    Returns
    -------
    float64, shape (bars,), any sign
        Mostly within -1 to 1. NaN in a window of bars without a true range.
    """
    return (close - talib.EMA(close, 20)) / (2 * atr_20)


@feature(
    FAMILY,
    bars=(20,),
    window=lambda bars: bars + 1,
    source="Donchian (1957), Trend-following methods in commodity price analysis",
)
def donchian_position(high: Array, low: Array, close: Array, bars: int) -> Array:
    """(C - lowest low) / (highest high - lowest low) of the n bars before this one: beyond 0 to 1 is a breakout.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where the n bars before have no range.
    """
    floor, top = lag(lowest(low, bars), 1), lag(highest(high, bars), 1)
    return (close - floor) / tick_free(top - floor, close)


@feature(FAMILY, window=64, source="Bollerslev (1986), Generalized ARCH, J. Econometrics 31:307")
def volatility_ratio_10_63(log_return: Array, sigma_63: Array) -> Array:
    """ln of the standard deviation of 10 log returns over that of 63.

    Returns
    -------
    float64, shape (bars,), any sign
        Negative where the last two weeks were calmer than the quarter. NaN where either has no move.
    """
    return np.log(deviation(log_return, 10) / sigma_63)


@feature(FAMILY, window=147, source="Connors and Alvarez (2012), historical-volatility rank; definition")
def volatility_rank_126(sigma_21: Array) -> Array:
    """Share of the last 126 values of 21-bar volatility that lie below today's: 0 to 1.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0 where today's volatility is the lowest, or equals all the others.
    """
    return rank(sigma_21, 126, 1e-5 * sigma_21)
