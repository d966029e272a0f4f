"""Adversarial validation: how well a classifier tells recent rows from those of the reference."""

from __future__ import annotations

import numpy as np

from src.core.arrays import FloatArray, Matrix
from src.evaluation.metrics import auc

FOLDS = 4
WINDOWS = 100
"""Windows that the recent one is compared with, at most."""
_RIDGE = 0.1


def separation(reference: Matrix, recent: Matrix) -> tuple[float | None, float]:
    """Tell held-out recent rows from rows of the reference, and earlier windows from all other rows.

    Parameters
    ----------
    reference : float32, shape (n, features)
        One row a day in order; NaN where undefined.
    recent : float32, shape (m, features)
        The days after.

    Returns
    -------
    tuple of float or None, and float
        AUC over `FOLDS` blocks of days that are held out in turn, and its p-value: the share of windows of m rows,
        evenly spread over the reference, that are as far from all other rows. Where windows overlap, their
        number is worth n / m of them.

    Notes
    -----
    Fisher's linear discriminant on each feature's place among all rows and on its square, with the covariance of all
    rows (a tenth of the mean variance added): it sees levels and spreads. Neighbouring rows are alike, so that an AUC
    of 0.9 may mean nothing; the windows, which are treated in the same way, say what it is without drift.

    Source
    ------
    Fisher, "The Use of Multiple Measurements in Taxonomic Problems", Annals of Eugenics 7 (1936), p. 179; Lopez-Paz and
    Oquab, "Revisiting Classifier Two-Sample Tests", ICLR (2017), section 3.
    """
    n, m = reference.shape[0], recent.shape[0]
    rows = _whitened(_places(np.concatenate([reference, recent])))
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    found = _window_auc(rows, sums, n, m)
    if found is None:
        return None, 1.0
    starts = np.unique(np.linspace(0, n - m, min(WINDOWS, n - m + 1)).astype(np.int64))
    null = np.array([_window_auc(rows, sums, int(start), m) for start in starts], dtype=np.float64)
    return found, (1.0 + np.count_nonzero(null >= found)) / (null.size + 1.0)


def _places(rows: Matrix) -> FloatArray:
    """Place of each value among its column from -1/2 to 1/2, 0 where it is missing, and its square less the mean."""
    place = np.zeros(rows.shape)
    for j in range(rows.shape[1]):
        known = ~np.isnan(rows[:, j])
        ordered = np.sort(rows[known, j])
        low = np.searchsorted(ordered, rows[known, j], side="left")
        high = np.searchsorted(ordered, rows[known, j], side="right")
        place[known, j] = (low + high) / (2.0 * max(ordered.size, 1)) - 0.5
    return np.concatenate([place, place**2 - 1.0 / 12.0], axis=1)


def _whitened(rows: FloatArray) -> FloatArray:
    """Turn rows so that their covariance, with its ridge, is the identity."""
    covariance = np.cov(rows, rowvar=False).reshape(rows.shape[1], rows.shape[1])
    ridge = _RIDGE * max(float(np.trace(covariance)) / rows.shape[1], 1e-12)
    values, vectors = np.linalg.eigh(covariance + ridge * np.eye(rows.shape[1]))
    turned: FloatArray = rows @ (vectors / np.sqrt(values))
    return turned


def _window_auc(rows: FloatArray, sums: FloatArray, start: int, m: int) -> float | None:
    """AUC of a window of rows against all others, each row scored by means that leave its block of days out.

    Parameters
    ----------
    rows : float64, shape (n, columns)
        Whitened, so that the discriminant is the difference of the means.
    sums : float64, shape (n + 1, columns)
        Their cumulative sums.
    start, m : int
        First row of the window, and its length.
    """
    inside, outside = np.arange(start, start + m), np.delete(np.arange(rows.shape[0]), slice(start, start + m))
    within = sums[start + m] - sums[start]
    without = sums[-1] - within
    scores = {True: [np.zeros(0)], False: [np.zeros(0)]}
    for held_in, held_out in zip(np.array_split(inside, FOLDS), np.array_split(outside, FOLDS), strict=True):
        if held_in.size == m:
            return None
        near, far = rows[held_in], rows[held_out]
        after = (within - near.sum(axis=0)) / (m - held_in.size)
        before = (without - far.sum(axis=0)) / (outside.size - held_out.size)
        direction, middle = after - before, (after + before) / 2.0
        scores[True].append((near - middle) @ direction)
        scores[False].append((far - middle) @ direction)
    recent, rest = np.concatenate(scores[True]), np.concatenate(scores[False])
    return auc(np.repeat([1.0, 0.0], [recent.size, rest.size]), np.concatenate([recent, rest]))
