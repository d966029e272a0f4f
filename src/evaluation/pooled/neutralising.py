"""What is left of a day's values when its names' beta, volatility and traded value explain all they can.

Each day is a least-squares fit on the ranks of the three styles among the day's names, with their squares. Sums are
taken by NumPy alone: those of a multi-threaded linear algebra library depend on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.core.arrays import BoolArray, FloatArray, IntArray, Matrix
from src.evaluation.pooled.styles import Styles

REGRESSORS = 7  # a constant, three ranks, three squares
_SINGULAR = 1e-9  # of the largest eigenvalue: a smaller one is that of regressors that repeat each other


@dataclass(frozen=True)
class StyleBasis:
    """The regressors of each day, prepared once for all values that are to be neutralised.

    Attributes
    ----------
    offsets : int64, shape (D + 1,)
        Where the names of each day begin.
    names : int32, shape (R,)
        Columns of the names that are eligible and whose styles are known, day by day, ascending within a day.
    columns : float32, shape (7, R)
        Orthonormal over the names of a day; zero where a day's regressors repeat each other.
    """

    offsets: IntArray
    names: npt.NDArray[np.int32]
    columns: Matrix

    def residuals(self, values: npt.NDArray[np.floating]) -> Matrix:
        """Subtract from each day's values what its styles explain.

        Parameters
        ----------
        values : float, shape (D, N)
            A row for each day of the basis. A name with NaN takes no part in that day's fit.

        Returns
        -------
        float32, shape (D, N)
            NaN where a name is not in the basis or has no value, and on days with no more than seven values.
        """
        out = np.full(values.shape, np.nan, dtype=np.float32)
        for day in range(self.offsets.size - 1):
            here = slice(self.offsets[day], self.offsets[day + 1])
            names, columns = self.names[here], self.columns[:, here].astype(np.float64)
            found = values[day, names].astype(np.float64)
            known = np.isfinite(found)
            if not known.all():
                names, found = names[known], found[known]
                columns = _orthonormal(columns[:, known])
            if found.size > REGRESSORS:
                slopes = (columns * found).sum(axis=1)
                out[day, names] = found - (slopes[:, None] * columns).sum(axis=0)
        return out


def neutralised(values: npt.NDArray[np.floating], eligible: BoolArray, styles: Styles) -> Matrix:
    """Residual of each day's values on the ranks of beta, volatility and traded value, and their squares.

    Parameters
    ----------
    values : float, shape (T, N)
        Scores or returns; a name with NaN takes no part in that day's fit.
    eligible : bool, shape (T, N)
    styles : Styles

    Returns
    -------
    float32, shape (T, N)
        Of mean 0 on each day; NaN where a name is not eligible, has no value or an unknown style, and on days with no
        more than seven names.

    See Also
    --------
    style_basis : for several sets of values on the same days.
    """
    return style_basis(eligible, styles).residuals(values)


def style_basis(eligible: BoolArray, styles: Styles, days: slice | IntArray = slice(None)) -> StyleBasis:
    """Prepare the regressors of some days.

    Parameters
    ----------
    eligible : bool, shape (T, N)
    styles : Styles
        Of the same shape.
    days : slice, or int64 array of rows
        Rows of the tables; default: all.

    Returns
    -------
    StyleBasis
        Its day 0 is the first of `days`.
    """
    tables = [table[days] for table in (styles.beta, styles.volatility, styles.dollar_volume)]
    inside = eligible[days].copy()
    for table in tables:
        inside &= np.isfinite(table)
    offsets = np.concatenate(([0], np.cumsum(np.count_nonzero(inside, axis=1)))).astype(np.int64)
    names = np.nonzero(inside)[1].astype(np.int32)
    columns = np.empty((REGRESSORS, names.size), dtype=np.float32)
    for day in range(offsets.size - 1):
        here = slice(offsets[day], offsets[day + 1])
        ranks = np.stack([centred_ranks(table[day, names[here]]) for table in tables])
        columns[:, here] = _orthonormal(np.concatenate((np.ones_like(ranks[:1]), ranks, ranks**2)))
    return StyleBasis(offsets, names, columns)


def centred_ranks(values: npt.NDArray[np.floating]) -> FloatArray:
    """Ranks between -1 and 1, of mean 0; equal values share the mean of their ranks.

    Parameters
    ----------
    values : float, shape (n,)
        Finite.

    Returns
    -------
    float64, shape (n,)

    Examples
    --------
    >>> centred_ranks(np.array([5.0, 1.0, 7.0, 5.0])).tolist()
    [0.0, -0.75, 0.75, 0.0]
    """
    order = np.argsort(values)
    ordered = values[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))) if values.size else np.empty(0, int)
    ends = np.append(first[1:], values.size)
    out = np.empty(values.size)
    out[order] = np.repeat((first + ends) / max(values.size, 1) - 1.0, ends - first)
    return out


def _orthonormal(rows: FloatArray) -> FloatArray:
    """Orthonormal rows that span the same space, and zero rows where the given ones repeat each other."""
    if not rows.shape[1]:
        return rows
    roots, vectors = np.linalg.eigh(np.einsum("in,jn->ij", rows, rows))
    scale = np.zeros(roots.size)
    sound = roots > _SINGULAR * roots[-1]
    scale[sound] = 1.0 / np.sqrt(roots[sound])
    out: FloatArray = np.einsum("ij,in->jn", vectors * scale, rows)
    return out
