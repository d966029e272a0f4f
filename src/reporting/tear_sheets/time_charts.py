"""Charts along time of a tear sheet: equity, drawdown, rolling figures, exposure, costs; they zoom together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from src.reporting.formatting import integer, iso_date, percent, two_decimals
from src.reporting.tear_sheets.chart_parts import (
    BENCHMARK,
    LONG,
    LOSS,
    RUN,
    TIME_ZOOM,
    Spec,
    hover,
    layered,
    level,
    mark,
    named_colour,
    quantity,
    shown,
    time,
    zooming,
)
from src.reporting.tear_sheets.sheet import FloatArray, TearSheet
from src.reporting.vega import Chart

DAYS = "days"
_DAY = {"field": "date", "type": "temporal", "timeUnit": "utcyearmonthdate", "format": "%Y-%m-%d", "title": "day"}
_GROUPS = ("var(--luck-line)", "var(--luck)", "var(--baseline)", "var(--clears)", "var(--observed)")


def day_table(sheet: TearSheet) -> pl.DataFrame:
    """Give the columns of ``sheet.days`` that charts draw, with costs added up.

    Parameters
    ----------
    sheet : TearSheet
    """
    days = sheet.days.with_columns(costs=pl.col("cost").cum_sum())
    drawn = ["date", "net", "position", "costs", "equity", "always_long", "benchmark", "drawdown",
             "rolling_sharpe", "rolling_auc", "gross_exposure", "net_exposure", "names"]  # fmt: skip
    return days.select(name for name in drawn if name in days.columns and days[name].null_count() < days.height)


def equity_charts(sheet: TearSheet) -> tuple[Chart, Chart]:
    """Draw the equity beside always-long and the benchmark, on a linear and on a logarithmic scale.

    Parameters
    ----------
    sheet : TearSheet

    Returns
    -------
    (Chart, Chart)
    """
    series = _series(sheet)
    lines = [(field, name) for field, name, _ in series]
    ends = ", ".join(f"{name} {two_decimals(_known(sheet.days, field)[-1])}" for field, name in lines)
    alternative = f"Equity from {iso_date(sheet.first)} to {iso_date(sheet.last)}, starting at 1. At the end: {ends}."
    tooltip = [_DAY, *(shown(field, name, ".3f") for field, name in lines), shown("net", "day's return", "+.2%")]
    return (
        _over_time("equity", _lines(series, ".2f", {"zero": False}), tooltip, alternative, 300),
        _over_time("equity-log", _lines(series, ".2f", {"type": "log", "nice": False}), tooltip, alternative, 300),
    )


def _series(sheet: TearSheet) -> list[tuple[str, str, str]]:
    """Field, name and colour of each equity, the run's own last so that it is drawn on top."""
    all_series = [
        ("benchmark", sheet.benchmark_name, BENCHMARK),
        ("always_long", "always long, same sizing and costs", LONG),
        ("equity", "this run, net", RUN),
    ]
    days = sheet.days
    return [each for each in all_series if each[0] in days.columns and days[each[0]].null_count() < days.height]


def _lines(series: Sequence[tuple[str, str, str]], form: str, scale: Spec) -> list[Spec]:
    names, colours = [name for _, name, _ in series], [colour for *_, colour in series]
    return [
        mark(
            "line", DAYS,
            {"x": time(), "y": quantity(field, form, scale=scale), "color": named_colour(name, names, colours)},
            strokeWidth=2 if field == "equity" else 1.25,
        )
        for field, name, _ in series
    ]  # fmt: skip


def drawdown_chart(sheet: TearSheet) -> Chart:
    """Draw how far the equity is below its peak, with the worst falls shaded.

    Parameters
    ----------
    sheet : TearSheet
    """
    worst = sheet.drawdowns.select(
        date=_milliseconds("start"), until=_milliseconds(pl.col("end").fill_null(sheet.last)),
        depth="depth", days="days",
        ended=pl.col("end").dt.to_string("%Y-%m-%d").fill_null("not made good yet"),
        began=pl.col("start").dt.to_string("%Y-%m-%d"),
    )  # fmt: skip
    tooltip = [shown("began", "from peak"), shown("ended", "made good"), shown("depth", "depth", ".1%"),
               shown("days", "days", "d")]  # fmt: skip
    x2 = {"field": "until"}
    shades = mark("rect", "worst", {"x": time(), "x2": x2, "color": {"value": LOSS}, "tooltip": tooltip}, opacity=0.45)
    area = mark("area", DAYS, {"x": time(), "y": quantity("drawdown", ".0%"), "color": {"value": RUN}}, opacity=0.55)
    depths = "; ".join(f"{percent(row['depth'])} from {row['began']}" for row in worst.iter_rows(named=True))
    alternative = f"Drawdown of the net equity. The worst: {depths}." if depths else "The equity has no drawdown."
    hovered = hover(DAYS, [_DAY, shown("drawdown", "below peak", ".1%")])
    chart = _over_time("drawdown", [area], [], alternative, 170, {"worst": worst})
    return _with_layers(chart, [shades, zooming(area), hovered])


def rolling_charts(sheet: TearSheet, thresholds: dict[str, float]) -> list[Chart]:
    """Draw Sharpe ratio and AUC of the last year, day by day, beside their thresholds.

    Parameters
    ----------
    sheet : TearSheet
    thresholds : dict of str to float
        By metric.
    """
    charts = []
    for field, name, form, neutral in (
        ("rolling_sharpe", "Sharpe ratio", ".2f", 0.0), ("rolling_auc", "AUC", ".3f", 0.5)
    ):  # fmt: skip
        known = _known(sheet.days, field)
        if not known.size:
            continue
        limit = thresholds.get(field.removeprefix("rolling_"))
        levels = [level(neutral, f"no skill: {neutral:g}")]
        levels += [] if limit is None else [level(limit, f"threshold {limit:g}")]
        above = (
            "" if limit is None else f"; at or above the threshold on {percent(float((known >= limit).mean()))} of days"
        )
        alternative = f"{name} of the last year: {known.min():.2f} to {known.max():.2f}{above}."
        line = mark("line", DAYS, {"x": time(), "y": quantity(field, form[:-2] + "2f", scale={"zero": False}),
                                   "color": {"value": RUN}})  # fmt: skip
        chart = _over_time(field.replace("_", "-"), [line], [_DAY, shown(field, name, form)], alternative, 150)
        charts.append(_with_layers(chart, [*levels, *chart.spec["layer"]]))
    return charts


def exposure_charts(sheet: TearSheet) -> list[Chart]:
    """Draw the exposure, and what trading has cost so far.

    Parameters
    ----------
    sheet : TearSheet
    """
    days = sheet.days
    tooltip = [_DAY, shown("position", "exposure", ".1%")]
    area = mark("area", DAYS, {"x": time(), "y": quantity("position", ".0%"), "color": {"value": RUN}},
                interpolate="step-after", opacity=0.5)  # fmt: skip
    layers = [area]
    if "gross_exposure" in days.columns:
        series = [("gross_exposure", "gross", LONG), ("net_exposure", "net", RUN)]
        layers = _lines(series, ".0%", {})
        tooltip = [_DAY, shown("gross_exposure", "gross", ".1%"), shown("net_exposure", "net", ".1%"),
                   shown("names", "names", "d")]  # fmt: skip
    held = abs(_known(days, "position"))
    alternative = f"Exposure as a share of equity: {percent(held.mean())} on average, {percent(held.max())} at most."
    spent = mark("line", DAYS, {"x": time(), "y": quantity("costs", ".1%"), "color": {"value": BENCHMARK}})
    costs = f"Costs added up: {percent(float(_known(days, 'cost').sum()))} of equity over {integer(days.height)} days."
    return [
        _over_time("exposure", layers, tooltip, alternative, 150),
        _over_time("costs-so-far", [spent], [_DAY, shown("costs", "costs so far", ".2%")], costs, 150),
    ]


def information_chart(sheet: TearSheet) -> Chart:
    """Draw the rank correlation of scores and returns, day by day, and its mean of a year.

    Parameters
    ----------
    sheet : TearSheet
        Of a portfolio.
    """
    table = sheet.information.rename({"ic": "rank_ic"})
    dots = mark("point", "information", {"x": time(), "y": quantity("rank_ic", ".2f"), "color": {"value": LONG}},
                filled=True, size=6, opacity=0.5)  # fmt: skip
    line = mark("line", "information", {"x": time(), "y": quantity("ic_mean", ".2f"), "color": {"value": RUN}})
    lines = [_DAY, shown("rank_ic", "rank IC", ".3f"), shown("ic_mean", "mean of a year", ".3f")]
    alternative = (
        f"Rank correlation of scores with the returns that followed: {_known(table, 'rank_ic').mean():.3f} on average."
    )
    spec = layered([level(0, "no skill: 0"), dots, zooming(line), hover("information", lines)], 200)
    return Chart("information", spec, alternative, shared=("information",), zoom=TIME_ZOOM)


def group_table(sheet: TearSheet) -> pl.DataFrame:
    """Give the equities of the groups of scores, one column a group.

    Parameters
    ----------
    sheet : TearSheet
        Of a portfolio.
    """
    wide = sheet.score_groups.with_columns(group=pl.format("group_{}", "group"))
    return wide.pivot("group", index="date", values="equity").sort("date")


def group_chart(sheet: TearSheet) -> Chart:
    """Draw the equity of the names in each group of scores, before costs.

    Parameters
    ----------
    sheet : TearSheet
        Of a portfolio.
    """
    groups = [column for column in group_table(sheet).columns if column != "date"]
    names = [f"group {column.removeprefix('group_')}" for column in groups]
    names[0], names[-1] = f"{names[0]}, lowest scores", f"{names[-1]}, highest scores"
    colours = [_GROUPS[round(i * (len(_GROUPS) - 1) / max(1, len(groups) - 1))] for i in range(len(groups))]
    series = list(zip(groups, names, colours, strict=True))
    lines = _lines(series, ".2f", {"zero": False})
    for layer in lines:
        layer["data"] = {"name": "groups"}
    tooltip = [_DAY, *(shown(column, name, ".3f") for column, name in zip(groups, names, strict=True))]
    last = group_table(sheet).tail(1).select(groups).row(0)
    ends = ", ".join(f"{name} {two_decimals(end)}" for name, end in zip(names, last, strict=True))
    spec = layered([*lines[:-1], zooming(lines[-1]), hover("groups", tooltip)], 260)
    alternative = f"Equity of each group of scores before costs, starting at 1. At the end: {ends}."
    return Chart("groups", spec, alternative, shared=("groups",), zoom=TIME_ZOOM)


def _milliseconds(day: str | pl.Expr) -> pl.Expr:
    """Days as charts in universal time take them."""
    column = pl.col(day) if isinstance(day, str) else day
    return column.cast(pl.Datetime("ms")).cast(pl.Int64)


def _known(table: pl.DataFrame, column: str) -> FloatArray:
    """Values of a column that are defined; none where there is no such column."""
    return table[column].drop_nulls().to_numpy() if column in table.columns else np.empty(0)


def _over_time(
    name: str, layers: list[Spec], tooltip: list[Spec], alternative: str, height: int,
    tables: dict[str, pl.DataFrame] | None = None,
) -> Chart:  # fmt: skip
    drawn = [*layers[:-1], zooming(layers[-1]), *([hover(DAYS, tooltip)] if tooltip else [])]
    return Chart(name, layered(drawn, height), alternative, tables or {}, shared=(DAYS,), zoom=TIME_ZOOM)


def _with_layers(chart: Chart, layers: list[Spec]) -> Chart:
    spec = {**chart.spec, "layer": layers}
    return Chart(chart.name, spec, chart.alternative, chart.tables, chart.shared, chart.zoom)
