"""What is ordinary for an instrument, measured on the bars before one: gaps, moves, ranges, turnover, and ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from src.core.arrays import FloatArray

PAST = 63  # bars that say what is ordinary
LEAST = 10  # of them are needed
LONG = 250  # bars in which earlier moves of news size are counted
FLOOR = 2e-3  # gaps and moves have at least this scale, as rounding and stale opens bring
NEWS = 0.2  # a gap beyond this is of news size
_WEEK = 5


@dataclass(frozen=True)
class Series:
    """Bars of one instrument, in order, each with a close; other values may be NaN.

    Attributes
    ----------
    open, high, low, close, volume : float, shape (n,)
        As the source has them.
    gap : float, shape (n,)
        Log of the open over the last close, dividends added back; NaN where either is unknown.
    move : float, shape (n,)
        The same of the close.
    days : float, shape (n,)
        Since the bar before, weekends not counted.
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    gap: FloatArray
    move: FloatArray
    days: FloatArray


@dataclass(frozen=True)
class Usual:
    """What is ordinary for an instrument, from the bars before.

    Attributes
    ----------
    gap, still : float
        Mean magnitude of the overnight gaps other than zero, and the share of those that are zero.
    move, day : float
        Mean magnitude of the moves from close to close, and from open to close.
    stir : float
        Mean magnitude of the last week's moves over `move`, at least 1.
    turnover, turnover_scale, shares, range, range_scale : float
        Centre and scale of log turnover, log share volume and log range; NaN if unknown.
    tick : float
        Least step of the price over the price.
    leaps : int
        Gaps of news size.
    traded : float
        Share of bars with volume.
    """

    gap: float
    still: float
    move: float
    day: float
    stir: float
    turnover: float
    turnover_scale: float
    shares: float
    range: float
    range_scale: float
    tick: float
    leaps: int
    traded: float


def usual(bars: Series, k: int) -> Usual | None:
    """What was ordinary before bar k.

    Parameters
    ----------
    bars : Series
        Bars of one instrument; those from k on are not looked at.
    k : int
        Position.

    Returns
    -------
    Usual or None
        None with fewer than `LEAST` gaps known.
    """
    return _usual(bars, slice(max(0, k - PAST), k), slice(max(0, k - LONG), k))


def usual_later(bars: Series, k: int) -> Usual | None:
    """What was ordinary after bar k, for a bar with too few before it; good for a quarantine, for no repair."""
    return _usual(bars, slice(k + 1, k + 1 + PAST), slice(k + 1, k + 1 + LONG))


def _usual(bars: Series, past: slice, long: slice) -> Usual | None:
    gaps = bars.gap[past]
    gaps = np.abs(gaps[np.isfinite(gaps)])
    if gaps.size < LEAST:
        return None
    tick = least_step(bars, past)
    zero = gaps <= max(1e-6, 0.25 * tick)
    moved = np.sort(gaps[~zero])
    moved = moved[: max(1, moved.size - moved.size // 20)] if moved.size else np.array([FLOOR])
    volume, close = bars.volume[past], bars.close[past]
    traded = volume > 0
    turnover, turnover_scale = centre(np.log((volume * close)[traded]))
    ranges = log_range(bars.high[past], bars.low[past], tick)
    width, width_scale = centre(ranges[traded & np.isfinite(ranges)])
    move = max(FLOOR, _mean(bars.move[past]))
    leaps = np.abs(bars.gap[long]) > NEWS
    return Usual(
        gap=float(np.add.reduce(moved)) / moved.size,
        still=np.count_nonzero(zero) / zero.size,
        move=move,
        day=max(FLOOR, _mean(np.log(close / bars.open[past]))),
        stir=max(1.0, _mean(bars.move[past][-_WEEK:], math.inf) / move),
        turnover=turnover,
        turnover_scale=turnover_scale,
        shares=centre(np.log(volume[traded]))[0],
        range=width,
        range_scale=width_scale,
        tick=tick,
        leaps=int(np.count_nonzero(leaps)),
        traded=np.count_nonzero(traded) / traded.size,
    )


def _mean(logs: FloatArray, most: float = NEWS) -> float:
    """Mean magnitude of the known values, each counted with `most` at most; 0 if there are none."""
    known = np.abs(logs[np.isfinite(logs)])
    return float(np.add.reduce(np.minimum(known, most))) / known.size if known.size else 0.0


def least_step(bars: Series, past: slice) -> float:
    """Least difference between two prices over their median, at most a tenth; 0 where prices are not rounded."""
    prices = np.concatenate([getattr(bars, name)[past] for name in ("open", "high", "low", "close")])
    prices = np.sort(prices[np.isfinite(prices) & (prices > 0)])
    steps = prices[1:] - prices[:-1]
    different = np.concatenate([prices[:-1][steps > 0], prices[-1:]])
    steps = steps[steps > 1e-5 * prices[1:]]
    return min(1.0, float(steps.min()) / median(different)) if steps.size else 0.0


def median(values: FloatArray) -> float:
    """Median of a few values, at least one: that of numpy to the bit, at a tenth of the time.

    Parameters
    ----------
    values : float, shape (n,)
        In any order.

    Returns
    -------
    float
        NaN if one of them is.
    """
    ordered = np.sort(values)
    if np.isnan(ordered[-1]):
        return math.nan
    middle = ordered.size // 2
    return float(ordered[middle] if ordered.size % 2 else (ordered[middle - 1] + ordered[middle]) / 2)


def log_range(high: FloatArray, low: FloatArray, tick: float) -> FloatArray:
    """Log of a bar's range over its price, at least half a tick; NaN where high or low are unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.where((low > 0) & (high >= low), np.log(high / low), np.nan)
    found: FloatArray = np.log(np.maximum(width, max(1e-4, tick / 2)))
    return found


def centre(logs: FloatArray) -> tuple[float, float]:
    """Median, half moved to that of the last week, and scale of values in time order; NaN below `LEAST`."""
    if logs.size < LEAST:
        return math.nan, math.nan
    middle = median(logs)
    scale = 1.4826 * median(np.abs(logs - middle))
    return 0.5 * middle + 0.5 * median(logs[-5:]), max(0.3, scale)
