"""How likely a pass is luck: p-values, q-values and the deflated Sharpe ratio."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from src.core.arrays import FloatArray
from src.evaluation.metrics import sharpe

EULER = 0.5772156649015329
CREDIBLE_DEFLATED_SHARPE = 0.95
"""Probability from which a deflated Sharpe ratio counts as evidence of a real active return."""
_NORMAL = NormalDist()
_LAGS = 64  # bars over which shifts are compared where there are few


def z_score(value: float | None, null: FloatArray) -> float | None:
    """Compute (value - mean) / sd over the admissible shifts.

    Parameters
    ----------
    value : float or None
        AUC or Sharpe ratio of the run.
    null : float64, shape (m,)
        The same figure at each admissible shift, in their order.

    Returns
    -------
    float or None
        None where the figure is undefined for the run or at a shift, or does not vary over the shifts.
    """
    deviation = _deviation(null)
    if value is None or deviation is None:
        return None
    return (value - float(np.mean(null))) / deviation


def standardized(null: FloatArray) -> FloatArray | None:
    """Compute the z-score of every admissible shift among all of them.

    Parameters
    ----------
    null : float64, shape (m,)
        A figure at each admissible shift.

    Returns
    -------
    float64, shape (m,), or None
        None where the figure is undefined at a shift, or does not vary.
    """
    deviation = _deviation(null)
    if deviation is None:
        return None
    scaled: FloatArray = (null - np.mean(null)) / deviation
    return scaled


def _deviation(null: FloatArray) -> float | None:
    """Standard deviation over the admissible shifts; None where a figure is undefined, or none of them varies."""
    if null.size < 2 or not np.isfinite(null).all():
        return None
    deviation = float(np.std(null, ddof=1))
    return None if deviation < 1e-12 else deviation


def independent_shifts(null: FloatArray) -> FloatArray:
    """Count the independent values that are worth as much as the shifts, of which neighbours are alike.

    Parameters
    ----------
    null : float64, shape (..., m)
        A figure at each admissible shift, in their order; finite, and not all equal.

    Returns
    -------
    float64, shape (...), at most m
        m / tau with ``tau = 1 + 2 * sum(max(r_j**2 - 1/m, 0) for 0 < j < m/4)``, where r_j is the autocorrelation at
        lag j.

    Notes
    -----
    An estimated variance counts squares, whose autocorrelation is r**2; 1/m is what r**2 has without any. Of fewer than
    256 shifts, lags below m/2 and 64 count: a quarter of 59 shifts is shorter than labels over 20 bars overlap, and
    p-values of 0.05 came 1.4 times too often.

    Source
    ------
    Bayley and Hammersley, "The effective number of independent observations in an autocorrelated time series",
    Supplement to the Journal of the Royal Statistical Society 8 (1946), p. 184, for the variance.
    """
    m = null.shape[-1]
    padded = 1 << (2 * m - 1).bit_length()  # so that no lag wraps round
    power = np.abs(np.fft.rfft(null - np.mean(null, axis=-1, keepdims=True), padded)) ** 2
    products = np.fft.irfft(power, padded)[..., : max(-(-m // 4), min(-(-m // 2), _LAGS))]
    squares = (products[..., 1:] / products[..., :1]) ** 2
    count: FloatArray = m / (1.0 + 2.0 * np.maximum(squares - 1.0 / m, 0.0).sum(axis=-1))
    return count


def p_value(z: float | None, null: FloatArray) -> float:
    """Probability of a z-score this high by luck: the one-sided tail of Student's t.

    A rank among n shifts can't get below 1/n, which is useless among 30,000 runs; the normal tail would take the
    standard deviation of a few shifts that are alike for a known one.

    Parameters
    ----------
    z : float or None
        `z_score` of the run among `null`.
    null : float64, shape (m,)
        The figure at each admissible shift, in their order.

    Returns
    -------
    float, in [0, 1]
        Tail of z / sqrt(1 + 1/m) with max(1, `independent_shifts` - 1) degrees of freedom; 1.0 where z is None.

    Examples
    --------
    >>> null = np.array([0.5, 0.52, 0.48, 0.5])
    >>> round(p_value(z_score(0.56, null), null), 4)
    0.0231
    """
    return 1.0 if z is None else float(upper_tail(np.float64(z), null))


def upper_tail(z: FloatArray | np.float64, null: FloatArray) -> FloatArray:
    """Compute the p-values of several z-scores at once, each as `p_value` does.

    Parameters
    ----------
    z : float64, shape (...)
    null : float64, shape (..., m)

    Returns
    -------
    float64, shape (...), in [0, 1]
    """
    from scipy.special import stdtr

    freedom = np.maximum(1.0, independent_shifts(null) - 1.0)
    tail: FloatArray = stdtr(freedom, -z / math.sqrt(1.0 + 1.0 / null.shape[-1]))
    return tail


def instrument_p(smallest: float, trials: int) -> float:
    """Charge an instrument's smallest p-value for every distinct run tried on its out-of-sample window.

    Parameters
    ----------
    smallest : float, in [0, 1]
    trials : int
        Families, settings, seeds and earlier sessions all count: reseeding until a run passes must not pay.

    Returns
    -------
    float, in [0, 1]
        Bonferroni's bound.
    """
    return min(1.0, max(trials, 1) * smallest)


def q_values(p: FloatArray) -> FloatArray:
    """Adjust p-values for the false discovery rate: over all that were graded, never over passes alone.

    Parameters
    ----------
    p : float64, shape (m,), in [0, 1]
        One for each instrument, no NaN; an undefined one counts as 1.

    Returns
    -------
    float64, shape (m,), in [0, 1]
        Smallest false discovery rate at which each would be a discovery; empty where `p` is.

    Source
    ------
    Benjamini and Hochberg, "Controlling the False Discovery Rate", Journal of the Royal Statistical Society B 57
    (1995), p. 293; to the bit what ``scipy.stats.false_discovery_control`` gives, whose import takes half a second.

    Examples
    --------
    >>> q_values(np.array([0.01, 0.5, 0.04])).round(3).tolist()
    [0.03, 0.5, 0.06]
    """
    order = np.argsort(p)
    scaled = p[order] * (p.size / np.arange(1.0, p.size + 1.0))
    adjusted = np.empty(p.size)
    adjusted[order] = np.clip(np.minimum.accumulate(scaled[::-1])[::-1], 0.0, 1.0)
    return adjusted


def expected_best_sharpe(trials: int, variance: float) -> float:
    """Sharpe ratio per bar to expect of the best of ``trials`` without skill; 0 for one trial.

    Parameters
    ----------
    trials : int
    variance : float
        Of the Sharpe ratios per bar over the trials.

    Source
    ------
    Bailey and Lopez de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management 40 (2014), p. 98.
    """
    if trials <= 1:
        return 0.0
    rare = (1.0 - EULER) * _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    rarer = EULER * _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * (rare + rarer)


def deflated_sharpe(
    ratio: float, bars: int, skew: float, kurtosis: float, trials: int, *, variance: float | None = None
) -> float | None:
    """Probability that the true Sharpe ratio exceeds what the best of ``trials`` would show without skill.

    Parameters
    ----------
    ratio : float
        Sharpe ratio per bar, not annualised.
    bars : int
        Number of returns.
    skew, kurtosis : float
        Of the returns; the normal distribution has kurtosis 3.
    trials : int
    variance : float, optional
        Of the trials' Sharpe ratios per bar. Default 1/(bars - 1), that of a Sharpe ratio estimated without skill: the
        few trials on one instrument are too alike to measure it.

    Returns
    -------
    float in [0, 1], best 1, or None where the moments allow no answer.

    Source
    ------
    Bailey and Lopez de Prado (2014), as above, p. 99: an annual ratio of 2.5 over 1,250 days, skew -3, kurtosis 10,
    and 100 trials of annual variance 1/2 give 0.9004.
    """
    if bars < 2:
        return None
    best = expected_best_sharpe(trials, 1.0 / (bars - 1) if variance is None else variance)
    spread = 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    if not math.isfinite(spread) or spread <= 0.0:
        return None
    return _NORMAL.cdf((ratio - best) * math.sqrt(bars - 1.0) / math.sqrt(spread))


def deflated_sharpe_of(returns: FloatArray, trials: int) -> float | None:
    """Deflated Sharpe ratio of a series of returns.

    Parameters
    ----------
    returns : float64, shape (n,)
        One a bar.
    trials : int
        Distinct runs among which it was the best.

    Returns
    -------
    float in [0, 1], or None
        None where the Sharpe ratio is undefined, or every return is zero.
    """
    ratio = sharpe(returns, 1.0)
    if ratio is None or not returns.any():
        return None
    centred = returns - returns.mean()
    scale = float(np.mean(centred**2))
    skew = float(np.mean(centred**3)) / scale**1.5
    kurtosis = float(np.mean(centred**4)) / scale**2
    return deflated_sharpe(ratio, returns.size, skew, kurtosis, trials)


def deflated_sharpes(returns: FloatArray, trials: int) -> FloatArray:
    """Deflated Sharpe ratio of several series at once, each as `deflated_sharpe_of` computes it.

    Parameters
    ----------
    returns : float64, shape (m, n)
        One series a row.
    trials : int
        Distinct runs among which each was the best.

    Returns
    -------
    float64, shape (m,), in [0, 1]
        NaN where undefined.
    """
    from scipy.special import ndtr

    bars = returns.shape[1]
    if bars < 2:
        return np.full(returns.shape[0], np.nan)
    mean = returns.mean(axis=1)
    centred = returns - mean[:, None]
    squares = centred**2
    scale = squares.mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = mean / np.sqrt(scale * bars / (bars - 1))
        skew = (squares * centred).mean(axis=1) / scale**1.5
        kurtosis = (squares**2).mean(axis=1) / scale**2
        spread = 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
        above = (ratio - expected_best_sharpe(trials, 1.0 / (bars - 1))) * math.sqrt(bars - 1.0) / np.sqrt(spread)
    constant = np.sqrt(scale) <= 1e-15 * np.abs(returns).max(axis=1)
    probability: FloatArray = np.where(constant | ~np.isfinite(above), np.nan, ndtr(above))
    return probability


def active_returns(
    net: FloatArray, position: FloatArray, always: FloatArray, always_position: FloatArray
) -> FloatArray:
    """Take from the strategy what its mean exposure earns by being long all the time.

    Parameters
    ----------
    net, position : float64, shape (..., n)
        Of the strategy.
    always, always_position : float64, shape (n,)
        Of being long all the time, with the same sizing, costs and days.

    Returns
    -------
    float64, shape (..., n)
        Net returns without market exposure on average: exposure is the mean position over that of always-long.
    """
    full = float(np.mean(always_position))
    share = np.mean(position, axis=-1, keepdims=True) / full if full > 0.0 else np.zeros(1)
    active: FloatArray = net - share * always
    return active
