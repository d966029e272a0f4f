"""From scores to signals: neutral to styles, by rank, averaged over days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import FloatArray, Matrix

if TYPE_CHECKING:
    from src.config.schema import PortfolioConfig
    from src.evaluation.pooled.prepared import Prepared, SignalDay

LEAST_SPREAD = 1e-4
"""Standard deviation of scores without their styles, over that with them, below which nothing is left but rounding."""


def signals(prepared: Prepared, scores: Matrix) -> Matrix:
    """Turn the scores of each signal day into signals.

    Parameters
    ----------
    prepared : Prepared
    scores : float32, shape (T, N), or (D, N) of the days traded
        NaN where a name has none.

    Returns
    -------
    float32, shape (signal days, M)
        NaN where a name has no signal.
    """
    first = prepared.days.start if scores.shape[0] == prepared.shape[0] else 0
    if scores.shape[0] < first + len(prepared.dates) or scores.shape[1] != prepared.shape[1]:
        raise ValueError(
            f"scores must have the days of the cross-section {prepared.shape}, or of the slice that is traded "
            f"({len(prepared.dates)}), got {scores.shape}"
        )
    out = np.full((len(prepared.signal_days), prepared.columns.size), np.nan, dtype=np.float32)
    for each, day in enumerate(prepared.signal_days):
        score = scores[first + day.row, prepared.columns[day.names]].astype(np.float64)
        out[each, day.names] = day_signal(score, day, prepared.choice)
    return out


def day_signal(score: FloatArray, day: SignalDay, choice: PortfolioConfig) -> FloatArray:
    """Turn the scores of a day into signals.

    Parameters
    ----------
    score : float64, shape (n,)
        NaN where a name has none.
    day : SignalDay
    choice : PortfolioConfig

    Returns
    -------
    float64, shape (n,)
        ``neutral``: the centred rank in (-1, 1) over volatility. ``quantiles``: 1 in the highest quantile, -1 in the
        lowest, else 0. ``long_excess``: 1 in the highest quantile, else 0. NaN without a score, and for all names where
        the scores don't differ, or differ by styles alone.
    """
    out = np.full(score.size, np.nan)
    known = np.isfinite(score)
    value = residual(score[known], day.terms[known])
    if known.sum() <= day.terms.shape[1] + 1 or np.std(value) <= LEAST_SPREAD * np.std(score[known]):
        return out
    rank = centred_ranks(value)
    if choice.kind == "neutral":
        out[known] = rank / day.volatility[known]
        return out
    edge = 1.0 - 2.0 / choice.quantiles
    out[known] = (rank > edge) * 1.0
    if choice.kind == "quantiles":
        out[known] -= rank < -edge
    return out


def residual(score: FloatArray, terms: Matrix) -> FloatArray:
    """Scores less their least-squares fit on the terms.

    Parameters
    ----------
    score : float64, shape (n,)
    terms : float32, shape (n, p)
        Rows of the day's terms; without columns the scores stay as they are.

    Returns
    -------
    float64, shape (n,)
    """
    if terms.shape[1] == 0 or score.size <= terms.shape[1]:
        return score
    basis = terms.astype(np.float64)
    centre = score - score.mean()
    fit = np.linalg.solve(np.einsum("ni,nj->ij", basis, basis), np.einsum("ni,n->i", basis, centre))
    out: FloatArray = centre - np.einsum("ni,i->n", basis, fit)
    return out


def centred_ranks(values: FloatArray) -> FloatArray:
    """Ranks from -1 to 1, both exclusive, with mean 0; equal values share their mean rank.

    Parameters
    ----------
    values : float64, shape (n,)

    Returns
    -------
    float64, shape (n,)

    Examples
    --------
    >>> centred_ranks(np.array([3.0, 1.0, 1.0, 9.0])).tolist()
    [0.25, -0.5, -0.5, 0.75]
    """
    n = values.size
    order = np.argsort(values)
    ascending = values[order]
    first = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
    count = np.diff(first, append=n)
    mean = first + (count - 1) / 2.0
    out = np.empty(n)
    out[order] = np.repeat((2.0 * mean + 1.0) / n - 1.0, count)
    return out


def smoothed(prepared: Prepared, signal: Matrix) -> Matrix:
    """Mean of each trade day's recent signals, of those days on which a name has one.

    Parameters
    ----------
    prepared : Prepared
    signal : float32, shape (signal days, M)

    Returns
    -------
    float32, shape (K, M)
        NaN where a name has no signal on any of the days.
    """
    known = np.isfinite(signal)
    filled = np.where(known, signal, np.float32(0.0))
    out = np.empty((len(prepared.windows), signal.shape[1]), dtype=np.float32)
    for each, window in enumerate(prepared.windows):
        count = known[window].sum(axis=0)
        total = filled[window].sum(axis=0)
        out[each] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return out
