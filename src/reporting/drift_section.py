"""Which features drift between training and test, beside what their index comes to without drift."""

from __future__ import annotations

from typing import Any

import polars as pl

from src.reporting.drift import MUCH
from src.reporting.formatting import counted, percent
from src.reporting.rendering import render
from src.reporting.report_data import ReportData
from src.reporting.vega import Chart, figure

MOST = 25
"""Features of the chart: those nearest to their limit or beyond it."""
ROW = 20
PADDING = {"left": 14, "right": 8, "top": 5, "bottom": 5}


def drift_section(data: ReportData) -> str:
    """Write how many features drift, and which most.

    Parameters
    ----------
    data : ReportData

    Returns
    -------
    str
        HTML; empty where no drift was measured.
    """
    if data.drift.is_empty():
        return ""
    return render("drift", sentence=drift_sentence(data.drift), chart=figure(drift_chart(data.drift)))


def drift_sentence(table: pl.DataFrame) -> str:
    """Say how much drift there is, beside what is seen without any.

    Parameters
    ----------
    table : DataFrame
        In `src.reporting.drift.DRIFT`, with rows.

    Returns
    -------
    str
    """
    folds = int(table["folds"].sum())
    beyond = int(table["above"].sum()) / folds
    much = float((table["much"] * table["folds"]).sum()) / folds
    usual = float((table["much_usual"] * table["folds"]).sum()) / folds
    instruments = int(table["instruments"].max())  # type: ignore[arg-type]
    return (
        f"Of {counted(table.height, 'feature')}, {percent(beyond)} of the test windows lie beyond the limit that 5% "
        f"reach without drift. The rule of thumb, PSI {MUCH:g}, would say {percent(much)}, and {percent(usual)} "
        f"without drift. Sample: {counted(instruments, 'instrument')}."
    )


def drift_chart(table: pl.DataFrame) -> Chart:
    """Chart the index of the features that drift most, each beside its limit.

    Parameters
    ----------
    table : DataFrame
        In `src.reporting.drift.DRIFT`, with rows, the most first.

    Returns
    -------
    Chart
    """
    rows = table.head(MOST).with_columns(beyond=pl.col("psi") > pl.col("limit"))
    y = {"field": "feature", "type": "nominal", "sort": rows["feature"].to_list(), "title": None,
         "axis": {"labelLimit": 170}}  # fmt: skip
    axis = {"tickCount": 6, "format": "~g"}
    x: dict[str, Any] = {"type": "quantitative", "title": "PSI of test against training", "axis": axis,
                         "scale": {"type": "sqrt"}}  # fmt: skip
    colour = {"condition": {"test": "datum.beyond", "value": "var(--observed)"}, "value": "var(--baseline)"}
    tips = [
        {"field": "feature", "type": "nominal"}, {"field": "group", "type": "nominal", "title": "feature family"},
        _tip("psi", "PSI", ".3f"),
        _tip("usual", "without drift", ".3f"), _tip("limit", "limit (95%)", ".3f"),
        _tip("above", "folds beyond", ","), _tip("folds", "of", ","),
    ]  # fmt: skip
    layers = [
        {"mark": {"type": "bar", "height": 9, "color": "var(--luck)", "tooltip": True},
         "encoding": {"y": y, "x": {"field": "limit", **x}, "tooltip": tips}},
        {"mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
         "encoding": {"y": y, "x": {"field": "psi", **x}, "color": colour, "tooltip": tips}},
    ]  # fmt: skip
    spec = {
        "width": "container",
        "height": ROW * rows.height,
        "padding": PADDING,
        "data": {"name": "drift"},
        "layer": layers,
    }
    first = rows.row(0, named=True)
    said = (
        f"PSI of the {rows.height} features that drift most. First: {first['feature']}, {first['psi']:.2f}, limit "
        f"{first['limit']:.2f}."
    )
    return Chart("drift-features", spec, said, {"drift": rows})


def _tip(field: str, title: str, form: str) -> dict[str, str]:
    return {"field": field, "type": "quantitative", "title": title, "format": form}
