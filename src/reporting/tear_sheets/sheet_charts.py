"""Charts of a tear sheet that are not along time: months, years, folds, returns, calibration, features, luck."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.reporting.formatting import counted, iso_date, percent, three_decimals, two_decimals
from src.reporting.tear_sheets.chart_parts import (
    BENCHMARK,
    GAIN,
    INK,
    LONG,
    LOSS,
    RUN,
    SOFT,
    Spec,
    layered,
    level,
    mark,
    quantity,
    shown,
)
from src.reporting.tear_sheets.sheet import FloatArray, TearSheet
from src.reporting.vega import Chart

FEATURES, POINTS = 12, 120  # that the summary of contributions draws
_MONTHS = "['J','F','M','A','M','J','J','A','S','O','N','D'][datum.value - 1]"
_BINS = 40


def month_chart(sheet: TearSheet) -> Chart:
    """Draw the return of each month as a table of colours.

    Parameters
    ----------
    sheet : TearSheet
    """
    table = sheet.months.with_columns(percents=100 * pl.col("net"))
    reach = max(float(table["net"].abs().fill_nan(None).max() or 0), 1e-6)  # type: ignore[arg-type]
    months = list(range(1, 13))
    place: Spec = {
        "x": {"field": "month", "type": "ordinal", "title": None, "scale": {"domain": months},
              "axis": {"labelExpr": _MONTHS, "labelAngle": 0, "orient": "top", "domain": False, "ticks": False}},
        "y": {"field": "year", "type": "ordinal", "title": None, "axis": {"domain": False, "ticks": False}},
    }  # fmt: skip
    scale = {"domain": [-reach, 0, reach], "range": [BENCHMARK, "var(--raised)", RUN], "interpolate": "rgb"}
    tooltip = [shown("year", "year"), shown("month", "month"), shown("net", "net return", "+.2%")]
    cells = mark("rect", "months", {**place, "color": {"field": "net", "type": "quantitative", "scale": scale,
                 "legend": None}, "tooltip": tooltip}, cornerRadius=2, fillOpacity=0.6)  # fmt: skip
    text = mark("text", "months", {**place, "text": {"field": "percents", "type": "quantitative", "format": ".1f"},
                "color": {"value": INK}, "tooltip": tooltip}, fontSize={"expr": "width < 480 ? 7.5 : 11"})  # fmt: skip
    best, worst = table.sort("net").tail(1).row(0, named=True), table.sort("net").row(0, named=True)
    alternative = (
        f"Net return of each month. Best {best['year']}-{best['month']:02d} with {percent(best['net'])}, "
        f"worst {worst['year']}-{worst['month']:02d} with {percent(worst['net'])}."
    )
    spec = layered([cells, text], 26 * table["year"].n_unique() + 24)
    return Chart("months", spec, alternative, {"months": table})


def year_chart(sheet: TearSheet) -> Chart:
    """Draw the return of each year beside always-long and the benchmark.

    Parameters
    ----------
    sheet : TearSheet
    """
    names = {"net": "this run, net", "always_long": "always long", "benchmark": "benchmark"}
    columns = [name for name in names if sheet.years[name].null_count() < sheet.years.height]
    colours = {"net": RUN, "always_long": LONG, "benchmark": BENCHMARK}
    table = sheet.years.unpivot(columns, index=["year", "days"], variable_name="of", value_name="earned")
    table = table.with_columns(of=pl.col("of").replace_strict(names))
    shown_names = [names[column] for column in columns]
    colour = {"field": "of", "type": "nominal", "sort": shown_names,
              "scale": {"domain": shown_names, "range": [colours[column] for column in columns]}}  # fmt: skip
    tooltip = [shown("year", "year"), shown("of", "of"), shown("earned", "return", "+.1%"), shown("days", "days", "d")]
    encoding: Spec = {
        "x": {"field": "year", "type": "ordinal", "title": None, "axis": {"labelAngle": 0}},
        "xOffset": {"field": "of", "sort": shown_names},
        "y": quantity("earned", ".0%"), "color": colour, "tooltip": tooltip,
    }  # fmt: skip
    years = "; ".join(f"{row['year']} {percent(row['net'])}" for row in sheet.years.iter_rows(named=True))
    spec = layered([mark("bar", "years", encoding)], 220)
    return Chart("years", spec, f"Net return of each year: {years}.", {"years": table})


def fold_charts(sheet: TearSheet, thresholds: dict[str, float]) -> list[Chart]:
    """Draw AUC and Sharpe ratio of each fold beside their thresholds.

    Parameters
    ----------
    sheet : TearSheet
    thresholds : dict of str to float
        By metric.
    """
    table = sheet.folds.with_columns(
        span=pl.format("{} to {}", pl.col("first").cast(pl.String), pl.col("last").cast(pl.String)),
        begins=pl.col("first").dt.to_string("%Y-%m"),
    ).drop("first", "last")
    tooltip = [shown("span", "days"), shown("auc", "AUC", ".3f"), shown("accuracy", "accuracy", ".1%"),
               shown("sharpe", "Sharpe", ".2f"), shown("net", "net return", "+.1%")]  # fmt: skip
    charts = []
    for metric, name, form, neutral in (("auc", "AUC", ".2f", 0.5), ("sharpe", "Sharpe ratio", ".1f", 0.0)):
        x = {"field": "begins", "type": "ordinal", "title": f"{name} of the fold that begins",
             "axis": {"labelAngle": 0, "labelOverlap": True, "labelSeparation": 8}}  # fmt: skip
        bars = mark("bar", "folds", {"x": x, "y": quantity(metric, form, scale={"zero": False}),
                    "y2": {"datum": neutral}, "color": {"value": RUN}, "tooltip": tooltip}, width={"band": 0.6},
                    clip=False)  # fmt: skip
        limit = thresholds.get(metric)
        levels = [level(neutral, f"no skill: {neutral:g}")]
        levels += [] if limit is None else [level(limit, f"threshold {limit:g}")]
        values = ", ".join(
            two_decimals(value) if metric == "sharpe" else three_decimals(value) for value in table[metric]
        )
        charts.append(Chart(f"folds-{metric}", layered([bars, *levels], 170), f"{name} by fold: {values}.",
                            {"folds": table}))  # fmt: skip
    return charts


def distribution_chart(sheet: TearSheet) -> Chart:
    """Draw the distribution of daily net returns beside a normal law of the same mean and variance.

    Parameters
    ----------
    sheet : TearSheet
    """
    table = sheet.distribution.rename({"from": "low", "to": "high"}).with_columns(
        middle=(pl.col("low") + pl.col("high")) / 2
    )
    tooltip = [shown("low", "from", "+.2%"), shown("high", "to", "+.2%"), shown("days", "days", "d"),
               shown("normal", "normal law", ".1f")]  # fmt: skip
    x = {
        "field": "low",
        "type": "quantitative",
        "bin": "binned",
        "title": "net return of a day",
        "axis": {"format": ".1%", "tickCount": 6},
    }
    y = quantity("days", "d", "days")
    bars = mark("bar", "returns", {"x": x, "x2": {"field": "high"}, "y": y, "color": {"value": GAIN},
                                   "tooltip": tooltip})  # fmt: skip
    line = mark("line", "returns", {"x": {"field": "middle", "type": "quantitative"},
                "y": {"field": "normal", "type": "quantitative"}, "color": {"value": INK}},
                strokeDash=[4, 3], interpolate="monotone")  # fmt: skip
    widest = table.sort("days", descending=True).row(0, named=True) if table.height else {}
    alternative = f"Daily net returns; most often {percent(widest.get('low'))} to {percent(widest.get('high'))}."
    return Chart("returns", layered([bars, line], 220), alternative, {"returns": table})


def calibration_chart(sheet: TearSheet) -> Chart:
    """Draw how often the price rose against the predicted probability, with intervals of 95%.

    Parameters
    ----------
    sheet : TearSheet
    """
    table = sheet.calibration
    tooltip = [shown("predicted", "predicted", ".1%"), shown("observed", "rose", ".1%"), shown("n", "days", "d"),
               shown("low", "95% from", ".1%"), shown("high", "to", ".1%")]  # fmt: skip
    scale = {"zero": False, "padding": 12}
    x = quantity("predicted", ".0%", "predicted probability of a rise", scale=scale)
    bars = mark("rule", "calibration", {"x": x, "y": quantity("low", ".0%", "rose", scale=scale),
                "y2": {"field": "high"}, "color": {"value": LONG}, "tooltip": tooltip}, strokeWidth=2)  # fmt: skip
    dots = mark("point", "calibration", {"x": x, "y": {"field": "observed", "type": "quantitative"},
                "color": {"value": RUN}, "tooltip": tooltip}, filled=True, size=70, opacity=1)  # fmt: skip
    ends = table["predicted"].min(), table["predicted"].max()
    diagonal = pl.DataFrame({"predicted": ends, "observed": ends})
    line = mark("line", "diagonal", {"x": x, "y": {"field": "observed", "type": "quantitative"},
                "color": {"value": SOFT}}, strokeDash=[4, 3])  # fmt: skip
    inside = ((table["low"] <= table["predicted"]) & (table["predicted"] <= table["high"])).sum()
    alternative = (
        f"Calibration: the prediction is inside the 95% interval in {inside} of {counted(table.height, 'bin')}."
    )
    spec = layered([line, bars, dots], 220)
    return Chart("calibration", spec, alternative, {"calibration": table, "diagonal": diagonal})


def contribution_chart(sheet: TearSheet) -> Chart:
    """Draw the mean absolute contribution of each feature to the log-odds, or else its share of the gain.

    Parameters
    ----------
    sheet : TearSheet
    """
    table = sheet.contributions.head(FEATURES)
    field, title = "mean_absolute", "mean |contribution|, log-odds"
    if table[field].null_count() == table.height:
        field, title = "gain", "share of the gain"
    tooltip = [shown("feature", "feature"), shown("mean_absolute", "mean |contribution|", ".4f"),
               shown("direction", "correlation with value", "+.2f"), shown("gain", "share of gain", ".1%")]  # fmt: skip
    y = {"field": "feature", "type": "nominal", "sort": table["feature"].to_list(), "title": None,
         "axis": {"labelLimit": 150, "ticks": False, "domain": False}}  # fmt: skip
    bars = mark("bar", "contributions", {"y": y, "x": quantity(field, "", title),
                "color": {"value": RUN}, "tooltip": tooltip}, height={"band": 0.65})  # fmt: skip
    alternative = f"Features by {title}; the largest are {', '.join(table['feature'].head(3))}."
    return Chart("contributions", layered([bars], 24 * table.height + 40), alternative, {"contributions": table})


def contribution_points(sheet: TearSheet) -> pl.DataFrame:
    """Give the points of `summary_chart`: an even selection of a feature's days, spread where they crowd.

    Parameters
    ----------
    sheet : TearSheet

    Returns
    -------
    DataFrame
        place (of the feature among the largest), offset, value_rank, contribution.
    """
    features = sheet.contributions["feature"].head(FEATURES).to_list()
    parts = []
    for place, feature in enumerate(features):
        points = sheet.contribution_points.filter(pl.col("feature") == feature)
        taken = points.gather_every(max(1, -(-points.height // POINTS))).select("value_rank", "contribution")
        if taken.height:
            offset = crowding(taken["contribution"].to_numpy())
            parts.append(taken.select(pl.lit(place).alias("place"), pl.Series("offset", offset), pl.all()))
    return pl.concat(parts) if parts else pl.DataFrame()


def crowding(values: FloatArray, bins: int = 48) -> FloatArray:
    """Give each point a distance from its line: points of one bin spread out alternately to both sides.

    Parameters
    ----------
    values : float64, shape (n,)
    bins : int
        Over the range of the values.

    Returns
    -------
    float64, shape (n,)
        -0.4 to 0.4; 0 for a point that is alone in its bin.
    """
    low, high = float(values.min()), float(values.max())
    bin_of = np.minimum(((values - low) / ((high - low) or 1.0) * bins).astype(int), bins - 1)
    fullest = int(np.bincount(bin_of).max())
    offset = np.zeros(len(values))
    for each in np.unique(bin_of):
        found = np.flatnonzero(bin_of == each)
        turn = np.arange(len(found))
        offset[found] = np.where(turn % 2, 1, -1) * ((turn + 1) // 2)
    return 0.4 * offset / max(1, (fullest + 1) // 2)


def summary_chart(sheet: TearSheet) -> Chart:
    """Draw each feature's contributions on sampled days, coloured by the feature's value.

    Parameters
    ----------
    sheet : TearSheet
    """
    features = sheet.contributions["feature"].head(FEATURES).to_list()
    labels = pl.DataFrame({"feature": features})
    y: Spec = {
        "field": "height", "type": "quantitative", "title": None,
        "scale": {"domain": [-0.5, len(features) - 0.5], "reverse": True, "nice": False, "zero": False},
        "axis": {"values": list(range(len(features))), "labelExpr": "data('labels')[datum.value].feature",
                 "labelLimit": 150, "labelOverlap": False, "grid": True, "ticks": False, "domain": False},
    }  # fmt: skip
    colour = {"field": "value_rank", "type": "quantitative", "title": "value of the feature",
              "scale": {"domain": [0, 1], "range": [RUN, "var(--rule)", BENCHMARK], "interpolate": "rgb"},
              "legend": {"gradientLength": 120, "gradientThickness": 8, "tickCount": 1, "orient": "top",
                         "title": "feature's value", "labelExpr": "datum.value < 0.5 ? 'low' : 'high'"}}  # fmt: skip
    tooltip = [shown("feature", "feature"), shown("contribution", "contribution", "+.4f"),
               shown("value_rank", "value's rank", ".0%")]  # fmt: skip
    dots = mark("point", "points", {"x": quantity("contribution", "", "contribution on a day, log-odds"), "y": y,
                "color": colour, "tooltip": tooltip}, filled=True, size=14, opacity=0.85)  # fmt: skip
    dots["transform"] = [
        {"calculate": "datum.place + datum.offset", "as": "height"},
        {"calculate": "data('labels')[datum.place].feature", "as": "feature"},
    ]
    hidden = {"data": {"name": "labels"}, "mark": {"type": "point", "opacity": 0}, "encoding": {}}
    spec = layered([hidden, level(0, "no contribution", "x"), dots], 24 * len(features) + 90)
    alternative = f"Contributions on sampled days of the {counted(len(features), 'feature')} that move scores most."
    return Chart("summary", spec, alternative, {"labels": labels}, shared=("points",))


def luck_charts(sheet: TearSheet) -> list[Chart]:
    """Draw AUC and Sharpe ratio of the run's circular shifts, with the graded value.

    Parameters
    ----------
    sheet : TearSheet
        With a luck picture.
    """
    luck = sheet.luck
    if luck is None:
        return []
    pairs = (("auc", "AUC", ".3f", luck.auc, luck.graded_auc),
             ("sharpe", "Sharpe ratio", ".2f", luck.sharpe, luck.graded_sharpe))  # fmt: skip
    return [_shift_chart(*pair) for pair in pairs if np.isfinite(pair[3]).any() and np.isfinite(pair[4])]


def _shift_chart(metric: str, name: str, form: str, shifts: FloatArray, graded: float) -> Chart:
    known = shifts[np.isfinite(shifts)]
    span = float(min(known.min(), graded)), float(max(known.max(), graded))
    counts, edges = np.histogram(known, _BINS, span if span[0] < span[1] else (span[0] - 0.5, span[0] + 0.5))
    reached = float(np.mean(known >= graded))
    table = pl.DataFrame({"low": edges[:-1], "high": edges[1:], "shifts": counts})
    x = {
        "field": "low",
        "type": "quantitative",
        "bin": "binned",
        "title": name,
        "axis": {"format": form, "tickCount": 6},
    }
    tooltip = [shown("low", "from", form), shown("high", "to", form), shown("shifts", "shifts", "d")]
    bars = mark("bar", "shifts", {"x": x, "x2": {"field": "high"}, "y": quantity("shifts", "d", "shifts"),
                "color": {"value": LOSS}, "tooltip": tooltip})  # fmt: skip
    graded_at = {"x": {"datum": graded}, "color": {"value": RUN}}
    rule = {"data": {"values": [{}]}, "encoding": graded_at,
            "mark": {"type": "rule", "strokeWidth": 2.5, "tooltip": f"graded {graded:{form}}"}}  # fmt: skip
    past_middle = graded > (edges[0] + edges[-1]) / 2
    label = {"data": {"values": [{}]}, "encoding": {**graded_at, "y": {"value": 8}},
             "mark": {"type": "text", "text": f"graded {graded:{form}}", "fontWeight": 600,
                      "align": "right" if past_middle else "left", "dx": -6 if past_middle else 6}}  # fmt: skip
    alternative = f"{name} of {counted(known.size, 'shift')}; {percent(reached)} reach the graded {graded:{form}}."
    return Chart(f"luck-{metric}", layered([bars, rule, label], 190), alternative, {"shifts": table})


def period(sheet: TearSheet) -> str:
    """Give the out-of-sample days as text.

    Parameters
    ----------
    sheet : TearSheet
    """
    return f"{iso_date(sheet.first)} to {iso_date(sheet.last)}, {counted(sheet.days.height, 'day')}"
