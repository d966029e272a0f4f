"""How well the bars at one moment fit a split that the prices don't show, against a market move.

A split by r changes the scale of price and share volume overnight, and nothing else: the gap to the open is -log(r)
and an ordinary overnight return, the day's range and the turnover in money stay those of any other day. News of the
same size brings turnover and range with it, and its gap falls on no list of ratios. The odds weigh one against the
other by Bayes' rule, with the instrument's own trailing gaps, ranges and turnover, from bars up to the split alone.
All figures are logs of ratios: a currency, or prices times seven, change nothing.

The densities of news were fitted to the moves beyond 20% overnight of 500 real stocks; see `docs/splits.md`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from src.core.arrays import BoolArray, FloatArray
from src.hydration.usual_bars import FLOOR, LEAST, LONG, NEWS, PAST, Series, Usual, centre, log_range, median

_FORWARD = {float(ratio): 5e-4 for ratio in range(2, 31)} | {
    5 / 4: 0.05, 4 / 3: 0.025, 3 / 2: 0.2, 5 / 3: 0.004, 2.0: 0.42, 5 / 2: 0.01, 3.0: 0.08, 4.0: 0.06, 5.0: 0.04,
    6.0: 0.012, 7.0: 0.008, 8.0: 0.01, 10.0: 0.05, 12.0: 0.002, 15.0: 0.006, 20.0: 0.012, 25.0: 0.003, 30.0: 0.002,
    50.0: 0.003, 100.0: 0.001,
}  # fmt: skip
_REVERSE = {float(ratio): 4e-3 for ratio in range(2, 31)} | {
    5 / 4: 2e-5, 4 / 3: 2e-5, 3 / 2: 2e-5, 5 / 3: 2e-5, 5 / 2: 2e-5,  # where a forward split is undone
    2.0: 0.12, 3.0: 0.05, 4.0: 0.06, 5.0: 0.1, 6.0: 0.03, 7.0: 0.02, 8.0: 0.04, 9.0: 0.015, 10.0: 0.25, 12.0: 0.03,
    15.0: 0.07, 20.0: 0.12, 25.0: 0.06, 30.0: 0.06, 35.0: 0.015, 40.0: 0.02, 50.0: 0.03, 60.0: 0.01, 75.0: 0.005,
    80.0: 0.005, 100.0: 0.015, 150.0: 0.002, 200.0: 0.002, 250.0: 0.002, 500.0: 0.001, 1000.0: 0.001,
}  # fmt: skip
_USUAL = 5e-3  # share of the splits of its direction that a usual ratio has at least
_RATE, _REVERSE_RATE, _CHEAP_RATE = 2e-4, 8e-5, 6e-4  # splits a bar: forward, reverse, and where the tick is coarse
_COARSE = 2e-3  # tick over price: a cent on five dollars
_AFTER = 10  # bars after the split that a quarantine looks at
_STIR = 50.0  # news follows news: at most this many times likelier after a week of large moves
_TOGETHER = 0.4  # correlation of turnover and range on ordinary days
_UNSCALED = 0.05  # of the splits of a source come without the share volume's change


@dataclass(frozen=True)
class Ratios:
    """Ratios that splits have: new shares for one old share, below 1 for reverse splits.

    Attributes
    ----------
    value, prior : float, shape (ratios,)
        Ratio, and its share of all splits of its direction.
    """

    value: FloatArray
    prior: FloatArray


RATIOS = Ratios(
    np.array([*_FORWARD, *(1 / ratio for ratio in _REVERSE)]), np.array([*_FORWARD.values(), *_REVERSE.values()])
)


@dataclass(frozen=True)
class Evidence:
    """Odds of a split at one bar.

    Attributes
    ----------
    ratio : float
        The likeliest, new shares for one old share.
    odds : float
        Log odds of a split, of any ratio, against a market move.
    certainty : float
        Share of the likeliest ratio in the odds of all, with overnight gaps of twice the usual scale.
    rare : bool
        Whether few splits have that ratio: a usual one beside an unusual night is not much less likely.
    scaled : float
        Probability that the share volume changed with the price, if it was a split.
    """

    ratio: float
    odds: float
    certainty: float
    rare: bool
    scaled: float


def evidence(bars: Series, k: int, past: Usual) -> Evidence:
    """Weigh a split at bar k against a market move.

    Parameters
    ----------
    bars : Series
        Bars of one instrument; none after k is looked at.
    k : int
        Position of the first bar after the supposed split; its open must be known.
    past : Usual
        Of the bars before.
    """
    gap, missing = float(bars.gap[k]), max(0.0, float(bars.days[k]) - 1.0)
    if not math.isfinite(gap):
        gap, missing = float(bars.move[k]), missing + 1.0
    at_split, at_news = _gap_densities(gap, missing, past)
    surge, width, shares = surges(bars, k, past)
    calm, unscaled = _ordinary(surge, width, past), _ordinary(shares, width, past)
    usual_surge = 2.0 if gap < 0 else 1.7 + 4.0 * min(gap, 0.9)  # money follows a price that leaps up
    excited = _news(surge, usual_surge, 1.25, past.turnover_scale) * _news(width, 1.25, 0.5, past.range_scale)
    quiet = min(0.6, 0.01 + 0.02 * past.leaps + 0.4 * (1 - past.traded))
    news = at_news * ((1 - quiet) * excited + quiet * calm) + 1e-300
    weights, cautious = (_priors(past) * density for density in at_split)
    best = int(np.argmax(weights))
    total = float(weights.sum()) * _stays(bars, k, past)
    volume = (1 - _UNSCALED) * calm, _UNSCALED * unscaled
    return Evidence(
        ratio=float(RATIOS.value[best]),
        odds=math.log(total * sum(volume) + 1e-300) - math.log(news),
        certainty=float(cautious[best] / (cautious.sum() + 1e-300)),
        rare=bool(RATIOS.prior[best] < _USUAL),
        scaled=volume[0] / sum(volume) if sum(volume) > 0 else 0.0,
    )


def _stays(bars: Series, k: int, past: Usual) -> float:
    """Density of the day's move from open to close on an ordinary day over that on a day of news, at most 1."""
    day = math.log(bars.close[k] / bars.open[k])
    if not math.isfinite(day):
        return 1.0
    wide = 3 * past.day
    return min(1.0, float(_t3(day / past.day) / past.day / (_t3(day / wide) / wide)))


def surges(bars: Series, k: int, past: Usual) -> tuple[float, float, float]:
    """Log turnover, range and share volume of bar k over the usual ones; NaN where unknown."""
    traded = bars.volume[k] > 0
    shares = math.log(bars.volume[k]) if traded else math.nan
    width = float(log_range(bars.high[k : k + 1], bars.low[k : k + 1], past.tick)[0])
    turnover = shares + math.log(bars.close[k])
    return turnover - past.turnover, width - past.range, shares - past.shares


def _priors(past: Usual) -> FloatArray:
    reverse: BoolArray = RATIOS.value < 1
    rate = np.where(reverse, _CHEAP_RATE if past.tick > _COARSE else _REVERSE_RATE, _RATE)
    found: FloatArray = rate * RATIOS.prior
    return found


def _gap_densities(gap: float, missing: float, past: Usual) -> tuple[tuple[FloatArray, FloatArray], float]:
    """Densities of a gap over some missing days, after a split by each ratio and as a market move.

    Those after a split are given for the usual scale, and for twice that.
    """
    scale = math.sqrt(max(past.gap, FLOOR) ** 2 + missing * past.move**2)
    rest = np.abs(gap + np.log(RATIOS.value))
    # a tick is wide where the price is low: after a forward split, or before a reverse one
    grid = np.maximum(past.tick * np.maximum(RATIOS.value, 1.0), 1e-3)
    still = past.still if missing == 0 else 0.0
    widths = np.hypot(scale, grid / 3), np.hypot(2 * scale, grid / 3)
    usually, cautiously = (
        still * (rest <= grid / 2) / grid + (1 - still) * _t3(rest / width) / width for width in widths
    )
    rate = (0.08 + 0.3 * past.leaps + 0.07 * past.leaps**2) / LONG
    power = 3.0 if past.leaps else 3.7
    tail = 0.5 * (power - 1) * NEWS ** (power - 1) / max(abs(gap), 0.1) ** power
    often = rate * (1 + missing) * min(_STIR, past.stir**2)
    at_news = often * tail + (1 - past.still) * _t3(gap / scale) / scale
    return (usually, cautiously), float(at_news)


def _t3(x: FloatArray | float) -> FloatArray:
    """Density of Student's t with 3 degrees of freedom."""
    found: FloatArray = 0.3675526 / (1 + np.square(x) / 3) ** 2
    return found


def _ordinary(surge: float, width: float, past: Usual) -> float:
    """Density of turnover and range on an ordinary day, which go together; of one where the other is unknown."""
    if not (math.isfinite(surge) and math.isfinite(width)):
        return _student(surge, past.turnover_scale) * _student(width, past.range_scale)
    a, b = surge / past.turnover_scale, width / past.range_scale
    rest = 1 - _TOGETHER**2
    square = (a * a - 2 * _TOGETHER * a * b + b * b) / rest
    area = 2 * math.pi * math.sqrt(rest) * past.turnover_scale * past.range_scale
    return float((1 + square / 4) ** -3 / area)


def _student(x: float, scale: float) -> float:
    """Density of an ordinary value; 1 where it is unknown."""
    return float(_t3(x / scale) / scale) if math.isfinite(x) else 1.0


def _news(x: float, centre: float, spread: float, scale: float) -> float:
    """Density of a value on a day of news; 1 where it is unknown."""
    if not math.isfinite(x):
        return 1.0
    wide = math.hypot(spread, 0.5 * scale)
    return math.exp(-0.5 * ((x - centre) / wide) ** 2) / wide / math.sqrt(2 * math.pi)


def afterwards(bars: Series, k: int, past: Usual) -> float:
    """Log odds that the bars after k add: turnover and range stay high after news, for a while.

    Parameters
    ----------
    bars : Series
        Bars of one instrument.
    k : int
        First bar after the supposed split.
    past : Usual
        Of the bars before.

    Returns
    -------
    float
        0 where fewer than three later bars traded. Good for a quarantine, for no repair.
    """
    later = np.arange(k + 1, min(k + 1 + _AFTER, bars.close.size))
    later = later[bars.volume[later] > 0]
    if later.size < 3:
        return 0.0
    turnover = median(np.log(bars.volume[later] * bars.close[later])) - past.turnover
    width = median(log_range(bars.high[later], bars.low[later], past.tick)) - past.range
    odds = _log_odds(turnover, 0.5, (0.2, 0.7), 0.5 * past.turnover_scale)
    odds += _log_odds(width, 0.4, (0.15, 0.4), 0.5 * past.range_scale)
    return min(max(odds, -4.0), 1.5)


def _log_odds(x: float, centre: float, spreads: tuple[float, float], scale: float) -> float:
    """Of an ordinary value against one around a centre; 0 where it is unknown."""
    if not math.isfinite(x) or not math.isfinite(scale):
        return 0.0
    calm, excited = (math.hypot(spread, scale) for spread in spreads)
    return math.log(float(_t3(x / calm) / calm)) - math.log(float(_t3((x - centre) / excited) / excited))


def share_volume_stayed(bars: Series, k: int, ratio: float) -> bool:
    """Whether the share volume of the bars around k shows that it did not change with the price.

    Parameters
    ----------
    bars : Series
        Bars of one instrument, those before k in the basis of those after it.
    k : int
        First bar after the split.
    ratio : float
        New shares for one old share.
    """
    sides = bars.volume[max(0, k - PAST) : k], bars.volume[k : k + PAST]
    before, after = (np.log(side[side > 0]) for side in sides)
    if min(before.size, after.size) < LEAST:
        return False
    change = median(after) - median(before)
    scale = max(0.35, 0.5 * (centre(before)[1] + centre(after)[1]))
    return _UNSCALED * _student(change + math.log(ratio), scale) > 4 * (1 - _UNSCALED) * _student(change, scale)
