"""Shrunk estimates: what to expect of a champion, which was chosen because its figures were high.

The best of many runs owes part of its figures to luck. All graded runs of a session, not the passes alone, say how far
the true values of runs lie apart; a run's own figure is then moved towards where most of them lie. A posterior mean
needs no correction for the selection: whatever runs are chosen by their figures, their truths have that mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from src.core.arrays import FloatArray

PSEUDO_RUNS = 3
"""Runs without skill that count as seen beside a session's own, so that a session of one run is shrunk too."""
PSEUDO_WEIGHT = 20.0
"""Runs that the normal prior is worth when the shape of the prior is fitted."""
_STEPS = 60


@dataclass(frozen=True)
class Shrunk:
    """Estimates of one figure for all runs of a session.

    Attributes
    ----------
    mean : float64, shape (k,)
        Posterior mean of each run's true figure; NaN where it has none.
    spread : float64, shape (k,)
        Posterior standard deviation.
    prior_mean, prior_spread : float
        Mean and standard deviation of the true figures over runs.
    """

    mean: FloatArray
    spread: FloatArray
    prior_mean: float
    prior_spread: float


def shrunk(estimates: FloatArray, errors: FloatArray, *, unskilled: float) -> Shrunk:
    """Estimate the true figures of runs from all of their figures together.

    Parameters
    ----------
    estimates : float64, shape (k,)
        AUC, or Sharpe ratio a year, of every graded run; NaN where undefined.
    errors : float64, shape (k,)
        Their standard errors: see `auc_error` and `sharpe_error`.
    unskilled : float
        The figure without skill, 0.5 or 0.0, of `PSEUDO_RUNS` runs that count as seen.

    Returns
    -------
    Shrunk

    Notes
    -----
    ``estimate ~ N(truth, error**2)`` and ``truth ~ prior``. The prior is first a normal distribution, its mean and
    variance by maximum likelihood with unequal errors; then a mixture of narrow normals on a grid, their weights by
    expectation-maximisation, with the normal prior counting as `PSEUDO_WEIGHT` runs. So a few runs are shrunk
    linearly, and thousands find out by themselves that most have no skill and a few have much.

    Source
    ------
    Efron and Morris, "Data Analysis Using Stein's Estimator and its Generalizations", Journal of the American
    Statistical Association 70 (1975), p. 312; Morris, "Parametric Empirical Bayes Inference", same journal 78 (1983),
    p. 47, for unequal errors; Koenker and Mizera, "Convex Optimization, Shape Constraints, Compound Decisions, and
    Empirical Bayes Rules", same journal 109 (2014), p. 674, for the grid; Efron, "Tweedie's Formula and Selection
    Bias", same journal 106 (2011), p. 1602, for why selection needs no more.
    """
    known = np.isfinite(estimates) & np.isfinite(errors) & (errors > 0.0)
    x, s = estimates[known], errors[known]
    typical = float(np.median(s)) if s.size else 1.0
    x_all = np.append(x, np.full(PSEUDO_RUNS, unskilled))
    s_all = np.append(s, np.full(PSEUDO_RUNS, typical))
    centre, spread = normal_prior(x_all, s_all)
    grid, width = _grid(x_all, centre, spread, typical)
    base = _normal_weights(grid, centre, math.sqrt(max(spread**2 - width**2, (width / 4.0) ** 2)))
    weights = _fitted_weights(x_all, np.hypot(s_all, width), grid, base)
    mean, deviation = np.full(estimates.shape, np.nan), np.full(estimates.shape, np.nan)
    mean[known], deviation[known] = _posterior(x, s, grid, width, weights)
    middle = float(weights @ grid)
    return Shrunk(mean, deviation, middle, math.sqrt(float(weights @ (grid - middle) ** 2) + width**2))


def normal_prior(estimates: FloatArray, errors: FloatArray) -> tuple[float, float]:
    """Fit mean and standard deviation of normal truths by maximum likelihood, with unequal standard errors.

    Parameters
    ----------
    estimates, errors : float64, shape (k,)
        Finite.

    Returns
    -------
    tuple of two float
        The standard deviation is 0 where the estimates scatter no more than their errors.

    Source
    ------
    Morris, "Parametric Empirical Bayes Inference", Journal of the American Statistical Association 78 (1983), p. 53.
    """
    from scipy.optimize import minimize_scalar

    def mean(variance: float) -> float:
        weight = 1.0 / (errors**2 + variance)
        return float((weight * estimates).sum() / weight.sum())

    def loss(root: float) -> float:
        total = errors**2 + root**2
        return float((np.log(total) + (estimates - mean(root**2)) ** 2 / total).sum())

    widest = float(np.ptp(estimates)) + 1e-9
    found = minimize_scalar(loss, bounds=(0.0, widest), method="bounded", options={"xatol": 1e-5 * widest})
    root = float(found.x) if loss(float(found.x)) < loss(0.0) else 0.0
    return mean(root**2), root


def auc_error(ups: FloatArray, downs: FloatArray, horizon: int = 1) -> FloatArray:
    """Compute the standard error of an AUC near one half: sqrt((ups + downs + 1) / (12 ups downs)).

    Parameters
    ----------
    ups, downs : float64, shape (k,)
        Labelled days of each kind.
    horizon : int
        Bars that a label spans: n labels that overlap are worth n over the horizon.

    Returns
    -------
    float64, shape (k,)
        NaN where a kind is missing.

    Source
    ------
    Mann and Whitney, "On a Test of Whether One of Two Random Variables Is Stochastically Larger than the Other",
    Annals of Mathematical Statistics 18 (1947), p. 51.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        error: FloatArray = np.sqrt(horizon * (ups + downs + 1.0) / (12.0 * ups * downs))
    return np.where(np.isfinite(error), error, np.nan)


def sharpe_error(sharpe: FloatArray, bars: FloatArray, bars_per_year: FloatArray) -> FloatArray:
    """Compute the standard error of an annualised Sharpe ratio: sqrt((1 + daily**2 / 2) / bars * bars_per_year).

    Parameters
    ----------
    sharpe : float64, shape (k,)
        A year.
    bars, bars_per_year : float64, shape (k,)

    Returns
    -------
    float64, shape (k,)

    Source
    ------
    Lo, "The Statistics of Sharpe Ratios", Financial Analysts Journal 58 (2002), eq. 9.
    """
    error: FloatArray = np.sqrt((bars_per_year + sharpe**2 / 2.0) / bars)
    return error


def _grid(x: FloatArray, centre: float, spread: float, typical: float) -> tuple[FloatArray, float]:
    """Means of the components, and their common standard deviation."""
    low, high = float(x.min()), float(x.max())
    low, high = min(low, centre - 3.0 * spread), max(high, centre + 3.0 * spread)
    width = min(typical / 2.0, max(spread, 1e-3 * typical))
    step = max(width, (high - low) / 400.0)
    count = max(3, math.ceil((high - low) / step) + 1)
    grid: FloatArray = np.linspace(low, high, count, dtype=np.float64)
    return grid, width


def _normal_weights(grid: FloatArray, centre: float, spread: float) -> FloatArray:
    log = -0.5 * ((grid - centre) / spread) ** 2
    weights = np.exp(log - log.max())
    scaled: FloatArray = weights / weights.sum()
    return scaled


def _likelihood(x: FloatArray, total: FloatArray, grid: FloatArray) -> FloatArray:
    """Density of each estimate under each component, up to a factor for each estimate, shape (k, components)."""
    log = -0.5 * ((x[:, None] - grid) / total[:, None]) ** 2
    density: FloatArray = np.exp(log - log.max(axis=1, keepdims=True))
    return density


def _fitted_weights(x: FloatArray, total: FloatArray, grid: FloatArray, base: FloatArray) -> FloatArray:
    likelihood, weights = _likelihood(x, total, grid), base
    for _ in range(_STEPS):
        counts = weights * ((1.0 / (likelihood @ weights)) @ likelihood)
        weights = (counts + PSEUDO_WEIGHT * base) / (x.size + PSEUDO_WEIGHT)
    return weights


def _posterior(
    x: FloatArray, s: FloatArray, grid: FloatArray, width: float, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the truth for each estimate."""
    total = np.hypot(s, width)
    share = _likelihood(x, total, grid) * weights
    share /= share.sum(axis=1, keepdims=True)
    kept = (width**2 / total**2)[:, None]
    means = grid + kept * (x[:, None] - grid)
    mean = (share * means).sum(axis=1)
    variance = (share * (means - mean[:, None]) ** 2).sum(axis=1) + kept[:, 0] * s**2
    return mean, np.sqrt(variance)
