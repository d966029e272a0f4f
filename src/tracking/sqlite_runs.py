"""Many runs into MLflow's sqlite database in one transaction: about 0.6 ms a run where the client needs 25.

This is the one place that knows MLflow's private tables. It is used only where the schema is the revision it was tested
on (`REVISIONS`); `src.tracking.store` falls back to the client elsewhere. Values have passed MLflow's own validators
before they come here, and a test holds each row against one that the client wrote. A transaction is whole or absent, so
a killed process leaves no half-written run.
"""

from __future__ import annotations

import itertools
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from src.tracking.duplicates import DOUBLED, SUPERSEDED
from src.tracking.run_record import EQUITY, RunContent

REVISIONS = {"dc11669786a5": "3.17", "f4a9b2c7d1e6": "3.18"}
"""Alembic revisions of the schema that the statements below were tested on, and the MLflow that makes each.

3.18 adds tables for skills and issues; those of runs and models are the same in both.
"""

CHANGING = ("alpha.passed", "alpha.reasons", "alpha.suspicious", "alpha.superseded", "alpha.strategy_settings")
"""Tags that a later grade of the same returns may change."""

BUSY_SECONDS = 60.0
_BATCH = 500
T = TypeVar("T")
_COUNTER = itertools.count(secrets.randbelow(1 << 12))


@dataclass
class Known:
    """A run that MLflow has: its id and what may have to be brought up to date."""

    run_id: str
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    model_id: str | None = None


@dataclass(frozen=True)
class Change:
    """Tags to set and metrics to give a further value, on a run that MLflow has."""

    run_id: str
    tags: dict[str, str]
    metrics: dict[str, float]
    timestamp: int


class BulkRuns:
    """Runs of one experiment in a sqlite database, read and written in bulk.

    Parameters
    ----------
    database : Path
    experiment_id : str
    artifacts : str
        The experiment's artifact location.
    """

    def __init__(self, database: Path, experiment_id: str, artifacts: str) -> None:
        self._database = database
        self._experiment = int(experiment_id)
        self._artifacts = artifacts.rstrip("/")

    def known(self, record_ids: Iterable[str]) -> dict[tuple[str, str], Known]:
        """Runs that the experiment has of these records, by record and strategy."""
        wanted = set(record_ids)
        with _reading(self._database) as connection:
            rows = connection.execute(
                "SELECT t.value, s.value, r.run_uuid FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid "
                "JOIN tags s ON s.run_uuid = t.run_uuid AND s.key = 'alpha.strategy_key' "
                "WHERE t.key = 'alpha.record_id' AND r.experiment_id = ? AND r.lifecycle_stage = 'active' "
                "AND r.status = 'FINISHED' ORDER BY EXISTS (SELECT 1 FROM tags d WHERE d.run_uuid = r.run_uuid "
                f"AND d.key = '{SUPERSEDED}' AND d.value = '{DOUBLED}') DESC, r.run_uuid DESC",
                (self._experiment,),
            )
            found = {(record, strategy): Known(run_id) for record, strategy, run_id in rows if record in wanted}
            by_id = {each.run_id: each for each in found.values()}
            for batch in _batches(list(by_id)):
                _describe(connection, by_id, batch)
        return found

    def write(self, contents: Sequence[RunContent], parents: Mapping[str, str]) -> dict[tuple[str, str], str]:
        """Insert finished runs below their session's run; returns the ids given."""
        ids: dict[tuple[str, str], str] = {}
        for batch in _batches(list(contents)):
            given = {content.key: _run_id() for content in batch}
            with _writing(self._database) as connection:
                for content in batch:
                    self._insert(connection, content, given[content.key], parents[content.session_key])
            ids |= given
        return ids

    def update(self, changes: Sequence[Change]) -> None:
        """Set tags and append metric values."""
        if not changes:
            return
        with _writing(self._database) as connection:
            for change in changes:
                tags = [(key, value, change.run_id) for key, value in change.tags.items()]
                connection.executemany("REPLACE INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", tags)
                points = [(key, value, change.timestamp, 0) for key, value in change.metrics.items()]
                _insert_metrics(connection, change.run_id, points)

    def _insert(self, connection: sqlite3.Connection, content: RunContent, run_id: str, parent: str) -> None:
        connection.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
            "start_time, end_time, deleted_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
            "VALUES (?, ?, 'UNKNOWN', '', '', 'unknown', 'FINISHED', ?, ?, NULL, '', 'active', ?, ?)",
            (
                run_id,
                content.name,
                content.start,
                content.end,
                f"{self._artifacts}/{run_id}/artifacts",
                self._experiment,
            ),
        )
        tags = {**content.tags, "mlflow.runName": content.name, "mlflow.parentRunId": parent}
        rows = [(key, value, run_id) for key, value in tags.items()]
        connection.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", rows)
        rows = [(key, value, run_id) for key, value in content.params.items()]
        connection.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", rows)
        points = [(key, value, content.end, 0) for key, value in content.metrics.items()]
        points += [(EQUITY, value, timestamp, step) for step, timestamp, value in content.equity]
        _insert_metrics(connection, run_id, points)


def revision(database: Path) -> str | None:
    """Revision of MLflow's schema in a database; null where there is none."""
    with _reading(database) as connection:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(rows[0][0]) if len(rows) == 1 else None


def analyze(database: Path) -> None:
    """Let sqlite count its rows where they have grown by a tenth: ordering runs by a metric gets 200 times faster."""
    with closing(sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        has_counts = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone()
        counts = "SELECT stat FROM sqlite_stat1 WHERE tbl = 'runs' AND stat IS NOT NULL LIMIT 1"
        stat = connection.execute(counts).fetchone() if has_counts else None
        if runs > 1.1 * int(stat[0].split()[0] if stat else 0):
            connection.execute("ANALYZE")


def _describe(connection: sqlite3.Connection, by_id: Mapping[str, Known], batch: Sequence[str]) -> None:
    """Fill in tags, latest metrics and model of some runs."""
    marks = ", ".join("?" * len(batch))
    tags = f"SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({marks}) AND key LIKE 'alpha.%'"
    for run_id, key, value in connection.execute(tags, batch):
        by_id[run_id].tags[key] = value
    latest = f"SELECT run_uuid, key, value FROM latest_metrics WHERE run_uuid IN ({marks}) AND is_nan = 0"
    for run_id, key, value in connection.execute(latest, batch):
        by_id[run_id].metrics[key] = value
    models = f"SELECT run_uuid, value FROM params WHERE run_uuid IN ({marks}) AND key = 'model_id'"
    for run_id, value in connection.execute(models, batch):
        by_id[run_id].model_id = value


def _insert_metrics(connection: sqlite3.Connection, run_id: str, points: list[tuple[str, float, int, int]]) -> None:
    columns = "(key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)"
    rows = [(*point, run_id) for point in points]
    connection.executemany(f"INSERT OR IGNORE INTO metrics {columns}", rows)
    latest: dict[str, tuple[str, float, int, int]] = {}
    for point in points:
        known = latest.get(point[0])
        if known is None or (point[3], point[2], point[1]) >= (known[3], known[2], known[1]):
            latest[point[0]] = point
    connection.executemany(f"REPLACE INTO latest_metrics {columns}", [(*point, run_id) for point in latest.values()])


def _run_id() -> str:
    """A new run id that sorts by time: random ones make the inserts four times slower."""
    count = next(_COUNTER) & 0xFFFF
    return f"{time.time_ns() // 1_000_000:012x}{count:04x}{os.getpid() & 0xFFFF:04x}{secrets.token_hex(6)}"


def _batches(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


@contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        yield connection


@contextmanager
def _writing(database: Path) -> Iterator[sqlite3.Connection]:
    """One transaction, begun by taking the write lock: two writers wait for each other and never fail half way."""
    with closing(sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
