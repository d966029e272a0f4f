"""Searches of MLflow's sqlite file by SQL, with the results that MLflow's client would give, without importing MLflow.

They are used only on tables of a tested revision that is also that of the MLflow installed (`answers`). A test compares
each search with the client's. Results carry the fields that the project reads, under MLflow's names.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.tracking.batches import batches
from src.tracking.database import LOCK_SECONDS
from src.tracking.registry_gate import DELETED
from src.tracking.sqlite_runs import REVISIONS, revision

_BATCH = 500
_HALF_WRITTEN = (
    "SELECT 1 FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
    "WHERE r.experiment_id = ? AND t.key = ? AND r.status = 'RUNNING' AND r.lifecycle_stage = 'active'"
)
_LOOSE = (
    "SELECT 1 FROM logged_models m JOIN logged_model_tags t ON t.model_id = m.model_id "
    "AND t.tag_key = 'alpha.record_id' WHERE m.experiment_id = ? AND m.lifecycle_stage = 'active' "
    "AND NOT EXISTS (SELECT 1 FROM params p JOIN runs r ON r.run_uuid = p.run_uuid WHERE p.run_uuid = m.source_run_id "
    "AND p.key = 'model_id' AND p.value = m.model_id AND r.lifecycle_stage = 'active')"
)
_WORKSPACES = ("MLFLOW_ENABLE_WORKSPACES", "MLFLOW_WORKSPACE")


@dataclass(frozen=True)
class FoundExperiment:
    """An experiment, by the names of MLflow's own."""

    experiment_id: str
    artifact_location: str
    lifecycle_stage: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class FoundVersion:
    """A registered version, by the names of MLflow's own."""

    name: str
    version: int
    run_id: str | None


@dataclass(frozen=True)
class FoundInfo:
    """What a run is, by the names of MLflow's own."""

    run_id: str
    status: str
    lifecycle_stage: str
    artifact_uri: str = ""


@dataclass(frozen=True)
class FoundValues:
    """What was logged to a run, by the names of MLflow's own."""

    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundRun:
    """A run, by the names of MLflow's own."""

    info: FoundInfo
    data: FoundValues = field(default_factory=FoundValues)


def answers(database: Path) -> bool:
    """Whether the searches below may be asked of a file: MLflow would read its tables as they are read here.

    Parameters
    ----------
    database : Path
    """
    if not database.exists() or any(os.environ.get(name) for name in _WORKSPACES):
        return False
    try:
        tested, installed = REVISIONS.get(revision(database) or ""), importlib.metadata.version("mlflow")
    except (sqlite3.Error, importlib.metadata.PackageNotFoundError):
        return False
    return tested is not None and installed.split(".")[:2] == tested.split(".")


class SqliteSearches:
    """Searches of one file; each sees what is committed when it is asked.

    Parameters
    ----------
    database : Path
        One that `answers`.
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    def experiment(self, name: str) -> FoundExperiment | None:
        """Find an experiment by its name, deleted or not.

        Parameters
        ----------
        name : str
        """
        with self._opened() as connection:
            row = connection.execute(
                "SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments "
                "WHERE name = ? AND workspace = 'default'",
                (name,),
            ).fetchone()
            if row is None:
                return None
            tags = connection.execute("SELECT key, value FROM experiment_tags WHERE experiment_id = ?", row[:1])
            return FoundExperiment(str(row[0]), str(row[1]), row[2], dict(tags.fetchall()))

    def versions(self) -> list[FoundVersion]:
        """List all registered versions, in the order of the client's search."""
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT name, version, run_id FROM model_versions WHERE workspace = 'default' AND current_stage != ? "
                "ORDER BY last_updated_time DESC, name, version DESC",
                (DELETED,),
            )
            return [FoundVersion(*row) for row in rows]

    def aliased(self, alias: str) -> dict[str, int]:
        """Find which version of each registered model has an alias; the version may be gone.

        Parameters
        ----------
        alias : str
        """
        with self._opened() as connection:
            asked = "SELECT name, version FROM registered_model_aliases WHERE alias = ? AND workspace = 'default'"
            return dict(connection.execute(f"{asked} ORDER BY name", (alias,)).fetchall())

    def runs(self, experiment: str, run_ids: Iterable[str], *, with_deleted: bool = False) -> dict[str, Any]:
        """Find runs of an experiment.

        Parameters
        ----------
        experiment : str
            Its id.
        run_ids : iterable of str
        with_deleted : bool
            Whether deleted runs are found too.

        Returns
        -------
        dict of str to FoundRun
            By id; unknown ids are left out.
        """
        found: dict[str, FoundRun] = {}
        with self._opened() as connection:
            for ids in batches(sorted(set(run_ids)), _BATCH):
                marks = ", ".join("?" * len(ids))
                rows = connection.execute(
                    f"SELECT run_uuid, status, lifecycle_stage, artifact_uri FROM runs WHERE experiment_id = ? "
                    f"AND run_uuid IN ({marks})",
                    (int(experiment), *ids),
                )
                batch = {row[0]: FoundRun(FoundInfo(*row)) for row in rows if with_deleted or row[2] == "active"}
                _fill(connection, batch)
                found |= batch
        return found

    def session_run(self, experiment: str, key: str) -> FoundRun | None:
        """Find the first run of a session; None where it has none.

        Parameters
        ----------
        experiment : str
            Its id.
        key : str
            Key of the session.
        """
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT r.run_uuid FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'alpha.session' "
                "AND t.value = ? WHERE r.experiment_id = ? AND r.lifecycle_stage = 'active' "
                "ORDER BY r.start_time, r.run_uuid LIMIT 1",
                (key, int(experiment)),
            ).fetchall()
        return next(iter(self.runs(experiment, (row[0] for row in rows)).values()), None)

    def aliases(self) -> dict[str, dict[str, int]]:
        """List the aliases of every registered model: version by alias, by name; the version may be gone."""
        found: dict[str, dict[str, int]] = {}
        with self._opened() as connection:
            asked = "SELECT name, alias, version FROM registered_model_aliases WHERE workspace = 'default'"
            for name, alias, version in connection.execute(f"{asked} ORDER BY name, alias"):
                found.setdefault(name, {})[alias] = version
        return found

    def has_leftovers(self, experiment: str, writer: str) -> bool:
        """Whether an experiment has half-written runs, or models of training that no run names as its own.

        Parameters
        ----------
        experiment : str
            Its id.
        writer : str
            Tag of what is being written.
        """
        with self._opened() as connection:
            return any(
                connection.execute(f"SELECT EXISTS ({asked})", (int(experiment), *values)).fetchone()[0]
                for asked, values in ((_HALF_WRITTEN, (writer,)), (_LOOSE, ()))
            )

    def flagged_passes(self, experiment: str) -> list[Any]:
        """List the finished passes of an experiment that are flagged as suspicious.

        Parameters
        ----------
        experiment : str
            Its id.
        """
        return self._passes(experiment, "JOIN tags f ON f.run_uuid = r.run_uuid AND f.key = 'alpha.suspicious'")

    def short_passes(self, experiment: str, bars: float) -> list[Any]:
        """List the finished passes of an experiment with fewer out-of-sample bars than a number.

        Parameters
        ----------
        experiment : str
            Its id.
        bars : float
        """
        joined = "JOIN latest_metrics m ON m.run_uuid = r.run_uuid AND m.key = 'n_oos' AND m.value < ?"
        return self._passes(experiment, joined, bars)

    def _passes(self, experiment: str, joined: str, *values: float) -> list[Any]:
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT r.run_uuid FROM runs r "
                "JOIN tags p ON p.run_uuid = r.run_uuid AND p.key = 'alpha.passed' AND p.value = 'true' "
                f"{joined} WHERE r.experiment_id = ? AND r.lifecycle_stage = 'active' AND r.status = 'FINISHED'",
                (*values, int(experiment)),
            ).fetchall()
        return list(self.runs(experiment, (row[0] for row in rows)).values())

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._database, timeout=LOCK_SECONDS)) as connection:
            connection.execute("PRAGMA query_only = ON")
            yield connection


def _fill(connection: sqlite3.Connection, runs: Mapping[str, FoundRun]) -> None:
    """Read what was logged to some runs."""
    ids, asked = list(runs), f"run_uuid IN ({', '.join('?' * len(runs))})"
    for run, key, value in connection.execute(f"SELECT run_uuid, key, value FROM params WHERE {asked}", ids):
        runs[run].data.params[key] = value
    for run, key, value in connection.execute(f"SELECT run_uuid, key, value FROM tags WHERE {asked}", ids):
        runs[run].data.tags[key] = value
    latest = f"SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE {asked}"
    for run, key, value, is_nan in connection.execute(latest, ids):
        runs[run].data.metrics[key] = math.nan if is_nan else value
