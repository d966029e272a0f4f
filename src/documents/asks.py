"""What was asked of a source and when, as intervals: a stream that is asked often needs one row, not one a request."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from src.core.hashing import table_digest
from src.documents import segments
from src.documents.document import Ask
from src.storage import atomic

GAP = dt.timedelta(days=10)  # between two requests for a stream, at most, for it to count as watched all the time
_MOMENT = pl.Datetime("us", "UTC")
ASKED: dict[str, Any] = {
    "source": pl.String(),
    "stream": pl.String(),
    "since": _MOMENT,  # start of the history that the answers cover, else the first request
    "first": _MOMENT,  # the first request
    "until": _MOMENT,  # the last request
}
_ENTRY = "asks"


def table_of(asks: Iterable[Ask]) -> pl.DataFrame:
    """Asks as intervals.

    Parameters
    ----------
    asks : iterable of Ask

    Returns
    -------
    DataFrame
        Columns of `ASKED`.
    """
    rows = [(a.source, a.stream, min(a.since or a.asked, a.asked), a.asked, a.asked) for a in asks]
    return merged(pl.DataFrame(rows, schema=ASKED, orient="row"))


def merged(table: pl.DataFrame) -> pl.DataFrame:
    """Unite intervals of a stream that are no more than `GAP` apart.

    Parameters
    ----------
    table : DataFrame
        Columns of `ASKED`.

    Returns
    -------
    DataFrame
        The same columns, sorted; uniting it with further intervals gives what uniting all at once does.
    """
    stream = ["source", "stream"]
    table = table.sort(*stream, "since", "until")
    reached = pl.col("until").cum_max().shift(1).over(stream)
    opens = reached.is_null() | (pl.col("since") > reached + GAP)
    return (
        table.with_columns(part=opens.cast(pl.Int32).cum_sum())
        .group_by("part", maintain_order=True)
        .agg(pl.col(*stream).first(), pl.col("since", "first").min(), pl.col("until").max())
        .select(ASKED.keys())
    )


def as_metadata(table: pl.DataFrame) -> dict[str, str]:
    """Write intervals as an entry of a Parquet file's metadata.

    Parameters
    ----------
    table : DataFrame
        Columns of `ASKED`.

    Returns
    -------
    dict of str to str
    """
    rows = table.with_columns(pl.col("since", "first", "until").cast(pl.Int64)).rows()
    return {_ENTRY: json.dumps(rows)}


def of_log(path: Path) -> pl.DataFrame:
    """Read the intervals of a batch of the log.

    Parameters
    ----------
    path : Path

    Returns
    -------
    DataFrame
        Columns of `ASKED`.

    Raises
    ------
    StageError
        If it can't be read.
    """
    with segments.reading(path):
        rows = json.loads(pl.read_parquet_metadata(path).get(_ENTRY, "[]"))
    whole = ASKED | dict.fromkeys(("since", "first", "until"), pl.Int64())
    return pl.DataFrame(rows, schema=whole, orient="row").cast(pl.Schema(ASKED))


def read(root: Path, source: str) -> pl.DataFrame:
    """All that was asked of a source, sealed or not.

    Parameters
    ----------
    root : Path
        Folder of the store.
    source : str

    Returns
    -------
    DataFrame
        Columns of `ASKED`, merged.

    Raises
    ------
    StageError
        If a file can't be read.
    FileNotFoundError
        If one is sealed by another process meanwhile.
    """
    parts = [of_log(path).filter(pl.col("source") == source) for path in segments.log_files(root)]
    return merged(pl.concat([sealed(root, source), *parts]))


def sealed(root: Path, source: str) -> pl.DataFrame:
    """What was asked of a source, without what lies in the log.

    Parameters
    ----------
    root : Path
        Folder of the store.
    source : str

    Returns
    -------
    DataFrame
        Columns of `ASKED`, merged.

    Raises
    ------
    StageError, FileNotFoundError
        As `read`.
    """
    parts = [pl.DataFrame(schema=ASKED)]
    for path in segments.ask_files(root, source):
        with segments.reading(path):
            parts.append(pl.read_parquet(path, glob=False, hive_partitioning=False).select(ASKED.keys()))
    return merged(pl.concat(parts))


def write(root: Path, table: pl.DataFrame) -> None:
    """Store intervals, a file for each source.

    Parameters
    ----------
    root : Path
        Folder of the store.
    table : DataFrame
        Columns of `ASKED`.
    """
    for part in merged(table).partition_by("source"):
        path = root / part["source"][0] / segments.ASKS / f"{table_digest(part)}.parquet"
        if not path.is_file():
            atomic.write_parquet(part, path)
        for folder in (path.parent.parent, root):
            atomic.sync_folder(folder)
