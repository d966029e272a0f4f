"""Intermediate results that several features share, computed once for an instrument.

Prices are total-return (raw price times the cumulative factor), so returns include dividends and no split shows.
"""

from __future__ import annotations

import numpy as np

from src.features.moments import beta, deviation, regression, shape, variance
from src.features.registry import ingredient, whole_series
from src.features.ties import tick_free
from src.features.wilder import directional_indicators
from src.features.windows import Array, highest, lag, lowest, mean, total


@ingredient
@whole_series
def adjustment(raw_close: Array, factor: Array) -> Array:
    """Total-return factor times the power of two that brings the first close near 1.

    A power of two changes no digit of a price; without it TA-Lib takes the moves of a coin at 1e-8 for zero.
    """
    first = raw_close[0] * factor[0]
    return factor * 2.0 ** -np.floor(np.log2(first)) if np.isfinite(first) and first > 0 else factor


@ingredient
def open(raw_open: Array, adjustment: Array) -> Array:
    """Total-return open."""
    return raw_open * adjustment


@ingredient
def high(raw_high: Array, adjustment: Array) -> Array:
    """Total-return high."""
    return raw_high * adjustment


@ingredient
def low(raw_low: Array, adjustment: Array) -> Array:
    """Total-return low."""
    return raw_low * adjustment


@ingredient
def close(raw_close: Array, adjustment: Array) -> Array:
    """Total-return close."""
    return raw_close * adjustment


@ingredient
def traded_close(raw_close: Array, split: Array) -> Array:
    """Close as it was traded; NaN where the split history is unknown."""
    return raw_close * split


@ingredient
def prior_close(close: Array) -> Array:
    """Close of the bar before."""
    return lag(close, 1)


@ingredient
def log_close(close: Array) -> Array:
    """Logarithm of the close."""
    return np.log(close)


@ingredient
def log_return(close: Array, prior_close: Array) -> Array:
    """Close-to-close log return."""
    return np.log(close / prior_close)


@ingredient
def overnight(open: Array, prior_close: Array) -> Array:
    """Log return from the last close to the open."""
    return np.log(open / prior_close)


@ingredient
def intraday(open: Array, close: Array) -> Array:
    """Log return from the open to the close."""
    return np.log(close / open)


@ingredient
def log_range(high: Array, low: Array) -> Array:
    """Logarithm of high over low; a millionth or less is no range."""
    return tick_free(np.log(high / low), np.ones(len(high)))


@ingredient
def rogers_satchell(open: Array, high: Array, low: Array, intraday: Array) -> Array:
    """Rogers and Satchell's variance of one bar: ln(H/O) ln(H/C) + ln(L/O) ln(L/C)."""
    up, down = np.log(high / open), np.log(low / open)
    return up * (up - intraday) + down * (down - intraday)


@ingredient
def true_range(high: Array, low: Array, prior_close: Array) -> Array:
    """Wilder's true range: the bar's range, stretched to the last close."""
    value: Array = np.maximum(high, prior_close) - np.minimum(low, prior_close)
    return value


@ingredient
def atr_20(true_range: Array, close: Array) -> Array:
    """Mean true range of 20 bars; 0 below a millionth of the close."""
    return tick_free(mean(true_range, 20), close)


@ingredient
@whole_series
def directional_14(high: Array, low: Array, close: Array, true_range: Array) -> Array:
    """Wilder's plus DI and minus DI of 14 bars, shape (2, bars)."""
    return directional_indicators(high, low, close, true_range, 14)


@ingredient
def breakout_20(high: Array, low: Array, close: Array) -> Array:
    """Close beyond the channel of the 20 bars before: positive above it, negative below, 0 inside."""
    above = np.maximum(close - lag(highest(high, 20), 1), 0.0)
    value: Array = above - np.maximum(lag(lowest(low, 20), 1) - close, 0.0)
    return value


@ingredient
def typical_price(high: Array, low: Array, close: Array) -> Array:
    """Mean of high, low and close."""
    return (high + low + close) / 3


@ingredient
def location(high: Array, low: Array, close: Array) -> Array:
    """Where the close lies in the bar: -1 at the low, 1 at the high, 0 in a bar without range."""
    span = tick_free(high - low, high)
    return np.where(span > 0, (2 * close - high - low) / np.where(span > 0, span, 1.0), 0.0 * span)


@ingredient
def dollar_volume(raw_close: Array, volume: Array) -> Array:
    """Close times volume, in the currency of the quote."""
    return raw_close * volume


@ingredient
def dollar_volume_growth(dollar_volume: Array) -> Array:
    """ln of the mean dollar volume of 21 bars over that of 126."""
    return np.log(mean(dollar_volume, 21) / mean(dollar_volume, 126))


@ingredient
def direction(log_return: Array) -> Array:
    """Sign of the return; a return of 1e-6 or less is zero."""
    return np.where(np.abs(log_return) <= 1e-6, 0.0, np.sign(log_return))


@ingredient
def sigma_21(log_return: Array) -> Array:
    """Standard deviation of 21 log returns."""
    return deviation(log_return, 21)


@ingredient
def sigma_63(log_return: Array) -> Array:
    """Standard deviation of 63 log returns."""
    return deviation(log_return, 63)


@ingredient
def moments_63(log_return: Array) -> Array:
    """Skewness and excess kurtosis of 63 log returns, shape (2, bars)."""
    return shape(log_return, 63)


@ingredient
def trend_63(log_close: Array) -> Array:
    """Slope and R2 of the least-squares line through 63 log closes, shape (2, bars)."""
    return regression(log_close, 63)


@ingredient
def prior_sigma_63(sigma_63: Array) -> Array:
    """Standard deviation of the 63 log returns before this one."""
    return lag(sigma_63, 1)


@ingredient
def mean_volume_21(volume: Array) -> Array:
    """Mean volume of 21 bars."""
    return mean(volume, 21)


@ingredient
def mean_volume_63(volume: Array) -> Array:
    """Mean volume of 63 bars."""
    return mean(volume, 63)


@ingredient
def total_volume_21(volume: Array) -> Array:
    """Volume of 21 bars."""
    return total(volume, 21)


@ingredient
def illiquidity(log_return: Array, dollar_volume: Array) -> Array:
    """Amihud's daily |return| per unit of money traded; 0 where nothing was."""
    traded = dollar_volume > 0
    return np.where(traded, np.abs(log_return) / np.where(traded, dollar_volume, 1.0), 0.0 * log_return)


@ingredient
def market_return(market_index: Array) -> Array:
    """Log return of the panel's mean since the instrument's last bar."""
    return market_index - lag(market_index, 1)


@ingredient
def relative_return(log_return: Array, market_return: Array) -> Array:
    """Log return less the market's."""
    return log_return - market_return


@ingredient
def market_variance_63(market_return: Array) -> Array:
    """Variance of 63 market returns."""
    return variance(market_return, 63)


@ingredient
def market_beta(log_return: Array, market_return: Array) -> Array:
    """Least-squares slope of the returns on the market's, 63 bars."""
    return beta(log_return, market_return, 63)


@ingredient
def residual(log_return: Array, market_return: Array, market_beta: Array) -> Array:
    """Return less the beta of the bars before times the market's return: what the market didn't explain."""
    return log_return - lag(market_beta, 1) * market_return
