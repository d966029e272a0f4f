"""Where MLflow keeps runs and models, and the thresholds that its registry demands. No MLflow here: quick to import.

A store is a sqlite file, a PostgreSQL database, or a tracking server that has either behind it. Each has its gate: see
`src.tracking.registry_gate` for what it asks, `src.tracking.gate_triggers` for what the database carries.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import sqlite3
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from src.config import paths
from src.config.schema import Config, GradeConfig, TrackingConfig
from src.core.errors import ConfigError, StageError
from src.core.project import ROOT
from src.evaluation.grade import Thresholds
from src.runtime.redaction import masked, masked_address
from src.tracking import gate_triggers

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # what 3.18 names instead would refuse our models' loader as well
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
HTTP_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4"}
"""Unless the user's environment says otherwise: a server that went away is given up after half a minute of retries."""
REINSTALL = "run make setup (on Windows scripts\\launch.bat setup)"
"""What brings an environment up to date with this code: the locked packages, and the project with its entry points."""
_PLAIN = re.compile(r"[\w:/.@+-]+")  # what neither a shell nor Hydra reads as more than its letters
_PATIENCE = 30.0  # seconds that we wait for a database that another program holds


class TrackingError(StageError):
    """MLflow's store can't be used as it is: the message says why and what to do."""


class WrongSetting(TrackingError, ConfigError):
    """A store that no setting can name: wrong usage, where a store that fails is a failure."""


class Unreachable(TrackingError):
    """Nothing answers where the store should be: it may do so later."""


@dataclass(frozen=True)
class Home:
    """The tracking store: its absolute URI, its file where it is sqlite, and the URI below which artifacts go.

    ``artifacts`` is null on a server that keeps them itself.
    """

    uri: str
    database: Path | None
    artifacts: str | None

    @property
    def is_server(self) -> bool:
        """Whether a tracking server stands before the database."""
        return self.uri.startswith("http")

    @property
    def is_postgresql(self) -> bool:
        """Whether it is a PostgreSQL database that we open ourselves."""
        return self.uri.startswith("postgresql")


def home(tracking: TrackingConfig) -> Home:
    """Resolve the store's URI; relative paths are under the main checkout.

    Raises
    ------
    WrongSetting
        For a kind of store whose registry could not be gated, and for a route that it does not have.
    TrackingError
        Where a library that it needs is not installed.
    """
    scheme, _, rest = tracking.uri.partition("://")
    kind = scheme.removesuffix("+psycopg2")
    if kind not in ("sqlite", "http", "https", "postgresql") or not rest.strip("/"):
        raise WrongSetting(
            "tracking.uri must be sqlite:///<file>, postgresql://<user>@<host>/<database> or the http address of an "
            f"MLflow server, got {masked_address(tracking.uri)}: the gate of the model registry stands in front of "
            "these"
        )
    if tracking.route == "bulk" and kind != "sqlite":
        raise WrongSetting(
            f"tracking.route=bulk inserts into a sqlite file, and {masked_address(tracking.uri)} is none: leave "
            "tracking.route=auto, which takes MLflow's client there"
        )
    artifacts = _artifacts(tracking.artifacts, kept_by_server=kind.startswith("http"))
    if kind.startswith("http"):
        return Home(tracking.uri.rstrip("/"), None, artifacts)
    if kind == "postgresql":
        _require("psycopg2", "tracking.uri=postgresql://...", "postgres")
        # The driver is named: SQLAlchemy 2.1 takes psycopg 3 where none is, which MLflow is not tested with.
        return Home(f"postgresql+psycopg2://{rest}", None, artifacts)
    database = (paths.main_root() / rest.removeprefix("/")).absolute()
    return Home(f"sqlite:///{database.as_posix()}", database, artifacts)


def _artifacts(where: str, *, kept_by_server: bool) -> str | None:
    """The URI below which artifacts go; a server keeps them itself unless a bucket is named."""
    scheme, is_uri, _ = where.partition("://")
    if not is_uri:
        return None if kept_by_server else (paths.main_root() / where).absolute().as_uri()
    if scheme != "s3":
        raise WrongSetting(
            f"tracking.artifacts must be a folder or s3://<bucket>/<prefix>, got {masked(where)}: a tracking server "
            "can keep artifacts elsewhere (tracking.uri=http://...)"
        )
    _require("boto3", "tracking.artifacts=s3://...", "s3")
    return where.rstrip("/")


def _require(module: str, setting: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise TrackingError(f"{setting} needs the package {module}: pip install -e .[{extra}]")


def gated_schemes() -> list[str]:
    """Kinds of databases whose registry MLflow opens through our store: those of entry points that lead to a module.

    An environment made before the module was moved names the old place; MLflow then takes its own store instead.
    """
    found = importlib.metadata.entry_points(group="mlflow.model_registry_store")
    return sorted({each.name for each in found if _leads_here(each.value.partition(":")[0])})


def require_gate() -> None:
    """See that MLflow will find our registry store, before MLflow itself is imported.

    Raises
    ------
    TrackingError
        Where the environment's entry points lack it or lead nowhere.
    """
    if not {"sqlite", "postgresql"} <= set(gated_schemes()):
        raise TrackingError(
            "this environment has no entry points of the project, or those of older code, so MLflow would not find the "
            f"gate of the model registry: {REINSTALL}"
        )


def _leads_here(module: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):  # the package around it is gone as well
        return module.startswith("src.") and importlib.util.find_spec(module) is not None
    return False


def sync_command(config: Config) -> str:
    """The command that brings this very store up to date, as a shell takes it; a password in its address is masked."""
    name = config.universe.name
    has_file = (ROOT / "conf" / "universe" / f"{name}.yaml").is_file()
    words = [f"python -m src.sync {'universe' if has_file else 'universe.name'}={name}"]
    if config.universe.interval != "1d":
        words.append(f"universe.interval={config.universe.interval}")
    usual = Config()
    for key in ("tracking.uri", "tracking.artifacts", "tracking.experiment", "tracking.route", "data.root"):
        value = attrgetter(key)(config)
        if value != attrgetter(key)(usual):
            shown = masked_address(value) if key == "tracking.uri" else value
            words.append(f"{key}={shown}" if _PLAIN.fullmatch(shown) else f"\"{key}='{shown}'\"")
    return " ".join(words)


def prepare(where: Home) -> None:
    """Set what MLflow reads from the environment, and make the store's folders."""
    os.environ.update(ENVIRONMENT)
    os.environ["MLFLOW_TRACKING_URI"] = os.environ["MLFLOW_REGISTRY_URI"] = where.uri
    if where.is_server:
        for name, value in HTTP_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    if where.artifacts is not None and (folder := folder_of(where.artifacts)):
        folder.mkdir(parents=True, exist_ok=True)
    if where.database is not None:
        where.database.parent.mkdir(parents=True, exist_ok=True)
        _wait_for(where.database)


def folder_of(location: str) -> Path | None:
    """The folder that a ``file:`` URI names; null for other places."""
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    parsed = urlparse(location)
    path = f"//{parsed.netloc}{parsed.path}" if parsed.netloc not in ("", "localhost") else parsed.path
    return Path(url2pathname(path)) if parsed.scheme == "file" else None


def thresholds(config: Config) -> Thresholds:
    """What the registry demands: the one config file of the main checkout, whatever the command line says.

    A command with looser thresholds grades its own session with them and registers no more for it.
    """
    return Thresholds.of(demanded(config))


def demanded(config: Config) -> GradeConfig:
    """The grade settings of that file; those of the command where there is no such file."""
    import yaml

    path = paths.main_root() / "conf" / "grade" / "default.yaml"
    if not path.is_file():
        return config.grade
    written: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    known = {field.name for field in fields(GradeConfig)}
    return GradeConfig(**{name: value for name, value in written.items() if name in known})


def mark(database: Path, demanded: Thresholds) -> list[str]:
    """Write mark, thresholds and triggers into the database, and let readers and a writer work side by side (WAL)."""
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=_PATIENCE, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            return gate_triggers.mark_sqlite(connection, demanded)
    except sqlite3.OperationalError as error:
        raise locked(database) from error


def locked(database: Path | None) -> TrackingError:
    """The error for a database that another program does not let go of."""
    return TrackingError(
        f"the MLflow database {database} is locked by another program (an open database browser?): close it; what was "
        "trained is safe under data/runs, and python -m src.sync brings MLflow up to date"
    )


def of_another_mlflow(where: Home, error: Exception) -> TrackingError:
    """The error for a store whose tables another version of MLflow made, and this one does not migrate by itself."""
    revisions = re.search(r"found version (\w+), but expected (\w+)", str(error))
    found, needed = revisions.groups() if revisions else ("another", "its own")
    return TrackingError(
        f"the tables of {masked(where.uri)} are of revision {found}, and MLflow {importlib.metadata.version('mlflow')} "
        f'needs {needed}: {REINSTALL}, which installs the MLflow that this code is tested with; "A newer MLflow" in '
        "docs/tracking.md says what to do where it is installed already"
    )


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
        with contextlib.closing(sqlite3.connect(database, timeout=_PATIENCE, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        raise locked(database) from error
    except sqlite3.DatabaseError as error:
        words = "move it away; python -m src.sync makes a new one from data/runs"
        raise TrackingError(f"{database} is not a database ({error}): {words}") from error
