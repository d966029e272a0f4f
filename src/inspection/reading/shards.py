"""Scans of the shards of bars: the files of the buckets and years that are asked for, and no other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.errors import ConfigError, StageError
from src.core.instruments import KEY, Key

if TYPE_CHECKING:
    import polars as pl

Day = dt.date | str | None


def day(value: Day, name: str) -> dt.date | None:
    """Read a day.

    Parameters
    ----------
    value : date, str or None
    name : str
        Of the argument, for the message.

    Raises
    ------
    ConfigError
        If a text is no day.
    """
    if value is None or isinstance(value, dt.datetime):
        return None if value is None else value.date()
    try:
        return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)
    except ValueError:
        raise ConfigError(f"{name} must be a day such as 2024-03-01, got {value}") from None


def scan(
    root: Path, keys: Sequence[Key] | None, buckets: Iterable[int], since: Day, until: Day, remedy: str
) -> pl.LazyFrame:
    """Scan shards.

    Parameters
    ----------
    root : Path
        Folder of ``b007-2023.parquet`` and the like.
    keys : sequence of (asset_class, symbol), or None
        Instruments; None takes all of the buckets.
    buckets : iterable of int
    since, until : date, str or None
        First and last day, both included.
    remedy : str
        What to run where there is no shard.

    Returns
    -------
    LazyFrame
        All columns; sorted by key and date within each shard.

    Raises
    ------
    StageError
        If the buckets have no shard.
    """
    import polars as pl

    first, last = day(since, "since"), day(until, "until")
    files = _files(root, buckets)
    if not files:
        raise StageError(f"{root.as_posix()} has no such shards: run `{remedy}`")
    years = range(first.year if first else 0, (last.year if last else 9999) + 1)
    chosen = [path for year, path in files if year in years] or [files[-1][1]]
    found = pl.scan_parquet(
        chosen, hive_partitioning=False, glob=False, missing_columns="insert", extra_columns="ignore"
    )
    conditions = [*_between(first, last)]
    if keys is not None:
        conditions.append(_is_one_of(keys))
    return found.filter(conditions) if conditions else found


def read(scanned: pl.LazyFrame, columns: Sequence[str] | None, hint: str, root: Path, remedy: str) -> pl.DataFrame:
    """Read what a scan chose: the key columns and those that are wanted, sorted by key and date.

    Parameters
    ----------
    scanned : LazyFrame
        Of `scan`.
    columns : sequence of str, or None
        All where none is named.
    hint : str
        What says which columns there are.
    root : Path
        Folder of the shards.
    remedy : str
        What to run where a file can't be read.

    Raises
    ------
    ConfigError
        If the table lacks a column: names close matches.
    StageError
        If a file can't be read.
    """
    import polars as pl

    try:
        wanted = _chosen(scanned.collect_schema().names(), columns, hint)
        return scanned.select(wanted).sort(*KEY, "date").collect()
    except (pl.exceptions.ComputeError, OSError) as error:
        raise StageError(f"shards in {root.as_posix()} can't be read ({error}): run `{remedy}`") from error


def _chosen(there: list[str], columns: Sequence[str] | None, hint: str) -> list[str]:
    import difflib

    wanted = there if columns is None else [columns] if isinstance(columns, str) else list(columns)
    missing = [name for name in wanted if name not in there]
    if missing:
        close = difflib.get_close_matches(missing[0], there, n=3)
        near = f" (close: {', '.join(close)})" if close else ""
        raise ConfigError(f"there is no column {missing[0]}{near}: {hint}")
    return list(dict.fromkeys([*KEY, "date", *wanted]))


def _files(root: Path, buckets: Iterable[int]) -> list[tuple[int, Path]]:
    from src.storage import partitions

    return [item for b in sorted(set(buckets)) for item in partitions.paths(root, b).items()]


def _between(first: dt.date | None, last: dt.date | None) -> Iterable[Any]:
    import polars as pl

    on = pl.col("date").cast(pl.Date)
    if first is not None:
        yield on >= first
    if last is not None:
        yield on <= last


def _is_one_of(keys: Sequence[Key]) -> pl.Expr:
    """Whether a row is of one of the instruments, in a form that Parquet's statistics can rule row groups out by."""
    import polars as pl

    by_class: dict[str, list[str]] = {}
    for kind, symbol in keys:
        by_class.setdefault(kind, []).append(symbol)
    return pl.any_horizontal(
        (pl.col("asset_class") == kind) & pl.col("symbol").is_in(symbols) for kind, symbols in by_class.items()
    )
