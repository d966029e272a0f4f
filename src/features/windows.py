"""Rolling statistics whose value at a bar is a function of the bars in its window and of nothing else.

Sums and extremes are built from those of halves, thirds or blocks of 1, 2, 4, ... bars, so a window of n costs a few
times log2(n) vector operations.
No running total is carried along the series: a NaN or a wild bar is gone when it leaves the window, and the last n bars
alone give the same bits as the whole series.

Every function takes float64 arrays of shape (bars,) and returns float64 of the same shape. The first rows, for which
the window isn't full, are NaN, and so is every window that holds a NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Number = TypeVar("Number", bound=np.floating[Any])
BYTE = 256  # numbers that a byte counts
NAN = np.float32(np.nan)


def lag(x: Array, bars: int) -> Array:
    """Value of `bars` bars ago.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int

    Returns
    -------
    float64, shape (n,)
        NaN for the first `bars` values.
    """
    return padded(x[: max(len(x) - bars, 0)], len(x))


def total(x: Array, bars: int) -> Array:
    """Sum of the last `bars` values.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        NaN where the window isn't full or holds a NaN.
    """
    return padded(window_sums(x, bars), len(x))


def mean(x: Array, bars: int) -> Array:
    """Mean of the last `bars` values.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        NaN where the window isn't full or holds a NaN.
    """
    return total(x, bars) / bars


def highest(x: Array, bars: int) -> Array:
    """Largest of the last `bars` values.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        NaN where the window isn't full or holds a NaN.
    """
    return _extreme(x, bars, np.maximum)


def lowest(x: Array, bars: int) -> Array:
    """Smallest of the last `bars` values.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,)
        NaN where the window isn't full or holds a NaN.
    """
    return _extreme(x, bars, np.minimum)


def rank(x: Array, bars: int, tie: Array | float = 0.0) -> Array:
    """Share of the `bars` - 1 earlier values of the window that lie below the last.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.
    tie : float64, shape (n,), or float
        Difference from the last value up to which another is equal to it.

    Returns
    -------
    float64, shape (n,), in [0, 1]
        Equal values don't lie below. NaN where the window isn't full or holds a NaN.
    """
    out = np.full(len(x), np.nan)
    if bars <= len(x):
        last = (x - tie)[bars - 1 :]
        kind = np.uint8 if bars <= BYTE else np.int32  # bytes count five times as fast
        below: NDArray[np.integer[Any]] = np.zeros(len(last), dtype=kind)
        for at in range(bars - 1):
            np.add(below, (x[at : at + len(last)] < last).view(np.uint8), out=below)
        out[bars - 1 :] = below / (bars - 1) + 0.0 * total(x, bars)[bars - 1 :]
    return out


def age_of_highest(x: Array, bars: int, tie: float = 0.0) -> Array:
    """Bars since the largest of the last `bars` values; of equal ones the latest counts.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Length of the window.
    tie : float
        Share of a value up to which a larger one is equal to it.

    Returns
    -------
    float64, shape (n,), in [0, bars - 1]
        0 where the last value is the largest. NaN where the window isn't full or holds a NaN.
    """
    if bars > len(x):
        return np.full(len(x), np.nan)
    at = np.arange(len(x), dtype=np.float64)
    block: Array = x
    bar: Array = at
    width = 1
    while 2 * width <= bars:
        block, bar = _later_highest(block[:-width], block[width:], bar[:-width], bar[width:], tie)
        width *= 2
    span = len(x) - bars + 1
    block, bar = _later_highest(block[:span], block[bars - width :], bar[:span], bar[bars - width :], tie)
    return at - padded(bar + 0.0 * block, len(x))


def streak(sign: Array, bars: int) -> Array:
    """Length of the run of equal non-zero signs that ends here, signed and at most `bars` long.

    Parameters
    ----------
    sign : float64, shape (n,), in {-1, 0, 1}
    bars : int
        Length of the window.

    Returns
    -------
    float64, shape (n,), in [-bars, bars]
        0 where the last sign is 0. NaN where the window isn't full or holds a NaN.
    """
    alive = sign == sign  # noqa: PLR0124 (not where it is NaN)
    length = alive.astype(np.uint8 if bars < BYTE else np.int32)  # bytes count five times as fast
    for back in range(1, min(bars, len(sign))):
        alive[back:] &= sign[:-back] == sign[back:]
        length += alive
    return np.where(np.isnan(total(sign, bars)), np.nan, length * sign)


def sliding(x: NDArray[Number], bars: int) -> NDArray[Number]:
    """View of all windows, the oldest value of each first.

    Parameters
    ----------
    x : float64, shape (n,)
    bars : int
        Must not exceed n.

    Returns
    -------
    float64, shape (n - bars + 1, bars)
        Read-only: it shares its memory with `x`.
    """
    return np.lib.stride_tricks.sliding_window_view(x, bars)


def finish(values: Array, window: int, out: NDArray[np.float32], rows: Sequence[slice]) -> None:
    """Bring a column to the form in which it is stored.

    Parameters
    ----------
    values : float64, shape (n,)
        The column of instruments that stand one after the other.
    window : int
        Declared window: the rows of an instrument before it is full are cut.
    out : float32
        Takes the rows; NaN in each warm-up, and where a value isn't finite.
    rows : sequence of slice
        Rows of each instrument; `values` begins with the first.
    """
    whole = out[rows[0].start : rows[-1].stop]
    whole[:] = values
    undefined = np.isfinite(whole)
    np.logical_not(undefined, out=undefined)
    np.copyto(whole, NAN, where=undefined)  # one NaN for all: formulas give some with a sign
    if window > 1:
        for own in rows:
            out[own.start : own.stop][: window - 1] = NAN


def window_sums(x: Array, bars: int) -> Array:
    """Sums of all full windows, shape (len(x) - bars + 1,); empty where no window is full."""
    if bars > len(x):
        return x[:0]
    if bars == 1:
        return x
    if bars % 2 == 0:
        half = window_sums(x, bars // 2)
        return half[: -bars // 2] + half[bars // 2 :]
    if bars % 3 == 0:
        step, third = bars // 3, window_sums(x, bars // 3)
        sums = third[: -2 * step] + third[step:-step]
        sums += third[2 * step :]
        return sums
    return window_sums(x, bars - 1)[:-1] + x[bars - 1 :]


def ramp_sums(x: Array, bars: int) -> Array:
    """Sums of each value times its bars from the middle of the window, later ones positive, of all full windows.

    Halves and thirds have ramps of their own, and the difference of the outer ones' sums times their distance: of a
    value that does not change over 63 bars, nothing is left.

    Returns
    -------
    float64, shape (len(x) - bars + 1,)
        Empty where no window is full.
    """
    return _sums_and_ramps(x, bars)[1] if bars <= len(x) else x[:0]


def _sums_and_ramps(x: Array, bars: int) -> tuple[Array, Array]:
    """`window_sums` and `ramp_sums`, by the same halves and thirds."""
    if bars == 1:
        return x, 0.0 * x
    if bars % 2 == 0:
        step = bars // 2
        sums, ramps = _sums_and_ramps(x, step)
        older, newer = sums[:-step], sums[step:]
        return older + newer, ramps[:-step] + ramps[step:] + step / 2 * (newer - older)
    if bars % 3 == 0:
        step = bars // 3
        sums, ramps = _sums_and_ramps(x, step)
        older, newer = sums[: -2 * step], sums[2 * step :]
        joined = ramps[: -2 * step] + ramps[step:-step] + ramps[2 * step :]
        return older + sums[step:-step] + newer, joined + step * (newer - older)
    sums, ramps = _sums_and_ramps(x, bars - 1)
    older, newest = sums[:-1], x[bars - 1 :]
    return older + newest, ramps[:-1] + ((bars - 1) / 2 * newest - older / 2)


def _extreme(x: Array, bars: int, pick: Callable[[Array, Array], Array]) -> Array:
    if bars > len(x):
        return np.full(len(x), np.nan)
    block, width = x, 1
    while 2 * width <= bars:
        block = pick(block[:-width], block[width:])
        width *= 2
    return padded(pick(block[: len(x) - bars + 1], block[bars - width :]), len(x))


def padded(values: Array, size: int) -> Array:
    """Put NaN before values of full windows.

    Returns
    -------
    float64, shape (size,)
    """
    out = np.empty(size)
    head = size - len(values)
    out[:head] = np.nan
    out[head:] = values
    return out


def _later_highest(a: Array, b: Array, bar_a: Array, bar_b: Array, tie: float) -> tuple[Array, Array]:
    """Larger value and its bar, of equal values the later bar; NaN counts as the largest, so that it shows."""
    reach = np.abs(b)
    reach *= tie
    reach += b
    return np.maximum(a, b), np.where(a > reach, bar_a, bar_b)
