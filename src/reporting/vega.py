"""Charts as Vega-Lite: declared with Altair, drawn by the reader's browser from scripts inside the page.

Nothing is fetched: `charts_script` is the bundle of Vega, Vega-Lite and Vega-Embed that vl-convert carries. Expressions
are interpreted, not compiled, so that the page's policy may forbid ``eval``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.reporting.rendering import render, trusted

if TYPE_CHECKING:
    import polars as pl

MARK = '<figure class="chart"'
"""What the HTML of every `figure` contains, so that a page with one gets `charts_script`."""
_START = Path(__file__).parent / "charts.js"
_GLOBALS = "window.vegaEmbed = vegaEmbed; window.vega = vega;"


@dataclass(frozen=True)
class Chart:
    """A chart of a page.

    Attributes
    ----------
    name : str
        Its id, unique on the page.
    spec : dict
        Vega-Lite without data values: it refers to `tables` by ``{"data": {"name": ...}}``. Without colours of its own
        where the theme has one, and with ``"width": "container"``.
    alternative : str
        What the chart shows, as a sentence with its figures, for readers who don't see it.
    tables : mapping of str to DataFrame
        Named data sets.
    """

    name: str
    spec: Mapping[str, Any]
    alternative: str
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)


def figure(chart: Chart) -> str:
    """Write a chart as HTML: an empty frame and its specification, which `charts_script` draws.

    Parameters
    ----------
    chart : Chart

    Returns
    -------
    str
        HTML. It is drawn when it comes near the reader's window.
    """
    data = {name: rows(table) for name, table in chart.tables.items()}
    text = json.dumps({"spec": chart.spec, "data": data}, separators=(",", ":"), default=str, allow_nan=False)
    embedded = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return render("chart", anchor=chart.name, alternative=chart.alternative, content=trusted(embedded))


def rows(table: pl.DataFrame) -> dict[str, list[Any]]:
    """Give a table as columns of values that JSON holds; days as ISO text, NaN and infinities as null.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    dict of str to list
    """
    import polars as pl
    import polars.selectors as cs

    shown = table.with_columns(
        cs.date().dt.to_string("%Y-%m-%d"),
        cs.datetime().dt.to_string("%Y-%m-%dT%H:%M"),
        pl.when(cs.float().is_finite()).then(cs.float()),
    )
    return {name: shown[name].to_list() for name in shown.columns}


@cache
def charts_script() -> str:
    """Give the script that draws every `figure` of a page; about 900 KB, of other people's code for the most part."""
    import vl_convert

    return f"{vl_convert.javascript_bundle(_GLOBALS)}\n{_START.read_text(encoding='utf-8')}"
