"""Types of the columns of a table: what they say of cells before one is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from src.sources.dates import YEARS


def is_number(kind: pl.DataType) -> bool:
    """Whether cells may be numbers: they are, or they are text."""
    return kind == pl.String or kind.is_numeric()


def is_category(kind: pl.DataType) -> bool:
    """Whether cells are text that is stored once for each different one."""
    return isinstance(kind, pl.Categorical | pl.Enum)


def is_text(frame: pl.DataFrame, name: str | None) -> bool:
    """Whether a table has the column, as text."""
    return name is not None and frame.schema[name] == pl.String


def holds_days_and_numbers(path: Path, date: str, numbers: Iterable[str]) -> bool:
    """Whether a Parquet file needs no reading of cells: each is a day or a number by its type.

    Parameters
    ----------
    path : Path
        The file.
    date : str
        Its column of dates.
    numbers : iterable of str
        Its columns of numbers.

    Returns
    -------
    bool
        False if a day is missing or outside `YEARS`.
    """
    scan = pl.scan_parquet(path, hive_partitioning=False, glob=False)
    kinds = scan.collect_schema()
    if kinds[date] != pl.Date or not all(kinds[name].is_numeric() for name in numbers):
        return False
    return bool(scan.select(pl.col(date).is_between(*YEARS).fill_null(False).all()).collect().item())
