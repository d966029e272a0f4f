"""Charts as Vega-Lite: declared with Altair, drawn by the reader's browser from scripts inside the page.

Nothing is fetched: `charts_script` is the bundle of Vega, Vega-Lite and Vega-Embed that vl-convert carries. Expressions
are interpreted, not compiled, so that the page's policy may forbid ``eval``.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.config.paths import main_root
from src.core.hashing import text_digest
from src.reporting.rendering import render, trusted
from src.storage import atomic

if TYPE_CHECKING:
    import polars as pl

MARK = '<figure class="chart"'
"""What the HTML of every `figure` contains, so that a page with one gets `charts_script`."""
ZOOM = {
    "name": "zoom",
    "select": {
        "type": "interval", "encodings": ["x"], "zoom": "wheel![event.ctrlKey || event.metaKey]",
        "translate": "[pointerdown, window:pointerup] > window:pointermove!",
    },
    "bind": "scales",
}  # fmt: skip
"""Parameter of a chart over time: Ctrl and the wheel zoom, dragging moves, a double click shows all again. The wheel
alone scrolls the page."""
_START = Path(__file__).parent / "charts.js"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_THEME = Path(__file__).parent / "vega_theme.json"
_CLIP = re.compile(r"(?<=[\"#])clip\d+")
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
    shared : tuple of str
        Data sets that `shared_data` puts on the page once, for several charts.
    zoom : str
        Charts of a page with the same name here zoom together. Their specification has an interval parameter ``zoom``
        along ``date``, bound to the scales.
    """

    name: str
    spec: Mapping[str, Any]
    alternative: str
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    zoom: str = ""


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
    content = embedded({"spec": chart.spec, "data": data, "shared": chart.shared})
    return render(
        "chart", anchor=chart.name, alternative=chart.alternative, zoom=chart.zoom, content=trusted(content)
    )  # fmt: skip


def shared_data(name: str, table: pl.DataFrame, places: int = 3, finer: Mapping[str, int] | None = None) -> str:
    """Write a table for several charts of a page, in a third of the bytes that its values take as text.

    Parameters
    ----------
    name : str
        As `Chart.shared` names it.
    table : DataFrame
        A column of days becomes milliseconds, with the same as ISO text in a column ``day``.
    places : int
        Decimal places that are kept.
    finer : mapping of str to int, optional
        Of columns that keep others.

    Returns
    -------
    str
        HTML: a script element with the JSON of `packed`.
    """
    return render("chart_data", anchor=f"data-{name}", content=trusted(embedded(packed(table, places, finer or {}))))


def packed(table: pl.DataFrame, places: int = 3, finer: Mapping[str, int] | None = None) -> dict[str, dict[str, Any]]:
    """Give the columns of a table as text: each number as its difference from the last one, in units of the last place.

    Parameters
    ----------
    table : DataFrame
    places : int
    finer : mapping of str to int, optional

    Returns
    -------
    dict of str to dict
        By column: ``kind`` (``day``, ``number`` or ``text``), ``places`` and ``values``, see `variable_length`.
    """
    import polars as pl

    columns: dict[str, dict[str, Any]] = {}
    for column in table:
        if column.dtype.is_temporal():
            columns[column.name] = {"kind": "day", "values": _steps(column.cast(pl.Date).cast(pl.Int64))}
        elif column.dtype.is_numeric():
            kept = (finer or {}).get(column.name, places)
            units = (column.cast(pl.Float64) * 10**kept).to_frame()
            whole = units.select(pl.when(pl.nth(0).is_finite()).then(pl.nth(0).round()).cast(pl.Int64)).to_series()
            columns[column.name] = {"kind": "number", "places": kept, "values": _steps(whole)}
        else:
            columns[column.name] = {"kind": "text", "values": column.cast(pl.String).to_list()}
    return columns


def _steps(whole: pl.Series) -> str:
    """Differences from the last value that is known, the first from zero; a full stop where it is undefined."""
    before = whole.shift(1).forward_fill().fill_null(0)
    return "".join("." if step is None else variable_length(step) for step in (whole - before).to_list())


def variable_length(number: int) -> str:
    """Write a whole number in as few letters as it needs, as source maps do: five bits a letter, the sign first.

    Parameters
    ----------
    number : int

    Examples
    --------
    >>> variable_length(3), variable_length(-3), variable_length(16)
    ('G', 'H', 'gB')
    """
    rest, letters = (-number << 1) | 1 if number < 0 else number << 1, ""
    while rest >= 32:
        letters += _LETTERS[(rest & 31) | 32]
        rest >>= 5
    return letters + _LETTERS[rest]


def embedded(value: object) -> str:
    """Give a value as JSON that may stand inside a script element.

    Parameters
    ----------
    value : object
        What `json` writes; dates become text.
    """
    text = json.dumps(value, separators=(",", ":"), default=str, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


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
def theme() -> dict[str, Any]:
    """Give the configuration that all charts share; its colours are those of page.css."""
    found: dict[str, Any] = json.loads(_THEME.read_text(encoding="utf-8"))
    return found


def still(chart: Chart, width: float) -> dict[str, Any]:
    """Give a chart as a specification of its own that needs no page: with its data, without what reacts to a pointer.

    Parameters
    ----------
    chart : Chart
    width : float
        In pixels.

    Returns
    -------
    dict
        Vega-Lite, which may be part of a larger drawing.
    """
    values = {name: table_values(table) for name, table in chart.tables.items()}
    spec: dict[str, Any] = _without_pointer(chart.spec, values)
    return {**spec, "width": width}


def drawing(spec: Mapping[str, Any]) -> str:
    """Draw a specification as SVG, with the theme of all charts.

    Parameters
    ----------
    spec : mapping
        Vega-Lite, such as a combination of `still` charts.

    Returns
    -------
    str
        Colours are left as they are named, such as ``var(--observed)``; the same specification gives the same text.
    """
    import vl_convert

    drawn = str(vl_convert.vegalite_to_svg(dict(spec), config=theme()))
    known: dict[str, str] = {}  # the renderer numbers clipping paths on from its last drawing
    return _CLIP.sub(lambda match: known.setdefault(match[0], f"clip{len(known)}"), drawn)


def table_values(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Give a table as the rows that Vega-Lite takes; see `rows`."""
    columns = rows(table)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _without_pointer(part: Any, values: Mapping[str, list[dict[str, Any]]]) -> Any:
    """Put data in the place of their names, and leave out selections and what depends on them."""
    if isinstance(part, list):
        return [_without_pointer(each, values) for each in part if not _reacts(each)]
    if not isinstance(part, Mapping):
        return part
    if set(part) == {"name"} and part["name"] in values:
        return {"values": values[part["name"]]}
    return {key: _without_pointer(each, values) for key, each in part.items() if key not in ("params", "tooltip")}


def _reacts(layer: Any) -> bool:
    """Whether a layer is seen under the pointer alone."""
    opacity = layer.get("encoding", {}).get("opacity", {}) if isinstance(layer, Mapping) else {}
    return "param" in opacity.get("condition", {})


@cache
def library_script() -> str:
    """Give the script of Vega, Vega-Lite and Vega-Embed, which becomes ``window.vegaEmbed``; about 900 KB.

    Bundling it takes more than a second, so it is kept in ``data/cache`` for the release of vl-convert. The first line
    of the file is the digest of the rest: a file that was cut or changed is made again.
    """
    release = version("vl-convert-python")
    path = main_root() / "data" / "cache" / f"vega-{release}-{text_digest(_GLOBALS)[:8]}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        digest, _, kept = path.read_bytes().decode().partition("\n")
        if digest == text_digest(kept):
            return kept
    import vl_convert

    script = str(vl_convert.javascript_bundle(_GLOBALS))
    with contextlib.suppress(OSError):  # a folder that can't be written costs the second again
        atomic.write_text(f"{text_digest(script)}\n{script}", path)
        for former in set(path.parent.glob("vega-*.js")) - {path}:  # of other releases
            former.unlink(missing_ok=True)
    return script


@cache
def charts_script() -> str:
    """Give the script that draws every `figure` of a page, with the libraries that it needs."""
    start = f"const THEME = {embedded(theme())};\n{_START.read_text(encoding='utf-8')}"
    return f"{library_script()}\n{start}"
