"""Drawings of the page: distributions of metrics, z-values, equity curves. Each function returns SVG text.

page.css sets the colours by class: `observed` is what was measured, `luck` what luck alone gives, `clears` and `passed`
the runs that clear a threshold and all of them, `baseline` a comparison.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from src.evaluation import metrics
from src.reporting import svg
from src.reporting.binning import Distribution
from src.reporting.formatting import METRIC_FORMATS, counted, iso_date, threshold_value, two_decimals
from src.reporting.report_data import Threshold

Z_WIDTH, Z_SPAN = 0.25, 4.0
CURVE_POINTS = 220
Line = list[tuple[float, float]]


def histogram(shape: Distribution) -> str:
    """Draw the distribution of a metric over runs, its threshold, and within it the runs that pass.

    Parameters
    ----------
    shape : Distribution
        Of one metric.

    Returns
    -------
    str
        SVG. A bar's colour says on which side of the threshold it lies; no bin straddles the threshold.
    """
    width, height, foot = 260.0, 150.0, 120.0
    threshold = shape.threshold
    first, last = float(shape.edges[0]), float(shape.edges[-1])
    x = svg.scale((first, last), (14, width - 14))
    y = svg.scale((0, max(int(shape.runs.max(initial=0)), 1)), (foot, 26))
    ticks = [
        svg.text(threshold_value(threshold.metric, tick), x(tick), foot + 18, "middle", class_="tick")
        for tick in svg.ticks(first, last, 5)
    ]
    axis = svg.element("line", x1=6, x2=width - 6, y1=foot, y2=foot, class_="axis")
    label = f"Distribution of {threshold.name} over runs, threshold {_limit(threshold)}"
    parts = [*_distribution_bars(shape, x, y, foot), axis, *_threshold_mark(threshold, x, width, foot), *ticks]
    return svg.drawing(width, height, label, *parts)


def _distribution_bars(
    shape: Distribution, x: Callable[[float], float], y: Callable[[float], float], foot: float
) -> list[str]:
    """Draw a bar for the runs of each bin, and in it one for those that pass."""
    threshold, formatted = shape.threshold, METRIC_FORMATS[shape.threshold.metric]
    edges: list[float] = shape.edges.tolist()
    bars = []
    for left, right, runs, passed in zip(edges, edges[1:], shape.runs.tolist(), shape.passed.tolist(), strict=False):
        if not runs:
            continue
        middle = (left + right) / 2
        clears = middle >= threshold.limit if threshold.at_least else middle <= threshold.limit
        tooltip = f"{formatted(left)} to {formatted(right)}: {counted(runs, 'run')}, {passed:,} passing"
        box = {"x": x(left) + 0.4, "width": max(x(right) - x(left) - 0.8, 0.6)}
        bars.append(_bar(box, y(runs), foot, "clears" if clears else "misses", tooltip))
        if passed:
            bars.append(_bar(box, y(passed), foot, "passed", tooltip))
    return bars


def _threshold_mark(threshold: Threshold, x: Callable[[float], float], width: float, foot: float) -> list[str]:
    """Draw the threshold as a line with its label."""
    at = x(threshold.limit)
    anchor, offset = ("start", 5) if at < width * 0.6 else ("end", -5)
    return [
        svg.element("line", x1=at, x2=at, y1=12, y2=foot + 4, class_="threshold"),
        svg.text(_limit(threshold), at + offset, 17, anchor, class_="threshold-label"),
    ]


def _limit(threshold: Threshold) -> str:
    return f"{'≥' if threshold.at_least else '≤'} {threshold_value(threshold.metric, threshold.limit)}"


def z_histogram(z: Sequence[float]) -> str:
    """Draw the z-values of the runs' AUCs with the normal curve that they follow without skill.

    Parameters
    ----------
    z : sequence of float
        One finite value per run; values beyond `Z_SPAN` are counted in the outermost bars.

    Returns
    -------
    str
        SVG.
    """
    width, height, foot = 480.0, 210.0, 178.0
    bins = round(2 * Z_SPAN / Z_WIDTH)
    index = np.clip(np.floor((np.asarray(z, dtype=np.float64) + Z_SPAN) / Z_WIDTH), 0, bins - 1).astype(np.int64)
    counts = np.bincount(index, minlength=bins)
    peak = len(z) * Z_WIDTH / math.sqrt(2 * math.pi)  # of the normal curve
    x = svg.scale((-Z_SPAN, Z_SPAN), (4, width - 4))
    y = svg.scale((0, max(int(counts.max(initial=0)), peak) or 1), (foot, 20))
    bars = []
    for k, runs in enumerate(counts.tolist()):
        left = -Z_SPAN + k * Z_WIDTH
        if runs:
            tooltip = f"z {two_decimals(left)} to {two_decimals(left + Z_WIDTH)}: {counted(runs, 'run')}"
            box = {"x": x(left) + 0.5, "width": x(Z_WIDTH) - x(0) - 1}
            bars.append(_bar(box, y(runs), foot, "clears", tooltip))
    curve = [(x(v), y(peak * math.exp(-v * v / 2))) for v in np.linspace(-Z_SPAN, Z_SPAN, 97).tolist()]
    marks = [
        svg.element("line", x1=4, x2=width - 4, y1=foot, y2=foot, class_="axis"),
        svg.element("path", d=svg.path(curve), class_="luck-line"),
        *(svg.text(_z_tick(t), x(t), foot + 18, "middle", class_="tick") for t in range(-3, 4)),
        svg.text("luck alone", x(-1.15), y(peak * math.exp(-0.66)) - 6, "end", class_="luck-label"),
    ]
    label = f"z-values of {counted(len(z), 'run')} with the standard normal curve that luck alone gives"
    return svg.drawing(width, height, label, *bars, *marks)


def equity_curve(curve: pl.DataFrame, name: str) -> str:
    """Draw net equity over time, with always long as the comparison; both start at 1.

    Parameters
    ----------
    curve : DataFrame
        Columns stamp, equity, always_long_equity (may be all null), in order of time; at least one row.
    name : str
        Of the run.

    Returns
    -------
    str
        SVG.
    """
    stamps: list[dt.date] = curve["stamp"].to_list()
    return _two_lines(
        stamps, curve["equity"].to_list(), curve["always_long_equity"].to_list(), equity_label(curve, name)
    )


def net_and_gross(daily: pl.DataFrame, name: str) -> str:
    """Draw the equity of a portfolio net of all costs, with that before costs as the comparison; both start at 1.

    Parameters
    ----------
    daily : DataFrame
        Columns stamp, net and gross (returns of a day), in order of time; at least one row.
    name : str
        Of the portfolio.

    Returns
    -------
    str
        SVG.
    """
    stamps: list[dt.date] = daily["stamp"].to_list()
    net, gross = (metrics.equity(daily[column].to_numpy()).tolist() for column in ("net", "gross"))
    label = (
        f"Equity of {name} from {iso_date(stamps[0])} to {iso_date(stamps[-1])}: 1 became {two_decimals(net[-1])} "
        f"net of costs; {two_decimals(gross[-1])} before costs"
    )
    return _two_lines(stamps, net, gross, label)


def _two_lines(
    stamps: Sequence[dt.date], observed: Sequence[float | None], baseline: Sequence[float | None], label: str
) -> str:
    """Draw two curves of equity over time; the first one is what was measured."""
    width, height, foot = 340.0, 190.0, 158.0
    days = [stamp.toordinal() for stamp in stamps]
    lines = {"baseline": _defined(days, baseline), "observed": _defined(days, observed)}
    values = [1.0, *(v for line in lines.values() for _, v in line)]
    low, high = min(values), max(values)
    x = svg.scale((days[0], days[-1]), (8, width - 62))
    y = svg.scale((low, high if high > low else low + 1), (foot - 6, 16))
    drawn = [
        svg.element(
            "path", d=svg.path([(x(d), y(v)) for d, v in svg.downsampled(line, CURVE_POINTS)]), class_=f"line {kind}"
        )
        for kind, line in lines.items()
        if line
    ]
    axes = [
        svg.element("line", x1=8, x2=width - 62, y1=y(1.0), y2=y(1.0), class_="level"),
        svg.element("line", x1=8, x2=width - 62, y1=foot, y2=foot, class_="axis"),
    ]
    labels = [
        svg.text(iso_date(stamps[0]), 8, foot + 18, "start", class_="tick"),
        svg.text(iso_date(stamps[-1]), width - 62, foot + 18, "end", class_="tick"),
        *_end_labels(lines, y, width - 56),
    ]
    return svg.drawing(width, height, label, *axes, *drawn, *labels)


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


def _end_labels(lines: dict[str, Line], y: Callable[[float], float], x: float) -> list[str]:
    """Write the last value of each line at its end, apart from each other."""
    ends = sorted((y(line[-1][1]), kind, line[-1][1]) for kind, line in lines.items() if line)
    parts, free = [], 0.0
    for at, kind, value in ends:
        free = max(at + 4, free)
        parts.append(svg.text(f"\u00d7{two_decimals(value)}", x, free, "start", class_=f"end {kind}-label"))
        free += 15
    return parts


def _defined(days: list[int], values: Sequence[float | None]) -> Line:
    return [(float(d), float(v)) for d, v in zip(days, values, strict=True) if v is not None]


def _bar(box: dict[str, float], top: float, foot: float, kind: str, tooltip: str) -> str:
    return svg.element("rect", svg.title(tooltip), **box, y=top, height=foot - top, class_=kind)


def _z_tick(value: int) -> str:
    return f"+{value}" if value > 0 else two_decimals(value).removesuffix(".00")
