"""The table of every instrument: what became of it, where it came from, and what was found."""

from __future__ import annotations

from urllib.parse import quote

import polars as pl

from src.config.commands import command
from src.core.instruments import KEY
from src.hydration.quality import Quality
from src.reporting.data_table import DataColumn, DataTable, data_table
from src.reporting.formatting import counted
from src.reporting.quality import rule_name
from src.reporting.rendering import render
from src.reporting.report_data import ReportData

NAME = "all-instruments"
"""Id of the table."""
_LONGEST = 200  # characters of what was found of one instrument; src.data shows all
_COLUMNS = (
    DataColumn("symbol", "instrument"),
    DataColumn("asset_class", "class", choices=True),
    DataColumn("origin", "source", choices=True),
    DataColumn("outcome", "outcome", hint="What hydration did about it", choices=True),
    DataColumn("rows", "bars", "count", hint="Bars in use, or those that came where it is set aside"),
    DataColumn("repaired", "repaired", "count", hint="Bars repaired"),
    DataColumn("share", "share", "percent", hint="Repaired bars as a share of its bars"),
    DataColumn("dropped", "dropped", "count", hint="Rows dropped"),
    DataColumn("dollar_volume", "$ a day", "count", hint="Median daily dollar volume, by its own prices"),
    DataColumn("rules", "rules", "prose", hint="Rules of hydration that found something"),
    DataColumn("found", "what was found", "prose"),
)


def anchor(asset_class: str, symbol: str) -> str:
    """Give the id of an instrument's row, for links.

    Parameters
    ----------
    asset_class, symbol : str
        The instrument.

    Returns
    -------
    str
        Without spaces and quotation marks, unique.
    """
    return f"i-{asset_class}-{quote(symbol, safe='')}"


def instruments_section(data: ReportData) -> str:
    """Write the table of all instruments, those to look at first on top.

    Returns
    -------
    str
        HTML; empty where no bars are known.
    """
    quality = data.quality
    if quality is None or quality.instruments.is_empty():
        return ""
    rows = _rows(quality)
    caption = f"{counted(rows.height, 'instrument')}, those to look at first on top"
    filters = {"something found": "is_found"}
    table = DataTable(NAME, caption, _COLUMNS, rows, filters, anchors="anchor", noun="instruments")
    look = command("data", "SYMBOL", stored=data.dataset)
    return render("quality_instruments", table=data_table(table), look=look)


def _rows(quality: Quality) -> pl.DataFrame:
    """One row an instrument with the texts of its findings; the ones with findings first, by outcome and share."""
    texts = quality.findings.group_by(KEY, maintain_order=True).agg(
        pl.col("rule").unique(maintain_order=True), pl.col("text").str.join("; ")
    )
    rows = quality.instruments.join(texts, on=KEY, how="left", maintain_order="left")
    aside = pl.col("state").replace_strict({"failed": 0, "quarantined": 1, "skipped": 2}, default=3)
    ordered = rows.sort(aside, pl.col("text").is_null(), -pl.col("repaired") / pl.col("rows"), *KEY, nulls_last=True)
    return ordered.with_columns(
        share=pl.when(pl.col("rows") > 0).then(pl.col("repaired") / pl.col("rows")),
        is_found=pl.col("text").is_not_null(),
        anchor=pl.Series([anchor(*key) for key in ordered.select(KEY).iter_rows()], dtype=pl.String),
        rules=pl.Series(
            [", ".join(map(rule_name, rules or ())) for rules in ordered["rule"].to_list()], dtype=pl.String
        ),
        found=pl.Series([shortened(text or "") for text in ordered["text"].to_list()], dtype=pl.String),
    )


def shortened(text: str) -> str:
    """Cut a text that is too long for the table."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
