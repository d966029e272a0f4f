"""How a file of bars is laid out: its columns under our names, its separator, and how its dates are written."""

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
    """A file that can't be read as bars, with the words for its instrument's state."""

    def __init__(self, words: str, state: str = "failed") -> None:
        super().__init__(words)
        self.state = state


@dataclass(frozen=True)
class Layout:
    """Where our columns stand in a file: our name to its name, and the separator of a CSV (None: Parquet)."""

    columns: dict[str, str]
    separator: str | None

    def scan(self, path: Path) -> pl.LazyFrame:
        """The file, lazily; every cell of a CSV as text, so that NA and TRUE stay symbols."""
        if self.separator is None:
            return pl.scan_parquet(path, hive_partitioning=False)
        return pl.scan_csv(path, separator=self.separator, infer_schema=False, encoding="utf8-lossy")


def layout(path: Path, named: dict[str, str]) -> Layout:
    """Find the columns of a file: as `named` says (our name to the file's), else by their usual names.

    Raises
    ------
    ColumnError
        Where the file is empty, is no table, or lacks a column, with what it has and how to name it.
    """
    parquet = path.suffix.lower() in (".parquet", ".pq")
    names, separator = (_parquet_names(path), None) if parquet else _csv_names(path)
    unknown = [ours for ours in named if ours not in _ALIASES]
    if unknown:
        raise ColumnError(f"source.columns: no column of ours is called {unknown[0]}; there are: {', '.join(_ALIASES)}")
    plain = {_plain(name): name for name in reversed(names)}
    columns = {}
    for ours, aliases in _ALIASES.items():
        if ours in named:
            columns[ours] = _given(path, ours, named[ours], names)
        elif (found := next((plain[a] for a in aliases if a in plain), None)) is not None:
            columns[ours] = found
    for ours in REQUIRED:
        if ours not in columns:
            example = _likely(ours, names)
            raise ColumnError(
                f"{path.name} has no column for {ours} (needed: {', '.join(REQUIRED)}); it has: {', '.join(names)}:"
                f' name it with "source.columns.{ours}={example}"'
            )
    return Layout(columns, separator)


def _likely(ours: str, names: list[str]) -> str:
    """A column that no other of ours is known by and whose name is near; where none is, a place for one."""
    taken = {alias for aliases in _ALIASES.values() for alias in aliases}
    spare = {_plain(name): name for name in names if _plain(name) not in taken}
    close = difflib.get_close_matches(ours, spare, n=1, cutoff=0.5)
    return spare[close[0]] if close else "<column>"


def date_column(path: Path, form: Layout, scan: pl.LazyFrame, kinds: Any, interval: str) -> pl.Expr:
    """Expression for the dates of a file (UTC timestamps where intraday); what can't be read is null.

    Raises
    ------
    ColumnError
        Where no known way of writing dates fits, or day and month can't be told apart.
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
    raise ColumnError(f"{path.name}: column {name} reads {largest}, which is no date: write YYYY-MM-DD")


def _from_text(path: Path, name: str, sample: pl.Series, text: pl.Expr) -> pl.Expr:
    """Dates written in one of the known ways, told from the first rows."""
    if sample.is_empty():
        return text.str.to_date("%Y-%m-%d", strict=False)
    read = {form: sample.str.to_date(form, strict=False).count() for form in _FORMATS}
    read |= {form: sample.str.to_datetime(form, strict=False, time_zone=_zone(form)).count() for form in _TIMES}
    best = max(read, key=lambda form: read[form])
    if read[best] == 0:
        raise ColumnError(f"{path.name}: column {name} reads '{sample[0]}', which is no date: write YYYY-MM-DD")
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


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("*", "")
