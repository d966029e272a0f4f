"""The edge of all champions together, day by day: how far scores and what happened move together.

A day's net return says little about a model: most of it is the market's. What its score said beside what came says
more, and a day of a hundred champions more again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.core.arrays import FloatArray
from src.monitoring.sequential import Watch, watch_shortfalls


@dataclass(frozen=True)
class ScoreEdge:
    """What turns a champion's score and label of a day into its share of the AUC.

    Attributes
    ----------
    scores : float64, shape (n,)
        Labelled scores out of sample, ascending.
    up : float
        Share of up days among them.
    """

    scores: FloatArray
    up: float

    @classmethod
    def of(cls, label: FloatArray, score: FloatArray) -> ScoreEdge | None:
        """Take the constants from an out-of-sample record; None where it has no up day or no down day.

        Parameters
        ----------
        label : float64, shape (n,), in {0, 1, NaN}
        score : float64, shape (n,)
            Finite.
        """
        known = ~np.isnan(label)
        up = float(np.mean(label[known])) if known.any() else 0.0
        return cls(np.sort(score[known]), up) if 0.0 < up < 1.0 else None

    def days(self, label: FloatArray, score: FloatArray) -> FloatArray:
        """Compute (u - 1/2) (label - up) / (up (1 - up)), u being the score's place among those out of sample.

        Parameters
        ----------
        label : float64, shape (days,), in {0, 1, NaN}
        score : float64, shape (days,)

        Returns
        -------
        float64, shape (days,)
            NaN where a day has no label. Out of sample its mean is the AUC less one half.

        Examples
        --------
        >>> label, score = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.2, 0.7])
        >>> float(ScoreEdge.of(label, score).days(label, score).mean().round(12))  # the AUC is 0.75
        0.25
        """
        below = np.searchsorted(self.scores, score, side="left")
        up_to = np.searchsorted(self.scores, score, side="right")
        place = (below + up_to) / (2.0 * self.scores.size)
        shares: FloatArray = (place - 0.5) * (label - self.up) / (self.up * (1.0 - self.up))
        return shares


@dataclass(frozen=True)
class JointEdge:
    """What each day says for the loss of all champions' edge, added up over champions.

    Attributes
    ----------
    record : float64, shape (n,)
        Of each day out of sample on which a champion has a label: log-likelihood ratio of no edge to the expected one.
    live : float64, shape (days,)
        The same of each day since; 0 on a day without a label.
    information : float
        Mean over the record's days of twice what a day adds up to with the edge gone.
    uncertainty : float
        Standard deviation of what a day adds up to, as far as the champions' true edges are not known; 0 where it was
        not asked for.
    champions : int
        Champions that have an edge to lose.
    """

    record: FloatArray
    live: FloatArray
    information: float
    uncertainty: float
    champions: int


def joint_edge(
    record: FloatArray, live: FloatArray, expected: FloatArray, errors: FloatArray | None = None
) -> JointEdge | None:
    """Add up the champions' edges of each day, so that the sum shows best whether the edge is there.

    Parameters
    ----------
    record : float64, shape (n, champions)
        `ScoreEdge.days` out of sample, one row for each day of a calendar that all share; NaN where a champion has no
        label.
    live : float64, shape (days, champions)
        The same, seen since.
    expected : float64, shape (champions,)
        Shrunk AUC of each, less one half. Champions at or below zero have no edge to lose and are left out.
    errors : float64, shape (champions,), optional
        Posterior standard deviations of it.

    Returns
    -------
    JointEdge or None
        None where no champion with a record has an edge to lose.

    Notes
    -----
    A day is ``sum edge / variance * (edge / 2 - share)`` over the champions with a label: the log-likelihood ratio of a
    mean of 0 to one of `edge`, for normal shares of independent champions. Champions are not independent; the limits
    are drawn from whole days of the record, and hold all the same. Each champion's record is first moved to the mean
    that is expected of it. The errors of two champions are taken to be as correlated as their days' shares are.
    """
    edge = np.where(np.isfinite(expected), np.maximum(expected, 0.0), 0.0)
    mean, variance = _moments(record)
    usable = (edge > 0.0) & (variance > 0.0)
    if not usable.any():
        return None
    edge, weight = edge[usable], edge[usable] / variance[usable]
    days = record[:, usable]
    days = days[np.isfinite(days).any(axis=1)]
    present = np.isfinite(days)
    information = float((present @ (weight * edge)).mean())
    doubt = np.zeros(edge.size) if errors is None else np.nan_to_num(errors[usable])
    doubt *= weight * present.mean(axis=0)
    return JointEdge(
        _ratios(days - mean[usable] + edge, weight, edge),
        _ratios(live[:, usable], weight, edge),
        information,
        _correlated(days, mean[usable], variance[usable], doubt),
        int(usable.sum()),
    )


def loss_of_edge(joint: JointEdge, *, looks: int, alarms: float, draws: int, block: int, seed: int) -> Watch:
    """Watch the edge of all champions together for its loss.

    Parameters
    ----------
    joint : JointEdge
    looks, alarms, draws, block, seed
        As `watch_shortfalls` takes them. Days are drawn whole, so that champions that move together still do.

    Returns
    -------
    Watch

    Raises
    ------
    ValueError
        As `watch_shortfalls` does.
    """
    return watch_shortfalls(
        joint.record, joint.live, looks=looks, alarms=alarms, draws=draws, block=block, seed=seed,
        uncertainty=joint.uncertainty,
    )  # fmt: skip


def _moments(record: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of each column over its known days; 0 where it has fewer than two."""
    known = np.isfinite(record)
    count = known.sum(axis=0)
    filled = np.where(known, record, 0.0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)
    squares = np.where(known, (filled - mean) ** 2, 0.0).sum(axis=0)
    return mean, squares / np.maximum(count - 1, 1)


def _ratios(shares: FloatArray, weight: FloatArray, edge: FloatArray) -> FloatArray:
    sums: FloatArray = np.where(np.isfinite(shares), edge / 2.0 - shares, 0.0) @ weight
    return sums


def _correlated(days: FloatArray, mean: FloatArray, variance: FloatArray, doubt: FloatArray) -> float:
    """Standard deviation of a sum of errors that are correlated as the days' standardised shares are."""
    shares = np.where(np.isfinite(days), (days - mean) / np.sqrt(variance), 0.0)
    known = np.maximum(np.isfinite(days).mean(axis=0), 1e-9)
    return float(np.sqrt(np.mean((shares @ (doubt / np.sqrt(known))) ** 2)))
