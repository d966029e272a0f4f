"""A lazy scan of stored features: the files of the buckets and years that are asked for, and no other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.errors import StageError
from src.core.instruments import KEY, Key
from src.inspection.reading.shards import Day, day

if TYPE_CHECKING:
    import polars as pl


def scan(
    root: Path, keys: Sequence[Key] | None, buckets: Iterable[int], since: Day, until: Day, remedy: str
) -> pl.LazyFrame:
    """Scan files of features.

    Parameters
    ----------
    root : Path
        Folder of the features of a dataset.
    keys : sequence of (asset_class, symbol), or None
        Instruments; None takes all of the buckets.
    buckets : iterable of int
    since, until : date, str or None
        First and last day, both included.
    remedy : str
        What to run where there is no file.

    Returns
    -------
    LazyFrame
        asset_class, symbol, date and a Float32 column for each feature, sorted by key and date within each file. A
        column that a file lacks is null there.

    Raises
    ------
    StageError
        If the buckets have no file, or the first one can't be read.
    """
    from polars.io.plugins import register_io_source

    first, last = day(since, "since"), day(until, "until")
    chosen = _chosen(root, buckets, first, last, remedy)
    schema = _schema(chosen[0], root, remedy)

    def rows(
        columns: list[str] | None, predicate: pl.Expr | None, count: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        for path in chosen:
            part = _part(path, list(schema) if columns is None else columns, keys, first, last)
            part = part if predicate is None else part.filter(predicate)
            if count is not None:
                part = part.head(count)
                count -= part.height
            yield part
            if count == 0:
                return

    return register_io_source(rows, schema=schema)


def _chosen(root: Path, buckets: Iterable[int], first: dt.date | None, last: dt.date | None, remedy: str) -> list[Path]:
    """Files of the buckets and years; the newest where no year fits, so that there are columns."""
    from src.features.store import FeatureStore

    store = FeatureStore(root)
    files = [item for b in sorted(set(buckets)) for item in store.files(b).items()]
    if not files:
        raise StageError(f"{root.as_posix()} has no such files: run `{remedy}`")
    years = range(first.year if first else 0, (last.year if last else 9999) + 1)
    return [path for year, path in files if year in years] or [files[-1][1]]


def _schema(path: Path, root: Path, remedy: str) -> pl.Schema:
    """Columns and types, as the first file has them."""
    import polars as pl

    from src.features import feature_files

    try:
        with feature_files.opened(path) as file:
            dates = pl.Date() if file.dates.dtype == "datetime64[D]" else pl.Datetime("us", "UTC")
            return pl.Schema(
                dict.fromkeys(KEY, pl.String()) | {"date": dates} | dict.fromkeys(file.names, pl.Float32())
            )
    except OSError as error:
        raise StageError(f"files in {root.as_posix()} can't be read ({error}): run `{remedy}`") from error


def _part(
    path: Path, columns: list[str], keys: Sequence[Key] | None, first: dt.date | None, last: dt.date | None
) -> pl.DataFrame:
    """Read columns of one file, null where it lacks them."""
    import polars as pl

    from src.features import feature_files

    with feature_files.opened(path) as file:
        there = [name for name in file.names if name in columns]
    before = last + dt.timedelta(days=1) if last and last < dt.date.max else None
    table = feature_files.read([path], there, keys, first, before).table()
    lacking = [pl.lit(None, pl.Float32).alias(name) for name in columns if name not in table.columns]
    return table.with_columns(lacking).select(columns)
