"""The rule by which champions are chosen again, and by which a book of them is traded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import BoolArray, DateArray, FloatArray, IntArray
from src.evaluation import metrics
from src.evaluation.grade import Thresholds
from src.evaluation.strategy import TradingConditions, net_returns
from src.signals.own_book import BookRecord

if TYPE_CHECKING:
    from src.config.schema import BookConfig


@dataclass(frozen=True)
class ChoosingRule:
    """What all books chosen here share."""

    record: BookRecord
    choice: BookConfig
    limits: Thresholds
    wanted: int
    pooled_share: float
    bars_per_year: float

    def net(self, exposure: FloatArray, conditions: TradingConditions, champions: int) -> FloatArray:
        """Net returns of one of several champions, as fractions of the book's capital."""
        share = (1.0 - self.pooled_share) / champions
        weight = np.clip(share * exposure * conditions.size, -self.choice.max_weight, self.choice.max_weight)
        return net_returns(weight, conditions)

    def add(self, out: FloatArray, stamps: DateArray, net: FloatArray) -> None:
        """Book returns on the record's days: what is complete between two of them counts on the later one."""
        at = np.searchsorted(self.record.dates, stamps.astype(self.record.dates.dtype))
        known = at < out.size
        known &= stamps >= self.record.dates[0]
        out += np.bincount(at[known], net[known], minlength=out.size)

    def sharpe(self, net: FloatArray) -> float:
        """Sharpe ratio, 0 where it is undefined."""
        return metrics.sharpe(net, self.bars_per_year) or 0.0


def best(passes: BoolArray, z: FloatArray, instruments: IntArray, wanted: int) -> IntArray:
    """Choose champions: of each instrument the passing run with the highest z, and of these the highest.

    Parameters
    ----------
    passes : bool, shape (n,)
        Whether each run clears the thresholds.
    z : float, shape (n,)
        By which they are ranked; ties go to the run that stands first.
    instruments : int, shape (n,)
    wanted : int
        At most.

    Returns
    -------
    int64, shape (at most wanted,)
        Positions, the highest z first.

    Examples
    --------
    >>> best(np.array([True, True, False, True]), np.array([1.0, 2.0, 9.0, 3.0]), np.array([1, 1, 2, 3]), 5).tolist()
    [3, 1]
    """
    runs = np.flatnonzero(passes)
    runs = runs[np.argsort(-z[runs], kind="stable")]
    _, first = np.unique(instruments[runs], return_index=True)
    return runs[np.sort(first)][:wanted].astype(np.int64)
