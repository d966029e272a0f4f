"""The journal: what the books said, on which data, by which version; nothing in it ever changes.

Each entry is up to two Parquet files (lines and books) and then one line in ``chain.jsonl``. The files are durable
before the line is, so what a killed process left without its line was not said, and the next entry replaces it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from src.core.errors import StageError
from src.signals import journal_files as files
from src.signals.journal_chain import Entry, JournalChain, append_lines, lock_file, read_chain, remember_head, sealed
from src.signals.journal_sharing import SharedCopy
from src.storage.atomic import remove_temporaries

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

__all__ = ["Entry", "Journal"]
SAYING = ("book", "replay")


class Journal:
    """The journal of one dataset.

    Number and hash of its last entry are kept beside the folder too (``<dataset>.head.json``): a chain that lost its
    last entries shows no fault by itself.

    Parameters
    ----------
    root : Path
        ``data/journal/<dataset>``; it need not exist.
    shared : Path, optional
        Folder through which several machines share it (`src.signals.journal_sharing`).
    """

    def __init__(self, root: Path, shared: Path | None = None) -> None:
        self.root, self.shared = Path(root), shared

    @classmethod
    def of(cls, paths: DatasetPaths) -> Journal:
        """Open the journal of a dataset, shared where ``book.shared_journal`` says so.

        Parameters
        ----------
        paths : DatasetPaths
        """
        return cls(paths.journal, paths.shared_journal)

    def bring_up_to_date(self) -> None:
        """Exchange entries with the shared folder; without one nothing happens.

        Raises
        ------
        StageError
            If the two went on differently, or one is broken.
        """
        if self.shared is not None:
            with self._locked():
                pass

    def entries(self) -> list[Entry]:
        """Read the chain, and check that each entry follows from the one before.

        The hash of each entry is checked, and that its files are there with their sizes; what the files hold is checked
        by `verify`, and of each file when it is read.

        Raises
        ------
        StageError
            If an entry or a file of it was changed, removed or added: names the first.
        """
        return self._chain().entries

    def verify(self) -> int:
        """Check the chain and the SHA-256 of every file.

        Returns
        -------
        int
            Entries.

        Raises
        ------
        StageError
            As `entries`.
        """
        entries = self.entries()
        for entry in entries:
            for name in entry.files:
                files.checked_bytes(self.root, entry, name)
        return len(entries)

    def append(
        self,
        kind: str,
        lines: pl.DataFrame,
        books: pl.DataFrame,
        note: Mapping[str, Any],
        said_at: dt.datetime | None = None,
    ) -> Entry | None:
        """Add what was said; durable on return.

        Parameters
        ----------
        kind : {'book', 'replay'}
        lines : DataFrame
            Columns of `src.signals.tables.LINES`. A decision that the journal has already (same `LINE_KEY`) is left
            out, whatever it says now, and so are refused lines whose refusal it has for that book.
        books : DataFrame
            Columns of `src.signals.tables.BOOK`; rows of dates that the journal has a book of are left out, unless
            decisions are new that it did not hold: a second book of a date stands in place of the first from then on.
        note : mapping
            What JSON can hold.
        said_at : datetime, optional
            With a time zone; now without it.

        Returns
        -------
        Entry or None
            None where there was nothing new.

        Raises
        ------
        ValueError
            If a row lacks its key, or the kind or the note is not as described.
        StageError
            If the journal is broken.
        OSError
            If the disk refuses; the journal is as before.
        """
        if kind not in SAYING:
            raise ValueError(f"kind of what is said must be {' or '.join(SAYING)}, got {kind}")
        lines, books = files.conformed(lines, "lines"), files.conformed(books, "books")
        with self._locked() as chain:
            lines = files.new_lines(self.root, chain.entries, lines)
            further = lines.filter(pl.col("state") == "said")["book_date"].unique().to_list()
            books = files.new_books(self.root, chain.entries, books, further)
            if lines.is_empty() and books.is_empty():
                return None
            return self._add(chain, kind, lines, books, note, said_at)

    def record_event(self, note: Mapping[str, Any], said_at: dt.datetime | None = None) -> Entry:
        """Add an event, such as a demotion with its reason; durable on return.

        Parameters
        ----------
        note : mapping
            What JSON can hold.
        said_at : datetime, optional
            With a time zone; now without it.
        """
        empty = pl.DataFrame()
        with self._locked() as chain:
            return self._add(
                chain, "event", files.conformed(empty, "lines"), files.conformed(empty, "books"), note, said_at
            )

    def lines(self, first: dt.date | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Read the decisions said for books from a day on.

        Parameters
        ----------
        first : date, optional
            Of the books; all without it.
        columns : sequence of str, optional
            A choice of them; ten years of 10,000 lines a day do not fit into memory with all.

        Returns
        -------
        DataFrame
            Columns of `src.signals.tables.LINES`, and entry (number), kind, said_at.

        Raises
        ------
        StageError
            If the chain is broken, or the SHA-256 of a file that is read is not the chain's.
        """
        return self._read("lines", first, columns)

    def deciders(self, names: Collection[str]) -> frozenset[str]:
        """Find the champions that have decided, ever.

        Parameters
        ----------
        names : collection of str
            Champions to look for. Entries are read from the last on, until all are found.

        Returns
        -------
        frozenset of str
            Those of `names` with a line that was said.
        """
        missing = set(names)
        for entry in reversed(self.entries()):
            if not missing:
                break
            said = files.read_tables(self.root, [entry], "lines", ["name", "state"]).filter(state="said")
            missing -= set(said["name"])
        return frozenset(names) - missing

    def books(self, first: dt.date | None = None) -> pl.DataFrame:
        """Read the netted books: columns of `src.signals.tables.BOOK`, and entry, kind, said_at.

        Parameters
        ----------
        first : date, optional
            Of the books; all without it.

        Returns
        -------
        DataFrame
            Of each date the book that was said last.
        """
        books = self._read("books", first, None)
        return books.filter(pl.col("entry") == pl.col("entry").max().over("book_date"))

    def _read(self, table: str, first: dt.date | None, columns: Sequence[str] | None) -> pl.DataFrame:
        entries = self.entries()
        if first is None:
            return files.read_tables(self.root, entries, table, columns)
        chosen = [entry for entry in entries if entry.last is not None and entry.last >= first]
        wanted = None if columns is None else list(dict.fromkeys([*columns, "book_date"]))
        found = files.read_tables(self.root, chosen, table, wanted).filter(pl.col("book_date") >= first)
        return found if columns is None else found.select(columns)

    def _chain(self) -> JournalChain:
        chain = read_chain(self.root)
        while True:
            try:
                files.check_listing(self.root, chain.entries)
            except StageError:
                before, chain = chain, read_chain(self.root)
                if chain.head == before.head:  # else another process has added an entry meanwhile
                    raise
            else:
                return chain

    def _shared(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext() if self.shared is None else SharedCopy(self.root, self.shared).held()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[JournalChain]:
        """Hold the journal's lock, with the chain as it is then."""
        from filelock import FileLock

        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(lock_file(self.root)), self._shared():
            remove_temporaries(self.root, below=False)
            chain = self._chain()
            remember_head(self.root, chain)
            yield chain

    def _add(
        self,
        chain: JournalChain,
        kind: str,
        lines: pl.DataFrame,
        books: pl.DataFrame,
        note: Mapping[str, Any],
        said_at: dt.datetime | None,
    ) -> Entry:
        number, previous = chain.head[0] + 1, chain.head[1]
        days = pl.concat([lines["book_date"], books["book_date"]])
        content = {
            "number": number,
            "kind": kind,
            "said_at": _utc(said_at or dt.datetime.now(dt.UTC)),
            "first": days.min(),
            "last": days.max(),
            "lines": lines.height,
            "decided_first": lines["decided_on"].min(),
            "decided_last": lines["decided_on"].max(),
            "note": dict(note),
            "previous": previous,
        }
        sealed({**content, "files": {}})  # a note that JSON can't hold is refused before anything is written
        stored = files.write_files(self.root, number, {"lines": lines, "books": books})
        longer = append_lines(self.root, chain, [sealed({**content, "files": stored})])
        return longer.entries[-1]


def _utc(moment: dt.datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"said_at must have a time zone, got {moment}")
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
