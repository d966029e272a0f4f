"""The record of champions by what came of their decisions: the figures of a grade, over days said in time or replayed.

The metrics are those of the grade (`src.evaluation.metrics`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import BoolArray, FloatArray
from src.evaluation import metrics
from src.market.bars import BARS_PER_YEAR
from src.monitoring.outcomes import CHAMPION
from src.monitoring.tables import KINDS

_SERIES = ("gross", "cost", "net", "turnover")


@dataclass(frozen=True)
class TrackRecord:
    """Returns of consecutive decisions, with scores and labels where there are any.

    Attributes
    ----------
    dates : datetime64, shape (n,)
        Of the decisions, ascending.
    gross, cost, net, turnover : float64, shape (n,)
        Fractions of the capital.
    live : bool, shape (n,)
        Whether the decision was said in time.
    bars_per_year : float
    label : float64, shape (m,), in {0, 1, NaN}
        Of each scored decision: m is n for a single instrument, and all names of all days for a portfolio.
    score : float64, shape (m,)
    scored_live : bool, shape (m,)
    """

    dates: np.ndarray[Any, Any]
    gross: FloatArray
    cost: FloatArray
    net: FloatArray
    turnover: FloatArray
    live: BoolArray
    bars_per_year: float
    label: FloatArray = field(default_factory=lambda: np.empty(0))
    score: FloatArray = field(default_factory=lambda: np.empty(0))
    scored_live: BoolArray = field(default_factory=lambda: np.empty(0, dtype=np.bool_))

    @property
    def days(self) -> int:
        """Number of decisions whose return is complete."""
        return int(self.net.size)

    def of(self, kind: str) -> TrackRecord:
        """Take the days of one kind: all, live or replayed."""
        if kind == "all":
            return self
        rows, scored = (self.live, self.scored_live) if kind == "live" else (~self.live, ~self.scored_live)
        return self._taken(rows, scored)

    def since(self, day: np.datetime64) -> TrackRecord:
        """Take the decisions after a day; scores and labels are left as they are where there is not one a decision."""
        rows = self.dates > day
        return self._taken(rows, rows if self.label.size == rows.size else np.ones(self.label.size, dtype=np.bool_))

    def _taken(self, rows: BoolArray, scored: BoolArray) -> TrackRecord:
        series = {name: getattr(self, name)[rows] for name in ("dates", "live", *_SERIES)}
        return replace(
            self, **series, label=self.label[scored], score=self.score[scored], scored_live=self.scored_live[scored]
        )

    def figures(self) -> dict[str, float | None]:
        """Compute the figures of `src.monitoring.tables.FIGURES`; an undefined one is None."""
        days = self.days
        return {
            "auc": metrics.auc(self.label, self.score),
            "accuracy": metrics.accuracy(self.label, self.score),
            "sharpe": metrics.sharpe(self.net, self.bars_per_year),
            "max_drawdown": metrics.max_drawdown(self.net),
            "hit_rate": hit_rate(self.net),
            "net_return": float(metrics.equity(self.net)[-1] - 1.0) if days else None,
            "turnover_a_year": float(self.turnover.mean() * self.bars_per_year) if days else None,
            "cost_a_year": float(self.cost.mean() * self.bars_per_year) if days else None,
        }


def hit_rate(net: FloatArray) -> float | None:
    """Share of the days with a gain among those with a gain or a loss.

    Parameters
    ----------
    net : float64, shape (n,)
        Net returns; a day in cash has none. A day on which a position was only left pays its cost: a loss.

    Returns
    -------
    float in [0, 1], best 1, or None where every return is zero.
    """
    held = np.count_nonzero(net)
    return float(np.count_nonzero(net > 0.0)) / held if held else None


def instrument_records(decisions: pl.DataFrame) -> Iterator[tuple[tuple[str, int], TrackRecord]]:
    """Yield the record of each champion of a single instrument.

    Parameters
    ----------
    decisions : DataFrame
        `src.monitoring.outcomes.InstrumentOutcomes.decisions`, sorted by champion and bar.

    Yields
    ------
    ((name, version), TrackRecord)
        By name and version; of no days where no return is complete.
    """
    complete = decisions.filter(pl.col("net").is_not_null())
    columns = {name: complete[name].to_numpy() for name in ("decided_on", *_SERIES)}
    columns |= {"label": _numbers(complete, "label"), "score": _numbers(complete, "score")}
    live = (complete["timing"] == "live").to_numpy()
    groups = decisions.group_by(CHAMPION, maintain_order=True).agg(
        pl.col("net").is_not_null().sum().alias("days"), pl.col("asset_class").first()
    )
    start = 0
    for name, version, days, asset_class in groups.iter_rows():
        rows = slice(start, start + days)
        start += days
        own = {each: columns[each][rows] for each in (*_SERIES, "label", "score")}
        timing = {"live": live[rows], "scored_live": live[rows]}
        year = float(BARS_PER_YEAR[asset_class])
        yield (name, version), TrackRecord(dates=columns["decided_on"][rows], bars_per_year=year, **own, **timing)


def record_row(record: TrackRecord) -> dict[str, Any]:
    """Columns of a champion's row: the figures of all days, and those of live and of replayed ones apart."""
    row: dict[str, Any] = {"days": record.days, "live_days": int(record.live.sum())}
    row["replayed_days"] = record.days - row["live_days"]
    row |= record.figures()
    for kind in KINDS[1:]:
        row |= _prefixed(kind, record.of(kind).figures())
    return row


def _prefixed(kind: str, figures: Mapping[str, float | None]) -> dict[str, float | None]:
    return {f"{kind}_{name}": value for name, value in figures.items()}


def _numbers(frame: pl.DataFrame, column: str) -> FloatArray:
    return frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
