"""Bulk inserts of runs into MLflow's sqlite database: about 0.6 ms a run, where the client needs 25 ms.

Beside `src.tracking.sqlite_searches` and `src.tracking.sqlite_held`, which read them, this is the only module that
knows MLflow's private tables. It is used only if the schema has a tested revision (`REVISIONS`); `src.tracking.store`
uses the client elsewhere. Values have passed MLflow's own validators before, and a test compares each row with one that
the client wrote. Each batch is one transaction, so a killed process leaves no half-written run.
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

from src.tracking.batches import batches
from src.tracking.duplicates import DOUBLED, SUPERSEDED
from src.tracking.run_record import EQUITY, NOTE, RunContent

REVISIONS = {"dc11669786a5": "3.17", "f4a9b2c7d1e6": "3.18"}
"""Alembic revisions of the schema that the statements below were tested with, and the MLflow of each.

3.18 adds tables for skills and issues; those of runs and models are the same in both.
"""

MUTABLE_TAGS = (
    *("alpha.passed", "alpha.reasons", "alpha.suspicious", "alpha.superseded", "alpha.strategy_settings"),
    *("alpha.last_oos", "alpha.simulated", NOTE),
)
"""Tags that a later grade of the same returns may change."""

_BUSY_SECONDS = 60.0
_BATCH = 500
FINISHED = (
    "SELECT t.value, s.value, r.run_uuid, k.value FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid "
    "JOIN tags s ON s.run_uuid = t.run_uuid AND s.key = 'alpha.strategy_key' "
    "JOIN tags k ON k.run_uuid = t.run_uuid AND k.key = 'alpha.session_key' "
    "WHERE t.key = 'alpha.record_id' AND r.experiment_id = ? AND r.lifecycle_stage = 'active' "
    "AND r.status = 'FINISHED' ORDER BY EXISTS (SELECT 1 FROM tags d WHERE d.run_uuid = r.run_uuid "
    f"AND d.key = '{SUPERSEDED}' AND d.value = '{DOUBLED}') DESC, r.run_uuid DESC"
)
"""Selects record id, strategy key, run id and session key of finished runs; of several of one key the last counts."""
_COUNTER = itertools.count(secrets.randbelow(1 << 12))


@dataclass
class RecordedRun:
    """A run that MLflow has: its id, and the values that may have to be updated."""

    run_id: str
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    model_id: str | None = None


@dataclass(frozen=True)
class RunUpdate:
    """Tags to set and metric values to append on a run that MLflow has; the timestamp is in milliseconds."""

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
        self.database = database
        self.experiment = int(experiment_id)
        self._artifacts = artifacts.rstrip("/")

    def recorded(self, record_ids: Iterable[str]) -> dict[tuple[str, str], RecordedRun]:
        """Find the finished runs of some records.

        Parameters
        ----------
        record_ids : iterable of str

        Returns
        -------
        dict
            Run by (record id, strategy key).
        """
        wanted = set(record_ids)
        with reading(self.database) as connection:
            rows = connection.execute(FINISHED, (self.experiment,))
            runs = {(record, strategy): RecordedRun(run_id) for record, strategy, run_id, _ in rows if record in wanted}
            by_id = {run.run_id: run for run in runs.values()}
            for batch in batches(list(by_id), _BATCH):
                _read_values(connection, by_id, batch)
        return runs

    def write(self, contents: Sequence[RunContent], parents: Mapping[str, str]) -> dict[tuple[str, str], str]:
        """Insert finished runs.

        Parameters
        ----------
        contents : sequence of RunContent
        parents : mapping
            Session key to the id of the session's own run.

        Returns
        -------
        dict
            Run id by (record id, strategy key).
        """
        ids: dict[tuple[str, str], str] = {}
        for batch in batches(list(contents), _BATCH):
            new = {content.key: _run_id() for content in batch}
            with _writing(self.database) as connection:
                for content in batch:
                    self._insert(connection, content, new[content.key], parents[content.session_key])
            ids |= new
        return ids

    def update(self, updates: Sequence[RunUpdate]) -> None:
        """Set tags and append metric values.

        Parameters
        ----------
        updates : sequence of RunUpdate
        """
        if not updates:
            return
        with _writing(self.database) as connection:
            for update in updates:
                tags = [(key, value, update.run_id) for key, value in update.tags.items()]
                connection.executemany("REPLACE INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", tags)
                points = [(key, value, update.timestamp, 0) for key, value in update.metrics.items()]
                _insert_metrics(connection, update.run_id, points)

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
                self.experiment,
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


def tag_experiments(database: Path, tags: Mapping[str, Mapping[str, str]]) -> None:
    """Set tags of experiments.

    Parameters
    ----------
    database : Path
    tags : mapping
        Tags by id of the experiment.
    """
    rows = [(key, value, int(number)) for number, own in tags.items() for key, value in own.items()]
    with _writing(database) as connection:
        connection.executemany("REPLACE INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)", rows)


def tag_runs(database: Path, tags: Mapping[str, Mapping[str, str]]) -> None:
    """Set tags of runs.

    Parameters
    ----------
    database : Path
    tags : mapping
        Tags by run id.
    """
    rows = [(key, value, run_id) for run_id, own in tags.items() for key, value in own.items()]
    with _writing(database) as connection:
        connection.executemany("REPLACE INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", rows)


def describe_versions(database: Path, described: Mapping[tuple[str, str], tuple[str, Mapping[str, str]]]) -> None:
    """Set description and tags of registered versions; they keep the time of their last change by a person.

    Parameters
    ----------
    database : Path
    described : mapping
        Description and tags by name and number of the version.
    """
    texts = [(text, name, int(number)) for (name, number), (text, _) in described.items()]
    tags = [(k, v, name, int(number)) for (name, number), (_, own) in described.items() for k, v in own.items()]
    with _writing(database) as connection:
        connection.executemany("UPDATE model_versions SET description = ? WHERE name = ? AND version = ?", texts)
        connection.executemany(
            "REPLACE INTO model_version_tags (key, value, name, version, workspace) SELECT ?, ?, name, version, "
            "workspace FROM model_versions WHERE name = ? AND version = ?",
            tags,
        )


def revision(database: Path) -> str | None:
    """Read the revision of MLflow's schema.

    Parameters
    ----------
    database : Path

    Returns
    -------
    str or None
        None if the database has no schema of MLflow.
    """
    with reading(database) as connection:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(rows[0][0]) if len(rows) == 1 else None


def analyze(database: Path) -> None:
    """Update sqlite's statistics if the runs have grown by a half: ordering runs by a metric gets 200 times faster.

    Parameters
    ----------
    database : Path
    """
    with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        has_counts = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone()
        counts = "SELECT stat FROM sqlite_stat1 WHERE tbl = 'runs' AND stat IS NOT NULL LIMIT 1"
        stat = connection.execute(counts).fetchone() if has_counts else None
        if runs > 1.5 * int(stat[0].split()[0] if stat else 0):
            connection.execute("ANALYZE")


def _read_values(connection: sqlite3.Connection, by_id: Mapping[str, RecordedRun], batch: Sequence[str]) -> None:
    """Fill in tags, latest metrics and model id of some runs."""
    marks = ", ".join("?" * len(batch))
    tags = (
        f"SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({marks}) AND (key LIKE 'alpha.%' OR key = '{NOTE}')"
    )
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
        last = latest.get(point[0])
        if last is None or (point[3], point[2], point[1]) >= (last[3], last[2], last[1]):
            latest[point[0]] = point
    connection.executemany(f"REPLACE INTO latest_metrics {columns}", [(*point, run_id) for point in latest.values()])


def _run_id() -> str:
    """A new run id that sorts by time; random ids make the inserts four times slower."""
    count = next(_COUNTER) & 0xFFFF
    return f"{time.time_ns() // 1_000_000:012x}{count:04x}{os.getpid() & 0xFFFF:04x}{secrets.token_hex(6)}"


@contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """Open the database for reading."""
    with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        yield connection


@contextmanager
def _writing(database: Path) -> Iterator[sqlite3.Connection]:
    """One transaction that takes the write lock first: two writers wait for each other, and never fail half way."""
    with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
