"""What all runs of an instrument are graded on: its bars out of sample, and what trading them meets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src.core.arrays import DateArray, FloatArray, IntArray
from src.evaluation import metrics
from src.evaluation.labels import Decisions
from src.evaluation.strategy import Performance, TradingConditions, performance, trading_conditions

if TYPE_CHECKING:
    from src.config.schema import StrategyConfig


@dataclass(frozen=True)
class GradedBars:
    """Consecutive out-of-sample decisions of one instrument, whatever is predicted.

    Attributes
    ----------
    positions : int64, shape (m,)
        The decisions.
    decisions : Decisions
    strategy : StrategyConfig
    label : float64, shape (m,), in {0, 1, NaN}
    conditions : TradingConditions
    always : Performance
        Of being long all the time.
    majority_accuracy, buy_hold_sharpe : float or None
        Of the class that turned out more frequent, and of `always`.
    """

    positions: IntArray
    decisions: Decisions
    strategy: StrategyConfig
    label: FloatArray
    conditions: TradingConditions
    always: Performance
    majority_accuracy: float | None
    buy_hold_sharpe: float | None

    @property
    def stamps(self) -> DateArray:
        """Date on which each return is booked."""
        stamps: DateArray = self.decisions.stamps[self.positions]
        return stamps

    def identity(self) -> dict[str, Any]:
        """Return the columns of a grade that say whose it is, and over which days."""
        first, last = self.decisions.dates[self.positions[[0, -1]]].astype("datetime64[D]").tolist()
        return {
            "asset_class": self.decisions.asset_class,
            "symbol": self.decisions.symbol,
            "first_oos": first,
            "last_oos": last,
        }

    def check(self, probability: FloatArray) -> None:
        """Refuse predictions that are no probabilities, or not one for each decision.

        Raises
        ------
        ValueError
            States how many are wrong.
        """
        if probability.shape != self.positions.shape:
            raise _miscounted(probability.size, self.positions, self.decisions)
        possible = (probability >= 0.0) & (probability <= 1.0)
        if not possible.all():
            wrong = probability.size - np.count_nonzero(possible)
            raise ValueError(
                f"{_name(self.decisions)}: probabilities must lie in [0, 1], got {wrong} of {probability.size} missing"
                " or outside"
            )


def graded_bars(positions: IntArray, decisions: Decisions, strategy: StrategyConfig) -> GradedBars:
    """Look up what trading some consecutive decisions meets.

    Parameters
    ----------
    positions : int64, shape (m,)
    decisions : Decisions
    strategy : StrategyConfig

    Returns
    -------
    GradedBars

    Raises
    ------
    ValueError
        Where there is no decision, or they are not consecutive or lack a return.
    """
    if positions.size == 0:
        raise _miscounted(0, positions, decisions)
    if (positions[1:] - positions[:-1] != 1).any():
        raise ValueError(
            f"{_name(decisions)}: out-of-sample decisions must be consecutive, got gaps: drop no row before grading"
        )
    if positions[0] < 0 or positions[-1] > decisions.size - 3:
        raise ValueError(
            f"{_name(decisions)}: decision {positions[-1]} has no return yet among {decisions.size} bars: end at n-3"
        )
    label, conditions = decisions.label[positions], trading_conditions(positions, decisions, strategy)
    always = performance(np.ones(positions.size), conditions)
    return GradedBars(
        positions,
        decisions,
        strategy,
        label,
        conditions,
        always,
        majority_accuracy=metrics.majority_accuracy(label),
        buy_hold_sharpe=metrics.sharpe(always.net, decisions.bars_per_year),
    )


def _miscounted(count: int, positions: IntArray, decisions: Decisions) -> ValueError:
    return ValueError(
        f"{_name(decisions)}: one probability for each decision is needed, got {count} for {positions.size}"
    )


def _name(decisions: Decisions) -> str:
    return f"{decisions.asset_class} {decisions.symbol}"
