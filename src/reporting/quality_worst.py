"""The ten instruments to look at first, each with a drawing of its bars around the place and the command for more."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from src.config.commands import command
from src.core.instruments import KEY
from src.hydration.quality import USED, Quality
from src.reporting import svg
from src.reporting.formatting import integer, iso_date, percent
from src.reporting.quality_instruments import anchor
from src.reporting.rendering import render, trusted
from src.reporting.report_data import ReportData

MOST = 10
_ASIDE = 5  # of them, where as many are in use
AROUND = 30  # bars before the place, and after it
_RANKING = (
    "First up to five that were set aside (quarantined or failed), those that trade most first: of these nothing is"
    " used. Then instruments in use, those first of which a price was out of line by the largest ratio: held, cut,"
    " ignored or kept as news. Where no price was in question, the larger share of bars or rows comes first. Equal ones"
    " go by dollar volume. Drawings show closes around the place: of instruments in use as stored, repaired bars and"
    " the place marked; of those set aside as they came."
)


def worst(quality: Quality, most: int = MOST) -> pl.DataFrame:
    """Choose the instruments to look at first.

    Parameters
    ----------
    quality : Quality
        What was found.
    most : int
        Number of instruments.

    Returns
    -------
    DataFrame
        Rows of `Quality.instruments`, with ratio (the largest price ratio in question), share (of its bars and rows
        that any rule concerned), at (the day of the gravest finding), closes_drawn, at_drawn and first_drawn (of a
        quarantined one); in the order of the page.
    """
    found = quality.findings.join(quality.instruments.select(*KEY, "outcome"), on=KEY, maintain_order="left")
    condemns = pl.col("effect").is_in(["quarantined", "failed"])
    ranked = found.with_columns(weight=pl.col("n") / pl.col("of")).sort(
        ~condemns, -pl.col("ratio"), -pl.col("weight"), nulls_last=True, maintain_order=True
    )
    gravest = ranked.group_by(KEY, maintain_order=True).agg(
        pl.col("ratio").max(), pl.col("weight").max().alias("share"), pl.col("first").first().alias("at"),
        pl.col("closes", "at", "first").filter(pl.col("closes").list.len() > 0).first().name.suffix("_drawn"),
    )  # fmt: skip
    rows = quality.instruments.join(gravest, on=KEY)
    traded = -pl.col("dollar_volume")
    aside = rows.filter(pl.col("outcome").is_in(["quarantined", "failed"])).sort(traded, *KEY, nulls_last=True)
    used = rows.filter(pl.col("outcome").is_in(USED))
    used = used.sort(-pl.col("ratio"), -pl.col("share"), traded, *KEY, nulls_last=True)
    room = max(most - used.height, min(_ASIDE, most // 2))
    return pl.concat([aside.head(room), used.head(most - min(room, aside.height))])


def worst_section(data: ReportData) -> str:
    """Write the cards of the instruments to look at first.

    Returns
    -------
    str
        HTML; empty where no bars are known.
    """
    quality = data.quality
    if quality is None or quality.instruments.is_empty():
        return ""
    cards = [_card(row, data) for row in worst(quality).iter_rows(named=True)]
    return render("quality_worst", ranking=_RANKING, cards=cards)


def data_command(dataset: str, asset_class: str, symbol: str) -> str:
    """Give the command that shows all that is stored of an instrument, as it can be typed."""
    return command("data", f"{asset_class}:{symbol}", stored=dataset)


def _card(row: dict[str, Any], data: ReportData) -> dict[str, Any]:
    key = row["asset_class"], row["symbol"]
    assert data.quality is not None
    findings = data.quality.findings.filter(asset_class=key[0], symbol=key[1])
    facts = [("outcome", row["outcome"]), ("source", row["origin"] or "not known")]
    if row["rows"]:
        facts.append(("bars in use", f"{integer(row['rows'])}, {percent(row['repaired'] / row['rows'])} repaired"))
    if row["ratio"] is not None:
        facts.append(("price out of line", f"x{row['ratio']:,.1f}"))
    if row["dollar_volume"] is not None:
        facts.append(("dollars a day", integer(row["dollar_volume"])))
    picture, caption = _picture(row, data.around.get(key))
    return {
        "name": f"{row['symbol']} · {row['asset_class']}", "anchor": anchor(*key), "facts": facts, "picture": picture,
        "caption": caption, "texts": findings["text"].to_list(), "command": data_command(data.dataset, *key),
    }  # fmt: skip


def _picture(row: dict[str, Any], bars: pl.DataFrame | None) -> tuple[str | None, str]:
    """Drawing and caption: from stored bars, else from the closes that the finding holds."""
    name = f"{row['asset_class']}:{row['symbol']}"
    if bars is not None and bars.height > 1:
        place = pl.lit(row["at"], pl.Date).eq_missing(pl.col("date").cast(pl.Date))
        marks = bars.select(pl.col("repaired") | place).to_series().to_list()
        span = f"{iso_date(bars['date'][0])} to {iso_date(bars['date'][-1])}"
        return trusted(sparkline(bars["close"].to_list(), marks, f"Closes of {name}, {span}")), span
    closes = row["closes_drawn"] or []
    known = [close for close in closes if close is not None and close > 0]
    if len(known) < 2:
        return None, "no bars to draw"
    marks = [k == row["at_drawn"] for k in range(len(closes))]
    caption = f"{len(closes)} closes as they came" + (
        f", around {iso_date(row['first_drawn'])}" if row["first_drawn"] else ""
    )
    return trusted(sparkline(closes, marks, f"Closes of {name}")), caption


def sparkline(closes: list[float | None], marks: list[bool], label: str) -> str:
    """Draw closes on a logarithmic scale, with a mark at some of them.

    Parameters
    ----------
    closes : list of float or None
        None and values that are not positive leave a gap; at least one must be positive.
    marks : list of bool
        Which bars to mark.
    label : str
        For a screen reader.

    Returns
    -------
    str
        SVG with the highest and the lowest close beside it.
    """
    width, height, right = 260.0, 84.0, 205.0
    valid = [close for close in closes if close is not None and close > 0]
    low, high = min(valid), max(valid)
    x = svg.scale((0, max(len(closes) - 1, 1)), (6, right))
    levels = [math.log(low), math.log(high)]
    y = svg.scale((levels[0], levels[1]), (height - 10, 10))
    points = [(x(k), y(math.log(close))) if close is not None and close > 0 else None for k, close in enumerate(closes)]
    lines = [svg.element("path", d=svg.path(run), class_="line observed") for run in _runs(points)]
    dots = [
        svg.element("circle", cx=point[0], cy=point[1], r=3, class_="luck-line")
        for point, mark in zip(points, marks, strict=True)
        if mark and point is not None
    ]
    ends = [svg.text(_price(v), right + 8, y(e) + 4) for v, e in zip((low, high), levels, strict=True)]
    return svg.drawing(width, height, label, *lines, *dots, *(ends if high > low else ends[:1]))


def _price(value: float) -> str:
    """Four digits of a price, so that it fits beside the drawing."""
    return f"{value / 1e6:,.4g}M" if value >= 1e6 else f"{value:,.0f}" if value >= 1e4 else f"{value:.4g}"


def _runs(points: list[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Stretches of points without a gap; a lone point is drawn as a short line."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run if len(run) > 1 else [run[0], (run[0][0] + 1, run[0][1])] for run in runs if run]
