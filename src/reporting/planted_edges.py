"""Planted edges found and missed: how the session did on simulated instruments whose skill is known."""

from __future__ import annotations

from src.core.instruments import KEY
from src.reporting.formatting import DASH, counted, percent, probability, three_decimals, two_decimals
from src.reporting.rendering import render
from src.reporting.report_data import ReportData
from src.reporting.summary import planted_counts
from src.reporting.tables import Column, Row, Table, table

MOST_ROWS = 200


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


def detections(data: ReportData) -> list[Row]:
    """List the instruments that have a planted edge or a passing run.

    Returns
    -------
    list of mapping
        One row per instrument, planted ones first: the grade of its best run, and `result`. The grade is None if it was
        not trained.
    """
    planted = data.planted or frozenset()
    best = data.grades.sort(
        "passed", "q_value", "p_value", "auc", "family", descending=[True, False, False, True, False], nulls_last=True
    ).unique(KEY, keep="first", maintain_order=True)
    best_run = {(row["asset_class"], row["symbol"]): row for row in best.iter_rows(named=True)}
    passed = {key for key, row in best_run.items() if row["passed"]}
    untrained = dict.fromkeys(best.columns)
    return [
        {
            **(best_run.get(key) or untrained),
            "asset_class": key[0],
            "symbol": key[1],
            "result": detection(key in best_run, key in planted, key in passed),
        }
        for key in [*sorted(planted), *sorted(passed - planted)]
    ]


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
        f"{counted(counts['without_skill'], 'instrument')} without an edge, {counts['lucky']:,} passed by luck."
    )
    rows = detections(data)
    columns = [
        Column("symbol", lambda r: r["symbol"]),
        Column("class", lambda r: r["asset_class"]),
        Column("result", lambda r: r["result"], mark=lambda r: r["result"].partition(":")[0]),
        Column("best family", lambda r: r["family"] or DASH),
        Column("AUC", lambda r: three_decimals(r["auc"]), lambda r: r["auc"]),
        Column("Sharpe", lambda r: two_decimals(r["sharpe"]), lambda r: r["sharpe"]),
        Column("luck rate", lambda r: percent(r["luck_rate"]), lambda r: r["luck_rate"]),
        Column("q", lambda r: probability(r["q_value"]), lambda r: r["q_value"]),
        Column("misses", lambda r: "; ".join(r["reasons"] or [])),
    ]
    caption = "Instruments with a planted edge, and instruments without an edge that passed"
    if len(rows) > MOST_ROWS:
        caption += f" (the first {MOST_ROWS:,} of {len(rows):,})"
    listing = table(columns, rows[:MOST_ROWS], caption, "detections") if rows else None
    return render("planted", counts=counted_edges, confusion=_confusion_table(counts), listing=listing)


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
