"""Dates of a file of bars: read right, decided by the whole column, or refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.sources import epochs
from src.sources.column_error import ColumnError
from src.sources.date_forms import MONTHS, taken_apart, times
from src.sources.date_refusals import refuse_mixed_midnights, refuse_odd_hours, refuse_weekends, require_order
from src.sources.day_order import existing, full_year, ordered, simple_days

YEARS = (dt.date(1900, 1, 1), dt.date(2100, 12, 31))
"""First and last day that are read; others are no dates."""
_UTC = ("UTC", "Etc/UTC", "GMT", "Z", "Zulu", "+00:00")
CELL = "cell"


@dataclass(frozen=True)
class DateReading:
    """How the cells of a column of dates are read.

    Attributes
    ----------
    table : DataFrame
        One row for each different cell: cell, day (as written), moment (naive timestamp), utc (whether the moment is in
        UTC, and the day follows from it), bad (whether the cell is no date).
    has_times : bool
        Whether the dates have different times of day.
    has_days_only : bool
        Whether intraday bars were wanted and no date has a time of day.
    last_line : int
        Last line with a date: what stands below it is a footer.
    """

    table: pl.DataFrame
    has_times: bool
    has_days_only: bool
    last_line: int


def date_reading(
    path: Path,
    column: str,
    cells: pl.DataFrame,
    interval: str,
    zone: str | None = None,
    weekdays: bool = False,
    is_table: bool = False,
) -> DateReading:
    """Find how a column of dates is read.

    Parameters
    ----------
    path : Path
        The file, for messages.
    column : str
        The file's name of the column, for messages.
    cells : DataFrame
        The different cells (``cell``: text, numbers, dates or timestamps) with their first ``line``, in the order of
        the file; none missing.
    interval : str
        Length of a bar.
    zone : str or None
        Where daily bars that are stamped in UTC count, if that is one place for all of them.
    weekdays : bool
        Whether bars on weekends show that the place is wrong.
    is_table : bool
        Whether the file holds many instruments.

    Returns
    -------
    DateReading
        For every cell.

    Raises
    ------
    ColumnError
        If no cell is a date, day and month can't be distinguished, or the form changes and dates are out of order.
    """
    read = _read(path, column, cells, interval, is_table)
    read = read.with_columns(local=pl.when(pl.col("local").dt.date().is_between(*YEARS)).then("local"))
    good = read.filter(pl.col("local").is_not_null())
    if read.height and not good.height:
        raise _no_date(path, column, read)
    if good["kind"].n_unique() > 1:
        require_order(path, column, good)
    clock = good["local"].dt.time()
    midnight = bool((clock == dt.time()).all())
    if interval == "1d":
        stamped = read.filter("utc")["local"].dt.time()
        read = read.with_columns(utc=pl.col("utc") & pl.lit(bool((stamped != dt.time()).any())))
        if zone is not None:
            refuse_mixed_midnights(path, column, read, zone)
        if zone is not None and weekdays:
            refuse_weekends(path, column, read, zone)
    elif zone is not None and weekdays and not midnight:
        refuse_odd_hours(path, column, read, zone)
    table = read.select(CELL, day="day", moment="local", utc="utc", bad=pl.col("local").is_null())
    last = int(str(good["line"].max() or 0))
    return DateReading(table, clock.n_unique() > 1, midnight and interval != "1d" and good.height > 2, last)


def _no_date(path: Path, column: str, read: pl.DataFrame) -> ColumnError:
    where = f"{path.name} line {read['line'][0]}: column {column}"
    return ColumnError(f"{where} reads '{read[CELL][0]}', which is not a date: write YYYY-MM-DD", "quarantined")


def _read(path: Path, column: str, cells: pl.DataFrame, interval: str, is_table: bool) -> pl.DataFrame:
    """Give each cell ``local`` (naive timestamp), ``day`` (as written), ``utc`` (whether local is in UTC), ``kind``."""
    kind = cells[CELL].dtype
    if kind == pl.String:
        return _from_text(path, column, cells, interval, is_table)
    if kind.is_temporal():
        return _from_timestamps(cells, interval)
    numbers = cells.with_columns(n=pl.col(CELL), cell=pl.col(CELL).cast(pl.String))
    read = epochs.moments(path, column, numbers).with_columns(cells[CELL])
    return read.with_columns(day=pl.col("local").dt.date())


def _from_timestamps(cells: pl.DataFrame, interval: str) -> pl.DataFrame:
    """Dates and timestamps of Parquet: the day of their own zone counts, and for intraday bars the moment."""
    kind = cells[CELL].dtype
    zone = kind.time_zone if isinstance(kind, pl.Datetime) else None
    column = pl.col(CELL)
    if zone is not None:
        column = column.dt.convert_time_zone(zone if interval == "1d" else "UTC").dt.replace_time_zone(None)
    stamped = zone is not None and (interval != "1d" or zone in _UTC)
    read = cells.with_columns(local=column.cast(pl.Datetime("us")), utc=pl.lit(stamped), kind=pl.lit("timestamp"))
    return read.with_columns(day=pl.col("local").dt.date())


def _from_text(path: Path, column: str, cells: pl.DataFrame, interval: str, is_table: bool) -> pl.DataFrame:
    days = cells[CELL].str.to_date("%Y-%m-%d", strict=False)
    whole = bool(days.is_between(*YEARS).all()) and not days.null_count()  # 21-01-04 would be of the year 21
    simple = days if whole else simple_days(path, column, cells, is_table)
    if simple is not None:
        read = cells.with_columns(simple.alias("day"), local=simple.cast(pl.Datetime("us")))
        return read.with_columns(utc=pl.lit(False), kind=pl.lit("day"))
    parts = ordered(path, column, taken_apart(cells), is_table)
    month = pl.col("mon").str.to_lowercase().replace_strict(MONTHS, default=None, return_dtype=pl.Int32)
    year, day = pl.col("y").cast(pl.Int32), pl.col("d").cast(pl.Int32)
    parts = times(parts).with_columns(m=pl.col("m").cast(pl.Int32).fill_null(month))
    parts = parts.with_columns(
        day=existing(full_year(year, pl.col("m"), day), pl.col("m"), day),
        kind=pl.concat_str(pl.col("form"), "sep", pl.col("H").is_null(), ignore_nulls=True),
    )
    parts = parts.with_columns(local=pl.col("day").cast(pl.Datetime("us")) + pl.duration(microseconds="time"))
    stamped = pl.col("offset").is_not_null()
    if interval == "1d":
        everywhere = not parts.select((stamped & (pl.col("offset") != 0)).any()).item()
        parts = parts.with_columns(utc=stamped & pl.lit(everywhere))
    else:
        shifted = pl.col("local") - pl.duration(minutes=pl.col("offset").fill_null(0))
        parts = parts.with_columns(local=shifted, utc=stamped)
    numeric = pl.col("form") == "number"
    if not parts.select(numeric.any()).item():
        return parts
    numbers = _numbers(parts.filter(numeric).select(CELL, "line", "n"))
    numbers = epochs.moments(path, column, numbers).with_columns(day=pl.col("local").dt.date())
    kept = [CELL, "line", "day", "local", "utc", "kind"]
    return pl.concat([parts.filter(~numeric.fill_null(False)).select(kept), numbers.select(kept)]).sort("line")


def _numbers(cells: pl.DataFrame) -> pl.DataFrame:
    """Text as integers where it can be, else as float64; what an exponent has rounded is null."""
    whole = cells.select(pl.col("n").str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)).to_series()
    if not whole.null_count():
        return cells.with_columns(n=whole)
    value = pl.when(~epochs.is_rounded(pl.col("n"))).then(pl.col("n").cast(pl.Float64, strict=False))
    return cells.with_columns(n=value)
