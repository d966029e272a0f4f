"""What this machine remembers of its collection: which units were asked, when they are due again, and what follows.

It is no part of the store of documents: each machine asks by its own record, and losing it costs repeated requests
alone. A unit is recorded after its documents are durable, in one transaction with the pages that follow from it, so
that a kill between the two loses neither.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.research.source import Page
from src.runtime.redaction import masked

log = logging.getLogger(__name__)
_TABLES = """
    CREATE TABLE IF NOT EXISTS units (
        source TEXT, unit TEXT, asked TEXT, again TEXT, failures INTEGER, period REAL, notes TEXT, reason TEXT,
        PRIMARY KEY (source, unit)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS following (
        source TEXT, unit TEXT, page TEXT, PRIMARY KEY (source, unit)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS stored (source TEXT PRIMARY KEY, documents INTEGER) WITHOUT ROWID;
"""
_LONGEST = 7 * 24.0  # hours until a unit that fails is asked again, at most
_NEVER = ""  # due: immutable, and stored


@dataclass(frozen=True)
class UnitRecord:
    """What became of a unit.

    Attributes
    ----------
    source, unit : str
        As in `Page`.
    asked : datetime
        When its answer came, or its last failure.
    again : datetime or None
        When it is due again; None: never.
    notes : mapping
        What its source remembers of it.
    following : tuple of Page
        Pages that follow from it and were not asked yet.
    reason : str
        Of its failure; empty if it was answered.
    """

    source: str
    unit: str
    asked: dt.datetime
    again: dt.datetime | None
    notes: Mapping[str, Any] = field(default_factory=dict)
    following: tuple[Page, ...] = ()
    reason: str = ""


class UnitRecords:
    """The record, a file of SQLite.

    Parameters
    ----------
    folder : Path
        `DatasetPaths.research_state`.
    documents : Path
        Folder of the documents: each has a record of its own.
    """

    def __init__(self, folder: Path, documents: Path) -> None:
        self.path = Path(folder) / f"units-{folder_digest(documents)}.db"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._database = self._opened()

    def __enter__(self) -> UnitRecords:
        return self

    def __exit__(self, *_error: object) -> None:
        self._database.close()

    def is_due(self, source: str, unit: str, now: dt.datetime) -> bool:
        """Whether a unit may be asked.

        Parameters
        ----------
        source, unit : str
        now : datetime
            UTC.
        """
        row = self._row("SELECT again FROM units WHERE source = ? AND unit = ?", source, unit)
        return row is None or (row[0] != _NEVER and row[0] <= _iso(now))

    def notes(self, source: str, unit: str) -> dict[str, Any]:
        """What was remembered of a unit at its last answer; empty if nothing was."""
        row = self._row("SELECT notes FROM units WHERE source = ? AND unit = ?", source, unit)
        return json.loads(row[0]) if row else {}

    def following(self, source: str) -> list[Page]:
        """Pages that followed from recorded units, and were not answered yet."""
        rows = self._database.execute("SELECT unit, page FROM following WHERE source = ?", (source,)).fetchall()
        return [Page(source, unit, **json.loads(page)) for unit, page in rows]

    def record(self, records: Iterable[UnitRecord]) -> None:
        """Write answers whose documents are durable.

        Parameters
        ----------
        records : iterable of UnitRecord
        """
        with self._database:
            for each in records:
                again = _iso(each.again) if each.again else _NEVER
                period = (each.again - each.asked).total_seconds() / 3600 if each.again else None
                notes = json.dumps(dict(each.notes), default=str)
                row = (each.source, each.unit, _iso(each.asked), again, 0, period, notes, "")
                self._database.execute("REPLACE INTO units VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
                self._database.execute("DELETE FROM following WHERE source = ? AND unit = ?", row[:2])
                rows = [(each.source, page.unit, _written(page)) for page in each.following]
                self._database.executemany("INSERT OR IGNORE INTO following VALUES (?, ?, ?)", rows)

    def fail(self, source: str, unit: str, asked: dt.datetime, reason: str, hours: float) -> None:
        """Write a failure: the unit is due again after a while, which doubles each time.

        Parameters
        ----------
        source, unit : str
        asked : datetime
            When.
        reason : str
            For a person.
        hours : float
            Until the next try after a first failure, and at most the unit's usual period.
        """
        sql = "SELECT failures, period, notes FROM units WHERE source = ? AND unit = ?"
        failures, period, notes = self._row(sql, source, unit) or (0, None, "{}")
        first = hours if period is None else min(hours, max(period, 0.0))
        again = asked + dt.timedelta(hours=min(first * 2 ** min(failures, 20), _LONGEST))
        row = (source, unit, _iso(asked), _iso(again), failures + 1, period, notes, masked(reason)[:500])
        with self._database:
            self._database.execute("REPLACE INTO units VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def compare(self, source: str, documents: int) -> None:
        """Forget the units of a source whose documents became fewer: they were lost, and have to be asked for.

        Parameters
        ----------
        source : str
        documents : int
            Ids that are stored.
        """
        row = self._row("SELECT documents FROM stored WHERE source = ?", source)
        with self._database:
            if row is not None and documents < row[0]:
                log.warning(
                    "%s: %s documents are stored, %s were: all its units are asked again",
                    source, f"{documents:,}", f"{row[0]:,}",
                )  # fmt: skip
                for table in ("units", "following"):
                    self._database.execute(f"DELETE FROM {table} WHERE source = ?", (source,))
            self._database.execute("REPLACE INTO stored VALUES (?, ?)", (source, documents))

    def _row(self, sql: str, *values: str) -> Any:
        return self._database.execute(sql, values).fetchone()

    def _opened(self) -> sqlite3.Connection:
        try:
            return _connected(self.path)
        except sqlite3.OperationalError:  # the folder's rights or a full disk, and no damage
            raise
        except sqlite3.DatabaseError as error:
            aside = self.path.with_suffix(".damaged")
            log.warning("%s can't be read (%s): set aside as %s; what is due is asked again", self.path, error, aside)
            for name in ("-wal", "-shm"):
                with contextlib.suppress(OSError):
                    self.path.with_name(self.path.name + name).unlink()
            self.path.replace(aside)
            return _connected(self.path)


def folder_digest(folder: Path) -> str:
    """Hash of a folder's place, for names of files that belong to it.

    Parameters
    ----------
    folder : Path
    """
    return hashlib.blake2b(str(Path(folder).absolute()).encode(), digest_size=6).hexdigest()


def is_secret(page: Page) -> bool:
    """Whether a page holds what must not lie in a file: a key in its address or its headers.

    Parameters
    ----------
    page : Page
    """
    whole = "\n".join([page.url, *(f"{name}: {value}" for name, value in page.headers.items())])
    return masked(whole) != whole


def _connected(path: Path) -> sqlite3.Connection:
    with contextlib.ExitStack() as failing:
        database = sqlite3.connect(path, timeout=60, check_same_thread=False)
        failing.callback(database.close)
        for mode in ("journal_mode = WAL", "synchronous = NORMAL"):
            database.execute(f"PRAGMA {mode}")
        database.executescript(_TABLES)
        database.execute("SELECT COUNT(*) FROM (SELECT * FROM units LIMIT 1)").fetchone()
        failing.pop_all()
    return database


def _written(page: Page) -> str:
    content = {"url": page.url, "order": page.order, "context": dict(page.context), "headers": dict(page.headers)}
    return json.dumps(content, ensure_ascii=False)


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
