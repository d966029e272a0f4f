"""Volume: how much is traded, on which side, at which price. All are ratios: volume times seven is the same."""

from __future__ import annotations

import numpy as np

from src.features.moments import correlation, zscore
from src.features.registry import family, feature
from src.features.ta_library import talib
from src.features.windows import Array, mean, total

FAMILY = family("volume", group="technical", order=50)


@feature(FAMILY, window=63, source="Gervais, Kaniel and Mingelgrin (2001), The high-volume return premium, JF 56:877")
def volume_ratio_5_63(volume: Array, mean_volume_63: Array) -> Array:
    """ln of the mean volume of 5 bars over that of 63.

    Returns
    -------
    float64, shape (bars,), any sign
        Above 0 where the last week traded more. NaN in a window without volume.
    """
    return np.log(mean(volume, 5) / mean_volume_63)


@feature(FAMILY, bars=(21,), window=lambda bars: bars, source="Gervais, Kaniel and Mingelgrin (2001), JF 56:877")
def volume_z(volume: Array, bars: int) -> Array:
    """(V - mean) / sd of n volumes, sample sd.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN in a window of equal volumes.
    """
    return zscore(volume, bars)


@feature(FAMILY, window=252, source="Chordia, Subrahmanyam and Anshuman (2001), JFE 59:3")
def dollar_volume_trend_21_252(dollar_volume: Array) -> Array:
    """ln of the mean money traded a bar in 21 bars over that in 252.

    Returns
    -------
    float64, shape (bars,), any sign
        Above 0 where the last month traded more. NaN in a window without volume.
    """
    return np.log(mean(dollar_volume, 21) / mean(dollar_volume, 252))


@feature(FAMILY, bars=(21,), window=lambda bars: bars + 1, source="Granville (1963), New Key to Stock Market Profits")
def obv(direction: Array, volume: Array, bars: int) -> Array:
    """Volume of rising less that of falling closes, over all volume, n bars: the trend of on-balance volume.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        1 where all volume is on rising closes. NaN in a window without volume.
    """
    return total(direction * volume, bars) / total(volume, bars)


@feature(FAMILY, window=21, source="Chaikin money flow; Achelis (2000), Technical Analysis from A to Z")
def money_flow_21(location: Array, volume: Array, total_volume_21: Array) -> Array:
    """Sum of close location x volume over volume, 21 bars: the change of accumulation/distribution, -1 to 1.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        1 where every bar closes at its high. NaN in a window without volume.
    """
    return total(location * volume, 21) / total_volume_21


@feature(FAMILY, window=60, tolerance=0.01, source="Chaikin oscillator; Achelis (2000), Technical Analysis from A to Z")
def chaikin_oscillator_3_10(location: Array, volume: Array, mean_volume_21: Array) -> Array:
    """EMA3 less EMA10 of the accumulation/distribution line, over the mean volume of 21 bars.

    Returns
    -------
    float64, shape (bars,), any sign
        In mean volumes of a bar. NaN in a window without volume.
    """
    top = np.ones(len(location))  # of a bar from -1 to 1, the close is its own location
    return talib.ADOSC(top, -top, location, volume, 3, 10) / mean_volume_21


@feature(FAMILY, window=21, source="Berkowitz, Logue and Noser (1988), The total cost of transactions, JF 43:97")
def vwap_distance_21(log_close: Array, typical_price: Array, volume: Array, total_volume_21: Array) -> Array:
    """ln of the close over the volume-weighted mean typical price of 21 bars.

    Returns
    -------
    float64, shape (bars,), any sign
        In log prices. NaN in a window without volume.
    """
    value: Array = log_close - np.log(total(typical_price * volume, 21) / total_volume_21)
    return value


@feature(FAMILY, window=22, source="Karpoff (1987), The relation between price changes and trading volume, JFQA 22:109")
def volume_return_correlation_21(volume: Array, log_return: Array) -> Array:
    """Correlation of volume with the log return, 21 bars.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        NaN in a window of equal volumes or equal returns.
    """
    return correlation(volume, log_return, 21)


@feature(FAMILY, window=64, source="Karpoff (1987), The relation between price changes and trading volume, JFQA 22:109")
def volume_volatility_correlation_63(volume: Array, log_return: Array) -> Array:
    """Correlation of volume with the absolute log return, 63 bars.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        NaN in a window of equal volumes or equal absolute returns.
    """
    return correlation(volume, np.abs(log_return), 63)
