"""Layout of a file of bars: its columns under our names."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from src.sources import side_by_side, units
from src.sources.column_error import ColumnError
from src.sources.column_names import matched, missing, normalised, setting, unused_events
from src.sources.headerless import named_by_values
from src.sources.table_shape import DAY, TableShape
from src.sources.text_table import TextTable, inspected

_SAMPLE = 200
_MAYBE_SYMBOLS = ("name", "code", "ric")  # symbols in some vendors' tables, companies in others'
_TICKER = r"^(?:[a-z]{2}\.)?[A-Z0-9^][A-Z0-9.\-^=/:]{0,14}$"
_NO_NUMBERS = ("asset_class", "symbol", "date", "time")
_NSE = ("prev_close", "prevclose", "prvsclsgpric", "tottrdqty")


@dataclass(frozen=True)
class Layout:
    """Columns of a file.

    Attributes
    ----------
    columns : dict of str to str
        The column of the shaped table by ours.
    text : TextTable or None
        How its text is laid out; None for Parquet.
    shape : TableShape
        What is done to its rows first.
    scales : dict of str to float
        What the numbers of our columns are multiplied by: units in the names.
    unused : tuple of str
        Columns that may hold events or adjusted closes, and are not read.
    """

    columns: dict[str, str]
    text: TextTable | None
    shape: TableShape = field(default_factory=TableShape)
    scales: dict[str, float] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def layout(path: Path, named: dict[str, str], day: dt.date | None = None) -> Layout:
    """Find the columns of a file.

    Parameters
    ----------
    path : Path
        Parquet or CSV, also compressed with gzip.
    named : dict of str to str
        The file's name of a column by ours (``source.columns``). Other columns are found by their usual names.
    day : date, optional
        From the file's name: of a table with symbols and without a column of dates.

    Returns
    -------
    Layout
        Without the optional columns that the file does not have.

    Raises
    ------
    ColumnError
        If the file is empty, is not a table, or lacks a column, with the columns it has and how to name one.
    """
    parquet = path.suffix.lower() in (".parquet", ".pq")
    text = None if parquet else inspected(path)
    kinds: dict[str, pl.DataType] = _parquet_kinds(path) if text is None else {key: pl.String() for key in text.keys}
    keys = list(kinds)
    abreast = side_by_side.side_by_side(keys, text.header_lines if text is not None else [keys])
    if abreast is not None:
        return _abreast(path, abreast, text)
    found = {}
    if text is not None and not text.header_lines:
        found = named_by_values(path, _sample(path, text)) if len(named) < len(keys) else {}
    columns = found | matched(path, keys, named)
    if "symbol" not in columns and (symbols := _symbols(path, text, keys)) is not None:
        columns["symbol"] = symbols
    is_dated_by_name = day is not None and "symbol" in columns and "date" not in columns
    if is_dated_by_name:
        columns["date"] = DAY
    if (error := missing(path, columns, keys)) is not None:
        if not named and (abreast := side_by_side.joined_names(keys)) is not None:
            return _abreast(path, abreast, text)
        raise _nested(path, kinds) or error
    if (nested := _nested(path, {name: kinds[name] for name in columns.values() if name in kinds})) is not None:
        raise nested
    if (error := _wrong_kind(path, columns, kinds)) is not None:
        raise error
    series = next((key for key in keys if normalised(key) in ("series", "sctysrs")), None)
    is_nse = any(normalised(key) in _NSE for key in keys)
    shape = TableShape(series=series if is_nse else None, day=day if is_dated_by_name else None)
    numbers = {ours: theirs for ours, theirs in columns.items() if ours not in _NO_NUMBERS}
    return Layout(columns, text, shape, units.scales(path, numbers), tuple(unused_events(columns, keys)))


def _abreast(path: Path, found: side_by_side.SideBySide, text: TextTable | None) -> Layout:
    lines = (
        text.header_lines if text is not None else [[key for held in found.tickers.values() for key in held.values()]]
    )
    if (name := next((cell for line in lines for cell in line if units.is_scaled(cell)), None)) is not None:
        raise ColumnError(
            f"{path.name}: column {name} of several instruments has a unit: write shares and whole currency"
        )
    columns = {name: name for name in (side_by_side.DATE, side_by_side.SYMBOL, *found.fields)}
    return Layout(columns, text, TableShape(abreast=found))


def _symbols(path: Path, text: TextTable | None, keys: list[str]) -> str | None:
    """A column that has tickers in some vendors' tables and names of companies in others'."""
    for key in (key for key in keys if normalised(key) in _MAYBE_SYMBOLS):
        cells = _sample(path, text)[key].cast(pl.String).drop_nulls().str.strip_chars()
        if len(cells) and cells.str.contains(_TICKER).all():
            return key
    return None


def _sample(path: Path, text: TextTable | None) -> pl.DataFrame:
    """The first rows, cells as text."""
    if text is None:
        return pl.scan_parquet(path, hive_partitioning=False, glob=False).head(_SAMPLE).collect()
    try:
        frame = next(text.chunks(), pl.DataFrame(schema=dict.fromkeys(text.keys, pl.String())))
    except pl.exceptions.PolarsError:
        frame = next(text.careful().chunks(), pl.DataFrame(schema=dict.fromkeys(text.keys, pl.String())))
    return frame.select(text.keys).head(_SAMPLE)


def _nested(path: Path, kinds: dict[str, pl.DataType]) -> ColumnError | None:
    """Refuse columns that hold lists or records."""
    nested = [f"{name} ({str(kind)[:60]})" for name, kind in kinds.items() if kind.is_nested()]
    if not nested:
        return None
    return ColumnError(f"{path.name} has nested columns, {', '.join(nested[:3])}: write one bar a row in flat columns")


def _wrong_kind(path: Path, columns: dict[str, str], kinds: dict[str, pl.DataType]) -> ColumnError | None:
    """Refuse a column of Parquet whose type can't be what its name says: a date of bytes, a price of dates."""
    for ours, theirs in columns.items():
        kind = kinds.get(theirs)
        if kind is None or kind in (pl.String, pl.Null) or isinstance(kind, pl.Categorical | pl.Enum):
            continue
        if ours in ("date", "time"):
            fits, what = kind.is_numeric() or (kind.is_temporal() and kind != pl.Duration), "dates, text or numbers"
        elif ours in ("symbol", "asset_class"):
            fits, what = kind.is_integer() or kind == pl.Boolean, "text"
        else:
            fits, what = kind.is_numeric(), "numbers"
        if not fits:
            return ColumnError(
                f"{path.name}: column {theirs} is of type {kind}, which is no {ours.replace('_', ' ')}: write it as"
                f" {what}, or name another with {setting(ours, None)}",
                "quarantined",
            )
    return None


def _parquet_kinds(path: Path) -> dict[str, pl.DataType]:
    if path.stat().st_size == 0:
        raise ColumnError(f"{path.name} is empty", "quarantined")
    with path.open("rb") as stream:
        if stream.read(4) not in (b"PAR1", b"PARE"):
            raise ColumnError(f"{path.name} is no Parquet file: if it is text, end its name in .csv")
    try:
        return dict(pl.scan_parquet(path, hive_partitioning=False, glob=False).collect_schema())
    except (pl.exceptions.PolarsError, OSError) as error:
        first = re.sub(r"\s+", " ", str(error)).strip()[:160]
        raise ColumnError(f"{path.name} can't be read ({first}): it may be truncated; fetch it again") from error
