"""Documents and bodies from the places that the catalogue knows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from src.core.errors import StageError
from src.documents import segments
from src.documents.catalogue import Catalogue, keys
from src.documents.document import DOCUMENTS

_COUNTED = ("revision", "first_seen", "known", "backfilled")  # what all observations together decide
_PLACE = {"at": pl.UInt32, "file": pl.UInt32, "row": pl.UInt32, "size": pl.Int64}


def ids(files: Iterable[Path], source: str, kind: str | None) -> frozenset[str]:
    """Ids of a source in some files.

    Parameters
    ----------
    files : iterable of Path
    source : str
    kind : str or None
        Of one kind of its documents.

    Returns
    -------
    frozenset of str
    """
    parts = [pl.Series("id", [], pl.String)]
    for path in files:
        table = segments.read_columns(path, ["source", "id"] if kind is None else ["source", "id", "kind"])
        wanted = pl.col("source") == source
        parts.append(table.filter(wanted if kind is None else wanted & (pl.col("kind") == kind))["id"])
    return frozenset(pl.concat(parts).unique().to_list())


def whole(catalogue: Catalogue, found: pl.DataFrame) -> pl.DataFrame:
    """All columns of documents but the body, from their files.

    Parameters
    ----------
    catalogue : Catalogue
    found : DataFrame
        Rows of ``catalogue.resolved``.

    Returns
    -------
    DataFrame
        Columns of `DOCUMENTS`.
    """
    parts = [pl.DataFrame(schema=DOCUMENTS)]
    for (file,), rows in found.partition_by("file", as_dict=True).items():
        table = segments.read_columns(catalogue.path(int(str(file))), [*DOCUMENTS])
        parts.append(table[rows["row"]].with_columns(rows[name] for name in _COUNTED))
    return pl.concat(parts)


def bodies(catalogue: Catalogue, rows: pl.DataFrame) -> pl.DataFrame:
    """Bodies of documents.

    Parameters
    ----------
    catalogue : Catalogue
    rows : DataFrame
        With source, id, revision.

    Returns
    -------
    DataFrame
        source, id, revision, body, in the order of `rows`.

    Raises
    ------
    StageError
        If a document is not stored, or can't be read.
    """
    found: list[bytes] = [b""] * rows.height
    places = _places(catalogue, rows)
    for (file,), part in places.partition_by("file", as_dict=True).items():
        numbers = part["row"].cast(pl.Int64).to_numpy()
        read = segments.read_bodies(catalogue.path(int(str(file))), numbers)
        for at, body in zip(part["at"].to_list(), read, strict=True):
            found[at] = body
    return rows.select("source", "id", "revision").with_columns(pl.Series("body", found, pl.Binary))


def in_file_order(catalogue: Catalogue, rows: pl.DataFrame) -> tuple[pl.DataFrame, list[int]]:
    """Sort documents as they lie in the files.

    Parameters
    ----------
    catalogue : Catalogue
    rows : DataFrame
        With source, id, revision.

    Returns
    -------
    (DataFrame, list of int)
        The rows, and the bytes of their bodies.
    """
    places = _places(catalogue, rows).sort("file", "row")
    return rows[places["at"]], places["size"].to_list()


def _places(catalogue: Catalogue, rows: pl.DataFrame) -> pl.DataFrame:
    """File, row and size of each document, with its number in `rows`."""
    wanted = rows.select("source", "revision", key=keys(rows["id"])).with_row_index("at")
    parts = [pl.DataFrame(schema=_PLACE)]
    for (source,), part in wanted.partition_by("source", as_dict=True).items():
        known = catalogue.resolved(str(source))
        first = np.searchsorted(known["key"].to_numpy(), part["key"].to_numpy())
        at = first + part["revision"].to_numpy()  # revisions of a key are 0, 1, ... one after the other
        held = (at >= first) & (at < known.height)
        found = known[pl.Series(at[held], dtype=pl.UInt32)]
        held[held] = (found["key"].to_numpy() == part["key"].to_numpy()[held]) & (
            found["revision"].to_numpy() == part["revision"].to_numpy()[held]
        )
        if not held.all():
            catalogue.check(str(source))
            lost = rows.row(part["at"][int(np.argmin(held))], named=True)
            raise StageError(f"{source}: {lost['id']!r}, revision {lost['revision']}, is not stored")
        parts.append(found.select(part["at"], "file", "row", "size"))
    return pl.concat(parts)
