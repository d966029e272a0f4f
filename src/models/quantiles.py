"""Where the values of each column lie: what the bins of an instrument's training windows are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.models.library import LazyModule

if TYPE_CHECKING:
    import numpy as np

    from src.core.arrays import Matrix
else:
    np = LazyModule("numpy")


def quantiles(x: Matrix, count: int) -> Matrix:
    """Return up to `count` values of each column: each distinct one where they are few, otherwise quantiles.

    Parameters
    ----------
    x : float32, shape (rows, columns)
        NaN where a value is missing.
    count : int
        Most values of a column, at least 1.

    Returns
    -------
    float32, shape (count, columns)
        Ascending and distinct, then NaN: a column without any value is NaN throughout.
    """
    ordered = np.sort(x.T, axis=1)  # NaN last
    present = np.count_nonzero(~np.isnan(ordered), axis=1)
    middles = (np.arange(count) * 2 + 1) * present[:, np.newaxis] // (2 * count)
    found = _distinct(np.take_along_axis(ordered, middles, axis=1))
    single = _distinct(ordered)
    few = np.count_nonzero(~np.isnan(single), axis=1) <= count
    width = min(count, single.shape[1])
    found[few] = np.nan
    found[few, :width] = single[few, :width]
    return np.ascontiguousarray(found.T)


def blanked(x: Matrix, values: Matrix) -> Matrix:
    """Return the rows with the columns left out for which there is no quantile: their later values have no bin.

    Parameters
    ----------
    x : float32, shape (rows, columns)
    values : float32, shape (count, columns)
        What `quantiles` returned for the first of these rows.

    Returns
    -------
    float32, shape (rows, columns)
        `x` itself where each column has a quantile; otherwise a copy with NaN in those that have none.
    """
    unseen = np.isnan(values[0])
    return np.where(unseen, np.float32(np.nan), x) if unseen.any() else x


def _distinct(ordered: Matrix) -> Matrix:
    """Keep the first of equal neighbours in each row, in order, NaN last."""
    repeated = np.zeros(ordered.shape, dtype=bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return np.sort(np.where(repeated, np.float32(np.nan), ordered), axis=1)
