"""Pairs of an up day scored above a down day, counted under every circular shift of scores with fold levels.

A score has another value in each fold, and which decisions are in which fold changes with the shift, so there is no
fixed rank to correlate. The pairs are counted in one ascending pass over all values of all decisions, each of which
touches only the shifts at which that decision lies in that fold: n**2 integer steps in all. Numba compiles the pass;
without it, each shift's values are sorted. Both count integers, so they are equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from src.core.arrays import BoolArray, FloatArray, IntArray
from src.evaluation.fold_levels import FoldValues

PATIENCE = 120_000_000  # pairs that a process counts by sorting before it loads Numba, which takes as long (1.7 s)
_CELLS = 100_000  # matrix cells sorted at once: they fit in a core's cache
_SHORT = 40_000  # decisions up to which twice the number of pairs fits in 32 bits


def doubled_wins(scores: FoldValues, up: BoolArray, down: BoolArray) -> FloatArray:
    """Count twice the pairs of an up day scored above a down day under each shift; a tie counts once.

    Parameters
    ----------
    scores : FoldValues
    up, down : bool, shape (n,)
        Neither where a day has no label.

    Returns
    -------
    float64, shape (n,)
        Whole numbers.
    """
    n, work = scores.size, _work()
    work[0] += n * n
    compiled = compiled_pass() if work[0] > PATIENCE else None
    if compiled is None:
        return by_sorting(scores, up, down)
    return by_passing(scores, up, down, compiled)


def by_passing(scores: FoldValues, up: BoolArray, down: BoolArray, count: Callable[..., Any]) -> FloatArray:
    """Count as `doubled_wins` does, in one ascending pass over all values.

    Parameters
    ----------
    scores : FoldValues
    up, down : bool, shape (n,)
    count : callable
        `_pass_over`, or its compiled form.
    """
    whole = np.int32 if scores.size < _SHORT else np.int64
    flat = scores.values.ravel()
    order = np.argsort(flat)
    ordered = flat[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, flat.size)
    wins: FloatArray = count(order, ends, scores.edges, up.astype(whole), down.astype(whole)).astype(np.float64)
    return wins


def _pass_over(order: IntArray, ends: IntArray, edges: IntArray, up: IntArray, down: IntArray) -> IntArray:
    """Count by one pass; `order` holds fold * n + decision by ascending value, `ends` where equal values end.

    A value alone adds twice the down days below it where it meets an up day, then counts where it meets a down day.
    Equal values do so in three rounds: up days add the down days below, down days count, up days add again, so that a
    tie counts one half.
    """
    n = up.size
    below, wins = np.zeros_like(up), np.zeros_like(up)
    start = 0
    for end in ends:
        alone = end - start == 1
        for turn in range(1 if alone else 3):
            for at in range(start, end):
                fold = order[at] // n
                j = order[at] - fold * n
                for half in range(2):  # before bar j, at shifts from n - j on; and from bar j on, at shifts from 0 on
                    first = max(edges[fold], j) if half else edges[fold]
                    last = edges[fold + 1] if half else min(edges[fold + 1], j)
                    if first < last:
                        shift = first - j if half else first - j + n
                        u, d = up[first:last], down[first:last]
                        b, w = below[shift : shift + last - first], wins[shift : shift + last - first]
                        if alone:
                            for i in range(last - first):
                                w[i] += 2 * u[i] * b[i]
                                b[i] += d[i]
                        elif turn == 1:
                            for i in range(last - first):
                                b[i] += d[i]
                        else:
                            for i in range(last - first):
                                w[i] += u[i] * b[i]
        start = end
    return wins


@cache
def compiled_pass() -> Callable[..., Any] | None:
    """Return `_pass_over` compiled, kept on disk for other processes; None where Numba is not installed."""
    try:
        from numba import njit
    except ImportError:
        return None
    try:
        return njit(cache=True)(_pass_over)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder that the cache could be written to
        return njit(_pass_over)  # type: ignore[no-any-return]


@cache
def _work() -> list[int]:
    """Pairs that this process counted so far."""
    return [0]


def by_sorting(scores: FoldValues, up: BoolArray, down: BoolArray) -> FloatArray:
    """Count as `doubled_wins` does, by sorting what every shift pairs with the labels.

    Parameters
    ----------
    scores : FoldValues
    up, down : bool, shape (n,)
    """
    n = scores.size
    distinct, rank = np.unique(scores.values, return_inverse=True)
    twice = 2 * rank.reshape(scores.values.shape).astype(np.int32)
    codes, out = FoldValues(twice, scores.edges), np.empty(n)
    silent, pairs = ~(up | down), float(np.count_nonzero(up) * np.count_nonzero(down))
    width = max(1, _CELLS // n)
    for start in range(0, n, width):
        shifts = np.arange(start, min(start + width, n))
        rows = codes.shifted(shifts)
        won = _placed_above(rows, up, silent)  # ties included: an even code is sorted first
        out[shifts] = 2.0 * won
        if distinct.size < twice.size:
            out[shifts] -= won + _placed_above(rows, down, silent) - pairs
    return out


def _placed_above(rows: IntArray, odd: BoolArray, silent: BoolArray) -> FloatArray:
    """Count for each row the pairs of a day of `odd` placed above another day that is not silent, shape (rows,)."""
    keys = rows + (odd + silent * np.int32(1 << 30))  # silent days are placed last
    keys.sort(axis=1)
    marked, count = (keys & 1).astype(np.float64), np.count_nonzero(odd)
    placed: FloatArray = marked @ np.arange(odd.size, dtype=np.float64) - count * (count - 1) / 2.0
    return placed
