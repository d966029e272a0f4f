"""Penalised least squares and logistic regression on bytes, block by block: the table is never there as floats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from src.models.library import LazyModule
from src.models.pooled_columns import MIDDLE, MISSING, TOP

if TYPE_CHECKING:
    import numpy as np

    from src.core.arrays import Bytes, Matrix, Scores, Vector
else:
    np = LazyModule("numpy")

_EXACT = 1024
"""Rows of a block: sums of this many products of centred ranks (at most 127 * 127) are exact in float32."""
_STEPS = 50


def least_squares(x: Bytes, y: Scores, l2: float) -> tuple[Vector, float]:
    """Minimise the sum of squared errors plus `l2` times the sum of squared coefficients.

    Parameters
    ----------
    x : uint8, shape (rows, columns)
        Ranks; a rank r counts as r / 254 - 1/2, a missing one as 0.
    y : float32, shape (rows,)
    l2 : float
        Above 0.

    Returns
    -------
    coefficients : float64, shape (columns,)
    intercept : float
    """
    columns, rows = x.shape[1], len(x)
    products, sums, with_y = np.zeros((columns, columns)), np.zeros(columns), np.zeros(columns)
    mean = float(np.mean(y, dtype=np.float64))
    for block, outcome in _blocks(x, y):
        products += block.T @ block
        sums += block.sum(axis=0, dtype=np.float64)
        with_y += (outcome - mean) @ block.astype(np.float64)
    centred = (products - np.outer(sums, sums) / rows) / TOP**2
    coefficient = _solved(centred + l2 * np.eye(columns), with_y / TOP)
    return coefficient, mean - float(sums @ coefficient) / TOP / rows


def logistic(x: Bytes, y: Scores, l2: float) -> tuple[Vector, float]:
    """Minimise the logistic loss plus half of `l2` times the sum of squared coefficients, by Newton's method.

    Parameters
    ----------
    x : uint8, shape (rows, columns)
        As for `least_squares`.
    y : float32, shape (rows,), in {0, 1}
    l2 : float
        Above 0.

    Returns
    -------
    coefficients : float64, shape (columns,)
    intercept : float

    Raises
    ------
    ArithmeticError
        If the steps do not become small.
    """
    share = min(max(float(np.mean(y, dtype=np.float64)), 1e-6), 1.0 - 1e-6)
    beta: Vector = np.zeros(x.shape[1] + 1)
    beta[-1] = np.log(share / (1.0 - share))
    penalty: Vector = np.full(beta.size, l2)
    penalty[-1] = 0.0
    for _ in range(_STEPS):
        gradient: Vector = penalty * beta
        hessian: Vector = np.diag(penalty)
        for block, outcome in _blocks(x, y):
            values = np.column_stack([block.astype(np.float64) / TOP, np.ones(len(block))])
            probability = 1.0 / (1.0 + np.exp(-np.clip(values @ beta, -500.0, 500.0)))
            gradient = gradient + (probability - outcome) @ values
            hessian = hessian + (values * (probability * (1.0 - probability))[:, np.newaxis]).T @ values
        step = _solved(hessian, gradient)
        beta = beta - step
        if np.abs(step).max() <= 1e-9 * max(1.0, np.abs(beta).max()):
            return beta[:-1], float(beta[-1])
    raise ArithmeticError(f"logistic regression did not settle in {_STEPS} steps: raise model.pooled.l2={l2:g}")


def _blocks(x: Bytes, y: Scores) -> Iterator[tuple[Matrix, Vector]]:
    """Ranks less their middle, 0 where missing, and outcomes of some rows at a time."""
    for start in range(0, len(x), _EXACT):
        ranks = x[start : start + _EXACT]
        block = ranks.astype(np.float32) - np.float32(MIDDLE)
        block[ranks == MISSING] = 0.0
        yield block, y[start : start + _EXACT].astype(np.float64)


def _solved(matrix: Matrix | Vector, right: Vector) -> Vector:
    from scipy.linalg import solve

    return np.asarray(solve(matrix, right, assume_a="pos"), dtype=np.float64)
