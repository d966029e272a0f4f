"""Parts that charts of a tear sheet share: axes, layers, tooltips, colours by their names in the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Spec = dict[str, Any]

RUN, LONG, BENCHMARK = "var(--observed)", "var(--baseline)", "var(--luck-line)"
GAIN, LOSS, INK, SOFT, RULE = "var(--clears)", "var(--luck)", "var(--ink)", "var(--soft)", "var(--rule)"
TIME_ZOOM = "time"
ALONG_TIME = frozenset(
    ("equity", "always_long", "benchmark", "drawdown", "rolling_sharpe", "rolling_auc", "position", "gross_exposure",
     "net_exposure", "costs", "rank_ic", "ic_mean", *(f"group_{k}" for k in range(1, 11)))
)  # fmt: skip
_ZOOM_KEYS = "event.ctrlKey || event.metaKey || event.shiftKey"


def layered(layers: Sequence[Spec], height: int, **rest: Any) -> Spec:
    """Put layers on one frame as wide as its place.

    Parameters
    ----------
    layers : sequence of dict
    height : int
        In pixels.
    **rest : object
        Other entries of the specification.

    Returns
    -------
    dict
        Vega-Lite.
    """
    return {"width": "container", "height": height, "autosize": {"type": "fit", "contains": "padding"},
            "layer": list(layers), **rest}  # fmt: skip


def mark(kind: str, data: str, encoding: Spec, **style: Any) -> Spec:
    """Give one layer.

    Parameters
    ----------
    kind : str
        Such as ``line``.
    data : str
        Name of its data set.
    encoding : dict
    **style : object
        Properties of the mark.
    """
    return {"data": {"name": data}, "mark": {"type": kind, "clip": True, **style}, "encoding": encoding}


def quantity(field: str, form: str = "", title: str | None = None, **rest: Any) -> Spec:
    """Give the channel of a number.

    Parameters
    ----------
    field : str
    form : str
        Format of its axis, as d3 writes it.
    title : str, optional
        Of the axis; none by default.
    **rest : object
        Other entries, such as ``scale``.
    """
    axis = {"format": form, "tickCount": 5} if form else {"tickCount": 5}
    if field in ALONG_TIME:  # the same width on all charts, so that their days stand below each other
        axis["minExtent"] = 42
    return {"field": field, "type": "quantitative", "title": title, "axis": axis, **rest}


def time() -> Spec:
    """Give the channel of a day; days have no time zone."""
    return {"field": "date", "type": "temporal", "title": None, "scale": {"type": "utc"},
            "axis": {"grid": False, "tickCount": {"expr": "width / 90"}, "labelOverlap": True}}  # fmt: skip


def shown(field: str, title: str, form: str = "") -> Spec:
    """Give one line of a tooltip.

    Parameters
    ----------
    field : str
    title : str
    form : str
        For a number; text without it.
    """
    if form:
        return {"field": field, "type": "quantitative", "title": title, "format": form}
    return {"field": field, "type": "nominal", "title": title}


def level(value: float, title: str, channel: str = "y") -> Spec:
    """Give a dashed line at a value, such as a threshold.

    Parameters
    ----------
    value : float
    title : str
        Its tooltip.
    channel : str
        ``y`` for a horizontal line, ``x`` for a vertical one.
    """
    return {"mark": {"type": "rule", "strokeDash": [4, 3], "tooltip": title, "clip": True},
            "data": {"values": [{}]}, "encoding": {channel: {"datum": value}, "color": {"value": SOFT}}}  # fmt: skip


def hover(data: str, lines: Sequence[Spec]) -> Spec:
    """Give a line that follows the pointer to the nearest day, with the figures of that day.

    Parameters
    ----------
    data : str
        Name of the data set.
    lines : sequence of dict
        Of the tooltip, see `shown`.
    """
    select = {"type": "point", "on": "pointermove", "clear": "pointerout", "nearest": True, "encodings": ["x"]}
    opacity = {"condition": {"param": "hover", "empty": False, "value": 0.7}, "value": 0}
    encoding = {"x": time(), "color": {"value": SOFT}, "opacity": opacity, "tooltip": list(lines)}
    return {**mark("rule", data, encoding), "params": [{"name": "hover", "select": select}]}


def zooming(layer: Spec) -> Spec:
    """Let a layer's time axis be dragged, and zoomed by the wheel with a key held, so that pages still scroll.

    Parameters
    ----------
    layer : dict
    """
    select = {"type": "interval", "encodings": ["x"], "zoom": f"wheel![{_ZOOM_KEYS}]"}
    return {**layer, "params": [{"name": "zoom", "select": select, "bind": "scales"}]}


def named_colour(name: str, names: Sequence[str], colours: Sequence[str]) -> Spec:
    """Give the colour of a series that the legend lists.

    Parameters
    ----------
    name : str
        Of this series.
    names, colours : sequence of str
        Of all series of the chart.
    """
    legend = {"symbolType": "stroke", "symbolStrokeWidth": 3, "columns": {"expr": "width < 480 ? 1 : 5"}}
    return {"datum": name, "scale": {"domain": list(names), "range": list(colours)}, "legend": legend}
