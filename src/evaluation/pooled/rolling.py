"""Statistics over the last sessions of each name, computed by blocks of columns to need little memory.

Each column is computed alone and row t looks at no row after t, to the last bit: neither a later bar nor one more name
changes a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.core.arrays import FloatArray, Matrix

_COLUMNS = 256  # of a block


def column_blocks(names: int) -> Iterator[slice]:
    """Yield slices that together cover the columns of a table.

    Parameters
    ----------
    names : int
        Columns of the table.
    """
    for first in range(0, names, _COLUMNS):
        yield slice(first, min(first + _COLUMNS, names))


def close_returns(close: FloatArray) -> FloatArray:
    """Return of each name from the last close before to the close of the day.

    Parameters
    ----------
    close : float64, shape (T, n)
        NaN where a name did not trade.

    Returns
    -------
    float64, shape (T, n)
        NaN where a name did not trade and on its first day; the return after days without a trade spans them.

    Examples
    --------
    >>> close_returns(np.array([[2.0], [np.nan], [3.0], [6.0]])).ravel().tolist()
    [nan, nan, 0.5, 1.0]
    """
    out = np.full(close.shape, np.nan)
    rows = np.where(np.isfinite(close), np.arange(close.shape[0])[:, None], 0)
    before = np.maximum.accumulate(rows, axis=0)[:-1]
    out[1:] = close[1:] / np.take_along_axis(close, before, axis=0) - 1.0
    return out


def window_sums(values: npt.NDArray[Any], window: int) -> FloatArray:
    """Sum of the last rows up to each; of fewer where the table starts.

    Parameters
    ----------
    values : float64 or bool, shape (T, n)
        Finite.
    window : int
        Rows.

    Returns
    -------
    float64, shape (T, n)

    Examples
    --------
    >>> window_sums(np.array([[1.0], [2.0], [4.0]]), 2).ravel().tolist()
    [1.0, 3.0, 6.0]
    """
    sums: FloatArray = np.cumsum(values, axis=0, dtype=np.float64)
    sums[window:] = sums[window:] - sums[:-window]
    return sums


def window_medians(values: Matrix, window: int) -> Matrix:
    """Median of the last rows up to each.

    Parameters
    ----------
    values : float32, shape (T, n)
        Finite.
    window : int
        Rows.

    Returns
    -------
    float32, shape (T, n)
        NaN for the first window - 1 rows.
    """
    columns = {str(column): values[:, column] for column in range(values.shape[1])}
    medians = pl.DataFrame(columns).select(pl.all().rolling_median(window, min_samples=window))
    return medians.fill_null(np.nan).to_numpy().astype(np.float32).reshape(values.shape)
