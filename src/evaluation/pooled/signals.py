"""From scores to signals: neutral to styles, by rank, averaged over days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import FloatArray, Matrix
from src.evaluation.pooled.neutralising import centred_ranks

if TYPE_CHECKING:
    from src.config.schema import PortfolioConfig
    from src.evaluation.pooled.prepared import Prepared

LEAST_SPREAD, ROUNDING = 1e-4, 1e-6
"""A day is without signals where the range of neutral scores is no more than rounding: so small a share of the range of
the raw scores, or of their size."""


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
    raw = scores[[first + day.row for day in prepared.signal_days]]
    values = raw if prepared.basis is None else prepared.basis.residuals(raw)
    out = np.full((raw.shape[0], prepared.columns.size), np.nan, dtype=np.float32)
    for each, day in enumerate(prepared.signal_days):
        names = prepared.columns[day.names]
        value, score = values[each, names], raw[each, names]
        known = np.isfinite(value)
        if known.any() and _differ(value[known], score[known]):
            out[each, day.names[known]] = day_signal(value[known], day.volatility[known], prepared.choice)
    return out


def _differ(value: Matrix, score: Matrix) -> bool:
    """Whether neutral scores differ by more than rounding."""
    low, high = float(score.min()), float(score.max())
    return float(value.max() - value.min()) > LEAST_SPREAD * (high - low) + ROUNDING * max(abs(low), abs(high))


def day_signal(value: Matrix, volatility: FloatArray, choice: PortfolioConfig) -> FloatArray:
    """Turn the scores of a day into signals.

    Parameters
    ----------
    value : float32, shape (n,)
        Scores of the names that have one, neutral to styles unless the choice leaves that out.
    volatility : float64, shape (n,)
    choice : PortfolioConfig

    Returns
    -------
    float64, shape (n,)
        ``neutral``: the centred rank in (-1, 1) over volatility. ``quantiles``: 1 in the highest quantile, -1 in the
        lowest, else 0. ``long_excess``: 1 in the highest quantile, else 0.
    """
    rank: FloatArray = centred_ranks(value)
    if choice.kind == "neutral":
        scaled: FloatArray = rank / volatility
        return scaled
    edge = 1.0 - 2.0 / choice.quantiles
    return (rank > edge) * 1.0 - (rank < -edge) * float(choice.kind == "quantiles")


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
