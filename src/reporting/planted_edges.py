"""Planted edges found and missed: how the session did on simulated instruments whose skill is known."""

from __future__ import annotations

import polars as pl

from src.core.instruments import KEY
from src.reporting.all_runs import addresses
from src.reporting.data_table import DataColumn, DataTable, data_table
from src.reporting.formatting import counted
from src.reporting.rendering import render
from src.reporting.report_data import ReportData
from src.reporting.summary import planted_counts
from src.reporting.tables import Column, Table, table

NAME = "planted-edges"
"""Id of the table."""
_COLUMNS = (
    DataColumn("symbol", "symbol", hint="Leads to the tear sheet where there is one", link="sheet"),
    DataColumn("asset_class", "class", choices=True),
    DataColumn("result", "result", choices=True),
    DataColumn("family", "best family", choices=True),
    DataColumn("auc", "AUC", "three"),
    DataColumn("sharpe", "Sharpe", "ratio"),
    DataColumn("luck_rate", "luck rate", "percent"),
    DataColumn("q_value", "q", "probability"),
    DataColumn("misses", "misses", "prose"),
)


def detection(trained: bool, planted: bool, passed: bool) -> str:
    """Name the result for one instrument.

    Parameters
    ----------
    trained, planted, passed : bool
        Whether it was trained, has a planted edge, and has a passing run.

    Returns
    -------
    str
        ``found``, ``missed``, ``missed: not trained``, ``lucky`` or ``rightly failed``.
    """
    if planted:
        return "found" if passed else "missed" if trained else "missed: not trained"
    return "lucky" if passed else "rightly failed"


def detections(data: ReportData) -> pl.DataFrame:
    """List the instruments that have a planted edge or a passing run.

    Returns
    -------
    DataFrame
        One row per instrument, planted ones first: the grade of its best run, `result`, `misses` and the address of its
        `sheet`. The grade is null if it was not trained.
    """
    planted = data.planted or frozenset()
    best = data.grades.sort(
        "passed", "q_value", "p_value", "auc", "family", descending=[True, False, False, True, False], nulls_last=True
    ).unique(KEY, keep="first", maintain_order=True)
    trained, passed = (set(rows.select(KEY).iter_rows()) for rows in (best, best.filter("passed")))
    keys = [*sorted(planted), *sorted(passed - planted)]
    results = [detection(key in trained, key in planted, key in passed) for key in keys]
    listed = pl.DataFrame(keys, schema=dict.fromkeys(KEY, pl.String), orient="row")
    return (
        listed.with_columns(result=pl.Series(results, dtype=pl.String))
        .join(best, on=KEY, how="left", maintain_order="left")
        .with_columns(misses=pl.col("reasons").list.join("; "), sheet=addresses(data.sheets))
    )


def planted_section(data: ReportData) -> str:
    """Write how many planted edges were found and missed, and list the instruments.

    Returns
    -------
    str
        HTML; empty if the source plants no edges.
    """
    if data.planted is None:
        return ""
    counts = planted_counts(data)
    untrained = f" ({counts['untrained']:,} of them never trained)" if counts["untrained"] else ""
    verb = "has" if counts["planted"] == 1 else "have"
    counted_edges = (
        f"{counted(counts['planted'], 'instrument')} of this simulated universe {verb} a planted edge: "
        f"{counts['found']:,} found, {counts['missed']:,} missed{untrained}. Of "
        f"{counted(counts['without_skill'], 'instrument')} without an edge of their own, "
        f"{counts['lucky']:,} passed{_by(data)}."
    )
    rows = detections(data)
    caption = "Instruments with a planted edge of their own, and instruments without one that passed"
    listing = DataTable(NAME, caption, _COLUMNS, rows, page_length=10, noun="instruments")
    return render(
        "planted", counts=counted_edges, confusion=_confusion_table(counts),
        listing=data_table(listing) if rows.height else "",
    )  # fmt: skip


def _by(data: ReportData) -> str:
    """Say that luck made the passes; an edge across the stocks may have made some."""
    return "" if float(str(data.settings.get("source.simulated.pooled_edge") or 0.0)) > 0 else " by luck"


def _confusion_table(counts: dict[str, int]) -> Table:
    """Cross-tabulate planted against passed."""
    rows = [
        {"name": "edge planted", "passed": counts["found"], "failed": counts["missed"]},
        {"name": "no edge", "passed": counts["lucky"], "failed": counts["without_skill"] - counts["lucky"]},
    ]
    columns = [
        Column("instruments", lambda r: r["name"]),
        Column("passed", lambda r: f"{r['passed']:,}", lambda r: r["passed"]),
        Column("failed", lambda r: f"{r['failed']:,}", lambda r: r["failed"]),
    ]
    return table(columns, rows, "Edge planted against passed", "confusion")
