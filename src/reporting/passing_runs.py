"""The passing runs one by one: equity curves of the best, the full table, near misses, and flagged runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from src.core.instruments import KEY
from src.evaluation.grade import GATE_METRICS
from src.reporting.charts import equity_curve
from src.reporting.formatting import (
    DASH,
    METRIC_FORMATS,
    Number,
    counted,
    integer,
    percent,
    probability,
    three_decimals,
    two_decimals,
)
from src.reporting.quality import QUALITY_PAGE
from src.reporting.quality_instruments import anchor
from src.reporting.rendering import render, trusted
from src.reporting.report_data import ReportData
from src.reporting.tables import Column, Row, Table, table

CURVES = 12
MOST_ROWS = 1000
NEAR_MISSES = 20
FLAGGED_ROWS = 200


def best_runs(data: ReportData, most: int = CURVES) -> pl.DataFrame:
    """Select the most credible passing run of each instrument.

    Parameters
    ----------
    data : ReportData
        The session.
    most : int
        Largest number of runs.

    Returns
    -------
    DataFrame
        Rows of the grades, the most credible first.
    """
    return data.passing.unique(KEY, keep="first", maintain_order=True).head(most)


def equity_section(data: ReportData) -> str:
    """Write a card for each of the best runs: its net equity, and what speaks for and against it.

    Returns
    -------
    str
        HTML.
    """
    best = best_runs(data)
    curve_of = data.equity.partition_by("record_id", as_dict=True)
    cards = [_card(row, curve_of.get((row["record_id"],))) for row in best.iter_rows(named=True)]
    return render("equity", selection=_selection(best.height, data.passing), cards=cards)


def passing_runs_section(data: ReportData) -> str:
    """Write the table of passing runs and the nearest misses.

    Returns
    -------
    str
        HTML, with at most `MOST_ROWS` passing runs.
    """
    passing = data.passing
    shown = passing.head(MOST_ROWS)
    caption = f"{counted(passing.height, 'passing run')}, the most credible first"
    if shown.height < passing.height:
        caption = f"The {shown.height:,} most credible of {caption}; all are in data/grades/{data.dataset}.parquet"
    columns = [*_columns(), *_bars(data)]
    runs = table(columns, shown.iter_rows(named=True), caption, "runs sortable") if shown.height else None
    return render("passing_runs", passing=runs, near_misses=_near_misses(data))


def flagged_section(data: ReportData) -> str:
    """Write the runs that are too good for their kind of data, with the cause that was found.

    Returns
    -------
    str
        HTML, with at most `FLAGGED_ROWS` runs.
    """
    flagged = data.grades.filter(pl.col("suspicious").is_not_null()).sort("auc", *KEY, descending=[True, False, False])
    columns = [
        *_columns()[:3],
        _metric("AUC", "auc", three_decimals),
        _metric("Sharpe", "sharpe", two_decimals),
        Column("passed", lambda r: "yes" if r["passed"] else "no"),
        Column("reason", lambda r: r["suspicious"]),
        *_bars(data),
    ]
    caption = f"{counted(flagged.height, 'run')} flagged; none is registered until a person clears it"
    shown = flagged.head(FLAGGED_ROWS).iter_rows(named=True)
    return render("flagged", flagged=table(columns, shown, caption) if flagged.height else None)


def _selection(shown: int, passing: pl.DataFrame) -> str:
    """Say which runs the cards show."""
    instruments = passing.select(KEY).unique().height
    if shown < instruments:
        return f"The best pass of each of the {shown} most credible instruments, of {instruments:,} that have one."
    return f"The best pass of {'the only' if shown == 1 else 'each'} instrument that has one."


def _card(row: dict[str, Any], curve: pl.DataFrame | None) -> dict[str, Any]:
    name = f"{row['symbol']} · {row['asset_class']} · {row['family']}"
    facts = [
        ("luck rate", "no shift passes" if row["luck_rate"] == 0 else percent(row["luck_rate"])),
        ("q-value", probability(row["q_value"])),
        ("p-value of the Sharpe ratio", probability(row["sharpe_p_value"])),
        ("deflated Sharpe", two_decimals(row["deflated_sharpe"])),
        ("Sharpe", f"{two_decimals(row['sharpe'])}, always long {two_decimals(row['buy_hold_sharpe'])}"),
        ("accuracy", f"{percent(row['accuracy'])}, majority {percent(row['majority_accuracy'])}"),
        ("AUC", three_decimals(row["auc"])),
        ("max drawdown", percent(row["max_drawdown"])),
        ("out of sample", f"{integer(row['n_oos'])} bars"),
    ]
    chart = trusted(equity_curve(curve, name)) if curve is not None and curve.height > 1 else None
    return {"name": name, "chart": chart, "facts": facts, "flag": row["suspicious"]}


def _near_misses(data: ReportData) -> Table | None:
    """List the failing runs that miss the fewest thresholds, the best Sharpe ratio first."""
    missed = pl.sum_horizontal((~t.is_cleared()).cast(pl.Int32) for t in data.thresholds)
    nearest = (
        data.grades.filter(~pl.col("passed"))
        .with_columns(missed=missed)
        .sort("missed", "sharpe", *KEY, "family", descending=[False, True, False, False, False], nulls_last=True)
        .head(NEAR_MISSES)
    )
    if nearest.is_empty():
        return None
    columns = [*_columns()[: 3 + len(GATE_METRICS)], Column("misses", lambda r: "; ".join(r["reasons"] or []))]
    caption = f"The {counted(nearest.height, 'run')} that came nearest to passing"
    return table(columns, nearest.iter_rows(named=True), caption)


def _columns() -> list[Column]:
    return [
        Column("symbol", lambda r: r["symbol"]),
        Column("class", lambda r: r["asset_class"]),
        Column("family", lambda r: r["family"]),
        *(_metric(metric.short_title, metric.name, METRIC_FORMATS[metric.name]) for metric in GATE_METRICS),
        _metric("majority", "majority_accuracy", percent, "accuracy of the more common direction on the same days"),
        _metric("always long", "buy_hold_sharpe", two_decimals, "Sharpe ratio of always long with the same sizing"),
        _metric("luck rate", "luck_rate", percent),
        _metric("q", "q_value", probability),
        _metric("deflated", "deflated_sharpe", two_decimals, "deflated Sharpe ratio of the active return"),
        _metric("turnover", "turnover", integer, "position changes per year, as a multiple of equity"),
        _metric("bars", "n_oos", integer, "out-of-sample bars"),
        Column("registrable", _registrable),
    ]


def _bars(data: ReportData) -> list[Column]:
    """What hydration made of the run's bars, with a link to the instrument on the quality page; none without bars."""
    if data.quality is None:
        return []
    outcomes = {(k, s): outcome for k, s, outcome in data.quality.instruments.select(*KEY, "outcome").iter_rows()}

    def outcome(row: Row) -> str:
        return str(outcomes.get((row["asset_class"], row["symbol"]), DASH))

    def link(row: Row) -> str:
        return f"{QUALITY_PAGE}#{anchor(row['asset_class'], row['symbol'])}"

    return [Column("its bars", outcome, hint="what hydration did about them", link=link)]


def _metric(title: str, name: str, formatted: Callable[[Number], str], hint: str = "") -> Column:
    return Column(title, lambda r: formatted(r[name]), lambda r: r[name], hint)


def _registrable(row: Row) -> str:
    if row["suspicious"]:
        return "flagged"
    return {True: "yes", False: "too few bars", None: DASH}[row["registrable"]]
