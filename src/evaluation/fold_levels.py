"""What a circular shift moves: whole scores, or what they differ from a level that stays with the calendar.

Grades move scores whole (`one_fold`). Each fold has a model of its own, so its scores have a level of their own, which
one could hold in place (`fold_values`); the studies in tests/benchmarks compare both. On features that follow prices,
as nearly all do, the level of a fold's own scores knows where prices went within the fold. To hold it in place while
the rest moves makes small p-values twice as frequent as they should be (docs/evidence.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from src.core.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class FoldValues:
    """A value for each decision in each fold that a shift may move it to.

    Attributes
    ----------
    values : shape (folds, n)
        Row f holds the value that each decision has in fold f.
    edges : int64, shape (folds + 1,)
        Bars at which the folds begin, and n.
    """

    values: npt.NDArray[Any]
    edges: IntArray

    @property
    def size(self) -> int:
        """Number of decisions."""
        return int(self.values.shape[1])

    def mapped(self, function: Callable[[FloatArray], FloatArray]) -> FoldValues:
        """Replace the values by a function of them, which must treat each value alone."""
        return FoldValues(function(self.values), self.edges)

    def shifted(self, shifts: IntArray) -> npt.NDArray[Any]:
        """Lay out the values of every bar under each of some shifts.

        Parameters
        ----------
        shifts : int64, shape (m,), in [0, n)
            Under shift s, bar k takes the value that decision k - s has in the fold of bar k.

        Returns
        -------
        shape (m, n), of the values' type
        """
        parts = []
        for f, first, last in self.spans():
            twice = np.concatenate((self.values[f], self.values[f]))
            windows = np.lib.stride_tricks.sliding_window_view(twice, last - first)
            parts.append(windows[self.size - shifts + first])
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def spans(self) -> list[tuple[int, int, int]]:
        """List each fold with its first bar and the bar after its last."""
        edges = self.edges.tolist()
        return [(f, edges[f], edges[f + 1]) for f in range(len(edges) - 1)]


def one_fold(score: FloatArray) -> FoldValues:
    """Lay out scores that are moved whole.

    Parameters
    ----------
    score : float64, shape (n,)
        No NaN.

    Returns
    -------
    FoldValues
        One row.
    """
    return FoldValues(score[None, :], np.array([0, score.size], dtype=np.int64))


def fold_values(score: FloatArray, fold: IntArray, levels: FloatArray | None = None) -> FoldValues:
    """Compute what every score would be in every fold.

    Parameters
    ----------
    score : float64, shape (n,)
        No NaN.
    fold : int, shape (n,)
        Fold of each decision, in runs of equal numbers.
    levels : float64, shape (folds,), optional
        Level of each fold, see `prior_levels`. Default: the mean of the fold's scores, for comparison.

    Returns
    -------
    FoldValues
        The score plus the difference of the two folds' levels: exactly the score in its own fold. One row where all
        levels are equal, as with a single fold.
    """
    edges = _edges(fold)
    if levels is None:
        levels = np.array([np.mean(score[first:last]) for first, last in pairwise(edges)])
    if (levels == levels[0]).all():
        return FoldValues(score[None, :], edges[[0, -1]])
    own = np.repeat(levels, np.diff(edges))
    return FoldValues(score + (levels[:, None] - own), edges)


def prior_levels(label: FloatArray, positions: IntArray, fold: IntArray, horizon: int) -> FloatArray:
    """Compute the level of each fold from what was known when it began: the share of up labels before it.

    That is what a model of those labels foretells on average, whatever its family.

    Parameters
    ----------
    label : float64, shape (bars,), in {0, 1, NaN}
        Of all decisions of the instrument.
    positions : int64, shape (n,)
        Decisions of the out-of-sample predictions.
    fold : int, shape (n,)
        Fold of each prediction, in runs of equal numbers.
    horizon : int
        Bars from entry to exit of the label: those of the last `horizon` decisions before a fold are not known yet.

    Returns
    -------
    float64, shape (folds,), in [0, 1]
        One half where no label was known.
    """
    starts = positions[_edges(fold)[:-1]]
    known = (label[: max(int(start) - horizon, 0)] for start in starts)
    levels: FloatArray = np.array([np.nanmean(part) if np.isfinite(part).any() else 0.5 for part in known])
    return levels


def _edges(fold: IntArray) -> IntArray:
    """Positions at which folds begin, and the number of predictions."""
    starts = np.flatnonzero(np.diff(fold)) + 1
    return np.concatenate(([0], starts, [fold.size])).astype(np.int64)
