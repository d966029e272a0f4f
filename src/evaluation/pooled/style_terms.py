"""Columns that span the styles of a day's names."""

from __future__ import annotations

import numpy as np

from src.core.arrays import FloatArray, Matrix


def style_terms(beta: FloatArray, volatility: FloatArray, dollar_volume: FloatArray) -> Matrix:
    """The day's centred ranks of beta, volatility and dollar volume, their squares, and a constant.

    Parameters
    ----------
    beta, volatility, dollar_volume : float64, shape (n,)
        Known values of one day.

    Returns
    -------
    float32, shape (n, 7)
        Squares less 1/3, so that they and the constant don't overlap.
    """
    columns: list[FloatArray] = [np.ones(beta.size)]
    for values in (beta, volatility, dollar_volume):
        rank = (2.0 * values.argsort(kind="stable").argsort() + 1.0) / max(beta.size, 1) - 1.0
        columns += [rank, rank**2 - 1.0 / 3.0]
    terms: Matrix = np.column_stack(columns).astype(np.float32)
    return terms
