"""Tests that may look every day: cumulative sums whose limits a champion's own record gives.

Page's statistic adds up how far each day falls short of what is expected and never goes below zero. Its limit is the
one that the same statistic passes with the stated probability in a year of days drawn in blocks from the champion's
out-of-sample record, recentred on its shrunk estimate. Looking every day is part of that probability, and so are fat
tails, clustered volatility and positions that are alike from day to day, as far as the record shows them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from src.core.arrays import FloatArray
from src.monitoring.resampling import drawn_days
from src.monitoring.volatility import in_deviations, scale_noise

REVERSED_SHARPE = -2.0
"""Sharpe ratio a year of a champion whose edge is reversed, for which the test of a single champion is made."""
LEAST_FALL = 0.25
"""Least fall of a Sharpe ratio a year that a watch is made for."""
MIN_RECORD = 60
"""Days of record below which no limit is computed."""
MARGIN = 1.1
"""By which the drawn limits are raised: without it 136 of 2,200 simulated champions were flagged where 110 may be, at
1.05 still 110 of 2,000; at 1.1 82 of these, and 50 of 2,000 others (docs/monitor.md)."""
_YEARS = 3  # from the third year on, the limit of the third holds: the statistic has forgotten where it began


@dataclass(frozen=True)
class Watch:
    """A test that looks every day.

    Attributes
    ----------
    statistic : float64, shape (days,)
        After each live day, in standard deviations of a day. It depends on no later day.
    limit : float64, shape (days,)
        What it must not exceed: a constant for each year of looks. It depends on the record alone.
    crossed : int or None
        The first day (from 0) above the limit; None without one. More days never change it.
    alarms : float
        Probability of a crossing in each year of looks, where none came before, for a champion as expected.
    looks : int
        Days of a year.
    """

    statistic: FloatArray
    limit: FloatArray
    crossed: int | None
    alarms: float
    looks: int

    @property
    def now(self) -> float:
        """Latest value over its limit: above 1 where it crosses; 0 before the first day."""
        if not self.statistic.size or self.statistic[-1] <= 0.0:
            return 0.0
        return float(self.statistic[-1] / self.limit[-1]) if self.limit[-1] > 0.0 else math.inf


def watch_shortfalls(
    record: FloatArray,
    live: FloatArray,
    *,
    looks: int,
    alarms: float,
    draws: int,
    block: int,
    seed: int,
    uncertainty: float = 0.0,
) -> Watch:
    """Add up shortfalls day by day and compare with limits that the record's shortfalls give.

    Parameters
    ----------
    record, live : float64, shape (n,) and (days,)
        Shortfall of each day less what is allowed for: of the record, moved to the mean that is expected, and since.
    looks : int
        Days of a year, one look each.
    alarms : float, in (0, 1)
        Probability of a false alarm in a year of looks.
    draws, block, seed : int
        Of the bootstrap: years drawn, mean length of a block in days.
    uncertainty : float
        Standard deviation of the true mean around the expected one: each year drawn has a mean of its own, and a
        scale of its own (`volatility.scale_noise`).

    Returns
    -------
    Watch

    Raises
    ------
    ValueError
        Where a value is not finite, or the record is shorter than `MIN_RECORD` or does not vary.

    Source
    ------
    Page, "Continuous Inspection Schemes", Biometrika 41 (1954), p. 100; Lorden, "Procedures for Reacting to a Change in
    Distribution", Annals of Mathematical Statistics 42 (1971), p. 1897, that nothing sees a change sooner.
    """
    _check(record, live)
    years = min(_YEARS, max(1, -(-live.size // looks)))
    limits = _limits(record, years, looks, alarms, draws, block, seed, uncertainty)
    statistic, limit = cusum(live), limits[np.minimum(np.arange(live.size) // looks, years - 1)]
    above = np.flatnonzero(statistic > limit)
    return Watch(statistic, limit, int(above[0]) if above.size else None, alarms, looks)


def reversal(
    record: FloatArray,
    live: FloatArray,
    *,
    sharpe: float,
    bars_per_year: float,
    alarms: float,
    draws: int,
    block: int,
    seed: int,
    error: float = 0.0,
    alternative: float = REVERSED_SHARPE,
) -> Watch:
    """Watch the net returns of a champion, or of the book, for a Sharpe ratio of `alternative`.

    Parameters
    ----------
    record, live : float64, shape (n,) and (days,)
        Net returns, out of sample and since.
    sharpe, error : float
        Shrunk Sharpe ratio a year, and its posterior standard deviation: each year drawn has a mean of its own.
    bars_per_year : float
        Also the looks of a year.
    alarms, draws, block, seed
        As `watch_shortfalls` takes them.
    alternative : float
        Sharpe ratio a year to see soonest: `REVERSED_SHARPE` for a champion, 0 for the book's loss of its edge. Where
        it is not `LEAST_FALL` or more below `sharpe`, that far below is taken.

    Returns
    -------
    Watch

    Raises
    ------
    ValueError
        As `watch_shortfalls` does.

    Notes
    -----
    A day's return x is taken in its own recent volatility (`volatility.in_deviations`). Its shortfall is
    ``(expected - x) / sd - k`` with ``k = (sharpe - alternative) / (2 sqrt(bars_per_year))``, the best for normal days
    of that mean; the expected mean is the record's, less what the shrunk Sharpe ratio is below the record's.
    """
    _check(record, live)
    before, after = in_deviations(record, live)
    deviation, daily = float(np.std(before, ddof=1)), math.sqrt(bars_per_year)
    allowance = (sharpe - min(alternative, sharpe - LEAST_FALL)) / daily / 2.0
    own = float(np.mean(record) / np.std(record, ddof=1)) * daily
    lowered = (own - sharpe) / daily
    return watch_shortfalls(
        (before.mean() - before) / deviation - allowance,
        (before.mean() - after) / deviation - lowered - allowance,
        looks=round(bars_per_year), alarms=alarms, draws=draws, block=block, seed=seed, uncertainty=error / daily,
    )  # fmt: skip


def reversal_power(
    record: FloatArray,
    *,
    sharpe: float,
    true_sharpe: float,
    years: int,
    bars_per_year: float,
    alarms: float,
    draws: int,
    block: int,
    seed: int,
    error: float = 0.0,
    alternative: float = REVERSED_SHARPE,
) -> float:
    """Probability that `reversal` crosses within some years if the Sharpe ratio is another one from the first day on.

    Parameters
    ----------
    record, sharpe, bars_per_year, alarms, draws, block, seed, error, alternative
        As `reversal` takes them.
    true_sharpe : float
        Sharpe ratio a year of the days to come.
    years : int

    Returns
    -------
    float, in [0, 1]
        Share of years drawn from the record, with that mean. If that is `sharpe`, it is that of false alarms.

    Raises
    ------
    ValueError
        As `watch_shortfalls` does.
    """
    _check(record, record[:0])
    before = in_deviations(record, record[:0])[0]
    looks, daily = round(bars_per_year), math.sqrt(bars_per_year)
    allowance = (sharpe - min(alternative, sharpe - LEAST_FALL)) / daily / 2.0
    shortfalls = (before.mean() - before) / float(np.std(before, ddof=1)) - allowance
    return crossing_share(
        shortfalls, (sharpe - true_sharpe) / daily, years,
        looks=looks, alarms=alarms, draws=draws, block=block, seed=seed, uncertainty=error / daily,
    )  # fmt: skip


def crossing_share(
    record: FloatArray,
    fall: float,
    years: int,
    *,
    looks: int,
    alarms: float,
    draws: int,
    block: int,
    seed: int,
    uncertainty: float = 0.0,
) -> float:
    """Share of years, drawn from a record of shortfalls and moved by a fall of the mean, in which a watch crosses.

    Parameters
    ----------
    record : float64, shape (n,)
        As `watch_shortfalls` takes it.
    fall : float
        Added to each day's shortfall.
    years : int
    looks, alarms, draws, block, seed, uncertainty
        As `watch_shortfalls` takes them.

    Returns
    -------
    float, in [0, 1]
    """
    limits = _limits(record, min(years, _YEARS), looks, alarms, draws, block, seed, uncertainty)
    days = drawn_days(record.size, looks * years, draws, block, (seed, 0x90))
    paths = cusum(record[days] + fall)
    limit = limits[np.minimum(np.arange(looks * years) // looks, limits.size - 1)]
    return float(np.mean((paths > limit).any(axis=1)))


def cusum(shortfalls: FloatArray, start: FloatArray | float = 0.0) -> FloatArray:
    """Compute s(t) = max(0, s(t-1) + shortfall(t)) along the last axis.

    Parameters
    ----------
    shortfalls : float64, shape (..., days)
    start : float64, shape (...), optional
        Value before the first day, at least 0.

    Returns
    -------
    float64, shape (..., days)

    Examples
    --------
    >>> cusum(np.array([1.0, -3.0, 2.0, 0.5])).tolist()
    [1.0, 0.0, 2.0, 2.5]
    """
    total = np.cumsum(shortfalls, axis=-1) + np.asarray(start)[..., None]
    floor = np.minimum(np.minimum.accumulate(total, axis=-1), 0.0)
    statistic: FloatArray = total - floor
    return statistic


def _limits(
    record: FloatArray, years: int, looks: int, alarms: float, draws: int, block: int, seed: int, uncertainty: float
) -> FloatArray:
    """Limit of each year: passed in it by a share `alarms` of the drawn paths that passed no former limit."""
    limits, rng = np.empty(years), np.random.default_rng((seed, 0xCE))
    shift = uncertainty * rng.standard_normal(draws) + record.mean()
    scale = np.exp(scale_noise(record, looks, block) * rng.standard_normal((years, draws)))
    centred = record - record.mean()
    state: FloatArray = np.zeros(draws)
    alive = np.ones(draws, dtype=np.bool_)
    for year in range(years):
        days = drawn_days(record.size, looks, draws, block, (seed, 0xC5, year))
        paths = centred[days]
        paths *= scale[year][:, None]
        paths += shift[:, None]
        paths = cusum(paths, state)
        highest, state = paths.max(axis=1), paths[:, -1]
        limits[year] = _upper_quantile(highest[alive], alarms)
        alive &= highest <= limits[year]
    return limits * MARGIN


def _upper_quantile(values: FloatArray, alarms: float) -> float:
    """Value that one more path drawn alike exceeds with a probability of at most `alarms`."""
    place = math.ceil((1.0 - alarms) * (values.size + 1))
    return float(np.sort(values)[place - 1]) if place <= values.size else math.inf


def _check(record: FloatArray, live: FloatArray) -> None:
    if record.size < MIN_RECORD:
        raise ValueError(f"a watch needs a record of at least {MIN_RECORD} days, got {record.size}: wait for more")
    for name, values in (("record", record), ("live days", live)):
        if missing := int((~np.isfinite(values)).sum()):
            raise ValueError(f"the {name} of a watch must be finite, got {missing} that are not: leave those days out")
    if float(np.std(record)) <= 1e-15 * float(np.abs(record).max()):
        raise ValueError("the record of a watch must vary, got the same value every day: it has never traded")
