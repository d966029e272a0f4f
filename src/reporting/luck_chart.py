"""Charts of passes against luck: the large one at the top of the page, and one with a line for each group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from src.core.arrays import IntArray
from src.reporting.formatting import about, counted, expected_count, integer, percent
from src.reporting.report_data import Group, Luck
from src.reporting.vega import Chart

_MOST_BARS = 40
_RUNS = "runs that pass"


def luck_chart(luck: Luck, draws: IntArray) -> Chart:
    """Draw the passes beside the distribution of passes that luck alone gives.

    Parameters
    ----------
    luck : Luck
        Of all runs.
    draws : int64, shape (n,)
        Runs that pass at each of the session's common shifts, without any skill; may be empty.

    Returns
    -------
    Chart
        A bar for each number of lucky passes, in full colour within the 90% range; a line for what was expected, and
        one for what was seen.
    """
    bins = luck_bins(luck, draws)
    labels = pl.DataFrame({"passes": [luck.passes], "expected": [luck.expected], "seen": [seen_label(luck)]})
    labels = labels.with_columns(pl.col("expected").cast(pl.Float64), luck=pl.lit(expected_label(luck)))
    end = max([axis_end([luck]), *bins["to"].to_list()])
    x = {"type": "quantitative", "scale": {"domain": [min([0.0, *bins["from"].to_list()]), end], "nice": False}}
    layers = [_bars(x, draws.size, max([1, *bins["draws"].to_list()])), *_expected(luck, x, end), *_seen(luck, x, end)]
    spec = {"width": "container", "height": 210, "padding": {"top": 4}, "data": {"name": "labels"}, "layer": layers}
    return Chart("luck-chart", spec, luck_label(luck), {"luck": bins, "labels": labels})


def luck_bins(luck: Luck, draws: IntArray) -> pl.DataFrame:
    """Count the draws by their number of passes.

    Parameters
    ----------
    luck : Luck
        Its range says which bins are usual.
    draws : int64, shape (n,)

    Returns
    -------
    DataFrame
        from, to (edges, half a pass beside whole ones), passes (text), draws, usual.
    """
    schema = {"from": pl.Float64, "to": pl.Float64, "passes": pl.String, "draws": pl.Int64, "usual": pl.Boolean}
    if not draws.size:
        return pl.DataFrame(schema=schema)
    width = -(-(int(draws.max()) + 1) // _MOST_BARS)
    counted_draws = pl.Series("first", draws // width * width).value_counts(name="draws").sort("first")
    first, last = pl.col("first"), pl.col("first") + width - 1
    low, high = luck.low or 0.0, luck.high if luck.high is not None else float(draws.max())
    several = pl.format("{} to {}", first, last) if width > 1 else first.cast(pl.String)
    return counted_draws.select(
        (first - 0.5).alias("from"),
        (last + 0.5).alias("to"),
        several.alias("passes"),
        pl.col("draws").cast(pl.Int64),
        ((last >= low) & (first <= high)).alias("usual"),
    ).cast(schema)  # type: ignore[arg-type]


def groups_chart(groups: Sequence[Group]) -> Chart:
    """Draw the passes of each group beside its range of luck.

    Parameters
    ----------
    groups : sequence of Group

    Returns
    -------
    Chart
        A line a group: band, expectation and what was seen.
    """
    table = group_table(groups)
    tooltip = [
        {"field": "group", "title": "group"}, {"field": "seen", "title": "passed"},
        {"field": "expected_text", "title": "by luck"}, {"field": "range", "title": "90% range"},
        {"field": "runs", "title": "runs", "format": ","}, {"field": "rate", "title": "pass rate"},
    ]  # fmt: skip
    y = {
        "field": "group",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelFontWeight": 600, "ticks": False, "domain": False, "labelPadding": 10},
    }
    x = {"type": "quantitative", "title": _RUNS, "axis": {"tickCount": 5, "tickMinStep": 1}}
    layers = [
        {"mark": {"type": "bar", "height": 14, "cornerRadius": 3, "color": "var(--luck)"},
         "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}}},
        {"mark": {"type": "tick", "thickness": 2, "size": 20, "color": "var(--luck-line)"},
         "encoding": {"x": {**x, "field": "expected"}}},
        {"mark": {"type": "point", "filled": True, "size": 110, "opacity": 1, "color": "var(--observed)"},
         "encoding": {"x": {**x, "field": "passes"}}},
    ]  # fmt: skip
    spec = {
        "width": "container", "height": 28 * len(groups), "data": {"name": "groups"},
        "encoding": {"y": y, "tooltip": tooltip}, "layer": layers,
    }  # fmt: skip
    described = "; ".join(f"{each.name}: {luck_label(each.luck)}" for each in groups)
    return Chart("groups-chart", spec, described, {"groups": table})


def group_table(groups: Sequence[Group]) -> pl.DataFrame:
    """Tabulate groups for `groups_chart`.

    Parameters
    ----------
    groups : sequence of Group

    Returns
    -------
    DataFrame
        group, runs, passes, expected, low, high, and texts for hovering.
    """
    rows = [
        {
            "group": each.name, "runs": each.runs, "passes": each.luck.passes, "expected": each.luck.expected,
            "low": each.luck.low, "high": each.luck.high, "seen": integer(each.luck.passes),
            "expected_text": expected_count(each.luck.expected), "rate": percent(each.pass_rate),
            "range": f"{integer(each.luck.low)} to {integer(each.luck.high)}",
        }
        for each in groups
    ]  # fmt: skip
    numbers = dict.fromkeys(("expected", "low", "high"), pl.Float64)
    return pl.DataFrame(rows, schema_overrides=numbers)


def axis_end(lucks: Sequence[Luck]) -> float:
    """Give the right end of an axis that starts at zero.

    Parameters
    ----------
    lucks : sequence of Luck
        What the axis shows.

    Returns
    -------
    float
        Large enough for all passes and ranges of luck; at least 4.
    """
    ends = [value for luck in lucks for value in (luck.passes, luck.expected, luck.high) if value is not None]
    return max([4.0, *(1.08 * end for end in ends)])


def luck_label(luck: Luck) -> str:
    """Describe passes against luck in text.

    Returns
    -------
    str
        ``57 runs passed; luck alone gives about 31 (90% range 12 to 66)``.
    """
    passed = f"{counted(luck.passes, 'run')} passed"
    if luck.expected is None:
        return f"{passed}; the number that luck alone gives is not computed"
    span = "" if luck.low is None or luck.high is None else f" (90% range {integer(luck.low)} to {integer(luck.high)})"
    return f"{passed}; luck alone gives {about(luck.expected)}{span}"


def seen_label(luck: Luck) -> str:
    """Name what was seen: ``57 runs passed``."""
    return f"{counted(luck.passes, 'run')} passed"


def expected_label(luck: Luck) -> str:
    """Name what luck alone gives: ``luck alone: about 31 (12 to 66)``."""
    if luck.expected is None:
        return "luck not computed"
    span = "" if luck.low is None or luck.high is None else f" ({integer(luck.low)} to {integer(luck.high)})"
    return f"luck alone: {about(luck.expected)}{span}"


def _bars(x: dict[str, Any], draws: int, most: int) -> dict[str, Any]:
    axis = {"grid": False, "tickMinStep": 1, "tickCount": 10, "format": ",d"}
    return {
        "data": {"name": "luck"},
        "mark": {"type": "bar", "binSpacing": 1},
        "encoding": {
            "x": {**x, "field": "from", "bin": "binned", "title": _RUNS, "axis": axis},
            "x2": {"field": "to"},
            "y": {
                "field": "draws", "type": "quantitative",
                "title": f"of {draws:,} draws without skill" if draws else None,
                "axis": {"tickCount": 3, "tickMinStep": 1, "domain": False} if draws else None,
                "scale": {"domainMin": 0, "domainMax": 1.25 * most, "nice": False},
            },
            "color": {"condition": {"test": "datum.usual", "value": "var(--luck)"}, "value": "var(--luck-tail)"},
            "tooltip": [{"field": "passes", "title": "passes by luck"}, {"field": "draws", "title": "draws"}],
        },
    }  # fmt: skip


def _expected(luck: Luck, x: dict[str, Any], end: float) -> list[dict[str, Any]]:
    """A dashed line with its label at what luck gives on average."""
    if luck.expected is None:
        return []
    at = {"x": {**x, "field": "expected"}, "tooltip": {"field": "luck"}}
    share = luck.expected / end
    to_left = share > (0.3 if luck.passes > luck.expected else 0.7)
    line = {"type": "rule", "color": "var(--luck-line)", "size": 2, "strokeDash": [4, 3], "y": 20, "y2": "height"}
    return [
        {"mark": line, "encoding": at},
        {"mark": _text(to_left, "var(--luck-line)", 20, 12), "encoding": {**at, "text": {"field": "luck"}}},
    ]  # fmt: skip


def _seen(luck: Luck, x: dict[str, Any], end: float) -> list[dict[str, Any]]:
    """A line with a dot and its label at what was seen."""
    at = {"x": {**x, "field": "passes"}, "tooltip": {"field": "seen"}}
    line = {"type": "rule", "color": "var(--observed)", "size": 2.5, "y": 4, "y2": "height"}
    dot = {"type": "point", "filled": True, "size": 130, "opacity": 1, "color": "var(--observed)", "y": "height"}
    return [
        {"mark": line, "encoding": at},
        {"mark": dot, "encoding": at},
        {"mark": _text(luck.passes / end > 0.7, "var(--observed)", 2, 14),
         "encoding": {**at, "text": {"field": "seen"}}},
    ]  # fmt: skip


def _text(to_left: bool, colour: str, y: int, size: int) -> dict[str, Any]:
    """A label beside a line."""
    side = {"align": "right", "dx": -7} if to_left else {"align": "left", "dx": 7}
    return {"type": "text", "fill": colour, "y": y, "fontSize": size, "fontWeight": 600, "baseline": "top", **side}
