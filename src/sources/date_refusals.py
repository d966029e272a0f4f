"""What dates of a column, each of which can be read, show together: that they are not what they seem."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

from src.sources.column_error import ColumnError

_DISORDER = 0.02  # of the steps, where a column changes its form
_WEEKENDS = 0.05  # of the days
_OPEN, _SHUT, _ODD_HOURS = dt.time(4), dt.time(20), 0.05  # widest hours of trade; share of bars that may be outside


def require_order(path: Path, column: str, good: pl.DataFrame) -> None:
    """Refuse a column whose form changes unless the dates of all forms together are in order."""
    good = good.sort("line")
    steps = good["local"].diff().drop_nulls().dt.total_microseconds()
    against = min((steps < 0).sum(), (steps > 0).sum())
    if against > _DISORDER * len(steps):
        one = good.row(0, named=True)
        other = good.filter(pl.col("kind") != one["kind"]).row(0, named=True)
        raise ColumnError(
            f"{path.name}: column {column} reads '{one['cell']}' in line {one['line']} and '{other['cell']}' in line"
            f" {other['line']}, and read as two forms the dates are out of order: write YYYY-MM-DD",
            "quarantined",
        )


def refuse_mixed_midnights(path: Path, column: str, read: pl.DataFrame, zone: str) -> None:
    """Refuse days that are stamped at midnight in UTC in one row and at another time of the exchange in others."""
    stamped = read.filter("utc").with_columns(pl.col("local").dt.replace_time_zone("UTC").alias("there"))
    stamped = stamped.with_columns(pl.col("there").dt.convert_time_zone(zone).dt.time())
    midnight = stamped.filter(pl.col("local").dt.time() == dt.time())
    others = stamped.filter(pl.col("local").dt.time() != dt.time())
    is_daily = stamped.height <= stamped["local"].dt.date().n_unique() * 1.2
    if not midnight.height or not is_daily or set(midnight["there"]) == set(others["there"]) or zone == "UTC":
        return
    one, other = midnight.row(0, named=True), others.row(0, named=True)
    raise ColumnError(
        f"{path.name} line {one['line']}: column {column} reads '{one['cell']}', midnight in UTC, but '{other['cell']}'"
        f" in line {other['line']}: which day is meant? Write YYYY-MM-DD",
        "quarantined",
    )


def refuse_weekends(path: Path, column: str, read: pl.DataFrame, zone: str) -> None:
    """Refuse days that fall on weekends because the exchange is elsewhere."""
    serial = read.filter(pl.col("kind").cast(pl.String) == "serial")
    odd = serial.filter(pl.col("day").dt.weekday() > 5)
    if odd.height > _WEEKENDS * serial.height:
        raise ColumnError(
            f"{path.name} line {odd['line'][0]}: column {column} reads '{odd['cell'][0]}', which is a weekend by"
            " Excel's count from 1900 (some count from 1904): write YYYY-MM-DD",
            "quarantined",
        )
    stamped = read.filter("utc")
    local = pl.col("local").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    off = stamped.filter(local.dt.weekday() > 5)
    if stamped.height and off.height > _WEEKENDS * stamped.height:
        raise ColumnError(
            f"{path.name} line {off['line'][0]}: column {column} reads '{off['cell'][0]}', a weekend in {zone}: set"
            " source.time_zone to the zone of the exchange, as in source.time_zone=Europe/Paris",
            "quarantined",
        )


def refuse_odd_hours(path: Path, column: str, read: pl.DataFrame, zone: str) -> None:
    """Refuse times without a zone that no exchange is open at in the zone which is assumed for them."""
    naive = read.filter(~pl.col("utc") & pl.col("local").is_not_null())
    clock = pl.col("local").dt.time()
    odd = naive.filter((clock < _OPEN) | (clock >= _SHUT))
    if odd.height > _ODD_HOURS * naive.height:
        raise ColumnError(
            f"{path.name} line {odd['line'][0]}: column {column} reads '{odd['cell'][0]}', when nothing is traded in"
            f" {zone}: set source.time_zone to the zone of these times, as in source.time_zone=UTC",
            "quarantined",
        )
