"""A dated list of the most traded instruments, kept in conf/: the same on every machine until it is refreshed."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from src.core.errors import ConfigError, StageError
from src.core.instruments import ASSET_CLASSES, KEY
from src.core.project import ROOT
from src.storage.atomic import write_text

COLUMNS: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "rank": pl.Int64(),
    "dollar_volume": pl.Float64(),  # median dollars a day; null where it was not measured
}
SHIPPED = "conf/universe/quick.csv"
_MARK = "#"
_SHRUNK = 0.8  # a class below this share of what it was is not believed


@dataclass(frozen=True)
class Pinned:
    """The list, the day it was made, and how."""

    made: dt.date
    origin: str
    rows: pl.DataFrame  # COLUMNS, by class and rank


def located(name: str) -> Path:
    """Where a pinned list stands: absolute, or under the project's root."""
    path = Path(name).expanduser()
    return path if path.is_absolute() else ROOT / path


def read(name: str) -> Pinned:
    """Read a pinned list; every cell is text, NA and TRUE too.

    Raises
    ------
    ConfigError
        Where it can't be read, lacks its date, or holds an unknown class or a name twice.
    """
    path = located(name)
    remedy = "python -m src.enlist makes it anew"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"universe.pinned: {path} can't be read: {error}; {remedy}") from error
    notes = dict(_note(line) for line in lines if line.startswith(_MARK) and ":" in line)
    table = csv.DictReader(line for line in lines if line.strip() and not line.startswith(_MARK))
    try:
        made = dt.date.fromisoformat(notes.get("made", ""))
        rows = [
            (row["asset_class"], row["symbol"], int(row["rank"]), float(row["dollar_volume"] or "nan")) for row in table
        ]
    except (KeyError, ValueError, TypeError) as error:
        rule = f"must begin with '# made: YYYY-MM-DD' and have the columns {', '.join(COLUMNS)}"
        raise ConfigError(f"universe.pinned: {path} {rule}, got {error!r}; {remedy}") from error
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row").with_columns(pl.col("dollar_volume").fill_nan(None))
    unknown = frame.filter(~pl.col("asset_class").is_in(ASSET_CLASSES))
    twice = frame.filter(frame.select("asset_class", "symbol").is_duplicated())
    for bad, what in ((unknown, "an asset class that there is not"), (twice, "an instrument twice")):
        if bad.height:
            raise ConfigError(
                f"universe.pinned: {path} has {what}: {bad['asset_class'][0]}:{bad['symbol'][0]}; {remedy}"
            )
    return Pinned(made, notes.get("origin", "unknown"), frame.sort("asset_class", "rank"))


def write(pinned: Pinned, name: str) -> Path:
    """Write a pinned list in place of the former one, and return its path."""
    text = io.StringIO()
    text.write(f"# made: {pinned.made}\n# origin: {pinned.origin}\n")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for kind in ASSET_CLASSES:
        for row in pinned.rows.filter(pl.col("asset_class") == kind).sort("rank").iter_rows():
            table.writerow([*row[:3], "" if row[3] is None else f"{row[3]:.0f}"])
    path = located(name)
    write_text(text.getvalue(), path)
    return path


def replaced(former: Pinned | None, made: Pinned, limits: Mapping[str, int]) -> Pinned:
    """The list to write: `made`, with the former rows of a class that could not be ranked at all.

    Raises
    ------
    StageError
        Where a class has become much smaller than both the former list and its limit.
    """
    parts, kept = [], []
    for kind, limit in limits.items():
        new = made.rows.filter(asset_class=kind)
        old = former.rows.filter(asset_class=kind) if former else new.clear()
        if new.height < _SHRUNK * min(limit, old.height) and new.height:
            raise StageError(f"only {new.height:,} of {limit:,} of class {kind} could be ranked: the former list stays")
        if former and old.height and limit and not new.height:
            kept.append(f"{kind} as listed on {former.made}")
        parts.append((new if new.height else old).head(limit))
    return Pinned(made.made, "; ".join([made.origin, *kept]), pl.concat(parts))


def difference(former: Pinned | None, made: Pinned) -> str:
    """How many of each class, and how many came and went, in words."""
    count = {kind: made.rows.filter(asset_class=kind).height for kind in ASSET_CLASSES}
    words = f"{count['stock']:,} stocks, {count['etf']:,} ETFs, {count['crypto']:,} coins"
    if former is None:
        return words
    came = made.rows.join(former.rows, on=KEY, how="anti").height
    gone = former.rows.join(made.rows, on=KEY, how="anti").height
    return f"{words}; since {former.made} {came:,} came and {gone:,} went"


def _note(line: str) -> tuple[str, str]:
    name, _, value = line.lstrip(_MARK).partition(":")
    return name.strip(), value.strip()
