"""Store of documents: they are added and never changed, so that the stores of two machines join by copying files.

A run first writes small files to a log, one a batch, and seals them into segments of one source and month; the name of
each file is the hash of its content. What a kill leaves in the log is sealed by the next run, and small segments are
united into larger ones. The folder::

    log/<hash>.parquet                   batches of a run that has not ended
    <source>/<yyyy-mm>/<hash>.parquet    segments, by the month in which their documents were first seen
    <source>/asks/<hash>.parquet         what was asked, as intervals

Any other file is ignored.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from src.core.hashing import table_digest
from src.documents import asks as asked
from src.documents import placed, segments
from src.documents.batches import Appended, BatchRows, batch, log_name
from src.documents.catalogue import Catalogue, keys, retried
from src.documents.contents import Contents
from src.documents.document import DOCUMENTS, Ask, Document
from src.documents.kept_lags import KeptLags
from src.documents.sealing import seal
from src.storage import atomic

__all__ = ["Appended", "DocumentStore"]

_LOG_FILES = 500  # in the log before it is sealed in the middle of a run
_PART = 64 * 2**20  # bytes of bodies that are read at a time
_ORDER = ("known", "source", "id", "revision")
_IDENTITY = ("source", "id", "revision", "kind", "entity", "first_seen", "known", "content_hash")


class DocumentStore:
    """Documents of all sources.

    What is read is made of all observations in the folder, whichever machine made them and in whatever order their
    files came: one content of an id counts once, with the earliest times, and other contents of the id are its
    revisions, in the order in which they were first seen. A content that comes back is no new revision.

    Parameters
    ----------
    root : Path
        `DatasetPaths.documents`; it need not exist.
    lags : mapping
        Hours added to the stamp of history by source, as ``research.lag_hours``.
    """

    def __init__(self, root: Path, lags: Mapping[str, float] | None = None) -> None:
        self.root = Path(root)
        self._catalogue = Catalogue(self.root)
        self._contents: dict[str, Contents] = {}
        self._watched: dict[str, dict[str, dt.datetime]] = {}
        self._ids: dict[tuple[str, str | None], tuple[list[Path], frozenset[str]]] = {}
        self._kept = KeptLags(self.root, lags or {})
        self._logged: list[int] | None = None  # files and bytes in the log

    def lag(self, source: str) -> dt.timedelta:
        """What is added to the stamp of a source's history, for readers of documents that hold many filings.

        It is the one by which the source's first documents were dated, whatever the settings say later.

        Parameters
        ----------
        source : str
        """
        return self._kept.hours(source)

    def append(self, documents: Sequence[Document], asks: Sequence[Ask] = ()) -> Appended:
        """Store a batch; durable on return, whole or not at all.

        A log that has grown large is sealed first, so that memory and the number of files stay bounded.

        Parameters
        ----------
        documents : sequence of Document
            Of one source or several; contents that are stored already are passed over. One that arrives by a clock
            that was set back counts as seen when the content that it revises was, and no document before its archive
            accepted it.
        asks : sequence of Ask
            What was asked, in the same batch: a stream counts as watched from its first ask on.

        Returns
        -------
        Appended

        Raises
        ------
        ValueError
            For a name that can't be that of a source.
        OSError
            If it can't be written; nothing of the batch is stored then.
        """
        for name in {each.source for each in documents} | {each.source for each in asks}:
            if not segments.is_source(name):
                raise ValueError(f"a source's name must be lower-case letters, digits, _ and -, got {name!r}")
        self._seal_large_log()
        for name in {each.source for each in documents}:
            self._kept.keep(name)
        table = asked.table_of(asks)
        watched = self._watched_with(table, {each.source for each in documents})
        found = batch(documents, self._contents_of, watched.__getitem__, self.lag)
        if found.rows or table.height:
            self._write(found, table)
        self._watched |= watched
        for source, added in found.added.items():
            for each in added:
                self._contents_of(source).add(*each)
        return found.appended

    def seal(self) -> None:
        """Turn what lies in the log into segments.

        Raises
        ------
        OSError
            If the disk is full; nothing is lost then, and the next call goes on.
        """
        seal(self._catalogue)
        self._logged = None

    def contains(self, source: str, id: str) -> bool:
        """Whether any content of an id is stored; much faster than making the set of `ids` after each batch.

        Parameters
        ----------
        source, id : str

        Returns
        -------
        bool
        """
        stored = self._contents_of(source)
        return bool(len(stored) and stored.of(keys(pl.Series([id], dtype=pl.String)).item()))

    def contents(self, source: str) -> int:
        """Count the contents that are stored of a source, revisions included: a number that only grows.

        Parameters
        ----------
        source : str
        """
        return len(self._contents_of(source))

    def ids(self, source: str, kind: str | None = None) -> frozenset[str]:
        """Ids that are stored of a source, or of one kind of its documents.

        Parameters
        ----------
        source : str
        kind : str, optional

        Returns
        -------
        frozenset of str
            Without those of a segment that can't be read.
        """

        def read() -> frozenset[str]:
            self._catalogue.observed(source)
            files = self._catalogue.files(source)
            cached = self._ids.get((source, kind))
            if cached is None or cached[0] != files:
                whole = [path for path in files if path not in self._catalogue.damaged]
                cached = self._ids[source, kind] = files, placed.ids(whole, source, kind)
            return cached[1]

        return retried(read)

    def documents(
        self,
        source: str | None = None,
        kinds: Sequence[str] | None = None,
        *,
        until: dt.datetime | None = None,
        revisions: bool = True,
        skip_damaged: bool = False,
    ) -> pl.DataFrame:
        """Stored documents without their bodies, each content once, oldest known first.

        Parameters
        ----------
        source, kinds : optional
            Narrow it.
        until : datetime, optional
            Nothing that became known later.
        revisions : bool
            Whether later contents of an id are among them; else the first alone.
        skip_damaged : bool
            Leave out what can't be read, for looking at the rest; a warning is logged.

        Returns
        -------
        DataFrame
            Columns of `DOCUMENTS`.

        Raises
        ------
        StageError
            If a segment of a source that is asked for can't be read.
        """

        def read(name: str) -> pl.DataFrame:
            found = self._catalogue.resolved(name)
            if not skip_damaged:
                self._catalogue.check(name)
            if kinds is not None:
                found = found.filter(pl.col("kind").cast(pl.String).is_in([*kinds]))
            if until is not None:
                found = found.filter(pl.col("known") <= until)
            return placed.whole(self._catalogue, found if revisions else found.filter(pl.col("revision") == 0))

        names = [source] if source else retried(self._catalogue.sources)
        parts = [retried(lambda name=name: read(name)) for name in names]  # type: ignore[misc]
        return pl.concat([pl.DataFrame(schema=DOCUMENTS), *parts]).sort(*_ORDER)

    def bodies(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Bodies of documents.

        Parameters
        ----------
        rows : DataFrame
            With source, id, revision.

        Returns
        -------
        DataFrame
            source, id, revision, body (Binary), in the order of `rows`. For many documents use `parts`, which reads
            each piece of a file once.

        Raises
        ------
        StageError
            If a segment can't be read, or a document is not stored.
        """
        return retried(lambda: placed.bodies(self._catalogue, rows))

    def parts(self, rows: pl.DataFrame, most: int = _PART) -> Iterator[pl.DataFrame]:
        """Documents with their bodies, in the order in which they lie in the files, a bounded part at a time.

        Parameters
        ----------
        rows : DataFrame
            With source, id, revision, and any other columns.
        most : int
            Bytes of bodies in a part; a larger body is a part of its own.

        Yields
        ------
        DataFrame
            Columns of `rows` and body (Binary).

        Raises
        ------
        StageError
            As `bodies`.
        """
        ordered, sizes = retried(lambda: placed.in_file_order(self._catalogue, rows))
        for begin, end in segments.spans(sizes, most):
            part = ordered[begin:end]
            yield part.with_columns(self.bodies(part)["body"])

    def coverage(self, source: str) -> pl.DataFrame:
        """Intervals in which the streams of a source were watched or their history was taken.

        Parameters
        ----------
        source : str

        Returns
        -------
        DataFrame
            stream, since, until; a stream that was not asked for more than ten days begins a new interval.

        Raises
        ------
        StageError
            If a file can't be read.
        """
        return retried(lambda: asked.read(self.root, source)).select("stream", "since", "until")

    def digest(self, source: str | None = None) -> str:
        """Hash of what is stored; equal for equal documents, in whatever files they lie.

        Parameters
        ----------
        source : str, optional

        Returns
        -------
        str

        Raises
        ------
        StageError
            As `documents`.
        """
        return table_digest(self.documents(source).sort("source", "id", "revision").select(_IDENTITY))

    def _contents_of(self, source: str) -> Contents:
        if source not in self._contents:
            self._contents[source] = Contents(retried(lambda: self._catalogue.observed(source)))
        return self._contents[source]

    def _watched_with(self, table: pl.DataFrame, sources: set[str]) -> dict[str, dict[str, dt.datetime]]:
        """First asks by source and stream, those of a batch included."""
        watched = {}
        for source in {*sources, *table["source"]}:
            if source not in self._watched:
                before = retried(lambda source=source: asked.read(self.root, source))  # type: ignore[misc]
                self._watched[source] = _first(before)
            now = _first(table.filter(pl.col("source") == source))
            old = self._watched[source]
            watched[source] = old | {stream: min(moment, old.get(stream, moment)) for stream, moment in now.items()}
        return watched

    def _write(self, found: BatchRows, asks: pl.DataFrame) -> None:
        table = found.table
        path = self.root / segments.LOG / log_name(table, asks)
        atomic.write_atomic(
            path,
            lambda temporary: table.write_parquet(
                temporary, compression="zstd", compression_level=1, metadata=asked.as_metadata(asks)
            ),
        )
        atomic.sync_folder(self.root)
        if self._logged is not None:
            self._logged = [self._logged[0] + 1, self._logged[1] + int(table["size"].sum())]

    def _seal_large_log(self) -> None:
        if self._logged is None:
            files = segments.log_files(self.root)
            self._logged = [len(files), sum(path.stat().st_size for path in files)]
        if self._logged[0] >= _LOG_FILES or self._logged[1] >= segments.PIECE:
            self.seal()


def _first(table: pl.DataFrame) -> dict[str, dt.datetime]:
    """When each stream was first asked."""
    return dict(table.group_by("stream").agg(pl.col("first").min()).rows())
