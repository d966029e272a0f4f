"""Index of the words of stored documents: an SQLite database of this machine, made again from the store when lost.

It remembers which files of the store it has read, so that an update reads new ones alone; a document's words and the
record of it are written in one transaction. Texts stay in the store: the index holds where each word occurs.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.core.errors import StageError
from src.core.hashing import text_digest
from src.documents import segments
from src.documents.catalogue import retried
from src.documents.document import DOCUMENTS
from src.documents.search_query import Hit, Hits, Query, Words
from src.documents.search_text import file_name, searchable_text
from src.runtime.progress import Progress

log = logging.getLogger(__name__)

_VERSION = 2
_WAIT = 60.0  # seconds for another search that is updating the index
_PART = 16 * 2**20  # bytes of bodies in memory
_ROWS = 5000  # documents of one transaction
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
    number INTEGER PRIMARY KEY, source TEXT, id TEXT, content_hash TEXT, kind TEXT, entity TEXT, title TEXT, name TEXT,
    first_seen INTEGER, place INTEGER, history INTEGER, backfilled INTEGER, file TEXT, row INTEGER, revision INTEGER,
    known INTEGER,
    UNIQUE (source, id, content_hash)
);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (
    title, text, content='', columnsize=0, tokenize="unicode61 remove_diacritics 2"
);
PRAGMA user_version = {_VERSION};
"""
_INSERT = """
INSERT INTO documents (source, id, content_hash, kind, entity, title, name, first_seen, place, history, backfilled,
    file, row, revision, known)
VALUES (:source, :id, :content_hash, :kind, :entity, :title, :name, :first_seen, :place, :history, :backfilled,
    :file, :row, 0, :history)
ON CONFLICT (source, id, content_hash) DO NOTHING
"""
_AGAIN = """
UPDATE documents SET
    history = CASE WHEN (:backfilled, :history) < (backfilled, history) THEN :history ELSE history END,
    backfilled = min(backfilled, :backfilled),
    file = CASE WHEN :sealed THEN :file ELSE file END, row = CASE WHEN :sealed THEN :row ELSE row END,
    place = CASE WHEN (:first_seen, :place) < (first_seen, place) THEN :place ELSE place END,
    first_seen = min(first_seen, :first_seen)
WHERE source = :source AND id = :id AND content_hash = :content_hash
"""
_RENUMBER = """
UPDATE documents SET revision = new.n, known = CASE WHEN new.n = 0 THEN history ELSE first_seen END
FROM (SELECT number AS of, row_number() OVER (ORDER BY first_seen, place, content_hash) - 1 AS n
      FROM documents WHERE source = :source AND id = :id) AS new
WHERE number = new.of
"""


class SearchIndex:
    """Words of a store's documents.

    Parameters
    ----------
    folder : Path
        `DatasetPaths.research_state`.
    root : Path
        `DatasetPaths.documents`.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.root = Path(root)
        self.path = Path(folder) / f"search-{text_digest(self.root.absolute().as_posix())[:8]}.db"
        self.remarks: list[str] = []

    def update(self) -> int:
        """Read the files of the store that are new.

        Returns
        -------
        int
            Documents in the index.

        Raises
        ------
        StageError
            If the index can't be written.
        """
        try:
            return self._updated()
        except sqlite3.OperationalError as error:
            raise StageError(
                f"the index of search {self.path.as_posix()} can't be written ({error}): {_remedy(error)}"
            ) from error
        except sqlite3.DatabaseError as error:
            self._discard(error)
            return self._updated()

    def remove(self) -> None:
        """Delete the index; the next update makes it again."""
        for ending in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def find(self, query: Query) -> Hits:
        """Look for documents, newest first.

        Parameters
        ----------
        query : Query

        Returns
        -------
        Hits
        """
        try:
            return self._found(query)
        except sqlite3.OperationalError as error:
            raise StageError(f"the index of search {self.path.as_posix()} can't be read: {error}") from error
        except sqlite3.DatabaseError as error:
            self._discard(error)
            self._updated()
            return self._found(query)

    def _found(self, query: Query) -> Hits:
        condition, values = _condition(query)
        table = "words JOIN documents ON documents.number = words.rowid"
        with self._opened() as database:
            total = database.execute(f"SELECT count(*) FROM {table} WHERE {condition}", values).fetchone()[0]
            rows = database.execute(
                "SELECT source, id, revision, kind, entity, documents.title, known, name, file, row "
                f"FROM {table} WHERE {condition} ORDER BY known DESC, number DESC LIMIT :limit",
                values | {"limit": query.limit},
            ).fetchall()
        hits = [self._hit(row, query.words) for row in rows]
        return Hits(hits, total)

    def bodies(self, kind: str) -> list[bytes]:
        """Bodies of all documents of a kind, oldest known first; one that can't be read is left out with a remark.

        Parameters
        ----------
        kind : str

        Returns
        -------
        list of bytes
        """
        with self._opened() as database:
            places = database.execute(
                "SELECT file, row FROM documents WHERE kind = ? ORDER BY known", (kind,)
            ).fetchall()
        found = []
        for file, row in places:
            with self._remarked():
                found.append(self._body(file, row))
        return found

    def _discard(self, error: sqlite3.DatabaseError) -> None:
        log.warning("%s is of no use (%s): it is made again", self.path.as_posix(), error)
        self.remove()

    def _updated(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._opened() as database:
            retried(lambda: self._read_new(database))
            if not self._forget_gone(database):
                return int(database.execute("SELECT count(*) FROM documents").fetchone()[0])
        log.info("documents left the store: the index of search is made again")
        self.remove()
        with self._opened() as database:
            retried(lambda: self._read_new(database))
            return int(database.execute("SELECT count(*) FROM documents").fetchone()[0])

    def _read_new(self, database: sqlite3.Connection) -> None:
        known = {name for (name,) in database.execute("SELECT name FROM files")}
        new = [name for name in self._present() if name not in known]
        self.remarks.clear()
        with Progress("search", len(new), unit="new file") as progress:
            for name in new:
                try:
                    self._read(database, name)
                except StageError as error:
                    self.remarks.append(str(error))
                progress.advance()

    def _read(self, database: sqlite3.Connection, name: str) -> None:
        """Read one file; a damaged part stops no other, and the file is tried again next time."""
        table = segments.read_columns(self.root / name, [*DOCUMENTS]).with_row_index("row")
        damaged: list[StageError] = []
        for begin, end in segments.spans(table["size"].to_list(), _PART, _ROWS):
            try:
                with _transaction(database):
                    self._add(database, name, table[begin:end])
            except StageError as error:
                damaged.append(error)
        if damaged:
            raise damaged[0]
        with _transaction(database):
            database.execute("INSERT OR IGNORE INTO files VALUES (?)", (name,))

    def _add(self, database: sqlite3.Connection, name: str, rows: pl.DataFrame) -> None:
        fresh: list[tuple[int, dict[str, Any]]] = []
        for row in rows.with_columns(pl.col("first_seen", "known").cast(pl.Int64)).iter_rows(named=True):
            place = {"place": row["revision"], "history": row["known"], "file": name}
            place["name"] = file_name(row["id"], row["fields"])
            cursor = database.execute(_INSERT, row | place)
            if cursor.rowcount == 1:
                fresh.append((cursor.lastrowid or 0, row))
            else:
                database.execute(_AGAIN, row | place | {"sealed": not name.startswith(f"{segments.LOG}/")})
        numbers = np.array([row["row"] for _, row in fresh], np.int64)
        bodies = segments.read_bodies(self.root / name, numbers) if fresh else []
        texts = (
            (number, row["title"], searchable_text(row["kind"], file_name(row["id"], row["fields"]), body))
            for (number, row), body in zip(fresh, bodies, strict=True)
        )
        database.executemany("INSERT INTO words (rowid, title, text) VALUES (?, ?, ?)", texts)
        database.executemany(_RENUMBER, rows.select("source", "id").unique().to_dicts())

    def _present(self) -> list[str]:
        """Files of the store, batches of the log first: what is sealed meanwhile is found in its segment."""
        files = segments.log_files(self.root)
        for source in segments.sources(self.root):
            files += segments.segments(self.root, source)
        return [path.relative_to(self.root).as_posix() for path in files]

    def _forget_gone(self, database: sqlite3.Connection) -> bool:
        """Forget files that are no longer there; whether documents went with them."""
        gone = {name for (name,) in database.execute("SELECT name FROM files")} - {*self._present()}
        with _transaction(database):
            database.executemany("DELETE FROM files WHERE name = ?", [(name,) for name in gone])
        places = database.execute("SELECT DISTINCT file FROM documents") if gone else ()
        return any(name in gone for (name,) in places)

    def _hit(self, row: Sequence[Any], wanted: Words) -> Hit:
        source, id, revision, kind, entity, title, known, name, file, at = row
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=known)
        snippet = ""
        with self._remarked():
            snippet = wanted.snippet(searchable_text(kind, name, self._body(file, at)))
        return Hit(source, id, revision, kind, entity, title, moment, snippet)

    def _body(self, file: str, row: int) -> bytes:
        return segments.read_bodies(self.root / file, np.array([row], np.int64))[0]

    @contextlib.contextmanager
    def _remarked(self) -> Iterator[None]:
        try:
            yield
        except (StageError, FileNotFoundError) as error:
            self.remarks.append(str(error))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError(f"its form is {version}, this release writes {_VERSION}")
            if not version:
                database.executescript(_SCHEMA)
            yield database
        finally:
            database.close()


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _condition(query: Query) -> tuple[str, dict[str, Any]]:
    """The condition of a query in SQL, and its values."""
    values: dict[str, Any] = {"words": query.words.query}
    parts = ["words MATCH :words"]
    for name, value in (("source", query.source), ("kind", query.kind)):
        if value is not None:
            parts.append(f"{name} = :{name}")
            values[name] = value
    if query.entities is not None:
        named = {f"entity{i}": entity for i, entity in enumerate(query.entities)}
        parts.append(f"entity IN ({', '.join(f':{name}' for name in named)})")
        values |= named
    for name, moment, sign in (("since", query.since, ">="), ("until", query.until, "<")):
        if moment is not None:
            parts.append(f"known {sign} :{name}")
            values[name] = (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    return " AND ".join(parts), values


def _remedy(error: sqlite3.OperationalError) -> str:
    if "locked" in str(error):
        return "another search is making it: let that end, and run the same command"
    if "fts5" in str(error):
        return "the SQLite of this Python lacks FTS5: use the Python that docs/install.md names"
    return "make room on the disk, or give the folder to the user who runs this"
