"""One standalone SVG of a session for a README: the sentence, its picture, the four metrics, the best passes."""

from __future__ import annotations

import textwrap
from pathlib import Path

from src.reporting import svg
from src.reporting.charts import equity_curve, histogram, luck_picture
from src.reporting.formatting import METRIC_FORMS, chance, share
from src.reporting.passing_runs import best_instruments
from src.reporting.session_data import Material
from src.reporting.summary import distribution
from src.reporting.verdict import sentence

WIDTH, MARGIN, GAP = 1120.0, 36.0, 24.0
LINE_LETTERS = 78
CURVES = 3
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
STYLE = """
.words { font-size: 24px; font-weight: 600; fill: var(--ink); letter-spacing: -.01em; }
.name { font-size: 14px; font-weight: 600; fill: var(--ink); }
.small { font-size: 12.5px; fill: var(--soft); }
.paper { fill: var(--paper); }
"""


def picture(material: Material) -> str:
    """Draw the session as one SVG file that needs nothing else; colours follow the reader's light or dark setting."""
    lines = textwrap.wrap(sentence(material.luck), LINE_LETTERS)
    parts = [svg.text(line, MARGIN, 52 + 32 * k, class_="words") for k, line in enumerate(lines)]
    top = 52.0 + 32 * len(lines) + 4
    inner = WIDTH - 2 * MARGIN
    parts.append(_placed(luck_picture(material.luck), MARGIN, top, inner, 138))
    top += 138 + GAP
    if material.grades.height:
        drawn, height = _histograms(material, top)
        parts += drawn
        top += height + GAP
    curves, height = _curves(material, top)
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
            aria_label=sentence(material.luck),
        )
        + "\n"
    )


def _histograms(material: Material, top: float) -> tuple[list[str], float]:
    """Draw the four distributions in a row; return them with the height of the row."""
    width = (WIDTH - 2 * MARGIN - 3 * GAP) / 4
    height = width * 150 / 260
    parts = []
    for k, threshold in enumerate(material.thresholds):
        shape, left = distribution(material.grades, threshold), MARGIN + k * (width + GAP)
        words = f"{share(shape.clearing)} clear it; median {METRIC_FORMS[threshold.metric](shape.median)}"
        parts += [
            svg.text(threshold.name, left, top + 12, class_="name"),
            _placed(histogram(shape), left, top + 20, width, height),
            svg.text(words, left, top + 36 + height, class_="small"),
        ]
    return parts, height + 44


def _curves(material: Material, top: float) -> tuple[list[str], float]:
    """Draw the equity of the best passes in a row; return them with the height of the row, zero without any."""
    best = best_instruments(material, CURVES)
    curve_of = material.equity.partition_by("record_id", as_dict=True)
    width = (WIDTH - 2 * MARGIN - (CURVES - 1) * GAP) / CURVES
    height = width * 190 / 340
    parts: list[str] = []
    for row in best.iter_rows(named=True):
        curve = curve_of.get((row["record_id"],))
        if curve is None or curve.height < 2:
            continue
        left = MARGIN + len(parts) // 3 * (width + GAP)
        name = f"{row['symbol']} · {row['asset_class']} · {row['family']}"
        words = f"luck rate {share(row['luck_rate'])}, q {chance(row['q_value'])}; grey: always long"
        parts += [
            svg.text(name, left, top + 12, class_="name"),
            _placed(equity_curve(curve, name), left, top + 18, width, height),
            svg.text(words, left, top + 34 + height, class_="small"),
        ]
    return parts, height + 44 if parts else 0.0


def _placed(drawing: str, x: float, y: float, width: float, height: float) -> str:
    """Give a finished drawing its place inside another one."""
    opened = drawing.replace(' class="figure"', "", 1).replace(' width="100%"', "", 1)
    if "viewBox" not in opened.split(">", 1)[0]:
        opened = opened.replace(f' height="{svg.number(height)}"', "", 1)
    place = f'<svg x="{svg.number(x)}" y="{svg.number(y)}" width="{svg.number(width)}" height="{svg.number(height)}"'
    return opened.replace("<svg", place, 1)
