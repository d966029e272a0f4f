"""Dates of a file of bars: text in many forms, numbers and timestamps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from src.sources.column_error import ColumnError

_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%b-%Y", "%b %d, %Y")
_TIMES = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f%#z", "%+")
_SAMPLE = 1000


def date_column(path: Path, name: str, scan: pl.LazyFrame, kinds: Any, interval: str) -> pl.Expr:
    """Build the expression for the dates of a file.

    Parameters
    ----------
    path : Path
        The file, for messages.
    name : str
        The file's name of its column of dates.
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
