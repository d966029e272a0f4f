"""The out-of-sample days of a pooled run: what every set of scores, its own or a draw's, is traded and graded on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from src.core.arrays import BoolArray, FloatArray, Matrix
from src.evaluation.pooled.day_ranks import LEVELS, Codes, RankTally, as_probabilities, day_codes
from src.evaluation.pooled.neutralising import StyleBasis, neutralised, style_basis
from src.evaluation.pooled.portfolio import TradedPortfolio, trade
from src.evaluation.pooled.prepared import Prepared, prepare
from src.evaluation.pooled.styles import Styles
from src.evaluation.pooled.targets import Targets
from src.market.cross_section import CrossSection

if TYPE_CHECKING:
    from src.config.schema import PortfolioConfig

_ROWS = 128  # days in work at once


@dataclass(frozen=True)
class PooledRun:
    """A pooled model's out-of-sample scores, beside the cross-section that they were made on.

    Attributes
    ----------
    section : CrossSection
        T days, N names.
    eligible : bool, shape (T, N)
    styles : Styles
    targets : Targets
    scores : float32, shape (D, N)
        As the model gives them, one row for each of `days`; NaN where a name has none. A score of a name that is not
        eligible on that day is left out.
    days : slice
        Rows of the out-of-sample decisions, consecutive; the last has its return, so it ends at T - 2 or before.
    """

    section: CrossSection
    eligible: BoolArray
    styles: Styles
    targets: Targets
    scores: Matrix
    days: slice

    def __post_init__(self) -> None:
        T, N = self.section.shape
        first, last, step = self.days.indices(T)
        if step != 1 or not 0 <= first < last <= T - 2:
            raise ValueError(
                f"{self.section.asset_class}: out-of-sample days must be consecutive rows that end at {T - 2} or"
                f" before, got {first} to {last} of {T}: the last two decisions have no return yet"
            )
        if self.scores.shape != (last - first, N):
            raise ValueError(
                f"{self.section.asset_class}: scores must have a row for each of {last - first} days and a column for"
                f" each of {N} names, got {self.scores.shape}"
            )


@dataclass(frozen=True)
class GradedDays:
    """Turns scores into a portfolio and counts of right and wrong.

    Attributes
    ----------
    run : PooledRun
    choice : PortfolioConfig
    delisting_return : float
    """

    run: PooledRun
    choice: PortfolioConfig
    delisting_return: float

    @cached_property
    def eligible(self) -> BoolArray:
        """Eligible names of each out-of-sample day, shape (D, N)."""
        return self.run.eligible[self.run.days]

    @cached_property
    def scored(self) -> BoolArray:
        """Names with a score of the run, shape (D, N)."""
        scored: BoolArray = self.eligible & np.isfinite(self.run.scores)
        return scored

    @cached_property
    def styles(self) -> Styles:
        """Styles of the out-of-sample days."""
        return rows_of(self.run.styles, self.run.days)

    @cached_property
    def up(self) -> Matrix:
        """Labels of the out-of-sample days, shape (D, N)."""
        return self.run.targets.up[self.run.days]

    @cached_property
    def labelled(self) -> BoolArray:
        """Names that are eligible and have a label, shape (D, N)."""
        labelled: BoolArray = self.eligible & np.isfinite(self.up)
        return labelled

    @cached_property
    def codes(self) -> Codes:
        """Coded ranks of the run's own scores, shape (D, N)."""
        return day_codes(self.run.scores, self.scored)

    @cached_property
    def places(self) -> npt.NDArray[np.int32]:
        """Where the codes of each label are counted: 0 for up, 65536 for down, twice that without a label, (D, N)."""
        known = np.where(self.up > 0.5, np.int32(0), np.int32(LEVELS))
        return np.where(self.labelled, known, np.int32(2 * LEVELS))

    @cached_property
    def signal_rows(self) -> BoolArray:
        """Days whose scores are traded, shape (D,)."""
        rows = np.zeros(self.eligible.shape[0], dtype=np.bool_)
        rows[[day.row for day in self.prepared.signal_days]] = True
        return rows

    @cached_property
    def market(self) -> FloatArray:
        """Mean return of the eligible names from the next open to the one after, shape (D,)."""
        first, last, _ = self.run.days.indices(self.run.section.shape[0])
        opens = self.run.section.open[first + 1 : last + 2]
        means = np.zeros(last - first)
        for day in range(last - first):
            with np.errstate(invalid="ignore"):
                change = opens[day + 1] / opens[day] - 1.0
            known = change[self.eligible[day] & np.isfinite(change)]
            means[day] = known.mean() if known.size else 0.0
        return means

    def labels_and_scores(self) -> tuple[FloatArray, FloatArray]:
        """All labelled and scored instrument-days: labels in {0, 1}, and ranks within the day in (0, 1)."""
        both = self.labelled & self.scored
        return self.up[both].astype(np.float64), as_probabilities(self.codes[both])

    def tally(self, codes: Codes, scored: BoolArray) -> RankTally:
        """Count the codes of the labelled instrument-days that are scored."""
        both = self.labelled & scored
        return RankTally.of(codes[both], self.up[both] > 0.5)

    def daily_excess(self, codes: Codes, scored: BoolArray) -> FloatArray:
        """Mean rank of the names that went up less that of those that did not: the day's AUC less a half.

        Parameters
        ----------
        codes : uint16, shape (D, N)
        scored : bool, shape (D, N)

        Returns
        -------
        float64, shape (D,), in [-0.5, 0.5]
            NaN on days without one of the two. Exact where all scored names are labelled.
        """
        known = self.labelled & scored
        up = known & (self.up > 0.5)
        down = known & ~up
        ups, downs = up.sum(axis=1), down.sum(axis=1)
        high, low = (np.where(side, codes, 0).sum(axis=1, dtype=np.float64) / LEVELS for side in (up, down))
        with np.errstate(invalid="ignore", divide="ignore"):
            excess: FloatArray = high / ups - low / downs
        excess[(ups == 0) | (downs == 0)] = np.nan
        return excess

    @cached_property
    def prepared(self) -> Prepared:
        """What trading any scores on these days needs."""
        run = self.run
        return prepare(run.days, run.section, run.eligible, run.styles, self.choice, self.delisting_return)

    def trade(self, scores: Matrix) -> TradedPortfolio:
        """Neutralise scores as the kind of portfolio asks for, hold it, and pay its costs."""
        return trade(self.prepared, scores)

    def neutral(self, scores: Matrix) -> Matrix:
        """Residuals of each day's scores on the styles of its eligible names, shape (D, N)."""
        out = np.empty_like(scores)
        for first in range(0, scores.shape[0], _ROWS):  # the regressors of a block, not of all days, are held
            rows = slice(first, first + _ROWS)
            out[rows] = neutralised(scores[rows], self.eligible[rows], rows_of(self.styles, rows))
        return out

    def every(self, step: int) -> tuple[slice, StyleBasis]:
        """Take every `step`-th day from the first: their rows, and the regressors of their styles."""
        rows = slice(None, None, step)
        return rows, style_basis(self.eligible[rows], rows_of(self.styles, rows))

    def late(self) -> tuple[Matrix, BoolArray]:
        """Take each day's scores from the day before: the scores, and where a name that is eligible today has one."""
        scores = np.full_like(self.run.scores, np.nan)
        scores[1:] = np.where(self.scored[:-1], self.run.scores[:-1], np.float32(np.nan))
        return scores, self.eligible & np.isfinite(scores)


def rows_of(styles: Styles, rows: slice) -> Styles:
    """Take some days of the styles."""
    return Styles(styles.beta[rows], styles.volatility[rows], styles.dollar_volume[rows])
