"""Game theory: setups in which players wait for, coordinate with or prey on one another."""

from __future__ import annotations

import math

import numpy as np

from src.core.late import LateFunction
from src.features.moments import deviation, standardised_slope
from src.features.registry import family, feature
from src.features.ties import above, tick_free
from src.features.windows import Array, highest, lag, lowest, mean, total

FAMILY = family("game", group="behavioral", order=130)
ndtr = LateFunction("scipy.special", "ndtr")  # 0.3 s of import, which few commands need


@feature(FAMILY, window=21, source="Carter (2012), Mastering the Trade (squeeze: Bollinger inside Keltner)")
def squeeze_20(close: Array, atr_20: Array) -> Array:
    """ln of 2 standard deviations over 1.5 mean true ranges, 20 bars: negative where Bollinger lies inside Keltner.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where the price does not move in the window.
    """
    return np.log(2 * deviation(close, 20) / (1.5 * atr_20))


@feature(
    FAMILY, window=63, source="Abreu and Brunnermeier (2003), Bubbles and crashes, Econometrica 71:173; definition"
)
def standoff_5_63(log_range: Array) -> Array:
    """ln of the mean log range of 5 bars over that of 63: negative while both sides wait.

    Returns
    -------
    float64, shape (bars,), any sign
        In logs. NaN in a window of bars without range.
    """
    return np.log(mean(log_range, 5) / mean(log_range, 63))


@feature(FAMILY, window=22, source="Morris and Shin (1998), Unique equilibrium in self-fulfilling attacks, AER 88:587")
def breakout_coordination_20(breakout_20: Array, atr_20: Array, volume: Array, mean_volume_21: Array) -> Array:
    """Close beyond the 20-bar channel before, signed, in mean true ranges, times V over the mean of the 21 before.

    Returns
    -------
    float64, shape (bars,), any sign
        0 inside the channel. NaN in a window without volume or without a true range.
    """
    return breakout_20 / lag(atr_20, 1) * volume / lag(mean_volume_21, 1)


@feature(
    FAMILY,
    window=71,
    source="Easley, Lopez de Prado and O'Hara (2012), Flow toxicity, RFS 25:1457 (bulk classification)",
)
def vpin_50(log_return: Array, sigma_21: Array, volume: Array) -> Array:
    """Sum of |buys - sells| over volume, 50 bars for buckets; a bar's buys are V x Phi(return / sd of 21 returns).

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        1 where every bar is all buys or all sells. NaN in a window without volume or without a move.
    """
    return total(np.abs(2 * ndtr(log_return / sigma_21) - 1) * volume, 50) / total(volume, 50)


@feature(FAMILY, window=42, source="Easley, Lopez de Prado and O'Hara (2016), Discerning information, JFE 120:269")
def order_imbalance_21(log_return: Array, sigma_21: Array, volume: Array, total_volume_21: Array) -> Array:
    """Sum of (buys - sells) over volume, 21 bars; a bar's buys are V x Phi(return / sd of 21 returns): -1 to 1.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        NaN in a window without volume or without a move.
    """
    return total((2 * ndtr(log_return / sigma_21) - 1) * volume, 21) / total_volume_21


@feature(
    FAMILY, window=126, source="Llorente, Michaely, Saar and Wang (2002), Dynamic volume-return relation, RFS 15:1005"
)
def informed_trading_63(log_return: Array, volume: Array, mean_volume_63: Array) -> Array:
    """Standardised C2 of r[t] = C0 + C1 r[t-1] + C2 r[t-1] V[t-1], V over its mean, 63 bars: high if volume informs.

    Returns
    -------
    float64, shape (bars,), any sign
        In standard deviations of a return for one of the product. NaN in a window without volume or without a
        move.
    """
    before = lag(log_return, 1)
    informed = before * lag(volume / mean_volume_63, 1)
    return standardised_slope(log_return, informed, before, 63)


@feature(
    FAMILY, window=26, source="Osler (2005), Stop-loss orders and price cascades, J. Int. Money and Finance 24:219"
)
def stop_run_20(high: Array, low: Array, close: Array, atr_20: Array) -> Array:
    """Sum over 5 bars of excursions beyond the 20-bar channel before that closed back inside, in mean true ranges.

    A raid on the lows counts positive, one on the highs negative.

    Returns
    -------
    float64, shape (bars,), any sign
        In mean true ranges; 0 without such an excursion. NaN in a window of bars without a true range.
    """
    floor, top = lag(lowest(low, 20), 1), lag(highest(high, 20), 1)
    bought = np.where(above(floor, low, close) & above(close, floor, close), floor - low, 0.0 * floor)
    sold = np.where(above(high, top, close) & above(top, close, close), high - top, 0.0 * top)
    return total((bought - sold) / lag(atr_20, 1), 5)


@feature(FAMILY, window=64, source="Hayes's smart money index; Lou, Polk and Skouras (2019), A tug of war, JFE 134:192")
def smart_money_divergence_21(overnight: Array, intraday: Array, sigma_63: Array) -> Array:
    """Sum of 21 intraday less overnight log returns, in standard deviations of 21 bars.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where the price does not move in the window.
    """
    return total(intraday - overnight, 21) / (sigma_63 * math.sqrt(21))


@feature(
    FAMILY, window=63, source="Wyckoff's effort against result; Kyle (1985), Continuous auctions, Econometrica 53:1315"
)
def absorption_5_63(volume: Array, mean_volume_63: Array, log_range: Array) -> Array:
    """ln(mean volume of 5 bars over that of 63) less the same of the log range: high where volume moves no price.

    Returns
    -------
    float64, shape (bars,), any sign
        In logs. NaN in a window without volume or without range.
    """
    effort = mean(volume, 5) / mean_volume_63
    return np.log(effort / (mean(log_range, 5) / mean(log_range, 63)))


@feature(FAMILY, window=21, source="Wyckoff's accumulation; Chaikin money flow against price")
def accumulation_divergence_21(money_flow_21: Array, high: Array, low: Array, close: Array) -> Array:
    """Chaikin money flow less the close's place in the range, 21 bars, both -1 to 1: high where weakness is bought.

    Returns
    -------
    float64, shape (bars,), in [-2, 2]
        NaN in a window without volume or without range.
    """
    floor, top = lowest(low, 21), highest(high, 21)
    return money_flow_21 - (2 * close - top - floor) / tick_free(top - floor, close)


@feature(
    FAMILY, window=64, source="Brunnermeier and Pedersen (2009), Market liquidity and funding liquidity, RFS 22:2201"
)
def liquidity_withdrawal_5_63(illiquidity: Array) -> Array:
    """ln of the mean |return| per money traded of 5 bars over that of 63; bars without volume count as 0.

    Returns
    -------
    float64, shape (bars,), any sign
        Above 0 where trading has become costlier. NaN in a window without volume or without a move.
    """
    return np.log(mean(illiquidity, 5) / mean(illiquidity, 63))
