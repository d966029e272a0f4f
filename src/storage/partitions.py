"""Rows of one bucket in Parquet files, one for each calendar year: a year whose rows did not change keeps its file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from src.storage.atomic import sync_folder, write_parquet

_AT_ONCE = 4  # years written at a time: most of it is waiting for the disk
UNDATED = 0  # the year of rows without a date


def paths(root: Path, b: int) -> dict[int, Path]:
    """Files of a bucket, such as ``b007-2023.parquet``.

    Parameters
    ----------
    root : Path
        Folder of the shards.
    b : int
        Number of the bucket.

    Returns
    -------
    dict of int to Path
        By year, ascending.
    """
    found = ((int(path.stem.split("-")[1]), path) for path in Path(root).glob(f"b{b:03d}-*.parquet"))
    return dict(sorted(found))


def name(b: int, year: int) -> str:
    """Name of one file.

    Parameters
    ----------
    b : int
        Number of the bucket.
    year : int
        Calendar year, or `UNDATED`.

    Returns
    -------
    str
        Such as ``b007-2023.parquet``.
    """
    return f"b{b:03d}-{year:04d}.parquet"


def by_year(frame: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """Split rows by the year of their date.

    Parameters
    ----------
    frame : DataFrame
        With a column date; null counts as `UNDATED`.

    Returns
    -------
    dict of int to DataFrame
        By year, ascending; rows keep their order.
    """
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
        write_parquet(parts[year], path, {"content": mark} if mark else None, sync=False)
        return True

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        written = any(list(pool.map(put, sorted(parts))))
    if written:
        sync_folder(Path(root))
    for year in present.keys() - parts.keys():
        present[year].unlink()


def same(path: Path, frame: pl.DataFrame) -> bool:
    """Whether a file holds exactly these rows.

    Parameters
    ----------
    path : Path
        A Parquet file; it may be absent.
    frame : DataFrame
        The rows.

    Returns
    -------
    bool
        False if the file can't be read.
    """
    try:
        return pl.read_parquet(path, hive_partitioning=False, glob=False).equals(frame)
    except (pl.exceptions.PolarsError, OSError):
        return False


def marked(path: Path) -> str:
    """The hash in a file's metadata; only its last kilobytes are read.

    Parameters
    ----------
    path : Path
        A Parquet file; it may be absent.

    Returns
    -------
    str
        Empty if there is no hash or the file can't be read.
    """
    try:
        return pl.read_parquet_metadata(path).get("content", "")
    except (pl.exceptions.PolarsError, OSError):
        return ""
