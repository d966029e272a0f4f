"""How sure a mean over days is, where neighbouring days are alike: Newey-West and the stationary bootstrap.

A decision over 20 days overlaps with the next 19, and a portfolio holds most of yesterday's names, so days are worth
less than their number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from src.core.arrays import FloatArray, IntArray

RESAMPLES = 10_000
RESOLVED = 50  # resamples at or above which a share of them is a p-value; below, the tail is that of Student's t
_BATCH = 500
WEAK = 3.0
"""The t-statistic, after trials, below which evidence is called weak."""


@dataclass(frozen=True)
class MeanTest:
    """A mean over days against zero.

    Attributes
    ----------
    mean : float or None
    t : float or None
        Over its standard error; None where that is zero or there are too few days.
    p : float
        One-sided, 1.0 where `t` is None.
    """

    mean: float | None
    t: float | None
    p: float


def newey_west(values: FloatArray, lag: int) -> MeanTest:
    """Test a mean with Newey and West's standard error, by Student's t with 3n/2(lag+1) degrees of freedom.

    Parameters
    ----------
    values : float64, shape (n,)
        One a day, in order; NaN on days without one, which are left out.
    lag : int
        The last autocovariance with a weight (1 - k/(lag+1)). Labels that overlap over h days need several times h:
        at lag h the weights hide a third of the variance.

    Returns
    -------
    MeanTest
        With t None below 2 (lag + 1) days.

    Source
    ------
    Newey and West, "A Simple, Positive Semi-Definite, Heteroskedasticity and Autocorrelation Consistent Covariance
    Matrix", Econometrica 55 (1987), eq. 5. Degrees of freedom: Priestley, "Spectral Analysis and Time Series" (1981),
    ch. 6.2, of the Bartlett window at frequency 0.
    """
    from scipy.special import stdtr

    known = values[np.isfinite(values)]
    n = known.size
    if n < 2 * (lag + 1):
        return MeanTest(float(known.mean()) if n else None, None, 1.0)
    mean = float(known.mean())
    centred = known - mean
    variance = float((centred * centred).sum())
    for k in range(1, lag + 1):
        variance += 2.0 * (1.0 - k / (lag + 1.0)) * float((centred[k:] * centred[:-k]).sum())
    if variance <= 1e-24 * n:
        return MeanTest(mean, None, 1.0)
    t = mean * n / math.sqrt(variance)
    return MeanTest(mean, t, float(stdtr(max(1.0, 1.5 * n / (lag + 1.0)), -t)))


@dataclass(frozen=True)
class BootstrapTest:
    """A mean of daily returns against zero, by resampling blocks of days.

    Attributes
    ----------
    t : float or None
        Mean over the standard deviation of the resampled means; None where that is zero.
    p : float
        One-sided: share of the resampled means, centred, that are at or above the mean. Where fewer than `RESOLVED`
        are, the tail of Student's t with days/block degrees of freedom, at most RESOLVED/RESAMPLES and not below that
        share. 1.0 where `t` is None.
    sharpe_low, sharpe_high : float or None
        5 and 95% quantiles of the resampled means over the standard deviation of all days: resamples without the few
        days that make up most of it would have a Sharpe ratio twice as high.
    """

    t: float | None
    p: float
    sharpe_low: float | None
    sharpe_high: float | None


def stationary_bootstrap(returns: FloatArray, block: int, bars_per_year: float, seed: int) -> BootstrapTest:
    """Test a mean of returns by resampling blocks of days, of geometric length, round the end.

    Parameters
    ----------
    returns : float64, shape (n,)
        One a day.
    block : int
        Mean length in days; at least the horizon, over which positions overlap.
    bars_per_year : float
        For annualising Sharpe ratios.
    seed : int

    Returns
    -------
    BootstrapTest

    Source
    ------
    Politis and Romano, "The Stationary Bootstrap", Journal of the American Statistical Association 89 (1994), p. 1304.
    """
    from scipy.special import stdtr

    n = returns.size
    if n < 2 * block or not returns.any():
        return BootstrapTest(None, 1.0, None, None)
    mean, centred = float(returns.mean()), returns - returns.mean()
    means = resampled_sums(centred[None], block, np.random.default_rng([seed, 0x50]))[0] / n
    deviation = float(means.std())
    if deviation <= 1e-15 * float(np.abs(returns).max()):
        return BootstrapTest(None, 1.0, None, None)
    t, above = mean / deviation, int(np.count_nonzero(means >= mean))
    tail = max(min(float(stdtr(max(1.0, n / block), -t)), RESOLVED / RESAMPLES), above / RESAMPLES)
    low, high = (mean + np.quantile(means, (0.05, 0.95))) / returns.std(ddof=1) * math.sqrt(bars_per_year)
    return BootstrapTest(t, above / RESAMPLES if above >= RESOLVED else tail, float(low), float(high))


def resampled_sums(series: FloatArray, block: int, rng: np.random.Generator) -> FloatArray:
    """Sum series over resampled days: blocks start anywhere, have geometric lengths of mean `block`, and go round.

    Parameters
    ----------
    series : float64, shape (m, n)
        Resampled together.
    block : int
    rng : Generator

    Returns
    -------
    float64, shape (m, RESAMPLES)
    """
    m, n = series.shape
    totals = np.concatenate([np.zeros((m, 1)), np.cumsum(np.tile(series, 2), axis=1)], axis=1)
    sums = np.empty((m, RESAMPLES))
    for first in range(0, RESAMPLES, _BATCH):
        count = min(_BATCH, RESAMPLES - first)
        lengths = _lengths(n, block, count, rng)
        starts = rng.integers(0, n, size=lengths.shape)
        pieces = totals[:, starts + lengths] - totals[:, starts]
        sums[:, first : first + count] = pieces.sum(axis=2)
    return sums


def _lengths(n: int, block: int, count: int, rng: np.random.Generator) -> IntArray:
    """Lengths of blocks that add up to n in each row, shape (count, blocks); 0 for those that are not needed."""
    width = n // block + 8
    lengths = np.minimum(rng.geometric(1.0 / block, size=(count, width)), n)
    while (lengths.sum(axis=1) < n).any():
        lengths = np.concatenate([lengths, np.minimum(rng.geometric(1.0 / block, size=(count, width)), n)], axis=1)
    before = np.cumsum(lengths, axis=1) - lengths
    within: IntArray = np.clip(n - before, 0, lengths)
    return within


def after_trials(p: float, trials: int) -> tuple[float, float]:
    """Charge a p-value for the trials that it was chosen from, and say which t-statistic has it.

    Parameters
    ----------
    p : float, in [0, 1]
        One-sided.
    trials : int

    Returns
    -------
    tuple of two float
        ``min(1, trials * p)``, and the normal deviate whose one-sided tail it is; 0 where it is a half or more.

    Examples
    --------
    >>> after_trials(0.0005, 100)
    (0.05, 1.6448536269514722)
    """
    from scipy.special import ndtri

    from src.evaluation.significance import instrument_p

    adjusted = instrument_p(p, trials)
    return adjusted, max(0.0, float(-ndtri(max(adjusted, 1e-300))))
