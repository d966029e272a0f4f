"""Tables that a report computes from much data, kept beside it: the same inputs are read once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from src.core.hashing import text_digest
from src.storage import atomic


def kept(folder: Path, name: str, made_from: object, compute: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """Read a table that was computed before from the same inputs, or compute it and keep it.

    Parameters
    ----------
    folder : Path
        Of the dataset (`DatasetPaths.report_cache`). Removing it costs the time of computing again, nothing else.
    name : str
        Of the table.
    made_from : object
        Everything that decides its content, such as digests of files and of code; its text is hashed.
    compute : callable
        Gives the table.

    Returns
    -------
    DataFrame
    """
    path = folder / f"{name}-{text_digest(made_from)[:16]}.parquet"
    if path.is_file():
        try:
            return pl.read_parquet(path, glob=False)
        except (PolarsError, OSError):  # a cache that can't be read is made again
            atomic.remove(path)
    table = compute()
    atomic.write_parquet(table, path)
    for older in folder.glob(f"{name}-{'?' * 16}.parquet"):
        if older != path:
            atomic.remove(older)
    return table
