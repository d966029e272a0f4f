"""Scores without skill that are otherwise like the run's own: moved in time and between names of like volatility.

A draw moves the scores of all names by the same number of days, round the end of the out-of-sample days, and gives
each name the scores of another one. Who gets whose is drawn once for a draw and holds for all its days, so that a
draw changes its positions as slowly as the run does; a new permutation each day would multiply the turnover, and costs
would make luck look rarer than it is. Names change places within buckets of volatility alone, so that what the scores
say of volatility stays theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.core.arrays import BoolArray, IntArray, Matrix
from src.evaluation.shift_test import common_shifts

BUCKETS = 10
LEAST_NAMES = 20  # of a bucket, where there are as many
HOLDING_PERIODS = 3  # between where a score was made and where it is graded, at least, either way round
_ROWS = 64  # days in work at once: they stay in a core's cache


@dataclass(frozen=True)
class Displacement:
    """Where one draw takes its scores from.

    Attributes
    ----------
    days : int
        A day has the scores of as many days before, round the end.
    order : int64, shape (N,)
        The names, bucket after bucket, in random order within each.
    giver : int64, shape (N,)
        Place in `order` from which the name at each place has its scores.
    """

    days: int
    order: IntArray
    giver: IntArray

    def sources(self, scored: BoolArray) -> Iterator[tuple[slice, npt.NDArray[np.int32], BoolArray]]:
        """Find which cell of the scores each cell takes its score from, some days at a time.

        Parameters
        ----------
        scored : bool, shape (D, N)
            Where the run has a score.

        Yields
        ------
        days : slice
        cells : int32, shape (days, N)
            Place in the flattened scores. Where the giver has no score on that day, the nearest name before it in
            `order` that has one gives its own.
        found : bool, shape (days, N)
            False where no name before it has one.
        """
        shape, order, places = scored.shape, self.order.astype(np.int32), np.arange(scored.shape[1], dtype=np.int32)
        giver = np.empty_like(self.giver)
        giver[self.order] = self.giver
        for first in range(0, shape[0], _ROWS):
            days = np.arange(first, min(first + _ROWS, shape[0]))
            made = (days - self.days) % shape[0]
            at = np.where(np.take(scored[made], self.order, axis=1), places, np.int32(-1))
            np.maximum.accumulate(at, axis=1, out=at)
            chosen = np.take(at, giver, axis=1)
            cells = np.take(order, np.maximum(chosen, 0)) + (made[:, None] * shape[1]).astype(np.int32)
            yield slice(int(days[0]), int(days[-1]) + 1), cells, chosen >= 0


def displacements(
    count: int, volatility: Matrix, scored: BoolArray, *, horizon: int, exclude: int, bars_per_year: float, seed: int
) -> list[Displacement]:
    """Draw displacements for the common shifts of a session.

    Parameters
    ----------
    count : int
    volatility : float32, shape (D, N)
    scored : bool, shape (D, N)
        Where the run has a score.
    horizon : int
        Days that a decision is held.
    exclude : int
        Scores are not paired with as many days just before the one they were made on, or a quarter of all.
    bars_per_year : float
    seed : int

    Returns
    -------
    list of Displacement
        Empty where there are too few days for any. The n-th is the same whatever `count` is.
    """
    shifts = admissible_shifts(scored.shape[0], horizon, exclude)
    if not len(shifts):
        return []
    days = shifts.start - 1 + common_shifts(count, len(shifts), bars_per_year)
    buckets = volatility_buckets(volatility, scored)
    return [_displacement(int(days[i]), buckets, np.random.default_rng([seed, 0x5D, i])) for i in range(count)]


def admissible_shifts(n: int, horizon: int, exclude: int) -> range:
    """Say by how many days scores may be moved.

    Parameters
    ----------
    n : int
        Out-of-sample days.
    horizon, exclude : int
        As `displacements` takes them.

    Returns
    -------
    range
        At least `HOLDING_PERIODS` times the horizon from 0 and from n.
    """
    away = HOLDING_PERIODS * horizon
    return range(away, n - max(away, min(exclude, n // 4)) + 1)


def volatility_buckets(volatility: Matrix, scored: BoolArray) -> IntArray:
    """Group names by the mean rank of their volatility on the days on which they are scored.

    Parameters
    ----------
    volatility : float32, shape (D, N)
    scored : bool, shape (D, N)

    Returns
    -------
    int64, shape (N,)
        From 0, the least volatile; a name that is never scored is in the last bucket. At most `BUCKETS`, fewer where
        they would have fewer than `LEAST_NAMES` names.
    """
    total, days = np.zeros(scored.shape[1]), scored.sum(axis=0)
    for day in range(scored.shape[0]):
        names = np.flatnonzero(scored[day] & np.isfinite(volatility[day]))
        total[names[np.argsort(volatility[day, names], kind="stable")]] += (np.arange(names.size) + 0.5) / names.size
    mean = np.where(days > 0, total / np.maximum(days, 1), np.inf)
    known = int(np.count_nonzero(days))
    buckets = max(1, min(BUCKETS, known // LEAST_NAMES))
    ranks = np.empty(mean.size, dtype=np.int64)
    ranks[np.argsort(mean, kind="stable")] = np.arange(mean.size)
    grouped: IntArray = np.minimum(ranks * buckets // max(known, 1), buckets - 1)
    return grouped


def _displacement(days: int, buckets: IntArray, rng: np.random.Generator) -> Displacement:
    """Arrange names at random within their buckets; each has the scores of the one before, the first those of the last.

    The one before, so that the name that gives in its stead is not the one that receives.
    """
    order = np.lexsort((rng.random(buckets.size), buckets))
    giver = np.arange(-1, buckets.size - 1)
    starts = np.append(0, np.flatnonzero(np.diff(buckets[order])) + 1)
    giver[starts] = np.append(starts[1:] - 1, buckets.size - 1)
    return Displacement(days, order, giver)
