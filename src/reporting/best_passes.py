"""The best passes, each with its net equity beside always long, and a link to its tear sheet."""

from __future__ import annotations

from typing import Any

import polars as pl

from src.core.instruments import KEY
from src.reporting.formatting import percent, probability, two_decimals
from src.reporting.rendering import render
from src.reporting.report_data import ReportData
from src.reporting.time_charts import equity_curve
from src.reporting.vega import figure

CARDS = 6


def best_runs(data: ReportData, most: int = CARDS) -> pl.DataFrame:
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


def best_passes_section(data: ReportData) -> str:
    """Write a card for each of the best runs: its net equity, and what speaks for and against it.

    Returns
    -------
    str
        HTML.
    """
    best = best_runs(data)
    curve_of = data.equity.partition_by("record_id", as_dict=True)
    cards = [
        _card(f"best-{k}", row, curve_of.get((row["record_id"],)), data)
        for k, row in enumerate(best.iter_rows(named=True))
    ]
    return render("best_passes", selection=_selection(best.height, data.passing), cards=cards)


def _selection(shown: int, passing: pl.DataFrame) -> str:
    """Say which runs the cards show."""
    instruments = passing.select(KEY).unique().height
    if shown < instruments:
        return f"The {shown} most credible of {instruments:,} instruments with a pass."
    return f"The best pass of {'the only' if shown == 1 else 'each'} instrument that has one."


def _card(anchor: str, row: dict[str, Any], curve: pl.DataFrame | None, data: ReportData) -> dict[str, Any]:
    name = f"{row['symbol']}, {row['asset_class']}, {row['family']}"
    drawn = curve is not None and curve.height > 1
    facts = (
        f"Sharpe {two_decimals(row['sharpe'])} (always long {two_decimals(row['buy_hold_sharpe'])})",
        f"drawdown {percent(row['max_drawdown'])}",
        f"q {probability(row['q_value'])}",
    )
    return {
        "name": name,
        "link": data.sheets.get(row["record_id"], ""),
        "chart": figure(equity_curve(anchor, curve, name)) if drawn and curve is not None else None,
        "facts": ", ".join(facts),
        "flag": row["suspicious"],
    }
