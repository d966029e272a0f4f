"""The table of every instrument: what became of it, where it came from, and what was found.

It may have 10,000 rows: its template is a plain loop, which writes an empty cell where there is nothing to say, and the
instruments of which nothing was found are folded, so that a browser need not lay them out before they are asked for.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import polars as pl

from src.config.commands import command
from src.core.instruments import KEY
from src.hydration.quality import Quality
from src.reporting.formatting import counted, integer, percent
from src.reporting.quality import rule_name
from src.reporting.rendering import render, trusted
from src.reporting.report_data import ReportData

_LONGEST = 200  # characters of what was found of one instrument; src.data shows all
_HEADS = (
    ("instrument", False), ("class", False), ("source", False), ("outcome", False), ("bars", True), ("repaired", True),
    ("share", True), ("dropped", True), ("$ a day", True), ("what was found", False),
)  # fmt: skip


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
    heads = [{"title": title, "numeric": numeric} for title, numeric in _HEADS]
    rows = _rows(quality)
    is_found = pl.col("text").is_not_null()
    found, clean = (
        list(map(_row, part.iter_rows(named=True))) for part in (rows.filter(is_found), rows.filter(~is_found))
    )
    tables = [("Instruments of which something was found, those to look at first on top", found, True)]
    tables.append((f"{counted(len(clean), 'instrument')} of which nothing was found", clean, not found))
    look = command("data", "SYMBOL", stored=data.dataset)
    return render("quality_instruments", heads=heads, tables=[each for each in tables if each[1]], look=look)


def _rows(quality: Quality) -> pl.DataFrame:
    """One row an instrument with the texts of its findings; the ones with findings first, by outcome and share."""
    texts = quality.findings.group_by(KEY, maintain_order=True).agg(
        pl.col("rule").unique(maintain_order=True), pl.col("text").str.join("; ")
    )
    rows = quality.instruments.join(texts, on=KEY, how="left", maintain_order="left")
    aside = pl.col("state").replace_strict({"failed": 0, "quarantined": 1, "skipped": 2}, default=3)
    return rows.sort(aside, pl.col("text").is_null(), -pl.col("repaired") / pl.col("rows"), *KEY, nulls_last=True)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """What the template writes of one instrument; a number that is zero or unknown is left out."""
    share = row["repaired"] / row["rows"] if row["rows"] and row["repaired"] else None
    numbers = (
        (row["rows"], integer), (row["repaired"], integer), (share, percent), (row["dropped"], integer),
        (row["dollar_volume"], integer),
    )  # fmt: skip
    return {
        "anchor": anchor(row["asset_class"], row["symbol"]),
        "symbol": row["symbol"],
        "words": (row["asset_class"], row["origin"], row["outcome"]),
        "numbers": [(trusted(f"{value:.6g}"), trusted(form(value))) if value else None for value, form in numbers],
        "rules": ", ".join(rule_name(rule) for rule in row["rule"] or ()),
        "text": shortened(row["text"] or ""),
    }


def shortened(text: str) -> str:
    """Cut a text that is too long for the table."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
