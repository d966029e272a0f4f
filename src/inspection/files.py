"""Read files that a running command may be replacing."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from src.storage.atomic import read_errors


def read_table(path: Path, columns: list[str] | None = None) -> pl.DataFrame | None:
    """Read a table into memory, because Windows refuses to replace a file that is open.

    Parameters
    ----------
    path : Path
        A Parquet file.
    columns : list of str, optional
        Only these.

    Returns
    -------
    DataFrame or None
        None if the file does not exist.

    Raises
    ------
    StageError
        If it can't be read.
    """
    try:
        with read_errors(path, "the stage that writes it writes it again"):
            return pl.read_parquet(path.read_bytes(), columns=columns)
    except FileNotFoundError:
        return None
