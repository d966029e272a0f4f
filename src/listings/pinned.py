"""A dated list of the most traded instruments in conf/, the same on every machine until it is refreshed."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from src.config.commands import command
from src.core.errors import ConfigError, StageError
from src.core.instruments import ASSET_CLASSES, KEY
from src.core.project import ROOT
from src.storage.atomic import write_text

COLUMNS: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "rank": pl.Int64(),
    "dollar_volume": pl.Float64(),  # median dollars a day; null if it was not measured
}
SHIPPED = "conf/universe/quick.csv"
_MARK = "#"
_SHRUNK = 0.8  # a class below this share of its former size is rejected


@dataclass(frozen=True)
class PinnedList:
    """A pinned list.

    Attributes
    ----------
    made : date
        Day on which it was made.
    origin : str
        How it was made, in a sentence.
    rows : DataFrame
        Columns of `COLUMNS`, sorted by class and rank.
    """

    made: dt.date
    origin: str
    rows: pl.DataFrame


def located(name: str) -> Path:
    """Resolve the path of a pinned list.

    Parameters
    ----------
    name : str
        Absolute, or relative to the project.

    Returns
    -------
    Path
        Absolute; it need not exist.
    """
    path = Path(name).expanduser()
    return path if path.is_absolute() else ROOT / path


def read(name: str) -> PinnedList:
    """Read a pinned list. Every cell is text, also NA and TRUE.

    Parameters
    ----------
    name : str
        Path, absolute or relative to the project.

    Returns
    -------
    PinnedList
        As in the file, sorted by class and rank.

    Raises
    ------
    ConfigError
        If it can't be read, has no date, or has an unknown class or an instrument twice.
    """
    path = located(name)
    remedy = f"{command('enlist')} writes it again"
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
    for bad, what in ((unknown, "an unknown asset class"), (twice, "an instrument twice")):
        if bad.height:
            raise ConfigError(
                f"universe.pinned: {path} has {what}: {bad['asset_class'][0]}:{bad['symbol'][0]}; {remedy}"
            )
    return PinnedList(made, notes.get("origin", "unknown"), frame.sort("asset_class", "rank"))


def write(pinned: PinnedList, name: str) -> Path:
    """Write a pinned list over the former one.

    Parameters
    ----------
    pinned : PinnedList
        The list.
    name : str
        Path, absolute or relative to the project.

    Returns
    -------
    Path
        Of the file.
    """
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


def replaced(former: PinnedList | None, made: PinnedList, limits: Mapping[str, int]) -> PinnedList:
    """Decide which list to write.

    Parameters
    ----------
    former : PinnedList or None
        The list until now.
    made : PinnedList
        The new ranking.
    limits : mapping of str to int
        Number of instruments by class.

    Returns
    -------
    PinnedList
        The new ranking, with the former rows of classes that could not be ranked at all.

    Raises
    ------
    StageError
        If a class is much smaller than both the former list and its limit.
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
    return PinnedList(made.made, "; ".join([made.origin, *kept]), pl.concat(parts))


def difference(former: PinnedList | None, made: PinnedList) -> str:
    """Describe a list and its difference from the former one.

    Parameters
    ----------
    former : PinnedList or None
        The list until now.
    made : PinnedList
        The new list.

    Returns
    -------
    str
        Instruments of each class, and how many came and went.
    """
    count = {kind: made.rows.filter(asset_class=kind).height for kind in ASSET_CLASSES}
    sizes = f"{count['stock']:,} stocks, {count['etf']:,} ETFs, {count['crypto']:,} coins"
    if former is None:
        return sizes
    came = made.rows.join(former.rows, on=KEY, how="anti").height
    gone = former.rows.join(made.rows, on=KEY, how="anti").height
    return f"{sizes}; since {former.made} {came:,} came and {gone:,} went"


def _note(line: str) -> tuple[str, str]:
    name, _, value = line.lstrip(_MARK).partition(":")
    return name.strip(), value.strip()
