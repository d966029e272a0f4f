"""What was found in slices of the documents, kept on this machine so that a run reads what is new alone."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import polars as pl

from src.core.hashing import table_digest
from src.storage import atomic

log = logging.getLogger(__name__)
_IDENTITY = ("source", "id", "revision", "kind", "entity", "title", "content_hash", "known", "published", "accepted")


class KeptPieces:
    """Files named by the documents that they are about.

    Parameters
    ----------
    state : Path or None
        Folder of this machine's state; None keeps nothing.
    version : str
        Of all that decides what is found, documents aside: what other versions found is removed.
    """

    def __init__(self, state: Path | None, version: str) -> None:
        self._folder = state / "pieces" / version if state else None
        self._used: set[str] = set()
        if self._folder and self._folder.parent.is_dir():
            for other in self._folder.parent.iterdir():
                if other.is_dir() and other != self._folder:
                    shutil.rmtree(other, ignore_errors=True)

    def read(self, rows: pl.DataFrame) -> pl.DataFrame | None:
        """Return what was found in these documents, or None.

        Parameters
        ----------
        rows : DataFrame
            Columns of `DOCUMENTS`.
        """
        path = self._path(rows)
        if path is None or not path.is_file():
            return None
        try:
            return pl.read_parquet(path, glob=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            log.warning("%s can't be read (%s): its documents are read once more", path.as_posix(), error)
            return None

    def write(self, rows: pl.DataFrame, found: pl.DataFrame) -> None:
        """Keep what was found in documents.

        Parameters
        ----------
        rows : DataFrame
            Columns of `DOCUMENTS`.
        found : DataFrame
        """
        path = self._path(rows)
        if path is not None:
            atomic.write_parquet(found, path, sync=False)

    def drop_unused(self) -> None:
        """Remove what was found in slices that no longer are."""
        if self._folder and self._folder.is_dir():
            for path in self._folder.glob("*.parquet"):
                if path.name not in self._used:
                    atomic.remove(path)

    def _path(self, rows: pl.DataFrame) -> Path | None:
        if self._folder is None:
            return None
        text = pl.col(pl.String).fill_null("")
        name = f"{table_digest(rows.select(_IDENTITY).with_columns(text))}.parquet"
        self._used.add(name)
        return self._folder / name
