"""Turn the batches of the log into segments.

A batch is deleted when all its rows lie in segments on disk, so a kill or a full disk at any moment loses nothing; rows
that a kill left in both are not written again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from src.core.errors import StageError
from src.documents import asks, segments
from src.documents.catalogue import Catalogue, content_numbers, keys, retried
from src.documents.folding import fold
from src.storage import atomic

log = logging.getLogger(__name__)
Part = tuple[str, str]  # source and month

_SAME = ["key", "content", "first_seen"]


def seal(catalogue: Catalogue) -> None:
    """Write segments of what lies in the log, one source and month after the other, and empty the log.

    Parameters
    ----------
    catalogue : Catalogue
        Of the store.

    Raises
    ------
    OSError
        If the disk is full; what is not in segments stays in the log.
    """
    retried(lambda: _seal(catalogue))


def _seal(catalogue: Catalogue) -> None:
    root = catalogue.root
    files = segments.log_files(root)
    if not files:
        return
    atomic.remove_temporaries(root)
    left = dict(_readable(files))
    asks.write(root, pl.concat([pl.DataFrame(schema=asks.ASKED), *map(asks.of_log, left)]))
    _remove(left)
    for source, month in sorted({part for parts in left.values() for part in parts}):
        stored = catalogue.observed(source, sealed=True).select(_SAME)
        pieces = _pieces([path for path, parts in left.items() if (source, month) in parts], source, month, stored)
        for paths, rows in pieces:
            if rows.height:
                segments.write_segment(root, source, month, rows)
            for path in paths:
                left[path].discard((source, month))
            _remove(left)
    atomic.sync_folder(root / segments.LOG)
    if is_carried(root):
        return
    for source in segments.sources(root):
        fold(catalogue, source)


def is_carried(root: Path) -> bool:
    """Whether DVC carries the folder to other machines: its files are then only added, so that DVC can join two lists.

    Parameters
    ----------
    root : Path
        Folder of the store.
    """
    return root.with_name(f"{root.name}.dvc").is_file()


def _readable(files: list[Path]) -> Iterator[tuple[Path, set[Part]]]:
    """Batches with the sources and months of their documents; a damaged one stays in the log."""
    for path in files:
        try:
            heads = segments.read_columns(path, ["source", "first_seen"])
        except StageError as error:
            log.warning("%s", error)
            continue
        yield path, {(source, month) for source, month in heads.select("source", _month()).unique().rows()}


def _pieces(
    files: list[Path], source: str, month: str, stored: pl.DataFrame
) -> Iterator[tuple[list[Path], pl.DataFrame]]:
    """Rows of one source and month that are in no segment, about `segments.PIECE` bytes of bodies at a time."""
    paths: list[Path] = []
    parts: list[pl.DataFrame] = []
    size = 0
    for path in files:
        rows = segments.read_columns(path, [*segments.STORED]).filter(pl.col("source") == source, _month() == month)
        marked = rows.with_columns(
            keys(rows["id"]).alias("key"), content_numbers(rows["content_hash"]).alias("content")
        )
        rows = marked.join(stored, on=_SAME, how="anti", maintain_order="left").drop("key", "content")
        paths.append(path)
        parts.append(rows)
        size += int(rows["size"].sum())
        if size >= segments.PIECE:
            yield paths, pl.concat(parts)
            paths, parts, size = [], [], 0
    if paths:
        yield paths, pl.concat(parts)


def _month() -> pl.Expr:
    return pl.col("first_seen").dt.strftime("%Y-%m").alias("month")


def _remove(left: dict[Path, set[Part]]) -> None:
    """Delete batches of which nothing is left to seal."""
    for path in [path for path, parts in left.items() if not parts]:
        atomic.remove(path)
        del left[path]
