"""Charts over time: equity beside what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from src.evaluation import metrics
from src.reporting.formatting import iso_date, two_decimals
from src.reporting.vega import ZOOM, Chart


@dataclass(frozen=True)
class TimeLine:
    """A line of a chart over time.

    Attributes
    ----------
    column : str
        In the chart's table.
    title : str
        As the tooltip names it.
    colour : str
        A colour of page.css.
    dash : bool
        Whether it is dashed, so that it differs without colour.
    """

    column: str
    title: str
    colour: str
    dash: bool = False


NET = TimeLine("equity", "net of costs", "observed")
ALWAYS_LONG = TimeLine("always_long", "always long", "baseline", dash=True)
GROSS = TimeLine("gross", "before costs", "baseline", dash=True)


def equity_curve(anchor: str, curve: pl.DataFrame, name: str) -> Chart:
    """Draw net equity over time, with always long as the comparison; both start at 1.

    Parameters
    ----------
    anchor : str
        The chart's id.
    curve : DataFrame
        Columns stamp, equity, always_long_equity (may be all null), in order of time; at least one row.
    name : str
        Of the run.

    Returns
    -------
    Chart
    """
    table = curve.select(date="stamp", equity="equity", always_long="always_long_equity")
    return over_time(anchor, table, (NET, ALWAYS_LONG), equity_label(curve, name))


def net_and_gross(anchor: str, daily: pl.DataFrame, name: str) -> Chart:
    """Draw the equity of a portfolio net of all costs, with that before costs as the comparison; both start at 1.

    Parameters
    ----------
    anchor : str
        The chart's id.
    daily : DataFrame
        Columns stamp, net and gross (returns of a day), in order of time; at least one row.
    name : str
        Of the portfolio.

    Returns
    -------
    Chart
    """
    net, gross = (metrics.equity(daily[column].to_numpy()) for column in ("net", "gross"))
    first, last = iso_date(daily["stamp"][0]), iso_date(daily["stamp"][-1])
    described = (
        f"Equity of {name} from {first} to {last}: 1 became {two_decimals(float(net[-1]))} net of costs; "
        f"{two_decimals(float(gross[-1]))} before costs"
    )
    return over_time(anchor, daily.select(date="stamp").with_columns(equity=net, gross=gross), (NET, GROSS), described)


def over_time(
    anchor: str, table: pl.DataFrame, curves: Sequence[TimeLine], alternative: str, height: int = 170
) -> Chart:
    """Draw curves over time with one tooltip for all of them.

    Parameters
    ----------
    anchor : str
        The chart's id.
    table : DataFrame
        date, and the curves' columns.
    curves : sequence of TimeLine
        The first one is drawn on top.
    alternative : str
        What it shows, as a sentence.
    height : int
        In pixels.

    Returns
    -------
    Chart
        It zooms by Ctrl and the wheel and moves by dragging; a double click shows all again.
    """
    axis = {"tickCount": 5, "grid": False}
    x = {"field": "date", "type": "temporal", "title": None, "scale": {"type": "utc"}, "axis": axis}
    shown = [each for each in curves if table[each.column].count()]
    tooltip: list[dict[str, Any]] = [
        {"field": "date", "type": "temporal", "timeUnit": "utcyearmonthdate", "title": "day", "format": "%Y-%m-%d"}
    ]
    tooltip += [{"field": each.column, "title": each.title, "format": ".3f"} for each in shown]
    hover = {
        "name": "hover",
        "select": {"type": "point", "encodings": ["x"], "nearest": True, "on": "pointermove", "clear": "pointerout"},
    }
    seen = {"condition": {"param": "hover", "empty": False, "value": 0.6}, "value": 0}
    layers: list[dict[str, Any]] = [_line(each) for each in reversed(shown)]
    rule = {
        "mark": {"type": "rule", "color": "var(--soft)"},
        "params": [hover],
        "encoding": {"opacity": seen, "tooltip": tooltip},
    }
    if layers:
        layers[0]["params"] = [ZOOM]
    spec = {"width": "container", "height": height, "encoding": {"x": x}, "layer": [*layers, rule]}
    rounded = table.select("date", *(pl.col(each.column).round(5) for each in shown))
    return Chart(anchor, {**spec, "data": {"name": "days"}}, alternative, {"days": rounded})


def _line(curve: TimeLine) -> dict[str, Any]:
    mark: dict[str, Any] = {
        "type": "line",
        "color": f"var(--{curve.colour})",
        "strokeWidth": 1.25 if curve.dash else 1.75,
        "clip": True,
    }
    if curve.dash:
        mark["strokeDash"] = [5, 3]
    y = {
        "field": curve.column,
        "type": "quantitative",
        "title": None,
        "scale": {"zero": False},
        "axis": {"tickCount": 4, "format": "~r"},
    }
    return {"mark": mark, "encoding": {"y": y}}


def equity_label(curve: pl.DataFrame, name: str) -> str:
    """Describe an equity curve and its comparison in text.

    Parameters
    ----------
    curve : DataFrame
        As for `equity_curve`.
    name : str
        Of the run.

    Returns
    -------
    str
        First and last date, and the final equity of both.
    """
    stamps, equity = curve["stamp"], curve["equity"].drop_nulls()
    label = f"Net equity of {name} from {iso_date(stamps[0])} to {iso_date(stamps[-1])}: 1 became"
    label = f"{label} {two_decimals(equity[-1])}"
    always_long = curve["always_long_equity"].drop_nulls()
    return f"{label}; always long with the same sizing, {two_decimals(always_long[-1])}" if len(always_long) else label
