"""Reading the shards of one bucket of bars, with errors that say how to get back what is gone."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from src.core.errors import StageError
from src.market.restoring import restoring
from src.storage import partitions
from src.storage.ledger import Ledger


def scan(root: Path, ledger: Ledger, b: int) -> pl.LazyFrame | None:
    """Scan the shards of a bucket, the earliest year first; each is sorted by key and date.

    Parameters
    ----------
    root : Path
        Folder of the store.
    ledger : Ledger
        Of the store.
    b : int
        Bucket.

    Returns
    -------
    LazyFrame or None
        None where the bucket has no shard.

    Raises
    ------
    StageError
        If a shard is missing.
    """
    files = list(partitions.paths(root, b).values())
    missing = sorted((ledger.fact(b, "files") or {}).keys() - {path.name for path in files})
    if missing:
        raise StageError(f"{root / missing[0]} is gone: {restoring(root)}")
    return pl.scan_parquet(files, hive_partitioning=False, glob=False) if files else None


def collected(wanted: pl.LazyFrame, root: Path, b: int) -> pl.DataFrame:
    """Read what a scan chose.

    Parameters
    ----------
    wanted : LazyFrame
        Of `scan`.
    root, b
        As for `scan`.

    Raises
    ------
    StageError
        If a shard can't be read.
    """
    try:
        return wanted.collect()
    except (pl.exceptions.ComputeError, OSError) as error:
        raise StageError(f"bucket {b} in {root} can't be read ({error}): {restoring(root)}") from error
