"""One standalone SVG of a session, for a README: the result, its chart, the metrics and the best passes."""

from __future__ import annotations

import textwrap
from pathlib import Path

from src.reporting import svg
from src.reporting.binning import distribution
from src.reporting.charts import equity_curve, histogram
from src.reporting.formatting import METRIC_FORMATS, percent, probability
from src.reporting.headline import first_line
from src.reporting.luck_chart import luck_chart
from src.reporting.passing_runs import best_runs
from src.reporting.report_data import ReportData

WIDTH, MARGIN, GAP = 1120.0, 36.0, 24.0
LINE_LETTERS = 78
CURVES = 3
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
STYLE = """
.result { font-size: 24px; font-weight: 600; fill: var(--ink); letter-spacing: -.01em; }
.name { font-size: 14px; font-weight: 600; fill: var(--ink); }
.small { font-size: 12.5px; fill: var(--soft); }
.paper { fill: var(--paper); }
"""


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
    result = first_line(data)
    lines = textwrap.wrap(result, LINE_LETTERS)
    parts = [svg.text(line, MARGIN, 52 + 32 * k, class_="result") for k, line in enumerate(lines)]
    top = 52.0 + 32 * len(lines) + 4
    inner = WIDTH - 2 * MARGIN
    if not data.pooled_only:
        parts.append(_placed(luck_chart(data.luck), MARGIN, top, inner, 138))
        top += 138 + GAP
    if data.grades.height:
        drawn, height = _histograms(data, top)
        parts += drawn
        top += height + GAP
    curves, height = _curves(data, top)
    parts += curves
    total = top + height + (MARGIN if height else 0)
    sheet = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    return (
        svg.element(
            "svg",
            svg.element("style", sheet + STYLE),
            svg.element("rect", width=WIDTH, height=total, rx=10, class_="paper"),
            *parts,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {svg.number(WIDTH)} {svg.number(total)}",
            font_family=FONT,
            role="img",
            aria_label=result,
        )
        + "\n"
    )


def _histograms(data: ReportData, top: float) -> tuple[list[str], float]:
    """Draw the distributions in a row; return them with the height of the row."""
    columns = len(data.thresholds)
    width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns
    height = width * 150 / 260
    parts = []
    for k, threshold in enumerate(data.thresholds):
        shape, left = distribution(data.grades, threshold), MARGIN + k * (width + GAP)
        caption = f"{percent(shape.clearing)} clear it; median {METRIC_FORMATS[threshold.metric](shape.median)}"
        parts += [
            svg.text(threshold.name, left, top + 12, class_="name"),
            _placed(histogram(shape), left, top + 20, width, height),
            svg.text(caption, left, top + 36 + height, class_="small"),
        ]
    return parts, height + 44


def _curves(data: ReportData, top: float) -> tuple[list[str], float]:
    """Draw the equity of the best passes in a row; return them with the height of the row, zero without any."""
    best = best_runs(data, CURVES)
    curve_of = data.equity.partition_by("record_id", as_dict=True)
    width = (WIDTH - 2 * MARGIN - (CURVES - 1) * GAP) / CURVES
    height = width * 190 / 340
    parts: list[str] = []
    for row in best.iter_rows(named=True):
        curve = curve_of.get((row["record_id"],))
        if curve is None or curve.height < 2:
            continue
        left = MARGIN + len(parts) // 3 * (width + GAP)
        name = f"{row['symbol']} · {row['asset_class']} · {row['family']}"
        caption = f"luck rate {percent(row['luck_rate'])}, q {probability(row['q_value'])}; grey: always long"
        parts += [
            svg.text(name, left, top + 12, class_="name"),
            _placed(equity_curve(curve, name), left, top + 18, width, height),
            svg.text(caption, left, top + 34 + height, class_="small"),
        ]
    return parts, height + 44 if parts else 0.0


def _placed(drawing: str, x: float, y: float, width: float, height: float) -> str:
    """Place a finished drawing inside another one."""
    opened = drawing.replace(' class="figure"', "", 1).replace(' width="100%"', "", 1)
    if "viewBox" not in opened.split(">", 1)[0]:
        opened = opened.replace(f' height="{svg.number(height)}"', "", 1)
    place = f'<svg x="{svg.number(x)}" y="{svg.number(y)}" width="{svg.number(width)}" height="{svg.number(height)}"'
    return opened.replace("<svg", place, 1)
