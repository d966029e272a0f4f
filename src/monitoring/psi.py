"""The population stability index, and what it comes to in years in which nothing drifts.

The index of a window of 60 rows is never zero, and how large it gets by itself depends on how alike neighbouring rows
are: a slow feature may spend a quarter in one decile. The null is therefore drawn from the reference in blocks of
rows, all features of a row together: a year of looks at a sliding window, against a reference drawn alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.core.arrays import Bytes, FloatArray, IntArray, Matrix
from src.monitoring.resampling import drawn_days

DECILES = 10
CELLS = DECILES + 3
"""Cells of a feature: deciles of the reference, missing, far below and far above all that the reference holds."""
_MISSING, _BELOW, _ABOVE = DECILES, DECILES + 1, DECILES + 2


@dataclass(frozen=True)
class Cuts:
    """Where each feature is cut into cells.

    Attributes
    ----------
    inner : list of float64 arrays
        Distinct deciles of the reference, ascending; empty where it has no number.
    low, high : float64, shape (features,)
        Beyond which a value is far outside: the range of the reference and once its 1 to 99% range beyond.
    """

    inner: list[FloatArray]
    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, reference: Matrix) -> Cuts:
        """Cut the features of a reference, shape (n, features); NaN and infinities are no numbers."""
        inner, low, high = [], np.full(reference.shape[1], -np.inf), np.full(reference.shape[1], np.inf)
        for j in range(reference.shape[1]):
            known = reference[:, j][np.isfinite(reference[:, j])].astype(np.float64)
            inner.append(np.unique(np.quantile(known, np.arange(1, DECILES) / DECILES)) if known.size else known)
            if known.size:
                low[j], high[j] = known.min(), known.max()
                spread = float(np.diff(np.quantile(known, (0.01, 0.99)))[0]) or high[j] - low[j]
                low[j], high[j] = low[j] - spread, high[j] + spread
        return cls(inner, low, high)

    def cells(self, rows: Matrix) -> Bytes:
        """Place each value in its cell.

        Parameters
        ----------
        rows : float32, shape (m, features)

        Returns
        -------
        uint8, shape (m, features), below `CELLS`
        """
        placed = np.empty(rows.shape, dtype=np.uint8)
        for j, inner in enumerate(self.inner):
            column = rows[:, j].astype(np.float64)
            cell = np.searchsorted(inner, column, side="left").astype(np.uint8)
            cell[column < self.low[j]] = _BELOW
            cell[column > self.high[j]] = _ABOVE
            cell[np.isnan(column)] = _MISSING
            placed[:, j] = cell
        return placed


def counts(cells: Bytes) -> IntArray:
    """Count the rows of each feature in each cell.

    Parameters
    ----------
    cells : uint8, shape (m, features)

    Returns
    -------
    int64, shape (features, CELLS)
    """
    features = cells.shape[1]
    flat = cells.astype(np.int64) + CELLS * np.arange(features)
    return np.bincount(flat.ravel(), minlength=features * CELLS).reshape(features, CELLS)


def psi(reference: IntArray, recent: IntArray) -> FloatArray:
    """Sum (p - q) ln(p / q) over cells, p and q being shares of recent rows and of the reference's.

    Parameters
    ----------
    reference, recent : int64, shape (..., CELLS)
        Rows in each cell. One more row, spread evenly over the cells, keeps shares above zero.

    Returns
    -------
    float64, shape (...), at least 0
        0 where the shares agree. Rules of thumb (0.1 some, 0.25 much) are for large independent samples: with n and m
        independent rows the mean without drift is about (cells - 1) (1/n + 1/m).

    Source
    ------
    Siddiqi, "Credit Risk Scorecards" (2006), p. 136, for the index; Yurdakul, "Statistical Properties of Population
    Stability Index", dissertation, Western Michigan University (2018), ch. 3, for its mean.
    """
    p, q = shares(recent), shares(reference)
    index: FloatArray = ((p - q) * np.log(p / q)).sum(axis=-1)
    return index


def shares(rows: IntArray) -> FloatArray:
    """Share of rows in each cell, with one more row spread evenly: (count + 1 / cells) / (rows + 1)."""
    part: FloatArray = (rows + 1.0 / CELLS) / (rows.sum(axis=-1, keepdims=True) + 1.0)
    return part


def drawn_years(cells: Bytes, window: int, looks: int, draws: int, block: int, seed: int) -> npt.NDArray[np.float32]:
    """Indices of each feature at every look of years in which nothing drifts.

    Parameters
    ----------
    cells : uint8, shape (n, features)
        Of the reference, a row a day in order.
    window : int
        Rows of the sliding window.
    looks : int
        Days of a year.
    draws, block, seed : int
        Years drawn, and mean length of a block in rows.

    Returns
    -------
    float32, shape (looks, draws, features)
        Each year has a reference of its own, drawn alike: how far the reference is from the truth is part of the null.
    """
    n, features = cells.shape
    held = _drawn_references(cells, draws, block, seed)
    rows = drawn_days(n, looks + window - 1, draws, block, (seed, 0xD1))
    count = np.stack([counts(cells[days[:window]]) for days in rows])
    index = np.empty((looks, draws, features), dtype=np.float32)
    now: FloatArray = psi(held, count)
    index[0] = now
    q = shares(held).ravel()
    walk = _Walk(count.ravel(), q, np.log(q), *_share_tables(window))
    origin = CELLS * np.arange(draws * features).reshape(draws, features)
    for look in range(1, looks):
        out, into = origin + cells[rows[:, look - 1]], origin + cells[rows[:, look + window - 1]]
        now = now + walk.step(out, -1) + walk.step(into, 1)
        index[look] = now
    return index


@dataclass(frozen=True)
class _Walk:
    """Counts of all windows, changed one row at a time."""

    count: IntArray
    q: FloatArray
    log_q: FloatArray
    p: FloatArray
    log_p: FloatArray

    def step(self, at: IntArray, change: int) -> FloatArray:
        """Add a row to, or take one from, one cell of each window; return by how much the index changes."""
        before = self.count[at]
        after = before + change
        self.count[at] = after
        q, log_q = self.q[at], self.log_q[at]
        gained: FloatArray = (self.p[after] - q) * (self.log_p[after] - log_q)
        gained -= (self.p[before] - q) * (self.log_p[before] - log_q)
        return gained


def _share_tables(window: int) -> tuple[FloatArray, FloatArray]:
    p: FloatArray = (np.arange(window + 2, dtype=np.float64) + 1.0 / CELLS) / (window + 1.0)
    return p, np.log(p)


def _drawn_references(cells: Bytes, draws: int, block: int, seed: int) -> IntArray:
    """Rows in each cell of references drawn in blocks, shape (draws, features, CELLS)."""
    n, features = cells.shape
    rows = drawn_days(n, n, draws, block, (seed, 0xD0))
    times = np.stack([np.bincount(days, minlength=n) for days in rows]).astype(np.float32)
    inside = np.zeros((n, features * CELLS), dtype=np.float32)
    np.put_along_axis(inside, cells.astype(np.int64) + CELLS * np.arange(features), 1.0, axis=1)
    held: IntArray = np.rint(times @ inside).astype(np.int64).reshape(draws, features, CELLS)
    return held
