"""Known bars written as other programs and people write them."""

from __future__ import annotations

import datetime as dt
import gzip
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

NUMBERS = ("open", "high", "low", "close", "volume")
DATES = {
    "iso": lambda d: d.strftime("%Y-%m-%d"),
    "iso unpadded": lambda d: f"{d.year}-{d.month}-{d.day}",
    "compact": lambda d: d.strftime("%Y%m%d"),
    "year/": lambda d: d.strftime("%Y/%m/%d"),
    "american": lambda d: d.strftime("%m/%d/%Y"),
    "american unpadded": lambda d: f"{d.month}/{d.day}/{d.year}",
    "american short": lambda d: d.strftime("%m/%d/%y"),
    "british": lambda d: d.strftime("%d/%m/%Y"),
    "british short": lambda d: d.strftime("%d/%m/%y"),
    "dashes": lambda d: d.strftime("%d-%m-%Y"),
    "german": lambda d: d.strftime("%d.%m.%Y"),
    "german short": lambda d: d.strftime("%d.%m.%y"),
    "short iso": lambda d: d.strftime("%y-%m-%d"),
    "named": lambda d: f"{d:%d}-{_MONTHS[d.month - 1]}-{d:%Y}",
    "named short": lambda d: f"{d.day}-{_MONTHS[d.month - 1]}-{d:%y}",
    "name first": lambda d: f"{_MONTHS[d.month - 1]} {d:%d}, {d:%Y}",
    "midnight": lambda d: f"{d:%Y-%m-%d} 00:00:00",
    "close": lambda d: f"{d:%m/%d/%Y} 4:00 PM",
    "zulu": lambda d: f"{d:%Y-%m-%d}T00:00:00.000Z",
    "new york": lambda d: f"{d:%Y-%m-%d} 00:00:00-0{_behind(d)}:00",
    "paris": lambda d: f"{d:%Y-%m-%d}T00:00:00+0{-_behind(d, 'Europe/Paris')}:00",
    "utc of new york": lambda d: f"{d:%Y-%m-%d}T0{_behind(d)}:00:00Z",
    "utc of the close": lambda d: f"{d:%Y-%m-%d} {16 + _behind(d)}:00:00+00:00",
    "seconds": lambda d: str(_seconds(d)),
    "seconds as float": lambda d: f"{_seconds(d)}.0",
    "seconds of new york": lambda d: str(_seconds(d) + 3600 * _behind(d)),
    "milliseconds": lambda d: str(_seconds(d) * 10**3),
    "microseconds": lambda d: str(_seconds(d) * 10**6),
    "nanoseconds": lambda d: str(_seconds(d) * 10**9),
    "excel": lambda d: str((d - dt.date(1899, 12, 30)).days),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HEADERS = (
    ("date", "open", "high", "low", "close", "volume"),
    ("Date", "Open", "High", "Low", "Close", "Volume"),
    (" DATE", "OPEN ", "HIGH", " LOW", "CLOSE", "VOLUME "),
    ("timestamp", "o", "h", "l", "c", "v"),
)


@dataclass(frozen=True)
class Dialect:
    """How a file of bars is written."""

    separator: str = ","
    decimal: str = "."
    thousands: str = ""  # of prices and volumes
    grouped: str = "both"  # both, volume
    places: int | None = 2  # decimals of prices; None trims zeros
    currency: str = ""
    scale: str = ""  # K or M behind volumes
    dates: str = "iso"
    changes_to: str = ""  # another form of dates, from the middle on
    header: int = 1
    quotes: str = "needed"  # needed, all
    encoding: str = "utf-8"
    line_end: str = "\n"
    newest_first: bool = False
    missing: str = ""  # how a missing volume is written
    holes: int = 0  # every n-th volume is missing
    preamble: tuple[str, ...] = ()
    footer: tuple[str, ...] = ()
    trailing: str = "none"  # none, rows, all: an empty cell at the end of lines
    extra: str = "none"  # none, text, number: another column
    order: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    header_again: bool = False
    packed: bool = False


def known_bars(seed: int, n: int, price: float, places: int, first: dt.date) -> pl.DataFrame:
    """Random bars that no rule of validation would change, prices rounded as they will be written."""
    random = np.random.default_rng(seed)
    days = pl.date_range(first, first + dt.timedelta(days=2 * n + 10), eager=True)
    days = days.filter(days.dt.weekday() < 6).head(n)
    close = price * np.exp(np.cumsum(0.02 * random.standard_normal(n)))
    open_ = np.concatenate([[price], close[:-1]]) * np.exp(0.005 * random.standard_normal(n))
    open_, close = open_.round(places), close.round(places)
    high = (np.maximum(open_, close) * 1.01).round(places) + 10.0**-places
    low = np.maximum((np.minimum(open_, close) * 0.99).round(places), 10.0**-places)
    low = np.minimum(low, np.minimum(open_, close))
    volume = np.round(10 ** random.uniform(2.5, 7.5) * np.exp(0.3 * random.standard_normal(n))) + 1
    prices = {"open": open_, "high": high.round(places), "low": low.round(places), "close": close}
    return pl.DataFrame({"date": days, **prices, "volume": volume})


def written(bars: pl.DataFrame, form: Dialect, folder: Path) -> tuple[Path, pl.DataFrame]:
    """Write bars in a dialect; return the file and the values that stand in it."""
    volume = [_volume(v, form) for v in bars["volume"]]
    holes = [bool(form.holes) and i % form.holes == form.holes - 1 for i in range(bars.height)]
    rows = []
    for i, bar in enumerate(bars.iter_rows(named=True)):
        late = form.changes_to and i >= bars.height // 2
        cells = [DATES[form.changes_to if late else form.dates](bar["date"])]
        cells += [_price(bar[name], form) for name in NUMBERS[:-1]]
        cells.append(form.missing if holes[i] else volume[i][0])
        rows.append([cells[k] for k in form.order] + {"none": [], "text": ["Ünit"], "number": ["7.5"]}[form.extra])
    rows = rows[::-1] if form.newest_first else rows
    header = [HEADERS[form.header][k] for k in form.order] + ([] if form.extra == "none" else ["Remark"])
    middle = [_line(header, form, True)] if form.header_again else []
    half = len(rows) // 2
    body = [_line(row, form) for row in rows]
    lines = [*form.preamble, _line(header, form, True), *body[:half], *middle, *body[half:], *form.footer]
    content = form.line_end.join([*lines, ""]).encode(form.encoding, errors="replace")
    path = folder / ("ZZA.csv.gz" if form.packed else "ZZA.csv")
    path.write_bytes(gzip.compress(content) if form.packed else content)
    known = bars.with_columns(
        pl.Series("volume", [None if hole else v for hole, (_, v) in zip(holes, volume, strict=True)])
    )
    return path, known


def _line(cells: list[str], form: Dialect, is_header: bool = False) -> str:
    special = (form.separator, '"')
    quoted = [f'"{c}"' if form.quotes == "all" or any(s in c for s in special) else c for c in cells]
    tail = form.trailing == "all" or (form.trailing == "rows" and not is_header)
    return form.separator.join([*quoted, ""] if tail else quoted)


def _grouped(whole: str, separator: str) -> str:
    if separator == "lakh":
        head, tail = whole[:-3], whole[-3:]
        parts = [head[max(0, i - 2) : i] for i in range(len(head), 0, -2)][::-1]
        return ",".join([*parts, tail])
    return separator.join([whole[max(0, i - 3) : i] for i in range(len(whole), 0, -3)][::-1])


def _price(value: float, form: Dialect) -> str:
    text = repr(float(value)) if form.places is None else f"{value:.{form.places}f}"
    text = text.removesuffix(".0") if form.places is None else text
    return form.currency + _localised(text, form, form.thousands if form.grouped == "both" else "")


def _volume(value: float, form: Dialect) -> tuple[str, float]:
    if form.scale:
        size = {"K": 1e3, "M": 1e6}[form.scale]
        text = f"{value / size:.3f}"
        return _localised(text, form, "") + form.scale, float(f"{text}e{3 if form.scale == 'K' else 6}")
    return _localised(f"{value:.0f}", form, form.thousands), value


def _localised(text: str, form: Dialect, thousands: str) -> str:
    whole, point, rest = text.partition(".")
    return _grouped(whole, thousands) + (form.decimal if point else "") + rest


def _behind(day: dt.date, zone: str = "America/New_York") -> int:
    """Hours that the clocks of a zone are behind UTC at the start of a day."""
    offset = dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).utcoffset()
    return -int(offset.total_seconds() // 3600)


def _seconds(day: dt.date) -> int:
    return (day - dt.date(1970, 1, 1)).days * 86_400
