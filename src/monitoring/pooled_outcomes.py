"""What came of the decisions of pooled champions: each day's weights beside the cross-section as it is now.

Returns, delistings, labels and the loan of short positions are those of training's own code.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import FloatArray, IntArray, Matrix
from src.core.instruments import KEY
from src.evaluation.pooled.costs import borrowed
from src.evaluation.pooled.information import daily_information
from src.evaluation.pooled.portfolio import KNOWN_AFTER, earned
from src.evaluation.pooled.prepared import prepare
from src.market.bars import BarStore
from src.monitoring.outcomes import CHAMPION, with_timing
from src.training.pooled.class_data import ClassBars, ClassData

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.signals.recorded_runs import ChampionRun

BEFORE = dt.timedelta(days=1100)
"""Of bars before the first decision: three years hold the windows of eligibility and of styles."""
DAY: dict[str, Any] = {
    "name": pl.String(),
    "version": pl.Int64(),
    "scope": pl.String(),
    "record_id": pl.String(),
    "asset_class": pl.String(),
    "symbol": pl.String(),  # the name again: the portfolio is what is judged
    "decided_on": pl.Datetime("us"),
    "timing": pl.String(),
    "late": pl.Boolean(),
    "judged": pl.Boolean(),
    "restated": pl.Boolean(),
    **dict.fromkeys(("turnover", "gross", "cost", "net", "ic"), pl.Float64()),
}


@dataclass(frozen=True)
class PooledOutcomes:
    """What came of one pooled champion's decisions.

    Attributes
    ----------
    days : DataFrame
        Columns of `DAY`, a row a day of decision, ascending; returns are null where they are not complete.
    label, score : float64, shape (m,)
        Of each scored name on each complete day, as graded; NaN labels left out.
    live : bool, shape (m,)
        Whether the day's decision was said in time.
    """

    days: pl.DataFrame
    label: FloatArray
    score: FloatArray
    live: np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class RecentClassBars(ClassBars):
    """Bars of a class from a day on."""

    since: dt.date = dt.date.min

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield the bars of each bucket from the day on, sorted by symbol and date."""
        for bars in super().parts():
            recent = bars.filter(pl.col("date").cast(pl.Date) >= self.since)
            if recent.height:
                yield recent


class ClassCalendar:
    """Cross-sections of the classes that pooled champions trade, built once for each setting.

    Parameters
    ----------
    paths : DatasetPaths
    """

    def __init__(self, paths: DatasetPaths) -> None:
        self._paths = paths
        self._built: dict[str, ClassData] = {}

    def of(self, run: ChampionRun, first: dt.date) -> ClassData:
        """Return the cross-section of a run's class, with bars of three years before a day."""
        key = f"{run.asset_class}:{run.outcome_key}:{first}"
        if key not in self._built:
            states = pl.read_parquet(self._paths.states("featurize"), columns=[*KEY, "state"], glob=False)
            done = states.filter(pl.col("state") == "done", pl.col("asset_class") == run.asset_class)
            names = frozenset(done.select(KEY).iter_rows())
            bars = RecentClassBars(BarStore(self._paths.bars), run.asset_class, None, names, first - BEFORE)
            self._built[key] = ClassData(bars, run.eligibility, run.label)
        return self._built[key]


def pooled_outcomes(
    lines: pl.DataFrame, runs: Mapping[str, ChampionRun], paths: DatasetPaths
) -> dict[tuple[str, int], PooledOutcomes]:
    """Look up what came of the decisions of pooled champions.

    Parameters
    ----------
    lines : DataFrame
        Lines of the journal that were said, of scope=pooled: columns of `src.monitoring.outcomes.LINES`.
    runs : mapping
        Recorded runs by record id.
    paths : DatasetPaths

    Returns
    -------
    dict
        By name and version. Days without a decision are left out: nothing is earned on them.

    Raises
    ------
    StageError
        If the bars can't be read.
    """
    calendar = ClassCalendar(paths)
    found = {}
    for (name, version), own in with_timing(lines).group_by(CHAMPION, maintain_order=True):
        run = runs.get(own.item(0, "record_id"))
        days = _said_days(own)
        if run is None:
            found[str(name), int(str(version))] = PooledOutcomes(days, *_nothing())
            continue
        data = calendar.of(run, days.item(0, "decided_on").date())
        found[str(name), int(str(version))] = _outcomes(own, days, data, run)
    return found


def _said_days(own: pl.DataFrame) -> pl.DataFrame:
    """Make a row for each day of decision, without returns."""
    days = own.group_by("decided_on").agg(
        pl.col("name", "version", "scope", "record_id", "asset_class").first(),
        pl.when((pl.col("timing") == "live").all()).then(pl.lit("live")).otherwise(pl.lit("replayed")).alias("timing"),
        pl.col("late").any(),
    )
    filled = days.with_columns(
        pl.col("name").alias("symbol"),
        pl.lit(False).alias("judged"),
        pl.lit(False).alias("restated"),
        *(pl.lit(None, dtype=pl.Float64).alias(name) for name in ("turnover", "gross", "cost", "net", "ic")),
    )
    return filled.select(pl.col(name).cast(kind) for name, kind in DAY.items()).sort("decided_on")


def _outcomes(own: pl.DataFrame, days: pl.DataFrame, data: ClassData, run: ChampionRun) -> PooledOutcomes:
    section = data.section
    dates = days["decided_on"].dt.date().to_numpy().astype("datetime64[D]")
    at = np.searchsorted(section.dates, dates)
    on_calendar = (at < len(section.dates) - KNOWN_AFTER) & np.isin(dates, section.dates)
    judged = days.with_columns(judged=True)
    if not on_calendar.any():
        return PooledOutcomes(judged, *_nothing())
    complete, rows = days.filter(on_calendar), at[on_calendar]
    tables = {name: _table(own, complete, section.symbols, name) for name in ("position", "score", "cost_rate")}
    returns = _returns(tables, rows, data, run)
    ic = daily_information(tables["score"].astype(np.float32), data.targets.value[rows])
    figures = pl.DataFrame({"decided_on": complete["decided_on"], **returns, "ic": ic}).with_columns(
        pl.col("ic").fill_nan(None)
    )
    kept = judged.drop(*returns, "ic").join(figures, on="decided_on", how="left").select(list(DAY)).sort("decided_on")
    up = data.targets.up[rows]
    known = np.isfinite(up) & np.isfinite(tables["score"])
    live = np.broadcast_to((complete["timing"] == "live").to_numpy()[:, None], up.shape)
    return PooledOutcomes(kept, up[known].astype(np.float64), tables["score"][known], live[known])


def _returns(tables: Mapping[str, FloatArray], rows: IntArray, data: ClassData, run: ChampionRun) -> dict[str, Any]:
    """Gross, cost, net and turnover of each day: costs hold the loan of what is short."""
    section, weight = data.section, np.nan_to_num(tables["position"], nan=0.0)
    held = np.zeros(section.shape, dtype=np.bool_)
    held[rows] = weight != 0.0
    days = slice(int(rows[0]), int(rows[-1]) + 1)
    daily = replace(run.portfolio, trade_every=1, signal_every=1, smoothing=1, neutralised=False)
    prepared = prepare(days, section, data.eligible | held, data.styles, daily, run.eligibility.delisting_return)
    every: Matrix = np.zeros((days.stop - days.start, prepared.columns.size), dtype=np.float32)
    every[rows - days.start] = weight[:, prepared.columns]
    gross = earned(prepared, every)[rows - days.start]
    change = np.abs(np.diff(weight, axis=0, prepend=0.0))
    rates = np.nan_to_num(tables["cost_rate"], nan=run.portfolio.cost_bps[section.asset_class] / 1e4)
    short = np.maximum(-weight, 0.0).sum(axis=1)
    cost = (change * rates).sum(axis=1) + borrowed(short, run.portfolio, section.bars_per_year)
    return {"turnover": change.sum(axis=1), "gross": gross, "cost": cost, "net": gross - cost}


def _table(own: pl.DataFrame, days: pl.DataFrame, symbols: tuple[str, ...], column: str) -> FloatArray:
    """One column of the lines as days by names; NaN where a name has no line."""
    order = pl.DataFrame({"decided_on": days["decided_on"], "_row": np.arange(days.height)})
    names = pl.DataFrame({"symbol": list(symbols), "_column": np.arange(len(symbols))})
    placed = own.join(order, on="decided_on").join(names, on="symbol")
    out = np.full((days.height, len(symbols)), np.nan)
    out[placed["_row"].to_numpy(), placed["_column"].to_numpy()] = placed[column].cast(pl.Float64).fill_null(np.nan)
    return out


def _nothing() -> tuple[FloatArray, FloatArray, Any]:
    return np.empty(0), np.empty(0), np.empty(0, dtype=np.bool_)
