"""The best passes one by one: their equity curves, and what speaks for and against them."""

from __future__ import annotations

from typing import Any

import polars as pl

from src.core.instruments import KEY
from src.reporting.charts import equity_curve
from src.reporting.formatting import integer, percent, probability, three_decimals, two_decimals
from src.reporting.rendering import render, trusted
from src.reporting.report_data import ReportData

CURVES = 12


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
