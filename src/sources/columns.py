"""Layout of a file of bars: its columns under our names."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.sources.column_error import ColumnError
from src.sources.text_table import TextTable, inspected

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
    "time": ("time",),
}


@dataclass(frozen=True)
class Layout:
    """Columns of a file.

    Attributes
    ----------
    columns : dict of str to str
        The file's name of a column by ours.
    text : TextTable or None
        How its text is laid out; None for Parquet.
    """

    columns: dict[str, str]
    text: TextTable | None


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
    text = None if parquet else inspected(path)
    names = _parquet_names(path) if text is None else text.names
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
    if columns.get("time") == columns.get("date"):
        columns.pop("time", None)
    for ours in REQUIRED:
        if ours not in columns:
            example = _likely(ours, names)
            raise ColumnError(
                f"{path.name} has no column for {ours} (needed: {', '.join(REQUIRED)}); it has: {', '.join(names)}:"
                f' name it with "source.columns.{ours}={example}"'
            )
    return Layout(columns, text)


def _likely(ours: str, names: list[str]) -> str:
    """The column with the nearest name that is no alias of another column; a placeholder without one."""
    taken = {alias for aliases in _ALIASES.values() for alias in aliases}
    spare = {_normalised(name): name for name in names if _normalised(name) not in taken}
    close = difflib.get_close_matches(ours, spare, n=1, cutoff=0.5)
    return spare[close[0]] if close else "<column>"


def _parquet_names(path: Path) -> list[str]:
    if path.stat().st_size == 0:
        raise ColumnError(f"{path.name} is empty", "quarantined")
    try:
        return pl.scan_parquet(path, hive_partitioning=False, glob=False).collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        first = str(error).splitlines()[0]
        raise ColumnError(f"{path.name} can't be read ({first}): it may be truncated; fetch it again") from error


def _given(path: Path, ours: str, theirs: str, names: list[str]) -> str:
    if theirs not in names:
        raise ColumnError(f"source.columns.{ours}={theirs}: {path.name} has no such column; it has: {', '.join(names)}")
    return theirs


def _normalised(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("*", "")
