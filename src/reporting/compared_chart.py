"""Differences of two sides with their intervals, one row a comparison."""

from __future__ import annotations

from typing import Any

import polars as pl

from src.reporting.compared import MEASURES
from src.reporting.vega import Chart

ROW = 26
"""Height of a comparison in pixels."""
FORMS = {"auc": "+.4f", "net": "+.2%"}
_MEANS = {"auc": ".4f", "net": ".2%"}


def differences_chart(anchor: str, table: pl.DataFrame, measure: str) -> Chart | None:
    """Chart the differences of one measure, each with its interval beside zero.

    Parameters
    ----------
    anchor : str
        Id of the chart.
    table : DataFrame
        In `src.reporting.compared.DIFFERENCES`.
    measure : str
        ``auc`` or ``net``.

    Returns
    -------
    Chart or None
        None without a comparison of this measure.
    """
    own = table.filter(measure=measure)
    if own.is_empty():
        return None
    rows = own.with_columns(
        name=pl.format("{} \N{MINUS SIGN} {}", "other", "base"), clear=(pl.col("low") > 0) | (pl.col("high") < 0)
    )
    form, mean = FORMS[measure], _MEANS[measure]
    axis = {"format": form[0] + "~" + form[-1], "tickCount": 4, "labelOverlap": True}
    x: dict[str, Any] = {"type": "quantitative", "title": f"difference of {MEASURES[measure]}", "axis": axis,
                         "scale": {"padding": 12}}  # fmt: skip
    y = {"field": "name", "type": "nominal", "sort": rows["name"].to_list(), "title": None, "axis": {"labelLimit": 190}}
    colour = {"condition": {"test": "datum.clear", "value": "var(--observed)"}, "value": "var(--baseline)"}
    tips = [
        {"field": "name", "title": "comparison"}, _tip("difference", "difference", form), _tip("low", "95% from", form),
        _tip("high", "to", form), _tip("other_mean", "first", mean), _tip("base_mean", "second", mean),
        _tip("pairs", "pairs", ","), _tip("quarters", "quarters", ","),
    ]  # fmt: skip
    layers = [
        {"mark": {"type": "rule", "color": "var(--ink)", "strokeDash": [3, 3]}, "data": {"values": [{}]},
         "encoding": {"x": {"datum": 0, "type": "quantitative"}}},
        {"mark": {"type": "rule", "strokeWidth": 2},
         "encoding": {"y": y, "x": {"field": "low", **x}, "x2": {"field": "high"}, "color": colour, "tooltip": tips}},
        {"mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
         "encoding": {"y": y, "x": {"field": "difference", **x}, "color": colour, "tooltip": tips}},
    ]  # fmt: skip
    spec = {"width": "container", "height": ROW * rows.height, "data": {"name": "differences"}, "layer": layers}
    said = "; ".join(difference_sentence(row) for row in rows.iter_rows(named=True))
    return Chart(anchor, spec, f"Differences of {MEASURES[measure]}: {said}.", {"differences": rows})


def difference_sentence(row: dict[str, Any]) -> str:
    """Say what a comparison shows.

    Parameters
    ----------
    row : dict
        Of `src.reporting.compared.DIFFERENCES`.

    Returns
    -------
    str
        ``xgboost less catboost: AUC +0.0065 (95% -0.0004 to +0.0134), no difference shown``.
    """
    form = FORMS[row["measure"]]
    difference, low, high = (
        format(row[name], form).replace("-", "\N{MINUS SIGN}") for name in ("difference", "low", "high")
    )
    word = "higher" if row["low"] > 0 else "lower" if row["high"] < 0 else "no difference shown"
    return f"{row['other']} less {row['base']}: {MEASURES[row['measure']]} {difference} (95% {low} to {high}), {word}"


def _tip(field: str, title: str, form: str) -> dict[str, str]:
    return {"field": field, "type": "quantitative", "title": title, "format": form}
