"""Comparisons of prices, and of what is made of them, in which a difference of a millionth is none.

Prices times seven are the same prices, but each is rounded again. Numbers that were equal (two rises by a tick, a close
at its average) then differ by rounding, and a plain comparison turns. A millionth of the price is above what float32
storage rounds and below what a market pays for, and the labels know no smaller return (contract 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from src.features.windows import Array

TIE = 1e-6

Flags = NDArray[np.bool_]


def above(a: Array, b: Array, of: Array) -> Flags:
    """Whether `a` is above `b` by more than a tie, a millionth of `of`.

    Parameters
    ----------
    a, b : float64, shape (n,)
        Prices, or differences of prices.
    of : float64, shape (n,)
        The price of which a millionth counts as nothing.

    Returns
    -------
    bool, shape (n,)
        False where a value is NaN.
    """
    flags: Flags = a - b > TIE * of
    return flags


def reaches(a: Array, b: Array, of: Array) -> Flags:
    """Whether `a` is above `b` or ties with it.

    Parameters
    ----------
    a, b : float64, shape (n,)
        Prices, or differences of prices.
    of : float64, shape (n,)
        The price of which a millionth counts as nothing.

    Returns
    -------
    bool, shape (n,)
        False where a value is NaN.
    """
    flags: Flags = a - b >= -TIE * of
    return flags


def tick_free(change: Array, of: Array) -> Array:
    """Differences of prices, 0 where they are ties.

    Parameters
    ----------
    change : float64, shape (n,)
    of : float64, shape (n,)
        The price of which a millionth counts as nothing.

    Returns
    -------
    float64, shape (n,)
        NaN where `change` is.
    """
    return np.where(np.abs(change) <= TIE * of, 0.0, change)
