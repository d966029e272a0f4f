"""What was made of documents, kept by their content: deriving again reads new documents alone."""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import polars as pl

from src.core.code_hash import code_digest
from src.documents.document_store import DocumentStore
from src.runtime.progress import Progress
from src.storage import atomic

log = logging.getLogger(__name__)
UNREADABLE = (
    ValueError, LookupError, TypeError, AttributeError, RuntimeError, EOFError, ParseError, zipfile.BadZipFile,
    zlib.error, pl.exceptions.PolarsError,
)  # fmt: skip
"""Errors by which a reader says that a body is not what its kind promises."""
_KEY, _ROW = "content_hash", "rows_of"
_MOST_PARTS = 32
_SHOWN = 2_000  # documents whose reading shows progress
_REST = 200_000_000  # bytes of the rows that wait to be written


@dataclass(frozen=True)
class Reader:
    """A function of a document's body, and what it returns.

    Attributes
    ----------
    name : str
        Of the folder of what it made.
    read : callable
        ``read(body) -> DataFrame or list of dict``; raises one of `UNREADABLE` for a body that it can't read.
    columns : mapping
        Names and polars types of a row.
    """

    name: str
    read: Callable[[bytes], pl.DataFrame | list[dict[str, Any]]]
    columns: Mapping[str, Any] = field(default_factory=dict)


class ReadCache:
    """Rows by the hash of the content that they were read from.

    Parameters
    ----------
    folder : Path or None
        Where they lie; None keeps them in memory, and everything is read each time. Losing it costs time alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = Path(folder) if folder else None
        self._held: dict[str, list[pl.DataFrame]] = {}

    def rows(self, name: str, columns: Mapping[str, Any], wanted: pl.Series | None = None) -> pl.DataFrame:
        """Return rows of one name.

        Parameters
        ----------
        name : str
        columns : mapping
            Names and types beside ``content_hash``.
        wanted : Series of String, optional
            Hashes of the contents whose rows are wanted.
        """
        if self._folder:
            found = (_part(path, columns, wanted) for path in self._paths(name))
            parts = [part for part in found if part is not None]
        else:
            names = [_KEY, *columns]
            parts = [_of(part.select(names), wanted) for part in self._held.get(name, [])]
        empty = pl.DataFrame(schema={_KEY: pl.String(), **columns})
        return pl.concat([empty, *parts])

    def add(self, name: str, rows: pl.DataFrame) -> None:
        """Keep rows.

        Parameters
        ----------
        name : str
        rows : DataFrame
            ``content_hash`` and the columns of this name.
        """
        if not rows.height:
            return
        if self._folder is None:
            self._held.setdefault(name, []).append(rows)
            return
        paths = self._paths(name)
        last = 1 + max((_span(path)[1] for path in paths), default=0)
        joined = paths if len(paths) >= _MOST_PARTS else []
        parts = [part for path in joined if (part := _part(path, dict(rows.schema))) is not None]
        first = 1 if joined else last
        atomic.write_parquet(pl.concat([*parts, rows]), self._folder / name / f"{first}-{last}.parquet")
        for path in joined:
            atomic.remove(path)

    def current(self, kind: str, code: str) -> str:
        """Name of what a reader makes, and the end of what an earlier release of it made.

        Parameters
        ----------
        kind : str
            Name of the reader.
        code : str
            Hash of what it computes.
        """
        name = code[:12]
        for path in (self._folder / kind).glob("*/*.parquet") if self._folder else ():
            if path.parent.name != name:
                atomic.remove(path)
        return f"{kind}/{name}"

    def _paths(self, name: str) -> list[Path]:
        """Files of a name, without those that a later one took in before a kill."""
        folder = (self._folder or Path()) / name
        spans = {path: _span(path) for path in folder.glob("*-*.parquet")}
        inside = {
            a
            for a, (low, high) in spans.items()
            if any(first <= low and high <= last for b, (first, last) in spans.items() if a != b)
        }
        return sorted(spans.keys() - inside, key=spans.__getitem__)


def gathered(store: DocumentStore, documents: pl.DataFrame, reader: Reader, cache: ReadCache) -> pl.DataFrame:
    """Read what is new among documents, and return the rows of all of them.

    Parameters
    ----------
    store : DocumentStore
    documents : DataFrame
        Columns of `DOCUMENTS`.
    reader : Reader
    cache : ReadCache

    Returns
    -------
    DataFrame
        ``content_hash`` and the reader's columns. A body that can't be read has no rows; these are counted in the log.
    """
    name = filled(store, documents, reader, cache)
    return read_rows(documents, reader, cache, name)


def read_rows(documents: pl.DataFrame, reader: Reader, cache: ReadCache, name: str) -> pl.DataFrame:
    """Rows of documents that were read before.

    Parameters
    ----------
    documents : DataFrame
        With ``content_hash``.
    reader : Reader
    cache : ReadCache
    name : str
        As `filled` returned it.

    Returns
    -------
    DataFrame
        ``content_hash`` and the reader's columns.
    """
    columns = {**reader.columns, _ROW: pl.Boolean()}
    return cache.rows(name, columns, documents[_KEY].unique()).filter(_ROW).drop(_ROW)


def filled(store: DocumentStore, documents: pl.DataFrame, reader: Reader, cache: ReadCache) -> str:
    """Read what is new among documents into the cache, some at a time.

    Parameters
    ----------
    store : DocumentStore
    documents : DataFrame
        Columns of `DOCUMENTS`.
    reader : Reader
    cache : ReadCache

    Returns
    -------
    str
        Name under which the rows lie.
    """
    columns = {**reader.columns, _ROW: pl.Boolean()}
    name = cache.current(reader.name, code_digest(reader.read))
    done = cache.rows(name, {})
    new = documents.unique(_KEY, keep="first", maintain_order=True).join(done, on=_KEY, how="anti")
    refused: list[str] = []
    parts: list[pl.DataFrame] = []
    found = store.parts(new.select("source", "id", "revision", _KEY))
    for part in shown(found, new.height, f"document read as {reader.name}"):
        parts.append(_read(part, reader, columns, refused))
        if sum(each.estimated_size() for each in parts) > _REST:
            cache.add(name, pl.concat(parts))
            parts = []
    if parts:
        cache.add(name, pl.concat(parts))
    if refused:
        log.warning("%d documents can't be read as %s, such as %s", len(refused), reader.name, refused[0])
    return name


def shown(parts: Iterable[pl.DataFrame], total: int, unit: str) -> Iterator[pl.DataFrame]:
    """Go through parts of documents, with progress where there are many.

    Parameters
    ----------
    parts : iterable of DataFrame
    total : int
        Documents in all.
    unit : str
        Name of one of them.

    Yields
    ------
    DataFrame
    """
    if total < _SHOWN:
        yield from parts
        return
    with Progress("ingest", total, unit=unit) as progress:
        for part in parts:
            yield part
            progress.advance(part.height)


def _read(batch: pl.DataFrame, reader: Reader, columns: Mapping[str, Any], refused: list[str]) -> pl.DataFrame:
    """Rows of some documents, and a row that says nothing for each document, so that it is not read again."""
    schema = pl.Schema({_KEY: pl.String(), **columns})
    tables, plain = [], []
    for content, name, body in zip(batch[_KEY], batch["id"], batch["body"], strict=True):
        try:
            found = reader.read(body)
        except UNREADABLE as error:
            refused.append(f"{name} ({type(error).__name__}: {error})")
            continue
        if isinstance(found, pl.DataFrame):
            extra = {_KEY: pl.lit(content), _ROW: pl.lit(value=True)}
            tables.append(found.with_columns(**extra).select(schema.names()).cast(schema))
        else:
            plain += [{_KEY: content, _ROW: True, **row} for row in found]
    marks = batch.select(_KEY, **{_ROW: pl.lit(value=False)})
    return pl.concat([*tables, pl.DataFrame(plain, schema=schema), marks], how="diagonal")


def _span(path: Path) -> tuple[int, int]:
    """Numbers of the first and last batch that a file holds."""
    first, last = path.stem.split("-")
    return int(first), int(last)


def _part(path: Path, columns: Mapping[str, Any], wanted: pl.Series | None = None) -> pl.DataFrame | None:
    """Rows of one file of the cache; None if it can't be read or is of another form: it is made again."""
    names = [_KEY, *(name for name in columns if name != _KEY)]
    try:
        part = pl.read_parquet(path, columns=names, glob=False)
    except (OSError, pl.exceptions.PolarsError):
        log.warning("%s can't be read: what it held is read from the documents again", path.as_posix())
        return None
    return _of(part.select(names), wanted)


def _of(rows: pl.DataFrame, wanted: pl.Series | None) -> pl.DataFrame:
    """Rows of some contents."""
    return rows if wanted is None else rows.join(wanted.to_frame(_KEY), on=_KEY, how="semi", maintain_order="left")
