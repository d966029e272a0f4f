"""Store of documents: added to and never changed, so that the stores of two machines join by copying files.

A run first writes small files to a log, one a batch, and seals them at its end into one segment a source; a segment's
name holds the hash of its content. What a kill leaves in the log is sealed by the next run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.documents.document import Ask, Document


@dataclass(frozen=True)
class Appended:
    """What a batch brought.

    Attributes
    ----------
    new, revised, same : int
        Documents of an unknown id, other contents of a known id, and contents that were stored already.
    """

    new: int = 0
    revised: int = 0
    same: int = 0


class DocumentStore:
    """Documents of all sources.

    Parameters
    ----------
    root : Path
        `DatasetPaths.documents`; it need not exist.
    lags : mapping
        Hours added to the stamp of history by source, as ``research.lag_hours``.
    """

    def __init__(self, root: Path, lags: Mapping[str, float] | None = None) -> None:
        self.root = Path(root)
        self._lags = dict(lags or {})

    def lag(self, source: str) -> dt.timedelta:
        """What is added to the stamp of a source's history, for readers of documents that hold many filings.

        Parameters
        ----------
        source : str

        Returns
        -------
        timedelta
        """
        return dt.timedelta(hours=self._lags.get(source, self._lags.get("default", 24.0)))

    def append(self, documents: Sequence[Document], asks: Sequence[Ask] = ()) -> Appended:
        """Store a batch; durable on return, whole or not at all.

        Parameters
        ----------
        documents : sequence of Document
            Of one source or several; contents that are stored already are passed over.
        asks : sequence of Ask
            What was asked, in the same batch: a stream counts as watched from its first ask on.
        """
        raise NotImplementedError

    def seal(self) -> None:
        """Turn what lies in the log into segments."""
        raise NotImplementedError

    def ids(self, source: str, kind: str | None = None) -> frozenset[str]:
        """Ids that are stored of a source, or of one kind of its documents."""
        raise NotImplementedError

    def documents(
        self,
        source: str | None = None,
        kinds: Sequence[str] | None = None,
        *,
        until: dt.datetime | None = None,
        revisions: bool = True,
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

        Returns
        -------
        DataFrame
            Columns of `DOCUMENTS`.
        """
        raise NotImplementedError

    def bodies(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Bodies of documents.

        Parameters
        ----------
        rows : DataFrame
            With source, id, revision.

        Returns
        -------
        DataFrame
            source, id, revision, body (Binary), in the order of `rows`.

        Raises
        ------
        StageError
            If a segment can't be read.
        """
        raise NotImplementedError

    def coverage(self, source: str) -> pl.DataFrame:
        """Intervals in which the streams of a source were watched or their history was taken.

        Returns
        -------
        DataFrame
            stream, since, until; a stream that was not asked for more than ten days begins a new interval.
        """
        raise NotImplementedError

    def digest(self, source: str | None = None) -> str:
        """Hash of what is stored; equal for equal documents, in whatever files they lie."""
        raise NotImplementedError
