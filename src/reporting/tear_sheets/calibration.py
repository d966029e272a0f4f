"""Whether predicted probabilities come true: bins of equal size with Wilson's interval."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.core.arrays import FloatArray

BINS = 10
LEAST_IN_BIN = 20
_Z = 1.959963984540054  # 97.5% quantile of the normal law
CALIBRATION = {
    "predicted": pl.Float64,
    "observed": pl.Float64,
    "n": pl.Int64,
    "low": pl.Float64,
    "high": pl.Float64,
}


def calibration_table(label: FloatArray, probability: FloatArray) -> pl.DataFrame:
    """Compare the mean probability of each bin with the share that rose.

    Parameters
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
        Unlabelled days are left out.
    probability : float64, shape (n,), in [0, 1]

    Returns
    -------
    DataFrame
        Columns of `CALIBRATION`, at most ten bins of equal size and at least twenty days; equal probabilities are never
        divided between two bins, so models with few values have fewer.
    """
    known = ~np.isnan(label)
    order = np.argsort(probability[known], kind="stable")
    score, up = probability[known][order], label[known][order]
    bins = min(BINS, score.size // LEAST_IN_BIN)
    if not bins:
        return pl.DataFrame(schema=CALIBRATION)
    edges = np.unique(np.searchsorted(score, score[np.arange(bins) * score.size // bins], side="left"))
    counts = np.diff(edges, append=score.size)
    rose, predicted = np.add.reduceat(up, edges), np.add.reduceat(score, edges) / counts
    low, high = wilson(rose, counts.astype(np.float64))
    columns = {"predicted": predicted, "observed": rose / counts, "n": counts, "low": low, "high": high}
    return pl.DataFrame(columns).cast(CALIBRATION)  # type: ignore[arg-type]


def wilson(hits: FloatArray, trials: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Wilson's 95% interval of a share.

    Parameters
    ----------
    hits, trials : float64, shape (n,)
        Trials above zero.

    Returns
    -------
    (low, high) : float64, shape (n,), in [0, 1]

    Source
    ------
    Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American Statistical
    Association 22 (1927), p. 209.
    """
    share = hits / trials
    widened = 1.0 + _Z**2 / trials
    centre = (share + _Z**2 / (2.0 * trials)) / widened
    half = _Z * np.sqrt(share * (1.0 - share) / trials + _Z**2 / (4.0 * trials**2)) / widened
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
