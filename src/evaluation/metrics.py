"""The metrics of a grade and their baselines: pure functions of float64 arrays, ``None`` where undefined.

An undefined metric is ``None`` and never NaN, because comparisons with NaN differ between Python, Polars and sqlite.
"""

from __future__ import annotations

import numpy as np

from src.core.arrays import FloatArray, IntArray


def midranks(values: FloatArray, order: IntArray | None = None) -> FloatArray:
    """Rank from 1 upwards; equal values share the mean of their ranks.

    Parameters
    ----------
    values : float64, shape (n,)
        No NaN.
    order : int64, shape (n,), optional
        What sorts the values, where it is known.

    Returns
    -------
    float64, shape (n,), in [1, n].

    Examples
    --------
    >>> midranks(np.array([0.3, 0.1, 0.3])).tolist()
    [2.5, 1.0, 2.5]
    """
    order = np.argsort(values) if order is None else order
    ranks = np.empty(values.size)
    ranks[order] = _ascending_midranks(values[order])
    return ranks


def _ascending_midranks(ordered: FloatArray) -> FloatArray:
    """Midranks of values in ascending order."""
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))[: ordered.size])
    ends = np.append(starts[1:], ordered.size)
    return np.repeat((starts + ends + 1) / 2.0, ends - starts)


def auc(label: FloatArray, score: FloatArray, order: IntArray | None = None) -> float | None:
    """Probability that a random up day is scored above a random down day, ties counting one half.

    Parameters
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
        NaN rows (zero returns, unknown futures) are left out.
    score : float64, shape (n,)
        P(up), or anything that orders like it.
    order : int64, shape (n,), optional
        What sorts the scores, where it is known.

    Returns
    -------
    float in [0, 1], best 1, or None where one of the two classes is missing.

    Raises
    ------
    ValueError
        Where a score is NaN.

    Source
    ------
    Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 143 (1982), p. 31: the Wilcoxon
    statistic.

    Examples
    --------
    >>> auc(np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.2, 0.7]))
    0.75
    """
    _require_numbers(score)
    order = np.argsort(score) if order is None else order
    order = order[~np.isnan(label[order])]
    up = label[order] == 1.0
    ups = int(np.count_nonzero(up))
    downs = int(up.size - ups)
    if ups == 0 or downs == 0:
        return None
    rank_sum = float(_ascending_midranks(score[order])[up].sum())
    return (rank_sum - ups * (ups + 1) / 2.0) / (ups * downs)


def accuracy(label: FloatArray, probability: FloatArray) -> float | None:
    """Share of labelled days on which ``probability > 0.5`` names the direction.

    A probability of exactly one half says down, as scikit-learn's classifiers do.

    Parameters
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
        NaN rows are left out.
    probability : float64, shape (n,), in [0, 1]

    Returns
    -------
    float in [0, 1], best 1, or None where no row is labelled.

    Raises
    ------
    ValueError
        Where a probability is NaN.
    """
    _require_numbers(probability)
    known = ~np.isnan(label)
    if not known.any():
        return None
    return float(np.mean((probability[known] > 0.5) == (label[known] == 1.0)))


def majority_accuracy(label: FloatArray) -> float | None:
    """Accuracy of always naming the class that turned out more frequent on the same days.

    Parameters
    ----------
    label : float64, shape (n,), in {0, 1, NaN}

    Returns
    -------
    float in [0.5, 1], or None
        None where no row is labelled. It looks back at the days it is scored on, which makes it a strict baseline.
    """
    known = label[~np.isnan(label)]
    if known.size == 0:
        return None
    share = float(np.mean(known == 1.0))
    return max(share, 1.0 - share)


def sharpe(returns: FloatArray, bars_per_year: float) -> float | None:
    """Annualise mean over standard deviation (n - 1) of simple returns, flat bars included, cash at zero.

    Parameters
    ----------
    returns : float64, shape (n,)
        Simple net returns, one a bar.
    bars_per_year : float
        252 for daily stocks and ETFs, 365 for daily crypto.

    Returns
    -------
    float, 0.0 where every return is zero (no trade), None for fewer than two returns or a constant other than zero.

    Source
    ------
    Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21 (1994), p. 50.

    Examples
    --------
    >>> round(sharpe(np.array([0.01, -0.01, 0.02, 0.0]), 252.0), 4)
    6.1482
    """
    if returns.size < 2:
        return None
    if not returns.any():
        return 0.0
    deviation = float(np.std(returns, ddof=1))
    if deviation <= 1e-15 * float(np.abs(returns).max()):
        return None
    return float(np.mean(returns)) / deviation * float(np.sqrt(bars_per_year))


def equity(returns: FloatArray) -> FloatArray:
    """Compound simple returns from a capital of 1; a loss of all of it ends at 0 and stays there.

    Parameters
    ----------
    returns : float64, shape (..., n)
        Simple net returns.

    Returns
    -------
    float64, shape (..., n), at least 0
        Capital after each return; the starting 1 is not part of it.
    """
    return np.cumprod(np.maximum(1.0 + returns, 0.0))


def max_drawdown(returns: FloatArray) -> float | None:
    """Largest fall from a peak of the equity over that peak; the starting capital of 1 counts as a peak.

    Returns
    -------
    float in [0, 1], best 0, or None without a return.

    Examples
    --------
    >>> max_drawdown(np.array([-0.5, 1.0]))
    0.5
    """
    if returns.size == 0:
        return None
    curve = equity(returns)
    peak = np.maximum(np.maximum.accumulate(curve), 1.0)
    return float(np.max(1.0 - curve / peak))


def _require_numbers(score: FloatArray) -> None:
    missing = int(np.isnan(score).sum())
    if missing:
        raise ValueError(f"a score must be a number on every row, got {missing} NaN of {score.size}: predict them all")
