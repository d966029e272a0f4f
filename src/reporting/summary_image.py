"""One standalone SVG of a session, for a README: the result, its chart, the metrics and the best passes."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import polars as pl

from src.evaluation.multiple_testing import passes_at_shifts
from src.reporting.best_passes import best_runs
from src.reporting.binning import distribution
from src.reporting.charts import histogram
from src.reporting.formatting import METRIC_FORMATS, percent, printable, probability
from src.reporting.headline import first_line
from src.reporting.luck_chart import luck_chart
from src.reporting.report_data import ReportData
from src.reporting.time_charts import equity_curve
from src.reporting.vega import Chart, drawing, still

WIDTH, GAP = 1040.0, 28.0
LINE_LETTERS = 82
CURVES, CURVE_POINTS = 3, 240
FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif"


def summary_image(data: ReportData) -> str:
    """Draw the session as one SVG file.

    Parameters
    ----------
    data : ReportData
        The session.

    Returns
    -------
    str
        A standalone SVG document. Its colours follow the reader's light or dark setting.
    """
    result = printable(first_line(data))
    rows = [_luck(data), _histograms(data), _curves(data)]
    spec = {
        "title": {
            "text": textwrap.wrap(result, LINE_LETTERS),
            "fontSize": 22,
            "lineHeight": 30,
            "offset": 22,
            "font": FONT,
        },
        "background": "var(--paper)",
        "padding": 32,
        "spacing": GAP,
        "vconcat": [row for row in rows if row] or [_nothing()],
        "config": {"font": FONT},
    }
    image = drawing(spec)
    label = f' role="img" aria-label="{_attribute(result)}">'
    return image.replace(">", f"{label}<style>{_colours()}</style>", 1) + "\n"


def _luck(data: ReportData) -> dict[str, Any] | None:
    if data.pooled_only:
        return None
    return still(luck_chart(data.luck, passes_at_shifts(data.grades)), WIDTH)


def _histograms(data: ReportData) -> dict[str, Any] | None:
    """The distributions in a row."""
    if not data.grades.height:
        return None
    shapes = [distribution(data.grades, threshold) for threshold in data.thresholds]
    titles = [
        f"{percent(each.clearing)} clear it; median {METRIC_FORMATS[each.threshold.metric](each.median)}"
        for each in shapes
    ]
    names = [each.threshold.name for each in shapes]
    return _row([histogram(each) for each in shapes], names, titles)


def _curves(data: ReportData) -> dict[str, Any] | None:
    """The equity of the best passes in a row."""
    curve_of = data.equity.partition_by("record_id", as_dict=True)
    charts: list[Chart] = []
    names, notes = [], []
    for row in best_runs(data, CURVES).iter_rows(named=True):
        curve = curve_of.get((row["record_id"],))
        if curve is None or curve.height < 2:
            continue
        names.append(printable(f"{row['symbol']} · {row['asset_class']} · {row['family']}"))
        notes.append(f"luck rate {percent(row['luck_rate'])}, q {probability(row['q_value'])}; dashed: always long")
        thinned = (
            pl.concat([curve.gather_every(-(-curve.height // CURVE_POINTS)), curve.tail(1)])
            .unique("stamp")
            .sort("stamp")
        )
        charts.append(equity_curve(f"best-{len(charts)}", thinned, names[-1]))
    return _row(charts, names, notes, least=CURVES) if charts else None


def _row(charts: list[Chart], names: list[str], notes: list[str], least: int = 0) -> dict[str, Any]:
    """Charts side by side, each with its name and a line below it."""
    columns = max(len(charts), least)
    width = (WIDTH - (columns - 1) * (GAP + 24)) / columns
    titled = [
        {**still(chart, width), "title": {"text": name, "subtitle": note, "subtitleFontSize": 12}}
        for chart, name, note in zip(charts, names, notes, strict=True)
    ]
    return {"hconcat": titled, "spacing": GAP}


def _nothing() -> dict[str, Any]:
    return {
        "data": {"values": [{}]},
        "mark": "point",
        "width": WIDTH,
        "height": 1,
        "encoding": {"opacity": {"value": 0}},
    }


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def _colours() -> str:
    """The colours of the page: the rules on its root, light and dark."""
    sheet = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    found = re.match(r":root \{.*?\n\}\n@media screen and \(prefers-color-scheme: dark\) \{.*?\n\}\n", sheet, re.DOTALL)
    if found is None:
        raise ValueError("page.css must begin with its colours, light and then dark")
    return found[0]
