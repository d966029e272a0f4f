"""The drawings of the page: passes against luck, distributions, z-values, equity curves. Each returns SVG text.

Classes carry the colours (page.css): `seen` is what was measured, `luck` what chance alone gives, `clears` and `all`
the runs that clear a threshold and all four, `faint` a comparison.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from src.reporting import svg
from src.reporting.formatting import METRIC_FORMS, about, counted, day, limit, two_digits, whole
from src.reporting.session_data import Luck
from src.reporting.summary import Distribution

Z_WIDTH, Z_SPAN = 0.25, 4.0
CURVE_POINTS = 220


def reach(lucks: Sequence[Luck]) -> float:
    """Give the right end of an axis on which all these passes and luck ranges fit."""
    ends = [value for luck in lucks for value in (luck.passes, luck.expected, luck.high) if value is not None]
    return max([4.0, *(1.12 * end for end in ends)])


def luck_picture(luck: Luck) -> str:
    """Draw the passes seen against the range that luck alone gives, over an axis of passing runs.

    Places are in percent of the width and text keeps its size, so that it reads on a phone.
    """
    place = svg.scale((0, reach([luck])), (2, 98))
    axis_y, band_y = 92, 58
    ticks = svg.ticks(0, reach([luck]))
    parts = [
        svg.element("line", x1="2%", x2="98%", y1=axis_y, y2=axis_y, class_="axis"),
        *(svg.text(f"{t:,.0f}", _percent(place(t)), axis_y + 18, _anchor(place(t)), class_="tick") for t in ticks),
        *_band(luck, place, band_y, 26),
        *_luck_words(luck, place, axis_y + 38),
        svg.element(
            "line",
            x1=_percent(place(luck.passes)),
            x2=_percent(place(luck.passes)),
            y1=26,
            y2=axis_y,
            class_="seen-stem",
        ),
        svg.element("circle", cx=_percent(place(luck.passes)), cy=band_y + 13, r=8, class_="seen"),
        svg.text(
            f"{counted(luck.passes, 'run')} passed",
            _percent(place(luck.passes)),
            17,
            _anchor(place(luck.passes), margin=22),
            class_="seen-words",
        ),
    ]
    return svg.element(
        "svg", *parts, width="100%", height=axis_y + 46, role="img", aria_label=luck_words(luck), class_="luck-picture"
    )


def luck_words(luck: Luck) -> str:
    """Say in words what the luck picture shows."""
    seen = f"{counted(luck.passes, 'run')} passed"
    if luck.expected is None:
        return f"{seen}; how many luck alone gives is not computed"
    return f"{seen}; luck alone gives {about(luck.expected)}{_range(luck)}"


def luck_strip(luck: Luck, top: float) -> str:
    """Draw one group's passes against its luck range on the axis from 0 to `top`, as high as a line of text."""
    place = svg.scale((0, top), (2, 98))
    parts = [
        svg.element("line", x1="2%", x2="98%", y1=22, y2=22, class_="axis"),
        *_band(luck, place, 6, 12),
        svg.element("circle", cx=_percent(place(luck.passes)), cy=12, r=5, class_="seen"),
    ]
    return svg.element(
        "svg", *parts, width="100%", height=24, role="img", aria_label=luck_words(luck), class_="luck-strip"
    )


def histogram(shape: Distribution) -> str:
    """Draw a metric's distribution over runs, its threshold, and within it the runs that pass all four.

    A bar's colour says on which side of the threshold it lies; bins never straddle it.
    """
    width, height, foot = 260.0, 150.0, 120.0
    threshold, form = shape.threshold, METRIC_FORMS[shape.threshold.metric]
    bounds: list[float] = shape.edges.tolist()
    x = svg.scale((bounds[0], bounds[-1]), (14, width - 14))
    y = svg.scale((0, max(int(shape.runs.max(initial=0)), 1)), (foot, 26))
    bars = []
    for left, right, runs, passed in zip(bounds, bounds[1:], shape.runs.tolist(), shape.passed.tolist(), strict=False):
        if not runs:
            continue
        middle = (left + right) / 2
        clears = middle >= threshold.limit if threshold.at_least else middle <= threshold.limit
        words = f"{form(left)} to {form(right)}: {counted(runs, 'run')}, {passed:,} passing all four"
        box = {"x": x(left) + 0.4, "width": max(x(right) - x(left) - 0.8, 0.6)}
        bars.append(_bar(box, y(runs), foot, "clears" if clears else "misses", words))
        if passed:
            bars.append(_bar(box, y(passed), foot, "all", words))
    sign = "≥" if threshold.at_least else "≤"
    at = x(threshold.limit)
    anchor = "start" if at < width * 0.6 else "end"
    marks = [
        svg.element("line", x1=6, x2=width - 6, y1=foot, y2=foot, class_="axis"),
        svg.element("line", x1=at, x2=at, y1=12, y2=foot + 4, class_="bound"),
        svg.text(
            f"{sign} {limit(threshold.metric, threshold.limit)}",
            at + (5 if anchor == "start" else -5),
            17,
            anchor,
            class_="bound-words",
        ),
    ]
    names = [
        svg.text(limit(threshold.metric, t), x(t), foot + 18, "middle", class_="tick")
        for t in svg.ticks(bounds[0], bounds[-1], 5)
    ]
    label = f"Distribution of {threshold.name} over runs, threshold {sign} {limit(threshold.metric, threshold.limit)}"
    return svg.drawing(width, height, label, *bars, *marks, *names)


def z_histogram(z: Sequence[float]) -> str:
    """Draw the z-values of the runs' AUCs with the normal curve that they follow where no model has skill."""
    width, height, foot = 480.0, 210.0, 178.0
    steps = round(2 * Z_SPAN / Z_WIDTH)
    index = np.clip(np.floor((np.asarray(z, dtype=np.float64) + Z_SPAN) / Z_WIDTH), 0, steps - 1).astype(np.int64)
    counts = np.bincount(index, minlength=steps)
    normal = len(z) * Z_WIDTH / math.sqrt(2 * math.pi)
    x = svg.scale((-Z_SPAN, Z_SPAN), (4, width - 4))
    y = svg.scale((0, max(int(counts.max(initial=0)), normal) or 1), (foot, 20))
    bars = []
    for k, runs in enumerate(counts.tolist()):
        left = -Z_SPAN + k * Z_WIDTH
        if runs:
            words = f"z {two_digits(left)} to {two_digits(left + Z_WIDTH)}: {counted(runs, 'run')}"
            bars.append(_bar({"x": x(left) + 0.5, "width": x(Z_WIDTH) - x(0) - 1}, y(runs), foot, "clears", words))
    curve = [(x(v), y(normal * math.exp(-v * v / 2))) for v in np.linspace(-Z_SPAN, Z_SPAN, 97).tolist()]
    marks = [
        svg.element("line", x1=4, x2=width - 4, y1=foot, y2=foot, class_="axis"),
        svg.element("path", d=svg.path(curve), class_="luck-line"),
        *(svg.text(_signed_z(t), x(t), foot + 18, "middle", class_="tick") for t in range(-3, 4)),
        svg.text("luck alone", x(-1.15), y(normal * math.exp(-0.66)) - 6, "end", class_="luck-words"),
    ]
    label = f"z-values of {counted(len(z), 'run')} with the standard normal curve that luck alone gives"
    return svg.drawing(width, height, label, *bars, *marks)


def equity_curve(curve: pl.DataFrame, name: str) -> str:
    """Draw net equity over time with always-long, sized alike, as the faint comparison; both start at 1.

    Parameters
    ----------
    curve : DataFrame
        Columns stamp, equity, always_long_equity (may be all null), in order of time; at least one row.
    """
    width, height, foot = 340.0, 190.0, 158.0
    stamps: list[dt.date] = curve["stamp"].to_list()
    days = [stamp.toordinal() for stamp in stamps]
    lines = {
        "faint": _known(days, curve["always_long_equity"].to_list()),
        "seen": _known(days, curve["equity"].to_list()),
    }
    values = [1.0, *(v for line in lines.values() for _, v in line)]
    low, high = min(values), max(values)
    x = svg.scale((days[0], days[-1]), (8, width - 62))
    y = svg.scale((low, high if high > low else low + 1), (foot - 6, 16))
    drawn = [
        svg.element(
            "path", d=svg.path([(x(d), y(v)) for d, v in svg.thinned(line, CURVE_POINTS)]), class_=f"line {kind}"
        )
        for kind, line in lines.items()
        if line
    ]
    marks = [
        svg.element("line", x1=8, x2=width - 62, y1=y(1.0), y2=y(1.0), class_="level"),
        svg.element("line", x1=8, x2=width - 62, y1=foot, y2=foot, class_="axis"),
        svg.text(day(stamps[0]), 8, foot + 18, "start", class_="tick"),
        svg.text(day(stamps[-1]), width - 62, foot + 18, "end", class_="tick"),
        *_end_words(lines, y, width - 56),
    ]
    return svg.drawing(width, height, equity_words(curve, name), *marks[:2], *drawn, *marks[2:])


def equity_words(curve: pl.DataFrame, name: str) -> str:
    """Say in words where an equity curve and its comparison start and end."""
    stamps, equity = curve["stamp"], curve["equity"].drop_nulls()
    words = f"Net equity of {name} from {day(stamps[0])} to {day(stamps[-1])}: 1 became {two_digits(equity[-1])}"
    held = curve["always_long_equity"].drop_nulls()
    return f"{words}; always long, sized alike, {two_digits(held[-1])}" if len(held) else words


def _band(luck: Luck, place: Callable[[float], float], y: float, height: float) -> list[str]:
    """Draw the 5 to 95% range of luck as a band and its expectation as a tick."""
    parts = []
    if luck.low is not None and luck.high is not None:
        start, end = place(luck.low), place(luck.high)
        band = {"x": _percent(start), "width": _percent(max(end - start, 0.5))}
        parts.append(svg.element("rect", **band, y=y, height=height, rx=3, class_="luck"))
    if luck.expected is not None:
        at = _percent(place(luck.expected))
        parts.append(svg.element("line", x1=at, x2=at, y1=y - 4, y2=y + height + 4, class_="luck-line"))
    return parts


def _luck_words(luck: Luck, place: Callable[[float], float], y: float) -> list[str]:
    if luck.expected is None:
        return [svg.text("luck not computed", "2%", y, class_="luck-words")]
    at = place(luck.expected)
    span = f" ({whole(luck.low)} to {whole(luck.high)})" if luck.low is not None and luck.high is not None else ""
    words = f"luck alone: {about(luck.expected)}{span}"
    return [svg.text(words, _percent(at), y, _anchor(at, margin=30), class_="luck-words")]


def _range(luck: Luck) -> str:
    if luck.low is None or luck.high is None:
        return ""
    return f" (90% range {whole(luck.low)} to {whole(luck.high)})"


def _end_words(lines: dict[str, list[tuple[float, float]]], y: Callable[[float], float], x: float) -> list[str]:
    """Write the last value of each line at its end, moved apart where they would cover one another."""
    ends = sorted((y(line[-1][1]), kind, line[-1][1]) for kind, line in lines.items() if line)
    parts, free = [], 0.0
    for at, kind, value in ends:
        free = max(at + 4, free)
        parts.append(svg.text(f"\u00d7{two_digits(value)}", x, free, "start", class_=f"end {kind}-words"))
        free += 15
    return parts


def _known(days: list[int], values: list[float | None]) -> list[tuple[float, float]]:
    return [(float(d), float(v)) for d, v in zip(days, values, strict=True) if v is not None]


def _bar(box: dict[str, float], top: float, foot: float, kind: str, words: str) -> str:
    return svg.element("rect", svg.title(words), **box, y=top, height=foot - top, class_=kind)


def _signed_z(value: int) -> str:
    return f"+{value}" if value > 0 else two_digits(value).removesuffix(".00")


def _percent(value: float) -> str:
    return f"{svg.number(value)}%"


def _anchor(percent: float, margin: float = 12) -> str:
    """Keep words at an edge inside the drawing."""
    return "start" if percent < margin else "end" if percent > 100 - margin else "middle"
