"""Whether recent features and scores still come from where the reference came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.core.arrays import FloatArray, Matrix
from src.evaluation.significance import q_values
from src.monitoring import adversarial
from src.monitoring.psi import Cuts, counts, psi, simulated_years

MARGIN = 1.3
"""By which the limit of the largest is raised: of 20 features, those whose scale was taken too low make the largest."""
LEAST_WINDOWS = 5
"""A reference must hold as many windows as this."""


@dataclass(frozen=True)
class DriftResult:
    """How far recent rows are from the reference.

    Attributes
    ----------
    names : tuple of str
        Features.
    psi : float64, shape (features,)
        Population stability index of each: see `src.monitoring.psi`.
    p : float64, shape (features,)
        Share of looks in the simulated years without drift at which the index is as high.
    q : float64, shape (features,)
        Benjamini-Hochberg over the features of this look.
    adversarial_auc : float or None
        How well a classifier tells held-out recent rows from rows of the reference; one half where it can't.
    adversarial_p : float
        Share of windows of the reference that are as far from the rest. It raises no alarm.
    statistic : float
        The larger of two sums over features, each over its limit: see `feature_drift`.
    year_p : float
        Share of simulated years without drift in which any look comes to as much.
    alarm : bool
        Whether `statistic` is above 1, which happens in a year of looks without drift with the stated probability.
    """

    names: tuple[str, ...]
    psi: FloatArray
    p: FloatArray
    q: FloatArray
    adversarial_auc: float | None
    adversarial_p: float
    statistic: float
    year_p: float
    alarm: bool

    def most(self, count: int) -> list[str]:
        """Name the features that drifted most: by p, then by index.

        Parameters
        ----------
        count : int

        Returns
        -------
        list of str
        """
        order = np.lexsort((-self.psi, self.p))
        return [self.names[j] for j in order[:count]]


def feature_drift(
    reference: Matrix,
    recent: Matrix,
    names: Sequence[str],
    *,
    looks: int,
    alarms: float,
    seed: int,
    draws: int = 200,
) -> DriftResult:
    """Compare recent rows of features with those of a reference.

    Parameters
    ----------
    reference : float32, shape (n, features)
        One row a day in order, such as those that the champion's model was trained on; NaN where undefined.
    recent : float32, shape (m, features)
        The last days.
    names : sequence of str
    looks, draws : int
        Days of a year, one look each; years simulated without drift.
    alarms : float, in (0, 1)
        Probability of a false alarm in a year of looks.
    seed : int

    Returns
    -------
    DriftResult

    Raises
    ------
    ValueError
        Where the shapes do not fit, or the reference holds fewer than `LEAST_WINDOWS` windows.

    Notes
    -----
    The alarm goes by the mean index over features, in standard deviations (all moved a little), and by the largest (one
    moved much), whose limit is raised by `MARGIN`; equal shares of the simulated years pass each limit.
    """
    _check(reference, recent, names)
    cuts = Cuts.of(reference)
    cells, window = cuts.cells(reference), recent.shape[0]
    years = simulated_years(cells, reference, window, looks, draws, seed)
    index = psi(counts(cells), counts(cuts.cells(recent)))
    null = _Null.of(years, alarms)
    statistic = null.statistic(index)
    separated, separated_p = adversarial.separation(reference, recent)
    p = _tail_shares(years, index)
    return DriftResult(
        names=tuple(names),
        psi=index,
        p=p,
        q=q_values(p),
        adversarial_auc=separated,
        adversarial_p=separated_p,
        statistic=statistic,
        year_p=(1.0 + np.count_nonzero((null.highest / null.limits).max(axis=1) >= statistic)) / (draws + 1.0),
        alarm=statistic > 1.0,
    )


def year_of_looks(
    reference: Matrix,
    later: Matrix,
    *,
    window: int,
    looks: int,
    alarms: float,
    seed: int,
    draws: int = 200,
) -> FloatArray:
    """Compute the statistic of `feature_drift` for each window of later rows, simulating the years once.

    Parameters
    ----------
    reference, later : float32, shape (n, features) and (m, features)
    window : int
        Rows of each look.
    looks, alarms, seed, draws
        As `feature_drift` takes them.

    Returns
    -------
    float64, shape (m - window + 1,)
        Above 1 where it raises the alarm.
    """
    cuts = Cuts.of(reference)
    cells, recent = cuts.cells(reference), cuts.cells(later)
    held = counts(cells)
    years = simulated_years(cells, reference, window, looks, draws, seed)
    statistic = np.empty(later.shape[0] - window + 1)
    null = _Null.of(years, alarms)
    for look in range(statistic.size):
        statistic[look] = null.statistic(psi(held, counts(recent[look : look + window])))
    return statistic


def score_drift(
    reference: FloatArray,
    recent: FloatArray,
    *,
    looks: int,
    alarms: float,
    seed: int,
    draws: int = 200,
) -> DriftResult:
    """Compare the recent scores of a champion with those out of sample, as `feature_drift` compares a feature.

    Parameters
    ----------
    reference, recent : float64, shape (n,) and (m,)
        One score a day in order.
    looks, alarms, seed, draws
        As `feature_drift` takes them.

    Returns
    -------
    DriftResult
        Of one feature, ``score``.
    """
    before, after = reference.astype(np.float32)[:, None], recent.astype(np.float32)[:, None]
    return feature_drift(before, after, ("score",), looks=looks, alarms=alarms, seed=seed, draws=draws)


@dataclass(frozen=True)
class _Null:
    """What the simulated years say: mean and deviation of each feature's index, highest sums of a year, and limits."""

    mean: FloatArray
    deviation: FloatArray
    highest: FloatArray
    limits: FloatArray

    @classmethod
    def of(cls, years: npt.NDArray[np.float32], alarms: float) -> _Null:
        mean = years.mean(axis=(0, 1), dtype=np.float64)
        deviation = np.maximum(years.std(axis=(0, 1), dtype=np.float64), 1e-6)
        scaled = (years - mean.astype(np.float32)) / deviation.astype(np.float32)
        sums = [scaled.mean(axis=2).max(axis=0), scaled.max(axis=2).max(axis=0)]
        highest = np.stack(sums, axis=1).astype(np.float64)
        return cls(mean, deviation, highest, _limits(highest, alarms) * np.array([1.0, MARGIN]))

    def statistic(self, index: FloatArray) -> float:
        """The larger of mean and largest of the features, each over its limit."""
        scaled = (index - self.mean) / self.deviation
        return float(max(scaled.mean() / self.limits[0], scaled.max() / self.limits[1]))


def _limits(highest: FloatArray, alarms: float) -> FloatArray:
    """Values of the same rank for both, passed by one of the two in at most a share `alarms` of all years to come."""
    draws = highest.shape[0]
    allowed = math.floor(alarms * (draws + 1))
    ordered = np.sort(highest, axis=0)[::-1]
    limits = ordered[0] * (1.0 + 1e-9)
    for rank in range(draws):
        if np.count_nonzero((highest > ordered[rank]).any(axis=1)) > allowed - 1:
            break
        limits = ordered[rank]
    positive: FloatArray = np.maximum(limits, 1e-9)
    return positive


def _tail_shares(years: npt.NDArray[np.float32], index: FloatArray) -> FloatArray:
    """Share of all simulated looks at which each feature's index is as high."""
    looks = years.shape[0] * years.shape[1]
    above = (years >= index.astype(np.float32)).sum(axis=(0, 1))
    tail: FloatArray = (1.0 + above) / (looks + 1.0)
    return tail


def _check(reference: Matrix, recent: Matrix, names: Sequence[str]) -> None:
    if reference.ndim != 2 or recent.ndim != 2 or len({reference.shape[1], recent.shape[1], len(names)}) > 1:
        raise ValueError(
            f"drift needs the same features on both sides, got {reference.shape}, {recent.shape} and {len(names)} names"
        )
    if not names or recent.shape[0] < 2 or reference.shape[0] < LEAST_WINDOWS * recent.shape[0]:
        raise ValueError(
            f"drift needs 2 recent rows and {LEAST_WINDOWS} times as many of the reference, got {recent.shape[0]} and"
            f" {reference.shape[0]}: lower monitor.drift_window"
        )
