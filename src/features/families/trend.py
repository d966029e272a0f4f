"""Trend: distances from averages, directional movement, regressions, efficiency."""

from __future__ import annotations

import math

import numpy as np

from src.features.registry import family, feature
from src.features.ta_library import talib
from src.features.ties import TIE, tick_free
from src.features.wilder import average_directional_index
from src.features.windows import Array, age_of_highest, highest, lag, lowest, mean, total

FAMILY = family("trend", group="technical", order=30)


@feature(
    FAMILY,
    bars=(20, 50),
    window=lambda bars: 5 * bars,
    tolerance=0.01,
    source="Pring (2002), Technical Analysis Explained",
)
def ema_distance(close: Array, bars: int) -> Array:
    """ln(C / EMA_n), alpha 2/(n+1), seeded by the mean of the first n closes.

    Returns
    -------
    float64, shape (bars,), any sign
        In log prices. 0 where the price does not move.
    """
    return np.log(close / talib.EMA(close, bars))


@feature(FAMILY, window=200, source="Brock, Lakonishok and LeBaron (1992), Simple technical trading rules, JF 47:1731")
def sma_distance_200(close: Array) -> Array:
    """ln(C / mean of 200 closes).

    Returns
    -------
    float64, shape (bars,), any sign
        In log prices. 0 where the price does not move.
    """
    return np.log(close / mean(close, 200))


@feature(FAMILY, window=150, tolerance=0.01, source="Appel (2005), Technical Analysis")
def macd_12_26(close: Array) -> Array:
    """(EMA12 - EMA26) / C; both averages seeded by means of their own first bars.

    Returns
    -------
    float64, shape (bars,), any sign
        As a share of the close.
    """
    return (talib.EMA(close, 12) - talib.EMA(close, 26)) / close


@feature(FAMILY, window=180, tolerance=0.01, source="Appel (2005), Technical Analysis")
def macd_histogram_12_26_9(close: Array) -> Array:
    """(M - EMA9(M)) / C, M = EMA12 - EMA26 of the closes.

    Returns
    -------
    float64, shape (bars,), any sign
        As a share of the close.
    """
    line = talib.EMA(close, 12) - talib.EMA(close, 26)
    return (line - talib.EMA(line, 9)) / close


@feature(FAMILY, window=168, tolerance=0.01, source="Wilder (1978), New Concepts in Technical Trading Systems, p. 35")
def adx_14(directional_14: Array) -> Array:
    """Wilder's average directional index of 14 bars: 0 to 100.

    Returns
    -------
    float64, shape (bars,), in [0, 100]
        0 where the price does not move.
    """
    return average_directional_index(directional_14, 14)


@feature(FAMILY, window=140, tolerance=0.01, source="Wilder (1978), New Concepts in Technical Trading Systems, p. 35")
def di_spread_14(directional_14: Array) -> Array:
    """Wilder's plus DI less minus DI of 14 bars: -100 to 100.

    Returns
    -------
    float64, shape (bars,), in [-100, 100]
        Positive where highs rise more than lows fall. 0 where the price does not move.
    """
    spread: Array = directional_14[0] - directional_14[1]
    return spread


@feature(FAMILY, window=26, source="Chande (1995), A time price oscillator, TASC 13")
def aroon_25(high: Array, low: Array) -> Array:
    """100 (bars since the 26-bar low - bars since the 26-bar high) / 25; of equals the latest counts.

    Returns
    -------
    float64, shape (bars,), in [-100, 100]
        100 where the high is the last bar and the low the first of 26. 0 where the price does not move.
    """
    return 100 * (age_of_highest(-low, 26, TIE) - age_of_highest(high, 26, TIE)) / 25


@feature(FAMILY, window=63, source="Clenow (2015), Stocks on the Move")
def slope_63(trend_63: Array) -> Array:
    """Least-squares slope per bar of 63 log closes.

    Returns
    -------
    float64, shape (bars,), any sign
        Log return per bar.
    """
    row: Array = trend_63[0]
    return row


@feature(FAMILY, window=63, source="Clenow (2015), Stocks on the Move")
def trend_r2_63(trend_63: Array) -> Array:
    """R2 of the least-squares line through 63 log closes.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        1 where the log closes lie on a line. NaN where the price does not move in the window.
    """
    row: Array = trend_63[1]
    return row


@feature(FAMILY, bars=(10,), window=lambda bars: bars + 1, source="Kaufman (1995), Smarter Trading")
def efficiency_ratio(close: Array, prior_close: Array, bars: int) -> Array:
    """|C[t] - C[t-n]| over the sum of n absolute changes: 0 to 1.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        1 where every bar moves in one direction. NaN where the price does not move in the window.
    """
    return np.abs(close - lag(close, bars)) / tick_free(total(np.abs(close - prior_close), bars), close)


@feature(FAMILY, window=15, source="Dreiss's choppiness index; Kaufman (2013), Trading Systems and Methods")
def choppiness_14(true_range: Array, high: Array, low: Array, close: Array) -> Array:
    """100 log10(sum of true ranges / (highest high - lowest low)) / log10(14), 14 bars.

    Returns
    -------
    float64, shape (bars,), at most 100
        100 where the price goes nowhere, about 25 in a strong trend. NaN where the window has no range.
    """
    span = tick_free(highest(high, 14) - lowest(low, 14), close)
    return 100 * np.log10(total(true_range, 14) / span) / math.log10(14)
