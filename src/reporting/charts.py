"""Charts of the page: distributions of metrics, z-values, and what became of the instruments.

Specifications name colours as page.css does: `observed` is what was measured, `luck` what luck alone gives, `clears`
the runs that clear a threshold, `misses` those that don't.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from src.reporting.binning import Distribution
from src.reporting.formatting import METRIC_FORMATS, threshold_value
from src.reporting.report_data import STATES, Threshold
from src.reporting.vega import Chart

Z_WIDTH, Z_SPAN = 0.25, 4.0
_COUNT_AXIS = {"tickCount": 3, "tickMinStep": 1, "domain": False, "ticks": False}
_STATE_COLOURS = {"done": "clears", "skipped": "misses", "quarantined": "luck", "failed": "luck-line"}


def histogram(shape: Distribution) -> Chart:
    """Draw the distribution of a metric over runs, its threshold, and within it the runs that pass.

    Parameters
    ----------
    shape : Distribution
        Of one metric.

    Returns
    -------
    Chart
        A bar's colour says on which side of the threshold it lies; no bin straddles the threshold.
    """
    threshold = shape.threshold
    ends = {"domain": [float(shape.edges[0]), float(shape.edges[-1])], "nice": False}
    form = ".0%" if METRIC_FORMATS[threshold.metric](0.5).endswith("%") else "~r"
    x = {"type": "quantitative", "scale": ends, "title": None, "axis": {"format": form, "tickCount": 5, "grid": False}}
    y = {"type": "quantitative", "title": "runs", "axis": _COUNT_AXIS}
    tooltip = [
        {"field": "values", "title": threshold.name}, {"field": "runs", "title": "runs", "format": ","},
        {"field": "passed", "title": "clear all four", "format": ","},
    ]  # fmt: skip
    colour = {"condition": {"test": "datum.clears", "value": "var(--clears)"}, "value": "var(--misses)"}
    bar = {"x": {**x, "field": "from", "bin": "binned"}, "x2": {"field": "to"}, "tooltip": tooltip}
    mark = {"type": "bar", "binSpacing": 0.5}
    at_limit = {"data": {"values": [{}]}, "encoding": {"x": {"datum": threshold.limit, **x}}}
    label = {
        "type": "text",
        "align": "left",
        "dx": 4,
        "y": 0,
        "baseline": "top",
        "fontWeight": 600,
        "fill": "var(--ink)",
    }
    layers = [
        {"mark": mark, "encoding": {**bar, "y": {**y, "field": "runs"}, "color": colour}},
        {"mark": {**mark, "color": "var(--observed)"}, "encoding": {**bar, "y": {**y, "field": "passed"}}},
        {"mark": {"type": "rule", "color": "var(--ink)"}, **at_limit},
        {"mark": {**label, "text": limit_text(threshold)}, **at_limit},
    ]  # fmt: skip
    spec = {"width": "container", "height": 130, "data": {"name": "bins"}, "layer": layers}
    described = f"Distribution of {threshold.name} over runs, threshold {limit_text(threshold)}"
    return Chart(f"metric-{threshold.metric}", spec, described, {"bins": histogram_table(shape)})


def histogram_table(shape: Distribution) -> pl.DataFrame:
    """Tabulate the bins that have runs, for `histogram`.

    Parameters
    ----------
    shape : Distribution

    Returns
    -------
    DataFrame
        from, to, values (text), runs, passed, clears.
    """
    threshold, formatted = shape.threshold, METRIC_FORMATS[shape.threshold.metric]
    left, right = shape.edges[:-1], shape.edges[1:]
    middle = (left + right) / 2
    clears = middle >= threshold.limit if threshold.at_least else middle <= threshold.limit
    values = [f"{formatted(low)} to {formatted(high)}" for low, high in zip(left.tolist(), right.tolist(), strict=True)]
    values[0], values[-1] = f"{formatted(float(right[0]))} or less", f"{formatted(float(left[-1]))} or more"
    columns = {
        "from": left.round(9),
        "to": right.round(9),
        "values": values,
        "runs": shape.runs,
        "passed": shape.passed,
    }
    return pl.DataFrame({**columns, "clears": clears}).filter(pl.col("runs") > 0)


def limit_text(threshold: Threshold) -> str:
    """Write a threshold with its side: ``≥ 0.52``."""
    return f"{'≥' if threshold.at_least else '≤'} {threshold_value(threshold.metric, threshold.limit)}"


def z_histogram(z: Sequence[float]) -> Chart:
    """Draw the z-values of the runs' AUCs with the normal curve that they follow without skill.

    Parameters
    ----------
    z : sequence of float
        One finite value per run; values beyond `Z_SPAN` are counted in the outermost bars.

    Returns
    -------
    Chart
    """
    bins = round(2 * Z_SPAN / Z_WIDTH)
    index = np.clip(np.floor((np.asarray(z, dtype=np.float64) + Z_SPAN) / Z_WIDTH), 0, bins - 1).astype(np.int64)
    left = -Z_SPAN + Z_WIDTH * np.arange(bins)
    at = np.linspace(-Z_SPAN, Z_SPAN, 97)
    normal = len(z) * Z_WIDTH / math.sqrt(2 * math.pi) * np.exp(-at * at / 2)
    counts = pl.DataFrame({"from": left, "to": left + Z_WIDTH, "runs": np.bincount(index, minlength=bins)})
    tables = {"bins": counts.filter(pl.col("runs") > 0), "normal": pl.DataFrame({"z": at, "runs": normal.round(4)})}
    x = {
        "type": "quantitative",
        "scale": {"domain": [-Z_SPAN, Z_SPAN]},
        "title": "z of the AUC",
        "axis": {"grid": False, "tickCount": 9},
    }
    y = {"field": "runs", "type": "quantitative", "title": "runs", "axis": _COUNT_AXIS}
    tooltip = [
        {"field": "from", "title": "z from", "format": ".2f"},
        {"field": "to", "format": ".2f"},
        {"field": "runs", "format": ","},
    ]
    luck = {"title": "runs by luck alone", "field": "runs", "format": ",.1f"}
    layers = [
        {"data": {"name": "bins"}, "mark": {"type": "bar", "binSpacing": 1, "color": "var(--clears)"},
         "encoding": {"x": {**x, "field": "from", "bin": "binned"}, "x2": {"field": "to"}, "y": y, "tooltip": tooltip}},
        {"data": {"name": "normal"}, "mark": {"type": "line", "color": "var(--luck-line)"},
         "encoding": {"x": {**x, "field": "z"}, "y": y, "tooltip": [{"field": "z", "format": ".2f"}, luck]}},
    ]  # fmt: skip
    described = f"z-values of {len(z):,} runs with the standard normal curve that luck alone gives"
    return Chart("z-chart", {"width": "container", "height": 200, "layer": layers}, described, tables)


def states_chart(counts: Mapping[str, Mapping[str, int]]) -> Chart:
    """Draw how many instruments are in each state after each stage.

    Parameters
    ----------
    counts : mapping of str to mapping
        By stage in their order, then by state.

    Returns
    -------
    Chart
    """
    rows = [
        {"stage": stage, "state": state, "order": k, "instruments": of.get(state, 0)}
        for stage, of in counts.items()
        for k, state in enumerate(STATES)
    ]
    table = pl.DataFrame(rows).filter(pl.col("instruments") > 0)
    colours = [f"var(--{_STATE_COLOURS[state]})" for state in STATES]
    y_axis, x_axis = {"ticks": False, "domain": False, "labelPadding": 8}, {"tickCount": 5, "tickMinStep": 1}
    scale = {"domain": list(STATES), "range": colours}
    encoding = {
        "y": {"field": "stage", "type": "nominal", "sort": None, "title": None, "axis": y_axis},
        "x": {"field": "instruments", "type": "quantitative", "title": "instruments", "axis": x_axis},
        "color": {"field": "state", "type": "nominal", "scale": scale, "title": None},
        "order": {"field": "order"},
        "tooltip": [{"field": "stage"}, {"field": "state"}, {"field": "instruments", "format": ","}],
    }  # fmt: skip
    mark = {"type": "bar", "height": 16}
    spec = {
        "width": "container",
        "height": 30 * len(counts),
        "data": {"name": "states"},
        "mark": mark,
        "encoding": encoding,
    }
    described = "; ".join(
        f"{stage}: {', '.join(f'{n:,} {state}' for state, n in of.items() if n and state in STATES)}"
        for stage, of in counts.items()
    )
    return Chart("states-chart", spec, described, {"states": table})
