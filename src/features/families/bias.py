"""Cognitive bias: anchoring, recency, disposition, loss aversion, lottery demand, overconfidence."""

from __future__ import annotations

from functools import cache, reduce

import numpy as np
from numpy.typing import NDArray

from src.features.moments import correlation
from src.features.registry import family, feature
from src.features.ties import TIE, above, tick_free
from src.features.windows import (
    Array,
    age_of_highest,
    highest,
    lag,
    lowest,
    mean,
    padded,
    ramp_sums,
    sliding,
    total,
    window_sums,
)

FAMILY = family("bias", group="behavioral", order=120)
SORTED_AT_ONCE = 500  # windows: more no longer fit beside their weights in a core's cache
Blocks = tuple[Array, Array, Array]


@feature(FAMILY, window=252, source="George and Hwang (2004), The 52-week high and momentum investing, JF 59:2145")
def nearness_to_high_252(log_close: Array, high: Array) -> Array:
    """ln of the close over the highest high of 252 bars: 0 at the high, negative below.

    Returns
    -------
    float64, shape (bars,), at most 0
        In log prices.
    """
    value: Array = log_close - np.log(highest(high, 252))
    return value


@feature(FAMILY, window=252, source="George and Hwang (2004), The 52-week high and momentum investing, JF 59:2145")
def distance_from_low_252(log_close: Array, low: Array) -> Array:
    """ln of the close over the lowest low of 252 bars: 0 at the low, positive above.

    Returns
    -------
    float64, shape (bars,), at least 0
        In log prices.
    """
    value: Array = log_close - np.log(lowest(low, 252))
    return value


@feature(FAMILY, window=252, source="Bhootra and Hur (2013), The timing of 52-week high price, JBF 37:3773")
def age_of_high_252(high: Array) -> Array:
    """Bars since the highest high of 252 bars, over 251: 0 today, 1 a year ago.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        Of equal highs the latest counts.
    """
    return age_of_highest(high, 252, TIE) / 251


@feature(
    FAMILY, window=64, source="Hogarth and Einhorn (1992), Order effects in belief updating, Cogn. Psychology 24:1"
)
def recency_63(log_return: Array, sigma_63: Array) -> Array:
    """Mean of 63 log returns weighted linearly by recency less their plain mean, in standard deviations of one bar.

    Returns
    -------
    float64, shape (bars,), any sign
        Above 0 where recent returns are the higher ones. NaN where the price does not move in the window.
    """
    tilted = ramp_sums(log_return, 63) / (63 * 64 / 2)  # weights 1 to 63 over their sum, less 1/63
    return padded(tilted, len(log_return)) / sigma_63


@feature(
    FAMILY, window=377, source="Grinblatt and Han (2005), Prospect theory, mental accounting, and momentum, JFE 78:311"
)
def capital_gains_overhang_126(close: Array, volume: Array) -> Array:
    """(C - R) / C, R the mean of 126 closes weighted by the chance that a holder bought then and has not sold since.

    w[t-n] = V[t-n] x product of (1 - V) over the bars after; turnover V is volume over that of 252 bars (no share
    count is at hand), at most one half.

    Returns
    -------
    float64, shape (bars,), at most 1
        Gain of the average holder as a share of the close; negative for a loss. NaN in a window without volume.
    """
    year = total(volume, 252)
    turnover = np.clip(np.nan_to_num(volume / year), 0.0, 0.5)
    return 1 - _mean_cost(close, turnover, 126) / close + 0.0 * lag(year, 125)


@feature(FAMILY, window=126, source="Odean (1998), Are investors reluctant to realize their losses?, JF 53:1775")
def disposition_63(close: Array, typical_price: Array, volume: Array) -> Array:
    """Share of 63 bars' volume traded above cost less the share of bars above it; cost is their VWAP.

    Each bar is held against the VWAP of the 63 bars before it.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        Above 0 where gains are traded more than losses. NaN in a window without volume.
    """
    traded = total(volume, 63)
    cost = lag(total(typical_price * volume, 63) / traded, 1)
    gain = np.where(above(close, cost, close), 1.0, 0.0 * cost)
    return total(gain * volume, 63) / traded - mean(gain, 63)


@feature(FAMILY, window=64, source="Kahneman and Tversky (1979), Prospect theory, Econometrica 47:263")
def loss_aversion_63(log_return: Array, volume: Array) -> Array:
    """Correlation of volume with the size of losses less that with the size of gains, 63 bars.

    Returns
    -------
    float64, shape (bars,), in [-2, 2]
        Above 0 where losses bring more volume than gains. NaN in a window of equal volumes, or without either.
    """
    loss, gain = np.maximum(-log_return, 0.0), np.maximum(log_return, 0.0)
    return correlation(volume, loss, 63) - correlation(volume, gain, 63)


@feature(FAMILY, window=64, source="Bali, Cakici and Whitelaw (2011), Maxing out, JFE 99:427 (MAX(5))")
def lottery_21(log_return: Array, sigma_63: Array) -> Array:
    """Mean of the five highest of 21 log returns, in standard deviations of 63.

    Returns
    -------
    float64, shape (bars,), any sign
        In standard deviations of one bar. NaN where the price does not move in the window.
    """
    return _mean_of_highest(log_return, 5, 21) / sigma_63


@feature(
    FAMILY, window=64, source="Barberis, Mukherjee and Wang (2016), Prospect theory and stock returns, RFS 29:3068"
)
def prospect_value_63(log_return: Array, sigma_63: Array) -> Array:
    """Cumulative prospect value of 63 log returns, over the 0.88th power of their standard deviation.

    v(x) = x^0.88 or -2.25 (-x)^0.88; the i-th worst loss weighs w(i/n) - w((i-1)/n) with delta 0.69, the i-th best
    gain likewise with gamma 0.61, w(p) = p^g / (p^g + (1-p)^g)^(1/g).

    Returns
    -------
    float64, shape (bars,), any sign
        Negative for most series, as losses weigh 2.25 times. NaN where the price does not move in the window.
    """
    felt = np.where(log_return < 0, -2.25, 1.0) * np.abs(log_return) ** 0.88
    losses = window_sums(np.where(felt < 0, 1.0, 0.0), 63).astype(np.intp)
    weights, out = _prospect_weights(63), np.full(len(felt), np.nan)
    windows = sliding(felt.astype(np.float32), 63) if len(losses) else np.empty((0, 63), dtype=np.float32)
    for start in range(0, len(losses), SORTED_AT_ONCE):
        some = slice(start, min(start + SORTED_AT_ONCE, len(losses)))
        ordered = np.sort(windows[some], axis=1)
        # Row by row: the rounding of a matrix product depends on the number of rows, so on later bars.
        out[some.start + 62 : some.stop + 62] = np.einsum("ij,ij->i", ordered, weights.take(losses[some], axis=0))
    return out / sigma_63**0.88


@feature(FAMILY, window=69, source="Statman, Thorley and Vorkink (2006), Investor overconfidence, RFS 19:1531")
def overconfidence_63(log_return: Array, volume: Array) -> Array:
    """Correlation of volume with the sum of the five log returns before it, 63 bars.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        NaN in a window of equal volumes or equal returns.
    """
    return correlation(volume, lag(total(log_return, 5), 1), 63)


@feature(FAMILY, window=23, source="Rabin (2002), Inference by believers in the law of small numbers, QJE 117:775")
def reversal_share_21(direction: Array) -> Array:
    """Share of 21 bars that closed against the direction of the bar before.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        A zero return counts as no reversal.
    """
    product = direction * lag(direction, 1)
    return mean(np.where(product < 0, 1.0, 0.0 * product), 21)


@feature(FAMILY, window=127, source="Da, Gurun and Warachka (2014), Frog in the pan, RFS 27:2171")
def information_discreteness_126(log_close: Array, direction: Array) -> Array:
    """sign(return of 126 bars) x (share of falling bars - share of rising bars): low after small steps.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        0 where the price ends where it began.
    """
    change = log_close - lag(log_close, 126)
    return -np.sign(tick_free(change, np.ones(len(change)))) * mean(direction, 126)


@feature(
    FAMILY,
    window=64,
    scale="price",
    source="Bhattacharya, Holden and Jacobsen (2012), Penny wise, Management Science 58:413",
)
def round_number_distance(traded_close: Array, sigma_63: Array) -> Array:
    """ln of the as-traded close over the nearest round number, in standard deviations of 63 log returns.

    Round numbers are 1, 2, ... 10 times a power of ten. Null without split history.

    Returns
    -------
    float64, shape (bars,), any sign
        0 on a round number. NaN without split history, or where the price does not move in the window.
    """
    unit = 10.0 ** np.floor(np.log10(traded_close))
    value: Array = np.log(traded_close / (np.round(traded_close / unit) * unit)) / sigma_63
    return value


def _mean_cost(price: Array, turnover: Array, bars: int) -> Array:
    """Mean price of holders by when they bought: a share `turnover` of what was held is bought at each bar.

    Two stretches of bars side by side: of what was bought in the older one, the newer one leaves a part.
    """
    block = turnover * price, turnover, 1 - turnover  # spent on what is still held, how much it is, what is left
    width, have, joined = 1, 0, block

    def followed(older: Blocks, newer: Blocks, apart: int) -> Blocks:
        size = len(newer[0]) - apart
        spent, held, left = (part[:size] for part in older)
        later = [part[apart:] for part in newer]
        return spent * later[2] + later[0], held * later[2] + later[1], left * later[2]

    while have < bars <= len(price):
        if bars & width:
            joined = followed(joined, block, have) if have else block
            have += width
        if have < bars:
            block = followed(block, block, width)
            width *= 2
    return padded(joined[0] / joined[1], len(price)) if bars <= len(price) else np.full(len(price), np.nan)


def _mean_of_highest(x: Array, count: int, bars: int) -> Array:
    """Mean of the highest values of a window: of two stretches of bars side by side, the highest of both."""
    if bars > len(x):
        return np.full(len(x), np.nan)
    block, width, have, joined = [x], 1, 0, [x]
    while have < bars:
        if bars & width:
            joined = _highest_of(joined, [part[have:] for part in block], count) if have else block
            have += width
        if have < bars:
            block = _highest_of(block, [part[width:] for part in block], count)
            width *= 2
    return padded(sum(joined[1:], joined[0]) / count, len(x)) + 0.0 * total(x, bars)


def _highest_of(a: list[Array], b: list[Array], count: int) -> list[Array]:
    """The highest of two descending lists: the k-th is the largest of what both keep down to i and k - i."""
    a, found = [part[: len(b[0])] for part in a], []
    for k in range(1, min(len(a) + len(b), count) + 1):
        whole = ([b[k - 1]] if k <= len(b) else []) + ([a[k - 1]] if k <= len(a) else [])
        split = [np.minimum(a[i - 1], b[k - i - 1]) for i in range(max(k - len(b), 1), min(k - 1, len(a)) + 1)]
        found.append(reduce(np.maximum, whole + split))
    return found


@cache
def _prospect_weights(count: int) -> NDArray[np.float32]:
    """Weights of ordered values, a row a number of losses among them: losses come first, the worst first of all."""
    losses, gains = _decision_weights(count, 0.69), _decision_weights(count, 0.61)[::-1]
    return np.where(np.arange(count) < np.arange(count + 1)[:, None], losses, gains)


@cache
def _decision_weights(count: int, curvature: float) -> NDArray[np.float32]:
    p = np.arange(count + 1) / count
    weight = p**curvature / (p**curvature + (1 - p) ** curvature) ** (1 / curvature)
    return np.diff(weight).astype(np.float32)
