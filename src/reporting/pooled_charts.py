"""Charts of a pooled portfolio: its IC over time, what each fifth of the names earned, what it held and traded."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from src.evaluation.pooled.inference import newey_west
from src.reporting.formatting import percent, three_decimals, two_decimals
from src.reporting.pooled_results import GradedPortfolio
from src.reporting.vega import ZOOM, Chart, figure

POINTS = 400
"""Days of a chart, evenly spaced: no eye sees more."""
HELD = {
    "turnover": "turnover a year", "gross_exposure": "gross exposure", "net_exposure": "net exposure", "beta": "beta",
    "volatility_exposure": "exposure to volatility", "size_exposure": "exposure to traded volume", "names": "names",
}  # fmt: skip
_MONTHS = 63  # days over which turnover is averaged
_BAND = 1.96
_LAG = 5
# Days have no time zone.
_X: dict[str, Any] = {
    "field": "date", "type": "temporal", "title": None, "scale": {"type": "utc"},
    "axis": {"tickCount": 6, "grid": False},
}  # fmt: skip
_DAY: dict[str, Any] = {
    "field": "date", "type": "temporal", "timeUnit": "utcyearmonthdate", "format": "%Y-%m-%d", "title": "day",
}  # fmt: skip


def portfolio_charts(anchor: str, portfolio: GradedPortfolio) -> list[tuple[str, str]]:
    """Write the charts of a portfolio with what stands below each.

    Parameters
    ----------
    anchor : str
        Begins their ids.
    portfolio : GradedPortfolio

    Returns
    -------
    list of (str, str)
        HTML of a chart, and its caption.
    """
    charts = [
        (information_chart(f"{anchor}-ic", portfolio), "Sum of daily ICs; shaded: 95% band without skill."),
        (groups_chart(f"{anchor}-groups", portfolio), groups_sentence(portfolio) if portfolio.groups.height else ""),
        (holdings_chart(f"{anchor}-held", portfolio), ""),
    ]
    return [(figure(chart), caption) for chart, caption in charts if chart is not None]


def information_chart(anchor: str, portfolio: GradedPortfolio) -> Chart | None:
    """Chart the sum of the daily rank ICs within the band that scores without skill stay in.

    Parameters
    ----------
    anchor : str
        Id of the chart.
    portfolio : GradedPortfolio

    Returns
    -------
    Chart or None
        None without ICs. The band is 95% of a walk whose steps are as alike as those of the IC: from the Newey-West
        error of its mean. It is left out where the t of the IC is undefined.
    """
    ic, row = portfolio.information, portfolio.row
    if ic.height < 2:
        return None
    known = pl.int_range(1, ic.height + 1, eager=True)
    mean, t = row["ic"], row["ic_t"]
    # Standard error of the sum of k days: that of all n, times the root of k / n.
    error = abs(mean / t) * math.sqrt(ic.height) if mean is not None and t else None
    reach = known.sqrt() * (_BAND * error) if error is not None else pl.Series([None] * ic.height, dtype=pl.Float64)
    table = thinned(ic.with_columns(low=-reach, high=reach)).with_columns(pl.col(pl.Float64).round(5))
    tips = [_DAY, _tip("ic_sum", "sum of ICs", ".2f"), _tip("ic_mean", "mean of a year", ".3f"),
            _tip("low", "band from", ".2f"), _tip("high", "to", ".2f")]  # fmt: skip
    band = {"mark": {"type": "area", "color": "var(--luck)", "opacity": 0.5},
            "encoding": {"x": _X, "y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}}}  # fmt: skip
    y = {"field": "ic_sum", "type": "quantitative", "title": "sum of daily ICs", "axis": {"tickCount": 5}}
    line = {"mark": {"type": "line", "color": "var(--observed)"}, "params": [ZOOM], "encoding": {"x": _X, "y": y}}
    spec = _framed([*([band] if error is not None else []), line, _hover(tips)], "information")
    last = ic["ic_sum"][-1]
    inside = error is not None and abs(last) <= _BAND * error * math.sqrt(ic.height)
    where = "" if error is None else f", {'inside' if inside else 'outside'} the 95% band of no skill"
    shown = f"Sum of the daily rank ICs of {portfolio.title}: {two_decimals(last)} after {ic.height:,} days{where}."
    return Chart(anchor, spec, f"{shown} Mean IC {three_decimals(mean)}.", {"information": table}, zoom=_zoom(anchor))


def groups_chart(anchor: str, portfolio: GradedPortfolio) -> Chart | None:
    """Chart what each fifth of the names by score earned beyond the mean of all, summed, and the top less the bottom.

    Parameters
    ----------
    anchor : str
        Id of the chart.
    portfolio : GradedPortfolio

    Returns
    -------
    Chart or None
        None without score groups.
    """
    wide = excess_by_group(portfolio.groups)
    if wide.height < 2:
        return None
    lines = [name for name in wide.columns if name != "date"]
    summed = thinned(wide.with_columns(pl.col(lines).cum_sum())).with_columns(pl.col(lines).round(5))
    shades = ["#b35806", "#f1a340", "#998ec3", "#7fa8d9", "#0b5cad"]
    colour = {"field": "line", "type": "nominal", "sort": lines, "title": None,
              "scale": {"domain": lines, "range": [*shades, "var(--ink)"]}, "legend": {"columns": 3}}  # fmt: skip
    dash = {"condition": {"test": f"datum.line === '{lines[-1]}'", "value": [5, 3]}, "value": [1, 0]}
    y = {"field": "excess", "type": "quantitative", "title": "beyond the mean", "axis": {"format": "%", "tickCount": 5}}
    tips = [_DAY, *(_tip(name, f"group {name}" if name[0].isdigit() else name, ".1%") for name in lines)]
    line = {"mark": "line", "params": [ZOOM], "transform": [{"fold": lines, "as": ["line", "excess"]}],
            "encoding": {"x": _X, "y": y, "color": colour, "strokeDash": dash}}  # fmt: skip
    spec = _framed([line, _hover(tips)], "groups")
    return Chart(anchor, spec, groups_sentence(portfolio), {"groups": summed}, zoom=_zoom(anchor))


def excess_by_group(groups: pl.DataFrame) -> pl.DataFrame:
    """Give each day's return of each score group less the mean over the groups, and the highest less the lowest.

    Parameters
    ----------
    groups : DataFrame
        date, group and return.

    Returns
    -------
    DataFrame
        date, then ``1 lowest``, ``2`` and so on up to ``5 highest``, and ``highest - lowest``.
    """
    if groups.is_empty():
        return pl.DataFrame({"date": []}, schema={"date": pl.Date})
    wide = groups.pivot("group", index="date", values="return").sort("date")
    numbers = sorted((name for name in wide.columns if name != "date"), key=int)
    names = [f"{numbers[0]} lowest", *numbers[1:-1], f"{numbers[-1]} highest"]
    filled = wide.select("date", pl.col(numbers).fill_null(0.0))
    mean = pl.mean_horizontal(numbers)
    spread = (pl.col(numbers[-1]) - pl.col(numbers[0])).alias("highest - lowest")
    return filled.select(
        "date", *((pl.col(n) - mean).alias(name) for n, name in zip(numbers, names, strict=True)), spread
    )


def groups_sentence(portfolio: GradedPortfolio) -> str:
    """Say what the groups earned a year before costs, whether in the order of their scores, and the spread with its t.

    Parameters
    ----------
    portfolio : GradedPortfolio
        With score groups.

    Returns
    -------
    str
    """
    days = 365 if portfolio.asset_class == "crypto" else 252
    means = portfolio.groups.group_by("group").agg(pl.col("return").mean()).sort("group")["return"] * days
    steps = int((means.diff() > 0).sum())
    order = "all steps up" if steps == len(means) - 1 else f"{steps} of {len(means) - 1} steps up"
    spread = excess_by_group(portfolio.groups)["highest - lowest"].to_numpy()
    found = newey_west(spread, _LAG)
    earned = ", ".join(percent(each) for each in means)
    return (
        f"By score, lowest to highest, the names earned {earned} a year before costs ({order}); highest less lowest "
        f"{percent((found.mean or 0.0) * days)}, t {two_decimals(found.t)}."
    )


def holdings_chart(anchor: str, portfolio: GradedPortfolio) -> Chart | None:
    """Chart one of exposures, number of names and turnover, which the reader chooses.

    Parameters
    ----------
    anchor : str
        Id of the chart.
    portfolio : GradedPortfolio

    Returns
    -------
    Chart or None
        None where the days hold none of them.
    """
    daily = portfolio.held
    known = [name for name in HELD if name in daily.columns]
    if daily.height < 2 or not known:
        return None
    table = daily.select("date", *known).sort("date")
    if "turnover" in known:
        days = 365 if portfolio.asset_class == "crypto" else 252
        table = table.with_columns(pl.col("turnover").rolling_mean(_MONTHS, min_samples=1) * days)
    titled = thinned(table).select(
        "date", *(pl.col(name).cast(pl.Float64).round(4).alias(HELD[name]) for name in known)
    )
    options = [HELD[name] for name in known]
    chosen = {"name": "measure", "value": options[0], "bind": {"input": "select", "options": options, "name": "show "}}
    y = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}, "axis": {"tickCount": 5}}
    line = {"mark": {"type": "line", "color": "var(--observed)"}, "params": [ZOOM], "encoding": {"x": _X, "y": y}}
    hover = _hover([_DAY, _tip("value", "value", ".3f")])
    spec = _framed([line, hover], "held") | {
        "transform": [{"fold": options, "as": ["measure", "value"]}, {"filter": "datum.measure === measure"}]
    }
    spec["params"] = [chosen]
    row = portfolio.row
    shown = (
        f"Exposures and turnover of {portfolio.title}: gross {two_decimals(row['gross_exposure'])}, net "
        f"{two_decimals(row['net_exposure'])}, beta {two_decimals(row['beta'])} on a mean day."
    )
    return Chart(anchor, spec, shown, {"held": titled}, zoom=_zoom(anchor))


def thinned(table: pl.DataFrame) -> pl.DataFrame:
    """Take evenly spaced rows, at most `POINTS` and the last one.

    Parameters
    ----------
    table : DataFrame
    """
    step = -(-table.height // POINTS)
    at = pl.int_range(pl.len())
    return table.filter((at % step == 0) | (at == pl.len() - 1))


def _framed(layers: list[dict[str, Any]], data: str) -> dict[str, Any]:
    return {"width": "container", "height": 190, "data": {"name": data}, "layer": layers}


def _hover(tips: list[dict[str, Any]]) -> dict[str, Any]:
    """A rule at the day nearest to the pointer, with that day's figures."""
    near = {"type": "point", "nearest": True, "on": "pointermove", "clear": "pointerout", "encodings": ["x"]}
    opacity = {"condition": {"param": "hover", "empty": False, "value": 0.6}, "value": 0}
    return {"mark": {"type": "rule", "color": "var(--soft)"}, "params": [{"name": "hover", "select": near}],
            "encoding": {"x": _X, "opacity": opacity, "tooltip": tips}}  # fmt: skip


def _tip(field: str, title: str, form: str) -> dict[str, str]:
    return {"field": field, "type": "quantitative", "title": title, "format": form}


def _zoom(anchor: str) -> str:
    """Charts of one portfolio zoom together."""
    return anchor.rpartition("-")[0]
