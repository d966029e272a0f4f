"""Sheets of single instruments' runs, computed from their stored predictions and the bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray, IntArray, Matrix
from src.evaluation import metrics
from src.evaluation.strategy import Performance, exposures, performance
from src.reporting.tear_sheets import sentences
from src.reporting.tear_sheets.calibration import calibration_table
from src.reporting.tear_sheets.contributions import POINTS, contribution_points, contribution_table
from src.reporting.tear_sheets.curves import (
    BookedReturns,
    day_table,
    distribution_table,
    drawdown_table,
    month_table,
    year_table,
)
from src.reporting.tear_sheets.explained import FittedRun
from src.reporting.tear_sheets.figures import sheet_figures
from src.reporting.tear_sheets.luck import luck_picture
from src.reporting.tear_sheets.sheet import TearSheet
from src.reporting.tear_sheets.trades import trade_table
from src.signals.own_decisions import GradedRun

FOLDS = {
    "fold": pl.Int64, "first": pl.Date, "last": pl.Date, "n_oos": pl.Int64, "n_train": pl.Int64, "auc": pl.Float64,
    "accuracy": pl.Float64, "sharpe": pl.Float64, "max_drawdown": pl.Float64, "net": pl.Float64,
}  # fmt: skip
Explained = tuple[Matrix, FloatArray]


@dataclass(frozen=True)
class SheetIdentity:
    """Whose sheet it is.

    Attributes
    ----------
    grade : mapping
        Row of the grades.
    registered_name : str
    version : int or None
        The one made from this run that is champion.
    """

    grade: Mapping[str, Any]
    registered_name: str
    version: int | None

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of a sheet that say whose it is."""
        row = self.grade
        same = ("asset_class", "symbol", "family", "record_id", "run_key", "mlflow_run_id")
        return {
            **{name: row.get(name) for name in same},
            "registered_name": self.registered_name,
            "verdict": sentences.verdict(row),
            "champion": sentences.champion(self.registered_name, self.version),
            "first": row["first_oos"],
            "last": row["last_oos"],
        }


@dataclass(frozen=True)
class TradedRun:
    """A run as it was traded, with what one would have held instead.

    Attributes
    ----------
    run : GradedRun
    earned, always : Performance
        Of the run, and of being long on all its days with the same sizing and costs.
    benchmark : float64, shape (m,), or None
    """

    run: GradedRun
    earned: Performance
    always: Performance
    benchmark: FloatArray | None

    @classmethod
    def of(cls, run: GradedRun, benchmark: FloatArray | None) -> TradedRun:
        """Trade a run again."""
        exposure = exposures(run.direction, run.decisions.horizon)
        always = performance(np.ones(run.positions.size), run.conditions)
        return cls(run, performance(exposure, run.conditions), always, benchmark)

    @property
    def entries(self) -> DateArray:
        """Bars at whose open each position is entered."""
        return self.run.decisions.dates[self.run.positions + 1]

    @property
    def stamps(self) -> DateArray:
        """Bars at whose open each return is booked."""
        return self.run.decisions.stamps[self.run.positions]

    def grade(self) -> dict[str, float | None]:
        """Compute the figures of the gate again."""
        label, score, net = self.run.outcome, self.run.probability, self.earned.net
        return {
            "auc": metrics.auc(label, score),
            "accuracy": metrics.accuracy(label, score),
            "sharpe": metrics.sharpe(net, self.run.decisions.bars_per_year),
            "max_drawdown": metrics.max_drawdown(net),
        }

    def booked(self) -> BookedReturns:
        """Returns of all days."""
        run, earned = self.run, self.earned
        begin = run.decisions.dates[run.positions[0]].astype("datetime64[D]").item()
        return BookedReturns(
            begin, self.stamps, earned.net, earned.gross, earned.cost, earned.turnover, earned.position,
            run.decisions.bars_per_year, self.always.net, self.benchmark, run.outcome, run.probability,
        )  # fmt: skip


def instrument_sheet(
    traded: TradedRun, identity: SheetIdentity, stored: FittedRun, benchmark_name: str, explained: Explained | None
) -> TearSheet:
    """Compute the sheet of a run.

    Parameters
    ----------
    traded : TradedRun
    identity : SheetIdentity
    stored : FittedRun
    benchmark_name : str
    explained : (float32, float64), both of shape (n, F), or None
        Features of sampled days and what they add to the scores, see `ExplainedRuns.explained`.

    Returns
    -------
    TearSheet
    """
    booked = traded.booked()
    tables = booked_tables(booked)
    tables["trades"] = trade_table(traded.earned, traded.entries, traded.stamps)
    x, added = explained or (None, None)
    points = pl.DataFrame(schema=POINTS)
    if x is not None and added is not None:
        points = contribution_points(stored.features, x, added)
    return TearSheet(
        **identity.attributes(),
        benchmark_name=benchmark_name,
        figures=sheet_figures(identity.grade, booked, tables),
        **tables,
        folds=fold_table(traded, int(stored.parts["split"].get("embargo", 0))),
        calibration=calibration_table(traded.run.outcome, traded.run.probability),
        contributions=contribution_table(stored.features, stored.gain, x, added),
        contribution_points=points,
        contribution_note="" if x is None else sentences.contribution_note(len(x)),
        luck=luck_picture(traded.run),
        predictions=prediction_table(traded),
        conventions=sentences.conventions(booked.bars_per_year, pooled=False),
    )


def booked_tables(booked: BookedReturns) -> dict[str, Any]:
    """Make the tables of a sheet that follow from returns alone.

    Parameters
    ----------
    booked : BookedReturns

    Returns
    -------
    dict of str to DataFrame
        days, drawdowns, months, years, distribution.
    """
    days = day_table(booked)
    return {
        "days": days,
        "drawdowns": drawdown_table(booked),
        "months": month_table(days),
        "years": year_table(days),
        "distribution": distribution_table(days["net"].to_numpy()),
    }


def fold_table(traded: TradedRun, embargo: int) -> pl.DataFrame:
    """Grade each fold by itself.

    Parameters
    ----------
    traded : TradedRun
    embargo : int
        Bars between what a fold learns from and what it predicts, beside the label's horizon.

    Returns
    -------
    DataFrame
        Columns of `FOLDS`: figures of the fold's days as they are in the run, so that the cost of its first position
        depends on the fold before. ``n_train`` counts the bars before the fold that it could learn from.
    """
    run, net = traded.run, traded.earned.net
    days, rows = run.decisions.dates[run.positions].astype("datetime64[D]"), []
    for fold in np.unique(run.fold):
        at: IntArray = np.flatnonzero(run.fold == fold)
        label, score, own = run.outcome[at], run.probability[at], net[at]
        n_train = int(run.positions[at[0]]) - run.decisions.horizon - embargo
        rows.append((
            int(fold), days[at[0]].item(), days[at[-1]].item(), at.size, n_train, metrics.auc(label, score),
            metrics.accuracy(label, score), metrics.sharpe(own, run.decisions.bars_per_year),
            metrics.max_drawdown(own), float(metrics.equity(own)[-1]) - 1.0,
        ))  # fmt: skip
    return pl.DataFrame(rows, schema=FOLDS, orient="row")


def prediction_table(traded: TradedRun) -> pl.DataFrame:
    """List the out-of-sample predictions with what came of each.

    Parameters
    ----------
    traded : TradedRun

    Returns
    -------
    DataFrame
        date, stamp, fold, probability, label (null where the outcome is zero), position.
    """
    run = traded.run
    columns = {
        "date": run.decisions.dates[run.positions],
        "stamp": traded.stamps,
        "fold": run.fold,
        "probability": run.probability,
        "label": run.outcome,
        "position": traded.earned.position,
    }
    table = pl.DataFrame(columns).with_columns(pl.col("label").fill_nan(None))
    times = [name for name, kind in table.schema.items() if isinstance(kind, pl.Datetime)]
    daily = all((table[name] == table[name].dt.truncate("1d")).all() for name in times)
    return table.with_columns(pl.col(times).cast(pl.Date)) if daily else table
