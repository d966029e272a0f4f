"""The power of the monitor's tests: how many days it takes to see a fall of a given size."""

from __future__ import annotations

import math

import numpy as np

from src.core.arrays import FloatArray

_STATES = 120


def days_of_one_look(fall: float, bars_per_year: float, *, alarms: float, power: float) -> float:
    """Days after which one look at the mean sees a fall of the Sharpe ratio with a given probability.

    Parameters
    ----------
    fall : float
        By how much the Sharpe ratio a year falls, above 0.
    bars_per_year : float
    alarms : float
        Probability of a false alarm of that one look.
    power : float
        Probability that the fall is seen.

    Returns
    -------
    float
        ``bars_per_year * ((z(alarms) + z(1 - power)) / fall) ** 2``, z being the normal distribution's upper quantile:
        the least that any test needs, which looks once, with nothing estimated.

    Examples
    --------
    >>> chances = {"alarms": 0.05, "power": 0.8}
    >>> round(days_of_one_look(0.5, 252, **chances))  # a Sharpe ratio of 0.5 that vanishes: 25 years
    6232
    """
    from scipy.special import ndtri

    return bars_per_year * float((ndtri(1.0 - alarms) + ndtri(power)) / fall) ** 2


def crossing_probabilities(limit: FloatArray, allowance: float, shift: float = 0.0) -> FloatArray:
    """Probability that Page's statistic of independent normal days has crossed its limit, after each day.

    Parameters
    ----------
    limit : float64, shape (days,)
        In standard deviations of a day; constant, or with steps.
    allowance : float
        k: what is taken off each day's shortfall.
    shift : float
        Mean shortfall of a day, in its standard deviations.

    Returns
    -------
    float64, shape (days,), in [0, 1]

    Notes
    -----
    The statistic is a Markov chain on `_STATES` intervals below the limit and one state above.

    Source
    ------
    Brook and Evans, "An Approach to the Probability Distribution of Cusum Run Length", Biometrika 59 (1972), p. 539.
    """
    crossed = np.empty(limit.size)
    top = float(limit.max()) if limit.size else 0.0
    edges: FloatArray = np.linspace(0.0, top, _STATES + 1, dtype=np.float64)
    middles = np.concatenate([[0.0], (edges[1:] + edges[:-1]) / 2.0])
    steps = _transitions(middles, edges, shift - allowance)
    state: FloatArray = np.zeros(_STATES + 1)
    state[0] = 1.0
    for day in range(limit.size):
        state = state @ steps
        state[middles > limit[day]] = 0.0
        crossed[day] = 1.0 - state.sum()
    return crossed


def normal_limit(alarms: float, looks: int, allowance: float) -> float:
    """Limit that Page's statistic of independent normal days passes in `looks` days with probability `alarms`.

    Parameters
    ----------
    alarms : float, in (0, 1)
    looks : int
    allowance : float

    Returns
    -------
    float
        In standard deviations of a day.
    """
    from scipy.optimize import brentq

    def excess(limit: float) -> float:
        return float(crossing_probabilities(np.full(looks, limit), allowance)[-1]) - alarms

    return float(brentq(excess, 0.5, 6.0 * math.sqrt(looks), xtol=1e-3))


def days_until_seen(
    fall: float,
    bars_per_year: float,
    *,
    alarms: float,
    power: float,
    tuned_for: float | None = None,
    most: int = 50_000,
) -> int | None:
    """Days after which the daily test has seen a fall of the Sharpe ratio with a given probability.

    Parameters
    ----------
    fall : float
        By how much the Sharpe ratio a year falls, from the first day on.
    bars_per_year : float
        Also the looks of a year.
    alarms : float
        Probability of a false alarm in a year of looks.
    power : float
        Probability that the fall is seen.
    tuned_for : float, optional
        Fall that the test is made for; default `fall`.
    most : int
        Days after which the answer is None.

    Returns
    -------
    int or None

    Notes
    -----
    For independent normal days, and the first year's limit throughout.
    """
    root = math.sqrt(bars_per_year)
    allowance = (fall if tuned_for is None else tuned_for) / root / 2.0
    limit = normal_limit(alarms, round(bars_per_year), allowance)
    days = 256
    while True:
        crossed = crossing_probabilities(np.full(min(days, most), limit), allowance, fall / root)
        if crossed[-1] >= power:
            return int(np.argmax(crossed >= power)) + 1
        if days >= most:
            return None
        days *= 4


def _transitions(middles: FloatArray, edges: FloatArray, drift: float) -> FloatArray:
    """Probability of each state after a day, from each: at zero, and in each interval up to the limit."""
    from scipy.special import ndtr

    below: FloatArray = ndtr(edges[None, :] - middles[:, None] - drift)
    return np.concatenate([below[:, :1], np.diff(below, axis=1)], axis=1)
