"""Momentum: oscillators and trailing returns after risk."""

from __future__ import annotations

import numpy as np

from src.features.moments import deviation, mean_deviation
from src.features.registry import family, feature
from src.features.ta_library import talib
from src.features.ties import TIE, tick_free
from src.features.wilder import STILL, relative_strength_index
from src.features.windows import Array, highest, lag, lowest, mean, total

FAMILY = family("momentum", group="technical", order=20)


@feature(
    FAMILY,
    bars=(14,),
    window=lambda bars: 8 * bars,
    tolerance=0.01,
    source="Wilder (1978), New Concepts in Technical Trading Systems, p. 63",
)
def rsi(close: Array, prior_close: Array, bars: int) -> Array:
    """Wilder's RSI: 100 U / (U + D), averages (alpha 1/n) of rises and falls, seeded as TA-Lib does.

    Returns
    -------
    float64, shape (bars,), in [0, 100]
        0 where the price does not move in the window, as TA-Lib has it.
    """
    return relative_strength_index(close - prior_close, close, bars)


@feature(FAMILY, bars=(14,), window=lambda bars: bars, source="Lane (1984), Lane's stochastics, TASC 2")
def stochastic(high: Array, low: Array, close: Array, bars: int) -> Array:
    """(C - lowest low) / (highest high - lowest low) of n bars: 0 to 1.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0 at the low of the window, 1 at its high. NaN where the window has no range.
    """
    floor = lowest(low, bars)
    return (close - floor) / tick_free(highest(high, bars) - floor, close)


@feature(
    FAMILY,
    bars=(42,),
    window=lambda bars: bars,
    source="Williams (1979), How I Made One Million Dollars Trading Commodities",
)
def williams_r(high: Array, low: Array, close: Array, bars: int) -> Array:
    """-100 (highest high - C) / (highest high - lowest low) of n bars; at equal n it would be a stochastic less 100.

    Returns
    -------
    float64, shape (bars,), in [-100, 0]
        -100 at the low of the window, 0 at its high. NaN where the window has no range.
    """
    top = highest(high, bars)
    return -100 * (top - close) / tick_free(top - lowest(low, bars), close)


@feature(FAMILY, bars=(20,), window=lambda bars: bars, source="Lambert (1980), Commodity channel index, Commodities 9")
def cci(typical_price: Array, bars: int) -> Array:
    """(typical price - its mean) / (0.015 x its mean absolute deviation), n bars; 0 where nothing moved.

    Returns
    -------
    float64, shape (bars,), any sign
        Mostly within -200 to 200. 0 where the price does not move in the window.
    """
    apart = mean_deviation(typical_price, bars)
    value = (typical_price - mean(typical_price, bars)) / (0.015 * apart)
    return np.where(apart <= TIE * typical_price, 0.0 * apart, value)


@feature(FAMILY, bars=(14,), window=lambda bars: bars + 1, source="Quong and Soudack (1989), TASC 7 (money flow index)")
def mfi(typical_price: Array, volume: Array, bars: int) -> Array:
    """Share of n bars' typical price x volume that came with a rising typical price, in percent.

    Returns
    -------
    float64, shape (bars,), in [0, 100]
        NaN in a window without volume or without a change of the typical price.
    """
    change = typical_price - lag(typical_price, 1)
    flow, side = typical_price * volume, np.sign(tick_free(change, typical_price))
    rising = total(np.where(side > 0, flow, 0.0 * change), bars)
    return 100 * rising / (rising + total(np.where(side < 0, flow, 0.0 * change), bars))


@feature(FAMILY, window=200, tolerance=0.01, source="Blau (1991), True strength index, TASC 9")
def tsi_25_13(close: Array, prior_close: Array) -> Array:
    """100 EMA13(EMA25(dC)) / EMA13(EMA25(|dC|)).

    Returns
    -------
    float64, shape (bars,), in [-100, 100]
        NaN where the price does not move in the window.
    """
    change = close - prior_close
    moved = talib.EMA(talib.EMA(np.abs(change), 25), 13)
    value: Array = 100 * talib.EMA(talib.EMA(change, 25), 13) / np.where(moved > STILL * close, moved, np.nan)
    return value


@feature(
    FAMILY, window=253, source="Jegadeesh and Titman (1993), JF 48:65; the month skipped: Carhart (1997), JF 52:57"
)
def momentum_12_1(close: Array) -> Array:
    """ln(C[t-21] / C[t-252]): a year's return less the last month's.

    Returns
    -------
    float64, shape (bars,), any sign
        Log return over 231 bars, whatever days lie between them.
    """
    return np.log(lag(close, 21) / lag(close, 252))


@feature(
    FAMILY,
    bars=(126,),
    window=lambda bars: bars + 1,
    source="Barroso and Santa-Clara (2015), Momentum has its moments, JFE 116:111",
)
def risk_adjusted_momentum(log_return: Array, bars: int) -> Array:
    """Mean over standard deviation of n log returns.

    Returns
    -------
    float64, shape (bars,), any sign
        Per bar, not annualised. NaN where the price does not move in the window.
    """
    return mean(log_return, bars) / deviation(log_return, bars)


@feature(
    FAMILY,
    bars=(21,),
    window=lambda bars: bars + 1,
    source="Achelis (2000), Technical Analysis from A to Z (psychological line)",
)
def up_share(direction: Array, bars: int) -> Array:
    """Share of n bars that closed higher (the psychological line).

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        A zero return counts as not higher.
    """
    return mean(np.where(direction > 0, 1.0, 0.0 * direction), bars)
