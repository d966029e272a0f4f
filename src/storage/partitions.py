"""Rows of one bucket in Parquet files, one for each calendar year: a year whose rows did not change keeps its file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from src.storage.atomic import settle, write_parquet

_AT_ONCE = 4  # years written at a time: most of it is waiting for the disk
UNDATED = 0  # the year of rows without a date


def paths(root: Path, b: int) -> dict[int, Path]:
    """Files of bucket `b` by year, ascending: ``b007-2023.parquet``."""
    found = ((int(path.stem.split("-")[1]), path) for path in Path(root).glob(f"b{b:03d}-*.parquet"))
    return dict(sorted(found))


def name(b: int, year: int) -> str:
    """Name of one file."""
    return f"b{b:03d}-{year:04d}.parquet"


def by_year(frame: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """Rows by the year of their `date`, ascending, in the order that they have."""
    year = pl.col("date").dt.year().fill_null(UNDATED).alias("_year")
    parts = frame.with_columns(year).partition_by("_year", as_dict=True, include_key=False)
    return {int(str(year)): part for (year,), part in sorted(parts.items())}


def write(root: Path, b: int, parts: dict[int, pl.DataFrame], marks: dict[int, str] | None = None) -> None:
    """Make `parts` the whole content of a bucket.

    Parameters
    ----------
    root
        Folder of the shards.
    b
        Bucket.
    parts
        Rows by year.
    marks
        Hash of each year's rows, kept in the file's own metadata (`marked` reads it): a file that has it already is
        not read to be compared.
    """
    present = paths(root, b)

    def put(year: int) -> bool:
        path, mark = Path(root) / name(b, year), (marks or {}).get(year)
        if marked(path) == mark if mark else same(path, parts[year]):
            return False
        write_parquet(parts[year], path, {"content": mark} if mark else None, settled=False)
        return True

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        written = any(list(pool.map(put, sorted(parts))))
    if written:
        settle(Path(root))
    for year in present.keys() - parts.keys():
        present[year].unlink()


def same(path: Path, frame: pl.DataFrame) -> bool:
    """Whether a file holds exactly these rows; False where it can't be read: it is written anew."""
    try:
        return pl.read_parquet(path, hive_partitioning=False).equals(frame)
    except (pl.exceptions.PolarsError, OSError):
        return False


def marked(path: Path) -> str:
    """The hash that was written into a file, read from its last kilobytes alone; empty where there is none."""
    try:
        return pl.read_parquet_metadata(path).get("content", "")
    except (pl.exceptions.PolarsError, OSError):
        return ""
