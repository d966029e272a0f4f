"""Wilder's averages and directional movement, in which a tie is a tie whatever the unit of the price.

TA-Lib compares rises with falls as they are rounded, and takes sums below 1e-14 for zero, so its ADX, DI and RSI change
when prices are multiplied. Here they are compared up to a millionth of the price; elsewhere its values are kept.
"""

from __future__ import annotations

import numpy as np

from src.features.ta_library import talib
from src.features.ties import above
from src.features.windows import Array, lag, padded

STILL = 1e-12  # of the price: a mean move below it is what is left of moves long ago


def wilder_mean(x: Array, bars: int) -> Array:
    """Wilder's moving average: the mean of the first `bars` values, then 1/n of each value and the rest of the average.

    Parameters
    ----------
    x : float64, shape (n,), at least 0
        NaN up to its first value and not after it.
    bars : int
        Length n of the average.

    Returns
    -------
    float64, shape (n,), at least 0
        NaN before `bars` values are known.

    Source
    ------
    Wilder, "New Concepts in Technical Trading Systems", 1978, p. 23: each average is the one before times (n - 1) / n,
    plus 1/n of the new value. TA-Lib's ATR of bars that reach from 0 to x is the same.
    """
    known = x[int(np.argmin(np.isnan(x))) :] if len(x) else x
    reach, floor = np.zeros(len(known) + 1), np.zeros(len(known) + 1)
    reach[1:] = known
    return padded(talib.ATR(reach, floor, floor, bars)[1:], len(x))


def relative_strength_index(change: Array, close: Array, bars: int) -> Array:
    """100 U / (U + D), Wilder's averages of rises and falls.

    Parameters
    ----------
    change, close : float64, shape (n,)
        Change of the close since the bar before, NaN at the first bar; the close.
    bars : int
        Length of the averages.

    Returns
    -------
    float64, shape (n,), in [0, 100]
        0 where the price has not moved, as TA-Lib has it.

    Source
    ------
    Wilder, "New Concepts in Technical Trading Systems", 1978, p. 63.
    """
    rise = wilder_mean(np.maximum(change, 0.0), bars)
    moved = rise + wilder_mean(np.maximum(-change, 0.0), bars)
    return np.where(moved <= STILL * close, 0.0 * moved, 100 * rise / moved)


def directional_indicators(high: Array, low: Array, close: Array, true_range: Array, bars: int) -> Array:
    """Wilder's plus DI and minus DI, shape (2, n).

    Of a bar's rise of the high and fall of the low the larger counts, if it is above 0; where they tie, neither does.

    Parameters
    ----------
    high, low, close, true_range : float64, shape (n,)
        The true range is NaN at the first bar.
    bars : int
        Length of the sums.

    Returns
    -------
    float64, shape (2, n), in [0, 100]
        0 where the price has not moved. NaN in the first `bars` rows.

    Source
    ------
    Wilder, "New Concepts in Technical Trading Systems", 1978, p. 35 to 43.
    """
    up, down = high - lag(high, 1), lag(low, 1) - low
    rise, fall = np.maximum(up, 0.0), np.maximum(down, 0.0)
    plus = np.where(above(up, fall, close), up, 0.0 * up)
    minus = np.where(above(down, rise, close), down, 0.0 * down)
    plus, minus, reach = (_summed(part, bars) for part in (plus, minus, true_range))
    still = reach <= STILL * close
    return np.stack([np.where(still, 0.0 * reach, 100 * part / reach) for part in (plus, minus)])


def average_directional_index(indicators: Array, bars: int) -> Array:
    """Wilder's average of 100 |plus DI - minus DI| / (plus DI + minus DI).

    Parameters
    ----------
    indicators : float64, shape (2, n)
        Of `directional_indicators`.
    bars : int
        Length of the average.

    Returns
    -------
    float64, shape (n,), in [0, 100]
        NaN before 2 `bars` - 1 bars are known.

    Source
    ------
    Wilder, "New Concepts in Technical Trading Systems", 1978, p. 47.
    """
    plus, minus = indicators
    both = plus + minus
    return wilder_mean(np.where(both > 0, 100 * np.abs(plus - minus) / both, 0.0 * both), bars)


def _summed(x: Array, bars: int) -> Array:
    """Wilder's running sum over `bars`: as in TA-Lib, the first counts `bars` - 1 values whole before it decays."""
    started = x.copy()
    started[1:bars] *= (bars - 1) / bars
    return bars * wilder_mean(started, bars)
