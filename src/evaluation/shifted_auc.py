"""AUC and accuracy of a run's scores under every circular shift, equal to a loop over the shifts."""

from __future__ import annotations

import numpy as np

from src.core.arrays import FloatArray
from src.evaluation.fold_levels import FoldValues
from src.evaluation.metrics import midranks
from src.evaluation.rank_sums import doubled_wins


def shifted_auc(label: FloatArray, scores: FoldValues) -> FloatArray:
    """AUC of the scores under each shift s against ``label``.

    Parameters
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
    scores : FoldValues

    Returns
    -------
    float64, shape (n,), in [0, 1]
        NaN where a class is missing.

    Notes
    -----
    Scores that move without changing and labels without gaps have the same ranks at every shift: the rank sum over up
    days is then a circular correlation. Otherwise the pairs of an up day and a day that fell are counted.
    """
    n, up, down = label.size, label == 1.0, label == 0.0
    ups, downs = int(np.count_nonzero(up)), int(np.count_nonzero(down))
    if ups == 0 or downs == 0:
        return np.full(n, np.nan)
    if scores.values.shape[0] == 1 and ups + downs == n:
        rank_sums = np.rint(2.0 * correlation(up.astype(np.float64), midranks(scores.values[0])))
        return (rank_sums - ups * (ups + 1.0)) / (2.0 * ups * downs)
    return doubled_wins(scores, up, down) / (2.0 * ups * downs)


def shifted_accuracy(label: FloatArray, probabilities: FoldValues) -> FloatArray:
    """Accuracy at 0.5 of the probabilities under each shift s.

    Parameters
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
    probabilities : FoldValues

    Returns
    -------
    float64, shape (n,), in [0, 1]
        NaN where no day is labelled.
    """
    sign = np.where(np.isnan(label), 0.0, np.where(label == 1.0, 1.0, -1.0))
    known = np.count_nonzero(sign)
    if known == 0:
        return np.full(label.size, np.nan)
    signs = np.zeros(probabilities.values.shape)
    for f, first, last in probabilities.spans():
        signs[f, first:last] = sign[first:last]
    agreement = np.rint(correlation(signs, np.where(probabilities.values > 0.5, 1.0, -1.0)))
    return (agreement + known) / (2.0 * known)


def correlation(fixed: FloatArray, moved: FloatArray) -> FloatArray:
    """Sum over rows and over k of fixed[..., k] * moved[..., k - s] for each s, shape (n,)."""
    products = np.fft.rfft(fixed) * np.conj(np.fft.rfft(moved))
    return np.fft.irfft(products.reshape(-1, products.shape[-1]).sum(axis=0), fixed.shape[-1])
