"""Drawings of passes against luck: the large chart at the top of the page, and a sparkline for each group.

`observed` is the class of what was measured, `luck` of what luck alone gives; page.css sets their colours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from src.reporting import svg
from src.reporting.formatting import about, counted, integer
from src.reporting.report_data import Luck

_AXIS_Y, _BAND_Y = 92, 58


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
    return max([4.0, *(1.12 * end for end in ends)])


def luck_chart(luck: Luck) -> str:
    """Draw the passes against the range that luck alone gives, on an axis of passing runs.

    Positions are percentages of the width, and text keeps its size, so that the chart is readable on a phone.

    Parameters
    ----------
    luck : Luck
        Of all runs.

    Returns
    -------
    str
        SVG; without a band if the range is not computed.
    """
    position = svg.scale((0, axis_end([luck])), (2, 98))
    ticks = svg.ticks(0, axis_end([luck]))
    parts = [
        svg.element("line", x1="2%", x2="98%", y1=_AXIS_Y, y2=_AXIS_Y, class_="axis"),
        *(_tick(tick, position(tick)) for tick in ticks),
        *_band(luck, position, _BAND_Y, 26),
        _expectation(luck, position, _AXIS_Y + 38),
        *_passes(luck.passes, position(luck.passes)),
    ]
    return svg.element(
        "svg", *parts, width="100%", height=_AXIS_Y + 46, role="img", aria_label=luck_label(luck), class_="luck-chart"
    )


def luck_sparkline(luck: Luck, end: float) -> str:
    """Draw the passes of one group against its range of luck, as high as a line of text.

    Parameters
    ----------
    luck : Luck
        Of the group.
    end : float
        Right end of the axis (`axis_end` of all groups).

    Returns
    -------
    str
        SVG.
    """
    position = svg.scale((0, end), (2, 98))
    parts = [
        svg.element("line", x1="2%", x2="98%", y1=22, y2=22, class_="axis"),
        *_band(luck, position, 6, 12),
        svg.element("circle", cx=_percent(position(luck.passes)), cy=12, r=5, class_="observed"),
    ]
    return svg.element(
        "svg", *parts, width="100%", height=24, role="img", aria_label=luck_label(luck), class_="luck-sparkline"
    )


def luck_label(luck: Luck) -> str:
    """Describe a luck chart in text.

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


def _tick(value: float, percent: float) -> str:
    return svg.text(f"{value:,.0f}", _percent(percent), _AXIS_Y + 18, _anchor(percent), class_="tick")


def _passes(passes: int, percent: float) -> list[str]:
    """Draw the number of passes as a labelled dot on a stem."""
    x = _percent(percent)
    return [
        svg.element("line", x1=x, x2=x, y1=26, y2=_AXIS_Y, class_="observed-stem"),
        svg.element("circle", cx=x, cy=_BAND_Y + 13, r=8, class_="observed"),
        svg.text(f"{counted(passes, 'run')} passed", x, 17, _anchor(percent, margin=22), class_="observed-label"),
    ]


def _band(luck: Luck, position: Callable[[float], float], y: float, height: float) -> list[str]:
    """Draw the 5 to 95% range of luck as a band and its expectation as a line."""
    parts = []
    if luck.low is not None and luck.high is not None:
        start, end = position(luck.low), position(luck.high)
        box = {"x": _percent(start), "width": _percent(max(end - start, 0.5))}
        parts.append(svg.element("rect", **box, y=y, height=height, rx=3, class_="luck"))
    if luck.expected is not None:
        x = _percent(position(luck.expected))
        parts.append(svg.element("line", x1=x, x2=x, y1=y - 4, y2=y + height + 4, class_="luck-line"))
    return parts


def _expectation(luck: Luck, position: Callable[[float], float], y: float) -> str:
    """Label the expectation and range of luck."""
    if luck.expected is None:
        return svg.text("luck not computed", "2%", y, class_="luck-label")
    percent = position(luck.expected)
    span = "" if luck.low is None or luck.high is None else f" ({integer(luck.low)} to {integer(luck.high)})"
    label = f"luck alone: {about(luck.expected)}{span}"
    return svg.text(label, _percent(percent), y, _anchor(percent, margin=30), class_="luck-label")


def _percent(value: float) -> str:
    return f"{svg.number(value)}%"


def _anchor(percent: float, margin: float = 12) -> str:
    """Keep text near an edge inside the drawing."""
    return "start" if percent < margin else "end" if percent > 100 - margin else "middle"
