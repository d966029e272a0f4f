"""The journal: what the books said, on which data, by which version; nothing in it ever changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Entry:
    """One link of the chain.

    Attributes
    ----------
    number : int
        From 1 on.
    kind : str
        ``book`` for what was said, ``replay`` for what would have been said of days that had passed, ``event`` for a
        promotion, a demotion or the like.
    said_at : datetime
        UTC, when it was made durable.
    first, last : date or None
        Days of the books in it.
    lines : int
        Decisions in it.
    note : mapping
        Plain values: digests of the data and the code, settings of the book, or what happened.
    hash : str
        SHA-256 over all of it, its files, and the hash of the entry before.
    """

    number: int
    kind: str
    said_at: dt.datetime
    first: dt.date | None
    last: dt.date | None
    lines: int
    note: Mapping[str, Any]
    hash: str


class Journal:
    """The journal of one dataset.

    Parameters
    ----------
    root : Path
        ``data/journal/<dataset>``; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def entries(self) -> list[Entry]:
        """Read the chain, and check that each entry follows from the one before.

        Raises
        ------
        StageError
            If an entry or a file of it was changed, removed or added: names the first.
        """
        raise NotImplementedError

    def append(self, kind: str, lines: pl.DataFrame, books: pl.DataFrame, note: Mapping[str, Any]) -> Entry | None:
        """Add what was said; durable on return.

        Parameters
        ----------
        kind : {'book', 'replay'}
        lines : DataFrame
            Columns of `src.signals.tables.LINES`. A decision that the journal has already (same `LINE_KEY`) is left
            out, whatever it says now, and so are refused lines whose refusal it has.
        books : DataFrame
            Columns of `src.signals.tables.BOOK`; of dates that the journal has no book of.
        note : mapping
            What JSON can hold.

        Returns
        -------
        Entry or None
            None where there was nothing new.
        """
        raise NotImplementedError

    def record_event(self, note: Mapping[str, Any]) -> Entry:
        """Add an event, such as a demotion with its reason; durable on return."""
        raise NotImplementedError

    def lines(self, first: dt.date | None = None) -> pl.DataFrame:
        """Read the decisions said for books from a day on.

        Returns
        -------
        DataFrame
            Columns of `src.signals.tables.LINES`, and entry (number), kind, said_at.
        """
        raise NotImplementedError

    def books(self) -> pl.DataFrame:
        """Read the netted books: columns of `src.signals.tables.BOOK`, and entry, kind, said_at."""
        raise NotImplementedError
