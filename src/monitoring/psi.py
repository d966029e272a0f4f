"""The population stability index, and what it comes to in years in which nothing drifts.

The index of a window of 60 rows is never zero, and how large it gets by itself depends on how alike neighbouring rows
are: a slow feature may spend a quarter in one decile. The null is therefore simulated: years that follow a reference,
with the features' own shares in each cell, autocorrelations and correlations. Years drawn in blocks from the reference
would not do: the most extreme quarter of the next year is more extreme than all of eight years with a chance of 1 in 9,
and 20 features have 20 such chances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.core.arrays import Bytes, FloatArray, IntArray, Matrix

DECILES = 10
CELLS = DECILES + 3
"""Cells of a feature: deciles of the reference, missing, far below and far above all that the reference holds."""
YEARS_EACH = 4
"""Simulated years after one simulated reference."""
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


def simulated_years(
    cells: Bytes, reference: Matrix, window: int, looks: int, draws: int, seed: int
) -> npt.NDArray[np.float32]:
    """Indices of each feature at every look of years in which nothing drifts.

    Parameters
    ----------
    cells : uint8, shape (n, features)
        Of the reference, a row a day in order.
    reference : float32, shape (n, features)
    window : int
        Rows of the sliding window.
    looks : int
        Days of a year.
    draws : int
        Years; `YEARS_EACH` in a row follow one simulated reference, whose quantiles cut the cells as the true
        reference's do: how far a reference is from the truth is part of the null.
    seed : int

    Returns
    -------
    float32, shape (looks, draws, features)

    Notes
    -----
    The reference's normal scores, shape (n, features), are convolved with white noise that all features share. Given
    the reference the result is a normal process with its sample autocovariances and cross-covariances, of any length.
    How far the level of a window strays is known as well as n / (window + correlation time) windows tell it: the moving
    mean of each feature is scaled by a factor with a log standard deviation of sqrt((window + correlation time) / 2n).

    Source
    ------
    Theiler et al., "Testing for Nonlinearity in Time Series: The Method of Surrogate Data", Physica D 58 (1992), p. 77,
    and Prichard and Theiler, "Generating Surrogate Data for Time Series with Several Simultaneously Measured
    Variables", Physical Review Letters 73 (1994), p. 951: normal scores and a common phase. Convolved with noise
    instead, a surrogate may be longer than the data.
    """
    from scipy.ndimage import uniform_filter1d

    n, features = cells.shape
    held = counts(cells)
    span = looks + window - 1
    each = min(YEARS_EACH, draws)
    index = np.empty((looks, draws, features), dtype=np.float32)
    scores = normal_scores(reference)
    surrogate = _Surrogate.of(scores, n + each * span, seed)
    noise = np.sqrt((window + correlation_times(scores)) / (2.0 * n))
    for first in range(0, draws, each):
        path = surrogate.draw()
        factor = np.exp(noise * surrogate.rng.standard_normal(features)) - 1.0
        path[n:] += factor.astype(np.float32) * uniform_filter1d(path[n:], window, axis=0)
        years = min(each, draws - first)
        later = _placed(path[:n], path[n:], held)[: years * span].reshape(years, span, features)
        index[:, first : first + years] = _sliding(later, held, window)
    return index


def normal_scores(rows: Matrix) -> npt.NDArray[np.float32]:
    """Normal quantiles of each column's ranks, equal values sharing one; missing values are below all others."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    filled = np.where(np.isnan(rows), -np.inf, rows)
    scores = ndtri((rankdata(filled, axis=0) - 0.5) / rows.shape[0])
    centred: npt.NDArray[np.float32] = (scores - scores.mean(axis=0)).astype(np.float32)
    return centred


def correlation_times(scores: npt.NDArray[np.float32]) -> FloatArray:
    """Sum the autocorrelations of each column over all lags before the first that is negative, both ways.

    Parameters
    ----------
    scores : float32, shape (n, features)
        With mean zero.

    Returns
    -------
    float64, shape (features,), from 1 to n / 10
        1 where a column does not vary.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    n = scores.shape[0]
    size = int(next_fast_len(2 * n, real=True))
    products = irfft(np.abs(rfft(scores, size, axis=0)) ** 2, size, axis=0)[: max(2, n // 4)].astype(np.float64)
    correlation = products[1:] / np.maximum(products[0], 1e-12)
    kept = np.minimum.accumulate(correlation >= 0.0, axis=0)
    times: FloatArray = 1.0 + 2.0 * np.where(kept, correlation, 0.0).sum(axis=0)
    longest: FloatArray = np.clip(times, 1.0, max(1.0, n / 10.0))
    return longest


@dataclass(frozen=True)
class _Surrogate:
    """Normal processes with the sample covariances of a table."""

    transformed: npt.NDArray[np.complex64]
    rows: int
    size: int
    rng: np.random.Generator

    @classmethod
    def of(cls, table: npt.NDArray[np.float32], rows: int, seed: int) -> _Surrogate:
        from scipy.fft import next_fast_len, rfft

        size = int(next_fast_len(table.shape[0] + rows, real=True))
        return cls(rfft(table, size, axis=0), rows, size, np.random.default_rng((seed, 0xD1)))

    def draw(self) -> npt.NDArray[np.float32]:
        from scipy.fft import irfft, rfft

        noise = rfft(self.rng.standard_normal(self.size, dtype=np.float32))
        path: npt.NDArray[np.float32] = irfft(self.transformed * noise[:, None], self.size, axis=0)[: self.rows]
        return path


def _placed(before: npt.NDArray[np.float32], later: npt.NDArray[np.float32], held: IntArray) -> Bytes:
    """Cells of later rows: those that hold as many of the rows before, in order, as `held` says."""
    n = before.shape[0]
    order = [_MISSING, *range(DECILES)]
    ordered = np.sort(before, axis=0)
    upto = np.cumsum(held[:, order], axis=1)  # rows in a cell or one before it
    placed = np.zeros(later.shape, dtype=np.int64)
    for step in range(DECILES):
        cut = np.minimum(upto[:, step], n - 1)
        passed = later >= ordered[cut, np.arange(before.shape[1])]
        placed += np.where(upto[:, step] < n, passed, False)
    return _widened(np.array(order, dtype=np.uint8)[placed], held, order)


def _widened(cells: Bytes, held: IntArray, order: list[int]) -> Bytes:
    """Take rows out of cells that hold none of the reference: the next one that does stands for them."""
    for j in range(cells.shape[1]):
        known = [cell for cell in order if held[j, cell]]
        usual = np.array([min(known, key=lambda each: abs(order.index(each) - order.index(cell))) for cell in order])
        table = np.arange(CELLS, dtype=np.uint8)
        table[np.array(order)] = usual
        cells[:, j] = table[cells[:, j]]
    return cells


def _sliding(later: Bytes, held: IntArray, window: int) -> npt.NDArray[np.float32]:
    """Indices of windows that slide over years, shape (looks, years, features)."""
    years, span, features = later.shape
    count = np.stack([counts(year[:window]) for year in later])
    q = np.broadcast_to(shares(held), count.shape)
    walk = _Walk(count.ravel(), q.ravel(), np.log(q).ravel(), *_share_tables(window))
    origin = CELLS * np.arange(years * features).reshape(years, features)
    index = np.empty((span - window + 1, years, features), dtype=np.float32)
    now: FloatArray = psi(held, count)
    index[0] = now
    for look in range(1, index.shape[0]):
        out, into = origin + later[:, look - 1], origin + later[:, look + window - 1]
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
