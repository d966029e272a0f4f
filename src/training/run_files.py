"""Reading the files of the run store: shards of runs, and the logs of buckets that are in work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from src.storage import append_log, atomic
from src.training import run_log, run_tables

IDENTITY = ("record_id", "run_key", "attempt")


def scan(path: Path) -> pl.LazyFrame:
    """Rows of a shard or of a log.

    Parameters
    ----------
    path : Path
        A file of the run store.

    Returns
    -------
    LazyFrame
        A shard may be older than some columns, and has those that it was written with.
    """
    if path.suffix == ".log":
        return run_tables.run_table(run_log.decoded(append_log.read(path))).lazy()
    return pl.scan_parquet(path, glob=False)


def identities(path: Path) -> pl.DataFrame:
    """Identity of each run of a shard or of a log, without its predictions.

    Parameters
    ----------
    path : Path
        A file of the run store.

    Returns
    -------
    DataFrame
        Columns of `IDENTITY`.
    """
    if path.suffix == ".log":
        kinds = {name: run_tables.RUN_SCHEMA[name] for name in IDENTITY}
        rows = run_log.columns(append_log.read(path))
        return pl.DataFrame([{name: row[name] for name in IDENTITY} for row in rows], schema=kinds)
    return pl.scan_parquet(path, glob=False).select(IDENTITY).collect()


def read(path: Path) -> pl.DataFrame:
    """Read a file whole.

    Parameters
    ----------
    path : Path
        A file of the run store.

    Raises
    ------
    StageError
        If it can't be read; the message names it.
    """
    with atomic.read_errors(path, run_tables.remedy()):
        return scan(path).collect()


def read_columns(path: Path, columns: Sequence[str], selected: pl.Series | None) -> pl.DataFrame:
    """Read those of the columns that a file has; the identity alone where none of the selected runs is in it.

    Parameters
    ----------
    path : Path
        A shard of runs or a log.
    columns : sequence of str
    selected : Series, optional
        Record ids; None for all.
    """
    if selected is not None:
        identity = identities(path)
        if not identity["record_id"].is_in(selected.implode()).any():
            return identity
    return scan(path).select(pl.col(f"^({'|'.join(columns)})$")).collect()


def model_hashes(paths: Iterable[Path]) -> dict[str, set[str]]:
    """Read which native models training stored.

    Parameters
    ----------
    paths : iterable of Path
        Shards of grades.

    Returns
    -------
    dict
        SHA-256 by record id; several where sessions differ.
    """
    recorded: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        with atomic.read_errors(path, run_tables.remedy()):
            rows = pl.scan_parquet(path, glob=False).select(pl.col("^(record_id|model_sha256)$")).collect()
        if "model_sha256" in rows.columns:
            for record_id, sha256 in rows.drop_nulls().select("record_id", "model_sha256").iter_rows():
                recorded[record_id].add(sha256)
    return dict(recorded)


def as_dates(rows: pl.DataFrame) -> pl.DataFrame:
    """Show times of day only where there are any.

    Parameters
    ----------
    rows : DataFrame
        Its columns of times become dates where all of them are midnights.
    """
    times = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)]
    daily = [name for name in times if (rows[name] == rows[name].dt.truncate("1d")).all()]
    return rows.with_columns(pl.col(daily).cast(pl.Date))
