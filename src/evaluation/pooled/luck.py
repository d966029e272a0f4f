"""How a pooled run is graded by luck: draws of displaced scores, neutralised, traded and graded where they land."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.core.arrays import BoolArray, FloatArray, Matrix
from src.evaluation.grade import GATE_METRICS, Outcomes, Thresholds
from src.evaluation.pooled.day_ranks import Codes, as_probabilities
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
    shape = days.run.scores.shape
    area, ratio, turnover = (np.full(len(displaced), np.nan) for _ in range(3))
    clears, active = np.zeros(len(displaced), dtype=np.bool_), np.zeros((len(displaced), shape[0]))
    for i, displacement in enumerate(displaced):
        scores, codes, scored = _landed(days, displacement)
        held = days.trade(scores)
        values = gate_values(days, codes, scored, held.net)
        clears[i] = thresholds.cleared_by(values)
        area[i], ratio[i] = (np.nan if values[name] is None else values[name] for name in ("auc", "sharpe"))
        active[i] = held.net - held.beta.mean() * days.market
        turnover[i] = held.turnover.mean()
    return Draws(area, ratio, clears, active, turnover)


def _landed(days: GradedDays, displacement: Displacement) -> tuple[Matrix, Codes, BoolArray]:
    """Scores, codes and whether there is one, of the eligible names where they land, shape (D, N) each."""
    raw, coded = days.run.scores.ravel(), days.codes.ravel()
    scores = np.full(days.scored.shape, np.nan, dtype=np.float32)
    codes, scored = np.zeros(scores.shape, dtype=np.uint16), np.zeros(scores.shape, dtype=np.bool_)
    for rows, cells, found in displacement.sources(days.scored):
        here = found & days.eligible[rows]
        scored[rows] = here
        scores[rows][here] = raw[cells[here]]
        codes[rows][here] = coded[cells[here]]
    return scores, codes, scored


def gate_values(days: GradedDays, codes: Codes, scored: BoolArray, net: FloatArray) -> dict[str, float | None]:
    """Compute the gate's metrics; AUC and accuracy are counted from codes, which equals a sort of all scores.

    Parameters
    ----------
    days : GradedDays
    codes : uint16, shape (D, N)
    scored : bool, shape (D, N)
    net : float64, shape (D,)

    Returns
    -------
    dict of str to float or None
        By the metric's name.
    """
    tally, year = days.tally(codes, scored), days.run.section.bars_per_year
    values: dict[str, float | None] = {"auc": tally.auc(), "accuracy": tally.accuracy()}
    returns_alone = Outcomes(np.zeros(0), np.zeros(0), net, year)
    for metric in GATE_METRICS:
        if metric.name in _OF_RETURNS:
            values[metric.name] = metric.compute(returns_alone)
        elif metric.name not in values:
            both = days.labelled & scored
            label, score = days.up[both].astype(np.float64), as_probabilities(codes[both])
            values[metric.name] = metric.compute(Outcomes(label, score, net, year))
    return values
