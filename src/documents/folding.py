"""Unite small segments, so that ten years of daily runs are a hundred files a source and not thousands.

New segments are on disk before the old ones are deleted. A kill in between leaves both, which reads the same, and the
next fold deletes the old ones.
"""

from __future__ import annotations

import logging
from itertools import groupby
from pathlib import Path

import polars as pl

from src.core.errors import StageError
from src.core.hashing import table_digest
from src.documents import asks, segments
from src.documents.catalogue import Catalogue
from src.documents.document import DOCUMENTS
from src.storage import atomic

log = logging.getLogger(__name__)

FEW, MANY = 8, 64  # small segments that a month may keep when it is over, and while it lasts; MANY tables of asks


def fold(catalogue: Catalogue, source: str) -> None:
    """Unite the small segments of months that have many of them, and the tables of asks.

    Parameters
    ----------
    catalogue : Catalogue
    source : str

    Raises
    ------
    OSError
        If the disk is full; nothing is lost.
    FileNotFoundError
        If another process does the same.
    """
    sizes = catalogue.sealed_sizes(source)
    months = [(month, list(paths)) for month, paths in groupby(sorted(sizes), lambda path: path.parent.name)]
    for month, paths in months:
        small = [path for path in paths if sizes[path] < segments.PIECE // 2]
        if len(small) > (MANY if month == months[-1][0] else FEW):
            for begin, end in segments.spans([sizes[path] for path in small], segments.PIECE):
                _unite(catalogue.root, source, month, small[begin:end])
    tables = segments.ask_files(catalogue.root, source)
    if len(tables) > MANY:
        whole = asks.sealed(catalogue.root, source)
        asks.write(catalogue.root, whole)
        kept = f"{table_digest(whole)}.parquet"
        for path in tables:
            if path.name != kept:
                atomic.remove(path)


def _unite(root: Path, source: str, month: str, paths: list[Path]) -> None:
    if len(paths) < 2:
        return
    try:
        rows = pl.concat([_sound(path) for path in paths])
    except StageError as error:
        log.warning("%s", error)
        return
    rows = rows.unique([*DOCUMENTS], keep="first", maintain_order=True)
    written = segments.write_segment(root, source, month, rows)
    for path in paths:
        if path != written:
            atomic.remove(path)


def _sound(path: Path) -> pl.DataFrame:
    """Rows of a segment whose bodies are what their hashes say."""
    rows = segments.read_columns(path, [*segments.STORED])
    with segments.reading(path):
        for number, (body, digest) in enumerate(rows.select("body", "content_hash").iter_rows()):
            if segments.body_hash(body) != digest:
                raise OSError(f"the body of row {number} is damaged")
    return rows
