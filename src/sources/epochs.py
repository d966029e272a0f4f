"""Dates that are numbers: seconds, milliseconds, microseconds or nanoseconds since 1970, YYYYMMDD, and Excel's days."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

from src.sources.column_error import ColumnError

_UNITS = ((1e8, 1e11, 1_000_000.0), (1e11, 1e14, 1_000.0), (1e14, 1e17, 1.0), (1e17, 1e20, 0.001))
"""Magnitudes of seconds, milliseconds, microseconds and nanoseconds since 1970, and microseconds in each."""
_EPOCH, _EXCEL = dt.date(1970, 1, 1), dt.date(1899, 12, 30)
_FIRST, _LAST = 19_000_101, 21_001_231


def moments(path: Path, column: str, numbers: pl.DataFrame) -> pl.DataFrame:
    """Read dates that are numbers.

    Parameters
    ----------
    path : Path
        The file, for messages.
    column : str
        Its column of dates, for messages.
    numbers : DataFrame
        n (Int64 or Float64), cell and line (for messages), in the order of the file.

    Returns
    -------
    DataFrame
        The same with ``local`` (naive timestamp in microseconds, null where a number is no date), ``utc`` (whether it
        is in UTC: epochs are, days are not) and ``kind``, which changes where the unit does.

    Raises
    ------
    ColumnError
        If the numbers are days that may be Excel's or others'.
    """
    n = numbers["n"]
    if n.dtype.is_float():
        n = n.cast(pl.Float64)
        n = n.set(n.is_nan() | n.is_infinite(), None)
    size = n.abs()
    if (size.is_between(_FIRST, _LAST) & (size == size.cast(pl.Int64))).all() and n.min() == size.min():
        days = n.cast(pl.Int64).cast(pl.String).str.to_date("%Y%m%d", strict=False)
        return _result(numbers, days.cast(pl.Datetime("us")), False, pl.repeat("day", len(n), eager=True))
    if size.is_between(10_000, 100_000, closed="left").all():
        return _excel(path, column, numbers, n)
    return _epochs(numbers, n, size)


def is_rounded(cell: pl.Expr) -> pl.Expr:
    """Whether a number is written with an exponent and fewer digits than a second needs, as 1.60974E+09."""
    parts = cell.str.extract_groups(r"^[-+]?(?P<w>\d+)\.?(?P<f>\d*)[eE]\+?(?P<e>\d+)$").struct
    exponent = parts.field("e").cast(pl.Int64)
    unit = pl.when(exponent < 11).then(0).when(exponent < 14).then(3).when(exponent < 17).then(6).otherwise(9)
    return (exponent - parts.field("f").str.len_chars().cast(pl.Int64) > unit).fill_null(False)


def _epochs(numbers: pl.DataFrame, n: pl.Series, size: pl.Series) -> pl.DataFrame:
    """Epochs: the unit by magnitude; small and negative ones in the unit of the others, if that is one."""
    frame = pl.DataFrame({"n": n, "size": size})
    kind = pl.lit(None, pl.Int32)
    for i, (low, high, _) in enumerate(_UNITS):
        kind = pl.when((pl.col("size") >= low) & (pl.col("size") < high)).then(i).otherwise(kind)
    kinds = frame.select(kind.alias("kind"))["kind"]
    present = kinds.drop_nulls().unique()
    if len(present) == 1:
        day = size.is_between(10_000, 99_999) & (n != 86_400) | size.is_between(_FIRST, _LAST)  # Excel's, or YYYYMMDD
        kinds = kinds.fill_null(present[0]).set((n.is_null() | day).fill_null(True), None)
    micros = pl.repeat(None, len(n), dtype=pl.Int64, eager=True)
    for i, (_, _, factor) in enumerate(_UNITS):
        scaled = n * int(factor) if factor >= 1 and n.dtype.is_integer() else (n // 1000 if factor < 1 else n * factor)
        here = scaled.cast(pl.Float64).is_between(-4e15, 4e15).fill_null(False) & (kinds == i).fill_null(False)
        part = scaled.set(~here, None).cast(pl.Int64, strict=False)
        micros = micros.fill_null(part)
    tomorrow = ((dt.date.today() - _EPOCH).days + 2) * 86_400_000_000  # YYYYMMDDHH taken for seconds is in the 2030s
    micros = micros.set((micros > tomorrow).fill_null(False), None)
    local = micros.cast(pl.Datetime("us"))
    return _result(numbers, local, True, kinds.cast(pl.String))


def _excel(path: Path, column: str, numbers: pl.DataFrame, n: pl.Series) -> pl.DataFrame:
    """Excel's serial days, refused where they may also be days since 1970 or can't be counted from 1900."""
    today = (dt.date.today() - _EPOCH).days
    where = f"{path.name} line {numbers['line'][0]}, column {column}: '{numbers['cell'][0]}' is a count of days"
    largest = float(str(n.max()))
    if largest <= today:
        raise ColumnError(f"{where}, from 1970 or Excel's from 1900: write YYYY-MM-DD", "quarantined")
    if largest > today + (_EPOCH - _EXCEL).days + 2:
        raise ColumnError(f"{where}, but not Excel's from 1900: write YYYY-MM-DD", "quarantined")
    days = n.cast(pl.Float64) - (_EPOCH - _EXCEL).days
    local = ((days * 86_400).round().cast(pl.Int64) * 1_000_000).cast(pl.Datetime("us"))
    return _result(numbers, local, False, pl.repeat("serial", len(n), eager=True))


def _result(numbers: pl.DataFrame, local: pl.Series, utc: bool, kind: pl.Series) -> pl.DataFrame:
    return numbers.with_columns(local.alias("local"), pl.lit(utc).alias("utc"), kind.alias("kind"))
