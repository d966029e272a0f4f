"""Information coefficients: what the scores of a day say of the order of its outcomes."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.core.arrays import FloatArray, Matrix
from src.evaluation.pooled.forward import forward_returns
from src.evaluation.pooled.graded_days import GradedDays
from src.evaluation.pooled.inference import newey_west
from src.evaluation.pooled.neutralising import centred_ranks

HORIZONS = (1, 5, 10, 20, 40, 60)
OVERLAPS = 3  # lags of Newey-West, in horizons
LEAST_NAMES = 5
_CLIP = 0.5  # a return beyond plus or minus this counts as this
_EVERY = 5  # days between those that the decay is measured on
DECAY_SCHEMA = {"horizon": pl.Int64, "ic": pl.Float64, "ic_t": pl.Float64, "days": pl.Int64}


def daily_information(scores: Matrix, outcomes: Matrix) -> FloatArray:
    """Spearman's rank correlation of scores and outcomes on each day.

    Parameters
    ----------
    scores, outcomes : float32, shape (D, N)
        NaN where unknown; names with both count.

    Returns
    -------
    float64, shape (D,), in [-1, 1]
        NaN on days with fewer than five names or a constant side.
    """
    out = np.full(scores.shape[0], np.nan)
    for day in range(scores.shape[0]):
        names = np.flatnonzero(np.isfinite(scores[day]) & np.isfinite(outcomes[day]))
        if names.size >= LEAST_NAMES:
            out[day] = _correlation(scores[day, names], outcomes[day, names])
    return out


def _correlation(left: Matrix, right: Matrix) -> float:
    x, y = centred_ranks(left), centred_ranks(right)
    scale = float((x * x).sum() * (y * y).sum())
    return float((x * y).sum()) / np.sqrt(scale) if scale > 0.0 else np.nan


def decay(days: GradedDays, neutral: Matrix) -> pl.DataFrame:
    """Measure the IC of the neutralised scores against neutralised returns over several horizons.

    Parameters
    ----------
    days : GradedDays
    neutral : float32, shape (D, N)
        Its neutralised scores.

    Returns
    -------
    DataFrame
        Columns of `DECAY_SCHEMA`, a row for each of `HORIZONS`: the mean IC, its t-statistic by Newey and West, and the
        days that it was measured on, every fifth.
    """
    (rows, basis), out = days.every(_EVERY), []
    for horizon in HORIZONS:
        raw = forward_returns(days.run.section, horizon, days.delisting_return)[days.run.days][rows]
        outcomes = basis.residuals(np.clip(raw, -_CLIP, _CLIP))
        found = newey_west(daily_information(neutral[rows], outcomes), -(-OVERLAPS * horizon // _EVERY))
        known = int(np.count_nonzero(np.isfinite(outcomes).any(axis=1)))
        out.append({"horizon": horizon, "ic": found.mean, "ic_t": found.t, "days": known})
    return pl.DataFrame(out, schema=DECAY_SCHEMA)
