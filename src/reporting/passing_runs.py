"""The passing runs one by one: equity curves of the best, the full table, near misses, and what is too good."""

from __future__ import annotations

from typing import Any

import polars as pl

from src.evaluation.grade import GATE_METRICS
from src.reporting.charts import equity_curve
from src.reporting.formatting import DASH, METRIC_FORMS, chance, counted, share, three_digits, two_digits, whole
from src.reporting.rendering import drawn, render
from src.reporting.session_data import KEY, Material
from src.reporting.tables import Column, Row, Table, table

CURVES = 12
MOST_ROWS = 1000
NEAR_MISSES = 20
SUSPICIOUS_ROWS = 200


def best_instruments(material: Material, most: int = CURVES) -> pl.DataFrame:
    """Give the most credible passing run of each instrument, the best instruments first."""
    return material.passing.unique(KEY, keep="first", maintain_order=True).head(most)


def curves(material: Material) -> str:
    """Write a card for each of the best passes: its net equity, and what speaks for and against it."""
    best = best_instruments(material)
    curve_of = material.equity.partition_by("record_id", as_dict=True)
    cards = [_card(row, curve_of.get((row["record_id"],))) for row in best.iter_rows(named=True)]
    return render("curves", which=_which(best.height, material.passing), cards=cards)


def run_table(material: Material) -> str:
    """Write the table of passing runs, capped, and the nearest misses."""
    passing = material.passing
    shown = passing.head(MOST_ROWS)
    caption = f"{counted(passing.height, 'passing run')}, the most credible first"
    if shown.height < passing.height:
        caption = f"The {shown.height:,} most credible of {caption}; all are in data/grades/{material.dataset}.parquet"
    runs = table(_columns(), shown.iter_rows(named=True), caption, "runs sortable") if shown.height else None
    return render("runs", passing=runs, near=_near_misses(material))


def suspicious(material: Material) -> str:
    """Write the runs that are too good for their kind of data, with the cause that was found."""
    flagged = material.grades.filter(pl.col("suspicious").is_not_null()).sort(
        "auc", *KEY, descending=[True, False, False]
    )
    columns = [
        *_columns()[:3],
        _metric("AUC", "auc", three_digits),
        _metric("Sharpe", "sharpe", two_digits),
        Column("passed", lambda r: "yes" if r["passed"] else "no"),
        Column("why", lambda r: r["suspicious"]),
    ]
    caption = f"{counted(flagged.height, 'run')} flagged; none is registered until a person clears it"
    shown = flagged.head(SUSPICIOUS_ROWS).iter_rows(named=True)
    return render("suspicious", flagged=table(columns, shown, caption) if flagged.height else None)


def _which(shown: int, passing: pl.DataFrame) -> str:
    instruments = passing.select(KEY).unique().height
    if shown == instruments:
        return (
            f"The best pass of {'the only instrument that has one' if shown == 1 else 'each instrument that has one'}."
        )
    return f"The best pass of each of the {shown} most credible instruments, of {instruments:,} that have one."


def _card(row: dict[str, Any], curve: pl.DataFrame | None) -> dict[str, Any]:
    name = f"{row['symbol']} · {row['asset_class']} · {row['family']}"
    facts = [
        ("luck rate", "no shift passes" if row["luck_rate"] == 0 else share(row["luck_rate"])),
        ("q-value", chance(row["q_value"])),
        ("deflated Sharpe", two_digits(row["deflated_sharpe"])),
        ("Sharpe", f"{two_digits(row['sharpe'])}, always long {two_digits(row['buy_hold_sharpe'])}"),
        ("accuracy", f"{share(row['accuracy'])}, majority {share(row['majority_accuracy'])}"),
        ("AUC", three_digits(row["auc"])),
        ("max drawdown", share(row["max_drawdown"])),
        ("out of sample", f"{whole(row['n_oos'])} bars"),
    ]
    drawing = drawn(equity_curve(curve, name)) if curve is not None and curve.height > 1 else None
    return {"name": name, "drawing": drawing, "facts": facts, "flag": row["suspicious"]}


def _near_misses(material: Material) -> Table | None:
    """List the failing runs that miss the fewest thresholds, best Sharpe ratio first."""
    missed = pl.sum_horizontal((~t.clears()).cast(pl.Int32) for t in material.thresholds)
    nearest = (
        material.grades.filter(~pl.col("passed"))
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
        *(_metric(metric.short_title, metric.name, METRIC_FORMS[metric.name]) for metric in GATE_METRICS),
        _metric("majority", "majority_accuracy", share, "accuracy of the commoner direction on the same days"),
        _metric("always long", "buy_hold_sharpe", two_digits, "Sharpe ratio of always long, sized alike"),
        _metric("luck rate", "luck_rate", share),
        _metric("q", "q_value", chance),
        _metric("deflated", "deflated_sharpe", two_digits, "deflated Sharpe ratio of the active return"),
        _metric("turnover", "turnover", whole, "position changes a year, in units of the equity"),
        _metric("bars", "n_oos", whole, "out-of-sample bars"),
        Column("registrable", _registrable),
    ]


def _metric(title: str, name: str, form: Any, hint: str = "") -> Column:
    return Column(title, lambda r: form(r[name]), lambda r: r[name], hint)


def _registrable(row: Row) -> str:
    if row["suspicious"]:
        return "flagged"
    return {True: "yes", False: "too few bars", None: DASH}[row["registrable"]]
