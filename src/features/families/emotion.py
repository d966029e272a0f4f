"""Emotional: fear and greed, panic, capitulation, fear of missing out, shocks, streaks."""

from __future__ import annotations

import math

import numpy as np

from src.features.moments import correlation, deviation
from src.features.registry import family, feature
from src.features.windows import Array, highest, lag, mean, streak, total

FAMILY = family("emotion", group="behavioral", order=100)


@feature(FAMILY, window=253, source="composite after Baker and Wurgler (2006), Investor sentiment, JF 61:1645")
def fear_greed_21(
    log_return: Array, sigma_21: Array, obv_21: Array, up_share_21: Array, bollinger_position_20: Array
) -> Array:
    """Mean of four signs of greed, each 0 to 1: calm, buying volume, rising closes, a price high in its bands.

    Calm is sd252 / (sd252 + sd21) of log returns, buying volume (OBV_21 + 1) / 2, rising closes the up share of 21
    bars, the price's place (bollinger position + 1) / 2 cut to 0 to 1.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0 is fear, 1 is greed. NaN in a window without volume or without a move.
    """
    long_run = deviation(log_return, 252)
    place = np.clip((bollinger_position_20 + 1) / 2, 0.0, 1.0)
    return (long_run / (long_run + sigma_21) + (obv_21 + 1) / 2 + up_share_21 + place) / 4


@feature(FAMILY, window=85, source="Huang and Wang (2009), Liquidity and market crashes, RFS 22:2607")
def panic_21(log_return: Array, prior_sigma_63: Array, volume: Array, total_volume_21: Array) -> Array:
    """Share of 21 bars' volume in falls beyond 1.5 standard deviations of the 63 returns before each: 0 to 1.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        NaN in a window without volume, or where the price did not move before it.
    """
    z = log_return / prior_sigma_63
    return total(np.where(z < -1.5, volume, 0.0 * z), 21) / total_volume_21


@feature(FAMILY, window=85, source="Barber and Odean (2008), All that glitters, RFS 21:785")
def euphoria_21(log_return: Array, prior_sigma_63: Array, volume: Array, total_volume_21: Array) -> Array:
    """Share of 21 bars' volume in rises beyond 1.5 standard deviations of the 63 returns before each: 0 to 1.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        NaN in a window without volume, or where the price did not move before it.
    """
    z = log_return / prior_sigma_63
    return total(np.where(z > 1.5, volume, 0.0 * z), 21) / total_volume_21


@feature(
    FAMILY, window=64, source="Campbell, Grossman and Wang (1993), Trading volume and serial correlation, QJE 108:905"
)
def capitulation_63(high: Array, close: Array, sigma_63: Array, volume: Array, mean_volume_63: Array) -> Array:
    """Log fall from the highest high of 63 bars, in standard deviations of 63 bars, times V over its mean of 63.

    Returns
    -------
    float64, shape (bars,), at least 0
        0 at the high of the window or on a bar without volume. NaN in a window without volume or without a
        move.
    """
    fall = np.log(highest(high, 63) / close) / (sigma_63 * math.sqrt(63))
    return fall * volume / mean_volume_63


@feature(FAMILY, window=64, source="Hong and Stein (2007), Disagreement and the stock market, JEP 21:109")
def fomo_10(log_close: Array, sigma_63: Array, volume: Array, mean_volume_63: Array) -> Array:
    """Log return of 10 bars where positive, in deviations of 10 bars, times their mean volume over that of 63.

    Returns
    -------
    float64, shape (bars,), at least 0
        0 after a fall. NaN in a window without volume or without a move.
    """
    gain = np.maximum(log_close - lag(log_close, 10), 0.0) / (sigma_63 * math.sqrt(10))
    return gain * mean(volume, 10) / mean_volume_63


@feature(FAMILY, window=65, source="Engle and Ng (1993), Measuring and testing the impact of news, JF 48:1749")
def volatility_shock(log_return: Array, prior_sigma_63: Array) -> Array:
    """|log return| over the standard deviation of the 63 before it.

    Returns
    -------
    float64, shape (bars,), at least 0
        In standard deviations. NaN where the price did not move in the 63 bars before.
    """
    return np.abs(log_return) / prior_sigma_63


@feature(FAMILY, window=11, source="Rabin and Vayanos (2010), The gambler's and hot-hand fallacies, RES 77:730")
def streak_10(direction: Array) -> Array:
    """Length of the run of rising (positive) or falling (negative) closes that ends here, at most 10.

    Returns
    -------
    float64, shape (bars,), in [-10, 10]
        A whole number of bars; 0 where the last return is zero.
    """
    return streak(direction, 10)


@feature(FAMILY, window=125, source="Martin and McCann (1989), The Investor's Guide to Fidelity Funds (ulcer index)")
def ulcer_index_63(close: Array, sigma_63: Array) -> Array:
    """Root mean square of 63 falls, each from the highest of its own 63 closes, in standard deviations of 63 bars.

    Returns
    -------
    float64, shape (bars,), at least 0
        0 where every close is the highest of its window. NaN where the price does not move in the window.
    """
    fall = close / highest(close, 63) - 1
    return np.sqrt(mean(fall**2, 63)) / (sigma_63 * math.sqrt(63))


@feature(FAMILY, window=65, source="Black (1976), Studies of stock price volatility changes (leverage effect)")
def fear_response_63(log_return: Array) -> Array:
    """Correlation of the absolute log return with the return of the bar before, 63 bars: negative where falls alarm.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        NaN where the price does not move in the window.
    """
    return correlation(np.abs(log_return), lag(log_return, 1), 63)
