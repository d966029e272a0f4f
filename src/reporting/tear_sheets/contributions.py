"""What each feature adds to a model's scores (SHAP), on a sample of out-of-sample days."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.core.arrays import FloatArray, IntArray, Matrix
from src.evaluation.metrics import midranks

SAMPLE = 200
"""Out-of-sample decisions whose scores are explained, spread evenly."""
SHOWN = 12
"""Features whose single contributions are kept for a chart."""
CONTRIBUTIONS = {
    "feature": pl.String,
    "mean_absolute": pl.Float64,
    "direction": pl.Float64,
    "gain": pl.Float64,
}
POINTS = {"feature": pl.String, "value_rank": pl.Float64, "contribution": pl.Float64}


def sampled(count: int) -> IntArray:
    """Choose decisions to explain.

    Parameters
    ----------
    count : int
        Out-of-sample decisions.

    Returns
    -------
    int64, shape (min(count, SAMPLE),)
        Spread evenly from the first to the last.
    """
    return np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).round().astype(np.int64))


def contribution_table(names: list[str], gain: FloatArray, x: Matrix | None, added: FloatArray | None) -> pl.DataFrame:
    """Summarise contributions by feature.

    Parameters
    ----------
    names : list of str, length F
    gain : float64, shape (F,)
        Share of the gain of all splits, averaged over folds.
    x : float32, shape (n, F), or None
        Values of the sampled days.
    added : float64, shape (n, F), or None
        What each value adds to the score; None where no model explains its scores.

    Returns
    -------
    DataFrame
        Columns of `CONTRIBUTIONS`: by mean absolute contribution, else by gain. ``direction`` is the rank correlation
        of value and contribution, null where either is constant.
    """
    table = pl.DataFrame({"feature": names, "gain": gain}, schema_overrides={"feature": pl.String})
    if x is None or added is None:
        table = table.with_columns(mean_absolute=pl.lit(None), direction=pl.lit(None))
        return table.select(list(CONTRIBUTIONS)).cast(CONTRIBUTIONS).sort("gain", "feature", descending=[True, False])  # type: ignore[arg-type]
    mean = np.abs(added).mean(axis=0)
    used = np.flatnonzero(mean > 0.0)
    direction = np.full(len(names), np.nan)
    direction[used] = [_rank_correlation(x[:, j], added[:, j]) for j in used]
    table = table.with_columns(mean_absolute=pl.Series(mean), direction=pl.Series(direction).fill_nan(None))
    order = ["mean_absolute", "gain", "feature"]
    return table.select(list(CONTRIBUTIONS)).cast(CONTRIBUTIONS).sort(order, descending=[True, True, False])  # type: ignore[arg-type]


def contribution_points(names: list[str], x: Matrix, added: FloatArray) -> pl.DataFrame:
    """Give each sampled day's contributions of the features that contribute most.

    Parameters
    ----------
    names : list of str, length F
    x : float32, shape (n, F)
    added : float64, shape (n, F)

    Returns
    -------
    DataFrame
        Columns of `POINTS`: ``value_rank`` is 0 for the lowest value among the sampled days and 1 for the highest,
        null where the feature has none. The feature that contributes most comes first.
    """
    mean = np.abs(added).mean(axis=0)
    chosen = [j for j in np.argsort(-mean, kind="stable")[:SHOWN] if mean[j] > 0.0]
    parts = []
    for j in chosen:
        rank = pl.Series(_shares(x[:, j].astype(np.float64))).fill_nan(None)
        parts.append(pl.DataFrame({"feature": names[j], "value_rank": rank, "contribution": added[:, j]}))
    return pl.concat(parts).cast(POINTS) if parts else pl.DataFrame(schema=POINTS)  # type: ignore[arg-type]


def _shares(values: FloatArray) -> FloatArray:
    """Rank of each value from 0 to 1; NaN where there is none, a half where all are equal."""
    out, known = np.full(values.size, np.nan), np.isfinite(values)
    if known.any():
        ranks = midranks(values[known]) - 1.0
        out[known] = ranks / (known.sum() - 1) if known.sum() > 1 else 0.5
    return out


def _rank_correlation(values: Matrix, added: FloatArray) -> float:
    known = np.isfinite(values)
    if known.sum() < 3:
        return np.nan
    x, y = midranks(values[known].astype(np.float64)), midranks(added[known])
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / scale if scale > 0.0 else np.nan
