"""Where skill was found by instrument: by the pooled scores, by the instrument's own models, or by both."""

from __future__ import annotations

import polars as pl

from src.evaluation.grade import GATE_METRICS
from src.evaluation.pooled.by_instrument import Count, FoundInstruments
from src.reporting.all_runs import metric_kind
from src.reporting.data_table import DataColumn, DataTable, data_table
from src.reporting.formatting import DASH, counted, expected_count, integer
from src.reporting.rendering import render
from src.reporting.tables import Column, Row, Table, table

NAME = "found-by-instrument"
"""Id of the table."""
_NEITHER = "neither"


def by_instrument_section(found: pl.DataFrame, untrained: str | None) -> str:
    """Write how many instruments each scope found, with the luck among them, and list those that were found.

    Parameters
    ----------
    found : DataFrame
        What `src.evaluation.pooled.by_instrument.by_instrument` makes; empty where it was not made.
    untrained : str, optional
        Command that trains models of one instrument, for a dataset without any.

    Returns
    -------
    str
        HTML; empty without a table.
    """
    if found.is_empty():
        return ""
    counts = FoundInstruments.of(found)
    listing = _listing(found.filter(pl.col("found_by") != _NEITHER))
    has_own = found["own_family"].is_not_null().any()
    return render(
        "pooled_by_instrument",
        sentence=counts.sentence() if has_own else None,
        untrained=untrained,
        counts=_count_table(counts, found, has_own=has_own),
        caption=listing.caption if listing else "",
        listing=data_table(listing) if listing else "",
    )


def found_figures(found: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Give the counts of metrics.json.

    Parameters
    ----------
    found : DataFrame
        As for `by_instrument_section`, with rows.

    Returns
    -------
    dict
        For each of pooled_alone, own_alone and both: instruments seen, and the number that luck gives.
    """
    counts = FoundInstruments.of(found)
    kinds = {"pooled_alone": counts.found, "own_alone": counts.missed, "both": counts.both}
    return {name: {"seen": each.seen, "expected_lucky": each.expected} for name, each in kinds.items()}


def _count_table(counts: FoundInstruments, found: pl.DataFrame, *, has_own: bool) -> Table:
    """Instruments by who found them, beside what luck gives."""
    kinds: list[tuple[str, Count]] = [("pooled scores alone", counts.found)]
    if has_own:
        kinds += [("own models alone", counts.missed), ("both", counts.both)]
    neither = int((found["found_by"] == _NEITHER).sum())
    rows: list[Row] = [
        {"name": name, "seen": each.seen, "expected": each.expected, "low": each.low, "high": each.high}
        for name, each in kinds
    ]
    rows.append({"name": _NEITHER, "seen": neither, "expected": None, "low": None, "high": None})
    columns = [
        Column("found by", lambda r: r["name"]),
        Column("instruments", lambda r: integer(r["seen"]), lambda r: r["seen"]),
        Column("by luck", lambda r: expected_count(r["expected"]), lambda r: r["expected"]),
        Column("90% range", _range, lambda r: r["high"], "of lucky ones: instruments move together"),
    ]
    return table(columns, rows, f"{counted(counts.instruments, 'instrument')} on the same days, each hedged", "found")


def _range(row: Row) -> str:
    return DASH if row["low"] is None else f"{integer(row['low'])} to {integer(row['high'])}"


def _listing(found: pl.DataFrame) -> DataTable | None:
    """The instruments that were found, those of the pooled scores first."""
    if found.is_empty():
        return None
    order = pl.col("found_by").replace_strict({"both": 0, "pooled": 1, "own": 2}, default=3)
    rows = found.sort(order, pl.max_horizontal("sharpe", "own_sharpe"), descending=[False, True], nulls_last=True)
    metrics = [(metric.name, metric.short_title, metric_kind(metric.form)) for metric in GATE_METRICS[:3:2]]
    columns = (
        DataColumn("symbol", "symbol"),
        DataColumn("asset_class", "class", choices=True),
        DataColumn("found_by", "found by", choices=True),
        *(DataColumn(name, f"pooled {title}", kind) for name, title, kind in metrics),
        DataColumn("luck_rate", "luck rate", "percent"),
        DataColumn("own_family", "own family", choices=True),
        *(DataColumn(f"own_{name}", f"own {title}", kind) for name, title, kind in metrics),
        DataColumn("own_luck_rate", "own luck rate", "percent"),
        DataColumn("n_days", "days", "count"),
    )
    return DataTable(NAME, f"{counted(rows.height, 'instrument')} found", columns, rows, noun="instruments")
