"""Candle patterns and levels, as numbers that a tree can cut where it likes."""

from __future__ import annotations

import numpy as np

from src.features.registry import family, feature
from src.features.ties import TIE, above, reaches, tick_free
from src.features.windows import Array, highest, lag, lowest, mean, rank

FAMILY = family("pattern", group="technical", order=90)
NISON = "Nison (1991), Japanese Candlestick Charting Techniques"


def share_of_range(part: Array, high: Array, low: Array) -> Array:
    """Part over the bar's range, 0 in a bar without range."""
    span = tick_free(high - low, high)
    return np.where(span > 0, part / np.where(span > 0, span, 1.0), 0.0 * span)


@feature(FAMILY, window=1, source=NISON)
def body(open: Array, high: Array, low: Array, close: Array) -> Array:
    """(C - O) / (H - L): -1 to 1.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        0 in a bar without range.
    """
    return share_of_range(close - open, high, low)


@feature(FAMILY, window=1, source=NISON)
def upper_shadow(open: Array, high: Array, low: Array, close: Array) -> Array:
    """(H - max(O, C)) / (H - L): 0 to 1.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0 in a bar without range.
    """
    return share_of_range(high - np.maximum(open, close), high, low)


@feature(FAMILY, window=1, source="Chaikin's close location value; Achelis (2000), Technical Analysis from A to Z")
def close_location(location: Array) -> Array:
    """(2 C - H - L) / (H - L): -1 at the low to 1 at the high.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        0 in a bar without range.
    """
    return location.copy()


@feature(FAMILY, window=10, source=NISON)
def doji_share_10(open: Array, high: Array, low: Array, close: Array) -> Array:
    """Share of 10 bars whose body is at most a tenth of their range.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        A bar without range counts as a doji.
    """
    inside = reaches(0.1 * (high - low), np.abs(close - open), close)
    return mean(np.where(inside, 1.0, 0.0 * close), 10)


@feature(FAMILY, window=2, source=NISON)
def engulfing(open: Array, close: Array, prior_close: Array) -> Array:
    """1 where a rising body covers the falling body before it, -1 the other way round, else 0.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        -1, 0 or 1.
    """
    prior_open = lag(open, 1)
    rising = above(prior_open, prior_close, close) & above(close, open, close)
    rising &= reaches(prior_close, open, close) & reaches(close, prior_open, close)
    falling = above(prior_close, prior_open, close) & above(open, close, close)
    falling &= reaches(open, prior_close, close) & reaches(prior_open, close, close)
    return rising * 1.0 - falling * 1.0 + 0.0 * prior_close


@feature(FAMILY, window=65, source="Berkman et al. (2012), Paying attention: overnight returns, JFQA 47:715")
def gap_z(overnight: Array, prior_sigma_63: Array) -> Array:
    """Overnight log return over the standard deviation of the 63 log returns before.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where the price did not move in the 63 bars before.
    """
    return overnight / prior_sigma_63


@feature(FAMILY, window=11, source="Crabel (1990), Day Trading with Short-Term Price Patterns")
def inside_share_10(high: Array, low: Array) -> Array:
    """Share of 10 bars that lie within the bar before them.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        A bar with the range of the bar before counts as inside it.
    """
    high_before, low_before = lag(high, 1), lag(low, 1)
    inside = reaches(high_before, high, high) & reaches(low, low_before, high)
    return mean(np.where(inside, 1.0, 0.0 * high_before), 10)


@feature(FAMILY, window=11, source="Crabel (1990), Day Trading with Short-Term Price Patterns")
def outside_share_10(high: Array, low: Array) -> Array:
    """Share of 10 bars that reach beyond both ends of the bar before them.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        A bar with the range of the bar before does not count.
    """
    high_before, low_before = lag(high, 1), lag(low, 1)
    outside = above(high, high_before, high) & above(low_before, low, high)
    return mean(np.where(outside, 1.0, 0.0 * high_before), 10)


@feature(FAMILY, window=11, source="Dow theory; Rhea (1932), The Dow Theory")
def higher_highs_10(high: Array, low: Array) -> Array:
    """Mean over 10 bars of (sign of the high's change + sign of the low's change) / 2: -1 to 1.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        1 where highs and lows rise at every bar.
    """
    tops, floors = tick_free(high - lag(high, 1), high), tick_free(low - lag(low, 1), high)
    return mean(np.sign(tops) + np.sign(floors), 10) / 2


@feature(FAMILY, window=64, source="Osler (2000), Support for resistance, FRBNY Economic Policy Review 6:53")
def resistance_distance_63(high: Array, close: Array, atr_20: Array) -> Array:
    """(highest high of the 63 bars before - C) / mean true range of 20 bars; negative above it.

    Returns
    -------
    float64, shape (bars,), any sign
        In mean true ranges. NaN in a window of bars without a true range.
    """
    return (lag(highest(high, 63), 1) - close) / atr_20


@feature(FAMILY, window=64, source="Osler (2000), Support for resistance, FRBNY Economic Policy Review 6:53")
def support_distance_63(low: Array, close: Array, atr_20: Array) -> Array:
    """(C - lowest low of the 63 bars before) / mean true range of 20 bars; negative below it.

    Returns
    -------
    float64, shape (bars,), any sign
        In mean true ranges. NaN in a window of bars without a true range.
    """
    return (close - lag(lowest(low, 63), 1)) / atr_20


@feature(FAMILY, window=7, source="Crabel (1990), Day Trading with Short-Term Price Patterns (NR7)")
def range_rank_7(log_range: Array) -> Array:
    """Share of the 6 bars before with a narrower log range: 0 is Crabel's NR7.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0 where no range of the 6 bars before is narrower.
    """
    return rank(log_range, 7, TIE)


@feature(FAMILY, window=6, source="Edwards and Magee (1948), Technical Analysis of Stock Trends (key reversal)")
def key_reversal_5(high: Array, low: Array, close: Array, prior_close: Array) -> Array:
    """1 where the bar goes below the 5 lows before and closes higher, -1 above the 5 highs and closes lower, else 0.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        -1, 0 or 1.
    """
    floor, ceiling = lag(lowest(low, 5), 1), lag(highest(high, 5), 1)
    up = above(floor, low, close) & above(close, prior_close, close)
    down = above(high, ceiling, close) & above(prior_close, close, close)
    return up * 1.0 - down * 1.0 + 0.0 * ceiling
