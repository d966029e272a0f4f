"""Layout of a file of bars: its columns under our names, its separator, and the format of its dates."""

from __future__ import annotations

import csv
import difflib
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

REQUIRED = ("date", "open", "high", "low", "close", "volume")
_ALIASES = {
    "asset_class": ("asset_class", "assetclass"),
    "symbol": ("symbol", "ticker", "instrument"),
    "date": ("date", "datetime", "timestamp", "time", "day"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "adj_close": ("adj_close", "adjclose", "adjusted_close"),
    "volume": ("volume", "vol", "v"),
    "split": ("split",),
}
_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%b-%Y", "%b %d, %Y")
_TIMES = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f%#z", "%+")
_SEPARATORS = ",;\t|"
_SAMPLE = 1000


class ColumnError(ValueError):
    """A file that can't be read as bars.

    Parameters
    ----------
    message : str
        Becomes the reason of its instrument.
    state : str
        State of its instrument: ``failed`` or ``quarantined``.
    """

    def __init__(self, message: str, state: str = "failed") -> None:
        super().__init__(message)
        self.state = state


@dataclass(frozen=True)
class Layout:
    """Columns of a file.

    Attributes
    ----------
    columns : dict of str to str
        The file's name of a column by ours.
    separator : str or None
        Of a CSV; None for Parquet.
    """

    columns: dict[str, str]
    separator: str | None

    def scan(self, path: Path) -> pl.LazyFrame:
        """Open a file of this layout.

        Parameters
        ----------
        path : Path
            The file.

        Returns
        -------
        LazyFrame
            The file's own columns; every cell of a CSV is text, so that NA and TRUE stay symbols.
        """
        if self.separator is None:
            return pl.scan_parquet(path, hive_partitioning=False)
        return pl.scan_csv(path, separator=self.separator, infer_schema=False, encoding="utf8-lossy")


def layout(path: Path, named: dict[str, str]) -> Layout:
    """Find the columns of a file.

    Parameters
    ----------
    path : Path
        Parquet or CSV, also compressed with gzip.
    named : dict of str to str
        The file's name of a column by ours (``source.columns``). Other columns are found by their usual names.

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
    names, separator = (_parquet_names(path), None) if parquet else _csv_names(path)
    unknown = [ours for ours in named if ours not in _ALIASES]
    if unknown:
        raise ColumnError(f"source.columns: there is no column {unknown[0]} to name; there are: {', '.join(_ALIASES)}")
    by_alias = {_normalised(name): name for name in reversed(names)}
    columns = {}
    for ours, aliases in _ALIASES.items():
        if ours in named:
            columns[ours] = _given(path, ours, named[ours], names)
        elif (name := next((by_alias[a] for a in aliases if a in by_alias), None)) is not None:
            columns[ours] = name
    for ours in REQUIRED:
        if ours not in columns:
            example = _likely(ours, names)
            raise ColumnError(
                f"{path.name} has no column for {ours} (needed: {', '.join(REQUIRED)}); it has: {', '.join(names)}:"
                f' name it with "source.columns.{ours}={example}"'
            )
    return Layout(columns, separator)


def _likely(ours: str, names: list[str]) -> str:
    """The column with the nearest name that is no alias of another column; a placeholder without one."""
    taken = {alias for aliases in _ALIASES.values() for alias in aliases}
    spare = {_normalised(name): name for name in names if _normalised(name) not in taken}
    close = difflib.get_close_matches(ours, spare, n=1, cutoff=0.5)
    return spare[close[0]] if close else "<column>"


def date_column(path: Path, form: Layout, scan: pl.LazyFrame, kinds: Any, interval: str) -> pl.Expr:
    """Build the expression for the dates of a file.

    Parameters
    ----------
    path : Path
        The file, for messages.
    form : Layout
        Its layout.
    scan : LazyFrame
        The file, from which the first rows are read if dates are text.
    kinds : Schema
        Data types of the file's columns.
    interval : str
        Length of a bar.

    Returns
    -------
    Expr
        Dates, or UTC timestamps unless daily; null for cells that can't be read.

    Raises
    ------
    ColumnError
        If no known format fits, or day and month can't be distinguished.
    """
    name = form.columns["date"]
    kind = kinds[name]
    column = pl.col(name)
    if kind == pl.Date:
        return _at(column, interval)
    if kind == pl.Datetime:
        zone = kind.time_zone
        return _at(column.dt.convert_time_zone("UTC") if zone and interval != "1d" else column, interval)
    if kind.is_integer():
        return _at(_from_number(path, name, scan, column), interval)
    text = column.cast(pl.String).str.strip_chars()
    sample = scan.select(text.alias("text")).filter(pl.col("text").is_not_null()).head(_SAMPLE).collect()["text"]
    return _at(_from_text(path, name, sample, text), interval)


def _at(column: pl.Expr, interval: str) -> pl.Expr:
    if interval == "1d":
        return column.cast(pl.Date)
    return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC", ambiguous="earliest", non_existent="null")


def _from_number(path: Path, name: str, scan: pl.LazyFrame, column: pl.Expr) -> pl.Expr:
    """Dates written as 20240131, or as seconds or milliseconds since 1970."""
    largest = scan.select(column.max()).collect().item() or 0
    if largest < 1e8:
        return column.cast(pl.String).str.to_date("%Y%m%d", strict=False)
    if largest < 1e11:
        return pl.from_epoch(column, "s")
    if largest < 1e14:
        return pl.from_epoch(column, "ms")
    raise ColumnError(f"{path.name}: column {name} reads {largest}, which is not a date: write YYYY-MM-DD")


def _from_text(path: Path, name: str, sample: pl.Series, text: pl.Expr) -> pl.Expr:
    """Dates in the format that fits most of the first rows."""
    if sample.is_empty():
        return text.str.to_date("%Y-%m-%d", strict=False)
    read = {form: sample.str.to_date(form, strict=False).count() for form in _FORMATS}
    read |= {form: sample.str.to_datetime(form, strict=False, time_zone=_zone(form)).count() for form in _TIMES}
    best = max(read, key=lambda form: read[form])
    if read[best] == 0:
        raise ColumnError(f"{path.name}: column {name} reads '{sample[0]}', which is not a date: write YYYY-MM-DD")
    if read["%m/%d/%Y"] == read["%d/%m/%Y"] == read[best]:
        raise ColumnError(f"{path.name}: column {name} reads '{sample[0]}': day or month first? Write YYYY-MM-DD")
    if best in _FORMATS:
        return text.str.to_date(best, strict=False)
    moment = text.str.to_datetime(best, strict=False, time_zone=_zone(best))
    return moment.dt.replace_time_zone(None) if _zone(best) else moment


def _zone(form: str) -> str | None:
    return "UTC" if form == "%+" or form.endswith("z") else None


def _parquet_names(path: Path) -> list[str]:
    if path.stat().st_size == 0:
        raise ColumnError(f"{path.name} is empty", "quarantined")
    try:
        return list(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        first = str(error).splitlines()[0]
        raise ColumnError(f"{path.name} can't be read ({first}): it may be truncated; fetch it again") from error


def _csv_names(path: Path) -> tuple[list[str], str]:
    zipped = path.name.lower().endswith(".gz")
    try:
        with gzip.open(path, "rb") if zipped else path.open("rb") as stream:
            head = stream.readline()
    except (OSError, EOFError) as error:
        raise ColumnError(f"{path.name} can't be read ({error}): it may be truncated; fetch it again") from error
    if not head.strip():
        raise ColumnError(f"{path.name} is empty", "quarantined")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in head:
        raise ColumnError(f"{path.name} is not UTF-8 text: save it as CSV UTF-8")
    line = head.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    separator = max(_SEPARATORS, key=line.count)
    return next(csv.reader([line], delimiter=separator)), separator


def _given(path: Path, ours: str, theirs: str, names: list[str]) -> str:
    if theirs not in names:
        raise ColumnError(f"source.columns.{ours}={theirs}: {path.name} has no such column; it has: {', '.join(names)}")
    return theirs


def _normalised(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("*", "")
