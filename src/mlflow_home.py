"""Where MLflow keeps runs and models, and the thresholds that its registry demands. No MLflow here: quick to import."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from src import files, gate
from src.config import Config, GradeConfig, TrackingConfig
from src.errors import StageError
from src.grade import Thresholds

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
_PATIENCE = 30.0  # seconds that we wait for a database that another program holds


class TrackingError(StageError):
    """MLflow's store can't be used as it is: the message says why and what to do."""


@dataclass(frozen=True)
class Home:
    """The tracking store: its absolute URI, its file where it is sqlite, and where artifacts go."""

    uri: str
    database: Path | None
    artifacts: Path


def home(tracking: TrackingConfig) -> Home:
    """Resolve the store's URI; relative paths are under the main checkout.

    Raises
    ------
    TrackingError
        For a kind of store whose registry could not be gated.
    """
    root = files.main_root()
    artifacts = root / tracking.artifacts
    scheme, _, rest = tracking.uri.partition("://")
    if scheme in ("http", "https"):
        return Home(tracking.uri.rstrip("/"), None, artifacts)
    if scheme != "sqlite" or not rest.strip("/"):
        raise TrackingError(
            f"tracking.uri must be sqlite:///<file> or the http address of an MLflow server, got {tracking.uri}: "
            "the gate of the model registry stands in front of these"
        )
    database = (root / rest.removeprefix("/")).absolute()
    return Home(f"sqlite:///{database.as_posix()}", database, artifacts)


def prepare(where: Home) -> None:
    """Set what MLflow reads from the environment, and make the store's folders."""
    os.environ.update(ENVIRONMENT)
    os.environ["MLFLOW_TRACKING_URI"] = os.environ["MLFLOW_REGISTRY_URI"] = where.uri
    if where.database is not None:
        where.database.parent.mkdir(parents=True, exist_ok=True)
        where.artifacts.mkdir(parents=True, exist_ok=True)
        _wait_for(where.database)


def thresholds(config: Config) -> Thresholds:
    """What the registry demands: the one config file of the main checkout, whatever the command line says.

    A command with looser thresholds grades its own session with them and registers no more for it.
    """
    return Thresholds.of(demanded(config))


def demanded(config: Config) -> GradeConfig:
    """The grade settings of that file; those of the command where there is no such file."""
    import yaml

    path = files.main_root() / "conf" / "grade" / "default.yaml"
    if not path.is_file():
        return config.grade
    written: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    known = {field.name for field in fields(GradeConfig)}
    return GradeConfig(**{name: value for name, value in written.items() if name in known})


def mark(database: Path, demanded: Thresholds) -> list[str]:
    """Write mark, thresholds and triggers into the database, and let readers and a writer work side by side (WAL)."""
    try:
        with closing(sqlite3.connect(database, timeout=_PATIENCE, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            return gate.mark(connection, demanded)
    except sqlite3.OperationalError as error:
        raise locked(database) from error


def locked(database: Path | None) -> TrackingError:
    """The error for a database that another program does not let go of."""
    return TrackingError(
        f"the MLflow database {database} is locked by another program (an open database browser?): close it; what was "
        "trained is safe under data/runs, and python -m src.sync brings MLflow up to date"
    )


def writer() -> str:
    """What tells whether the process that writes a run is still there."""
    return f"{platform.node()}:{os.getpid()}"


def is_alive(tag: str, started: int) -> bool:
    """Whether another process, of `writer` tag and run start in milliseconds, may still be writing."""
    import psutil

    host, _, pid = tag.rpartition(":")
    if host != platform.node():
        return time.time() - started / 1000 < 24 * 3600
    return int(pid) != os.getpid() and psutil.pid_exists(int(pid))


def _wait_for(database: Path) -> None:
    """Wait in turn for the write lock.

    Raises
    ------
    TrackingError
        Where it is held for longer than half a minute, or the file is no database.
    """
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database, timeout=_PATIENCE, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        raise locked(database) from error
    except sqlite3.DatabaseError as error:
        words = "move it away; python -m src.sync makes a new one from data/runs"
        raise TrackingError(f"{database} is not a database ({error}): {words}") from error
