"""Scores as a level for each fold plus deviations: what stays with the calendar, and what a circular shift moves.

Each fold has a model of its own, so its scores have a level of their own: a linear model that was fitted on rising bars
says "up" more often for the whole fold. Moving whole scores would move these levels onto other returns and mix the
levels of several folds within one, which no walk-forward does.
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
        out = np.empty((shifts.size, self.size), dtype=self.values.dtype)
        for f, first, last in self.spans():
            twice = np.concatenate((self.values[f], self.values[f]))
            windows = np.lib.stride_tricks.sliding_window_view(twice, last - first)
            out[:, first:last] = windows[self.size - shifts + first]
        return out

    def spans(self) -> list[tuple[int, int, int]]:
        """List each fold with its first bar and the bar after its last."""
        edges = self.edges.tolist()
        return [(f, edges[f], edges[f + 1]) for f in range(len(edges) - 1)]


def fold_values(score: FloatArray, fold: IntArray) -> FoldValues:
    """Compute what every score would be in every fold.

    Parameters
    ----------
    score : float64, shape (n,)
        No NaN.
    fold : int, shape (n,)
        Fold of each decision, in runs of equal numbers.

    Returns
    -------
    FoldValues
        The score plus the difference of the two folds' levels: exactly the score in its own fold. One row where all
        levels are equal, as with a single fold.

    Notes
    -----
    The level is the mean of the fold's scores, so that a fold's mean score, and with it the share of up days that the
    fold's model foretells, is the same under every shift but for sampling.
    """
    starts = np.flatnonzero(np.diff(fold)) + 1
    edges = np.concatenate(([0], starts, [score.size])).astype(np.int64)
    levels = np.array([fold_level(score[first:last]) for first, last in pairwise(edges)])
    if (levels == levels[0]).all():
        return FoldValues(score[None, :], edges[[0, -1]])
    own = np.repeat(levels, np.diff(edges))
    return FoldValues(score + (levels[:, None] - own), edges)


def fold_level(score: FloatArray) -> float:
    """Level of a fold: the mean of its scores."""
    return float(np.mean(score))
