"""A day's ranks as 16-bit codes, and AUC and accuracy over all instrument-days counted from them.

Scores of different days have different levels, so what is compared over days is the rank of a name within its day, in
(0, 1). A rank has one of 65,536 codes: counting up and down days by code gives the exact AUC of the coded scores in one
pass, where sorting ten million scores would take ten times as long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.core.arrays import BoolArray, FloatArray, IntArray, Matrix
from src.evaluation.pooled.neutralising import centred_ranks

Codes = npt.NDArray[np.uint16]
LEVELS = 1 << 16


def day_codes(values: Matrix, among: BoolArray) -> Codes:
    """Rank the names of each day and code the rank as ``ceil(65536 * (rank - 1/2) / names) - 1``.

    Parameters
    ----------
    values : float32, shape (D, N)
        A number wherever `among` is true.
    among : bool, shape (D, N)
        The names that are ranked on each day.

    Returns
    -------
    uint16, shape (D, N), in [0, 65535]
        Equal values share the mean of their ranks. Codes of 32,768 and more are the names above the median of their
        day; the middle one of an odd number is not. 0 outside `among`.

    Examples
    --------
    >>> day_codes(np.array([[3, 1, 2, 9]], np.float32), np.array([[True, True, True, False]])).tolist()
    [[54613, 10922, 32767, 0]]
    """
    codes = np.zeros(values.shape, dtype=np.uint16)
    for day in range(values.shape[0]):
        names = np.flatnonzero(among[day])
        if names.size:
            share = (centred_ranks(values[day, names]) + 1.0) / 2.0
            codes[day, names] = np.ceil(share * LEVELS) - 1
    return codes


def as_probabilities(codes: Codes) -> FloatArray:
    """Place each code in the middle of its share of (0, 1), so that above 0.5 means above the median of the day.

    Parameters
    ----------
    codes : uint16, shape (...)

    Returns
    -------
    float64, shape (...), in (0, 1)
    """
    placed: FloatArray = (codes.astype(np.float64) + 0.5) / LEVELS
    return placed


@dataclass(frozen=True)
class RankTally:
    """How many instrument-days that went up, and that went down, have each code.

    Attributes
    ----------
    ups, downs : int64, shape (65536,)
    """

    ups: IntArray
    downs: IntArray

    @classmethod
    def of(cls, codes: Codes, up: BoolArray) -> RankTally:
        """Count the codes of labelled instrument-days.

        Parameters
        ----------
        codes : uint16, shape (n,)
        up : bool, shape (n,)
        """
        return cls(np.bincount(codes[up], minlength=LEVELS), np.bincount(codes[~up], minlength=LEVELS))

    def auc(self) -> float | None:
        """Compute the AUC of the codes, ties counting one half; None where one of the two classes is missing."""
        ups, downs = int(self.ups.sum()), int(self.downs.sum())
        if ups == 0 or downs == 0:
            return None
        below = np.cumsum(self.downs) - self.downs
        doubled = int(np.dot(self.ups, 2 * below + self.downs))
        return doubled / 2 / (ups * downs)

    def accuracy(self) -> float | None:
        """Compute the share on whose side of their day's median the label is; None where nothing is counted."""
        total = int(self.ups.sum() + self.downs.sum())
        right = int(self.ups[LEVELS // 2 :].sum() + self.downs[: LEVELS // 2].sum())
        return right / total if total else None

    def labels_and_scores(self) -> tuple[FloatArray, FloatArray]:
        """List the labels in {0, 1} and the scores in (0, 1) that were counted, ordered by them."""
        placed = as_probabilities(np.arange(LEVELS, dtype=np.uint16))
        counts = (self.downs, self.ups)
        labels = [np.full(int(count.sum()), float(label)) for label, count in enumerate(counts)]
        return np.concatenate(labels), np.concatenate([np.repeat(placed, count) for count in counts])
