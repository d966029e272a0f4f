"""How a pooled run is graded by luck: draws of displaced scores, neutralised, traded and graded where they land."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.core.arrays import BoolArray, FloatArray, Matrix
from src.evaluation.grade import GATE_METRICS, Outcomes, Thresholds
from src.evaluation.pooled.day_ranks import LEVELS, RankTally
from src.evaluation.pooled.displacement import Displacement
from src.evaluation.pooled.graded_days import GradedDays
from src.evaluation.significance import CREDIBLE_DEFLATED_SHARPE, deflated_sharpes, standardized

_OF_RETURNS = frozenset({"sharpe", "max_drawdown"})


@dataclass(frozen=True)
class Draws:
    """What the draws came to, one entry for each.

    Attributes
    ----------
    auc, sharpe : float64, shape (m,)
        NaN where undefined.
    clears : bool, shape (m,)
        Whether a draw clears all thresholds.
    active : float64, shape (m, D)
        Net returns less the mean beta times the mean of the eligible names.
    turnover : float64, shape (m,)
        Mean of a day.
    """

    auc: FloatArray
    sharpe: FloatArray
    clears: BoolArray
    active: FloatArray
    turnover: FloatArray

    @property
    def luck_rate(self) -> float | None:
        """Share of the draws that clear all thresholds; None without draws."""
        return float(np.mean(self.clears)) if self.clears.size else None

    def deflated_luck_rate(self, trials: int) -> float | None:
        """Share that clears and reaches a credible deflated Sharpe ratio; None without draws."""
        if not self.clears.size:
            return None
        deflated = deflated_sharpes(self.active[self.clears], trials)
        return float(np.count_nonzero(deflated >= CREDIBLE_DEFLATED_SHARPE)) / self.clears.size

    def passes(self, count: int) -> bytes:
        """Pass bits of `count` draws, the first in the highest bit; zeros where there were none."""
        bits = np.zeros(-(-count // 8) * 8, dtype=np.bool_)
        bits[: self.clears.size] = self.clears
        return np.packbits(bits).tobytes()

    def z_bytes(self, count: int) -> bytes:
        """Z-score of each draw's AUC among all, as little-endian float16; zeros where undefined."""
        out, z = np.zeros(-(-count // 8) * 8), standardized(self.auc)
        if z is not None:
            out[: z.size] = z
        return out.astype("<f2").tobytes()


def draws(days: GradedDays, displaced: list[Displacement], thresholds: Thresholds) -> Draws:
    """Neutralise, trade and grade displaced scores.

    Parameters
    ----------
    days : GradedDays
    displaced : list of Displacement
    thresholds : Thresholds

    Returns
    -------
    Draws

    Notes
    -----
    A displaced score keeps the rank that it had on the day it was made: names are not ranked again among those that
    are eligible where it lands, which differ little, and sorting them would take longer than all else.
    """
    area, ratio, turnover = (np.full(len(displaced), np.nan) for _ in range(3))
    clears, active = np.zeros(len(displaced), dtype=np.bool_), np.zeros((len(displaced), days.market.size))
    for i, displacement in enumerate(displaced):
        scores, tally = _landed(days, displacement)
        held = days.trade(scores)
        values = gate_values(tally, held.net, days.run.section.bars_per_year)
        clears[i] = thresholds.cleared_by(values)
        area[i], ratio[i] = (np.nan if values[name] is None else values[name] for name in ("auc", "sharpe"))
        active[i] = held.net - held.beta.mean() * days.market
        turnover[i] = held.turnover.mean()
    return Draws(area, ratio, clears, active, turnover)


def _landed(days: GradedDays, displacement: Displacement) -> tuple[Matrix, RankTally]:
    """Scores of the days that are traded where they land, shape (D, N), and the codes of all days counted there."""
    raw, coded, wanted = days.run.scores.ravel(), days.codes.ravel(), days.signal_rows
    scores = np.full(days.scored.shape, np.nan, dtype=np.float32)
    counts = np.zeros(3 * LEVELS, dtype=np.int64)
    for rows, cells, found in displacement.sources(days.scored):
        here = found & days.eligible[rows]
        places = np.where(here, np.take(coded, cells) + days.places[rows], 2 * LEVELS)
        counts += np.bincount(places.ravel(), minlength=3 * LEVELS)
        some = wanted[rows]
        scores[rows][some] = np.where(here[some], np.take(raw, cells[some]), np.float32(np.nan))
    return scores, RankTally(counts[:LEVELS], counts[LEVELS : 2 * LEVELS])


def gate_values(tally: RankTally, net: FloatArray, bars_per_year: float) -> dict[str, float | None]:
    """Compute the gate's metrics; AUC and accuracy are counted from codes, which equals a sort of all scores.

    Parameters
    ----------
    tally : RankTally
    net : float64, shape (D,)
    bars_per_year : float

    Returns
    -------
    dict of str to float or None
        By the metric's name.
    """
    values: dict[str, float | None] = {"auc": tally.auc(), "accuracy": tally.accuracy()}
    returns_alone = Outcomes(np.zeros(0), np.zeros(0), net, bars_per_year)
    for metric in GATE_METRICS:
        if metric.name in _OF_RETURNS:
            values[metric.name] = metric.compute(returns_alone)
        elif metric.name not in values:
            values[metric.name] = metric.compute(Outcomes(*tally.labels_and_scores(), net, bars_per_year))
    return values
