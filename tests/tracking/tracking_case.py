"""A small project on disk for the tests of tracking, registry, promotion and sync: stored runs, grades and models."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from filelock import FileLock

from src.config.schema import Config, TrackingConfig
from src.models import registry
from src.tracking.model_package import ModelFolder
from src.tracking.settings import TrackedDataset

FEATURES = ["momentum_21", "volatility_63", "volume_ratio_5"]
GOOD = {"auc": 0.56, "accuracy": 0.54, "sharpe": 0.9, "max_drawdown": 0.12, "n_oos": 1500}
BAD = {**GOOD, "sharpe": 0.31}
SESSION = "5" * 24


@functools.cache
def native(name: str) -> bytes:
    """A tiny model in the family's own format."""
    small = {} if name == "ridge" else {"rounds": 5, "learning_rate": 1.0}
    library, params = registry.family(name), registry.PARAMS[name](**small)
    return library.to_bytes(library.fit(*training_rows(), params, 7, FEATURES))


def training_rows() -> tuple[Any, Any]:
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(400, len(FEATURES))).astype(np.float32)
    rows[::17, 1] = np.nan
    return rows, (rows[:, 0] + 0.3 * generator.normal(size=400) > 0).astype(float)


@dataclass
class Case:
    """A project folder with its config; runs are added and graded by `add`."""

    root: Path
    config: Config = field(default_factory=Config)
    trained: list[dict[str, Any]] = field(default_factory=list)
    graded: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        from src.training.run_store import RunStore

        self.config.data.root = str(self.root / "data")
        self.store = RunStore(self.root / "data" / "runs" / "demo")
        self.session = {"key": SESSION, "name": "demo lightgbm", "config_yaml": "seed: 7\n", "instruments": 3}

    def add(
        self,
        asset_class: str,
        symbol: str,
        family: str = "lightgbm",
        metrics: dict[str, Any] | None = None,
        suspicious: str | None = None,
        attempt: int = 0,
        model: bool = True,
        session: str = SESSION,
        began: dt.date = dt.date(2020, 1, 1),
    ) -> str:
        """Store one run with its grade and, where it passed, its model; returns the record's id."""
        from src.evaluation.grade import Thresholds, grade

        metrics = GOOD if metrics is None else metrics
        verdict = grade(metrics, Thresholds.of(self.config.grade), suspicious)
        run_key = hashlib.blake2b(f"{asset_class}.{symbol}.{family}".encode(), digest_size=12).hexdigest()
        record = f"{run_key}.{attempt}"
        named = {"record_id": record, "run_key": run_key, "session_key": session, "strategy_key": "a" * 24}
        named |= {"asset_class": asset_class, "symbol": symbol, "family": family, "planted": False, "fit_seconds": 0.25}
        parts = {"bars": "b" * 24, "panel": None, "features": "f" * 24, "label": {"horizon": 1}, "seed": 7}
        self.trained.append(
            named
            | {"attempt": attempt, "params": json.dumps({"rounds": 5}), "features": json.dumps(FEATURES)}
            | {"parts": json.dumps(parts), "library_version": _version(family), "git_commit": "c" * 40}
            | {"n_train": 900, "n_folds": 5, "created_at": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)}
        )
        days = [dt.datetime.combine(began, dt.time()) + dt.timedelta(days=day) for day in range(106)]
        curve = {"stamp": days, "net": [0.001] * 106, "equity": [1.001**day for day in range(1, 107)]}
        self.graded.append(
            named
            | {"grade_key": "g" * 24, "graded_by": session}
            | {"passed": verdict.passed, "reasons": list(verdict.reasons), "suspicious": suspicious}
            | {"first_oos": dt.date(2020, 1, 1), "last_oos": dt.date(2025, 1, 1)}
            | {"luck_rate": 0.01, "p_value": 0.02, "z": 2.1, "turnover": 11.0}
            | metrics
            | (curve | {"always_long": curve["equity"]} if verdict.passed else {})
        )
        if verdict.passed and model:
            self.store.write_model(record, registry.family(family).FILE, native(family))
        self.save()
        return record

    def save(self) -> None:
        """Write runs and grades where training keeps them."""
        from src.storage import atomic
        from src.training.run_store import shard_name
        from src.training.run_tables import OOS_SCHEMA, RUN_SCHEMA

        for session in {row["session_key"] for row in self.trained}:
            mine = [row for row in self.trained if row["session_key"] == session]
            rows = [{**dict.fromkeys((*RUN_SCHEMA, *OOS_SCHEMA)), **row} for row in mine]
            runs = pl.DataFrame(
                [{name: row[name] for name in (*RUN_SCHEMA, *OOS_SCHEMA)} for row in rows],
                schema={**RUN_SCHEMA, **OOS_SCHEMA},
            )
            atomic.write_parquet(runs, self.store.root / f"{shard_name(0, session)}.runs.parquet")
            self.store.write_grades(shard_name(0, session), self.grades(session))

    def grades(self, session: str = SESSION) -> pl.DataFrame:
        from src.training.run_tables import grade_table

        return grade_table([row for row in self.graded if row["graded_by"] == session])

    def project(self) -> dict[str, str]:
        """Project everything; returns MLflow's run id of each record."""
        from src.tracking.projection import project

        return dict(project(self.tracked, self.store, self.grades(), self.session).iter_rows())  # type: ignore[arg-type]

    @property
    def tracked(self) -> TrackedDataset:
        """What the functions of tracking take from the config, as it is now."""
        return TrackedDataset.of(self.config)

    @property
    def database(self) -> Path:
        return self.root / "mlruns" / "mlflow.db"

    @property
    def uri(self) -> str:
        """The address of the store: a file of the project, unless its config names a database or a server."""
        chosen = self.config.tracking.uri
        if chosen == TrackingConfig().uri:
            return f"sqlite:///{self.database.as_posix()}"
        return chosen.replace("postgresql:", "postgresql+psycopg2:")

    @contextmanager
    def sql(self) -> Iterator[Any]:
        """Plain SQL on the store, in one transaction that is rolled back: statement, then values for its `?`."""
        from sqlalchemy import create_engine, inspect

        engine = create_engine(self.uri)
        with engine.connect() as connection:

            def execute(statement: str, values: Any = ()) -> list[Any]:
                if engine.dialect.name == "postgresql":
                    statement = statement.replace("%", "%%").replace("?", "%s")
                found = connection.exec_driver_sql(statement, values)
                return [tuple(row) for row in found] if found.returns_rows else []

            execute.rollback = connection.rollback  # type: ignore[attr-defined]
            execute.columns = lambda table: [each["name"] for each in inspect(engine).get_columns(table)]  # type: ignore[attr-defined]
            yield execute
        engine.dispose()

    def mark(self, thresholds: Any) -> None:
        """Give the store other thresholds, also looser ones."""
        from src.tracking import gate_mark, postgresql

        decision = gate_mark.Loosening("a test", "ann")
        if self.uri.startswith("postgresql"):
            postgresql.mark(self.uri, thresholds, decision)
            return
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            gate_mark.mark_sqlite(connection, thresholds, decision)

    def client(self) -> Any:
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        return mlflow.MlflowClient(self.uri, self.uri)


def folder_of(family: str) -> ModelFolder:
    """The content of a model's folder, as training would write it."""
    path = Path(tempfile.mkdtemp(prefix="alpha-loop-")) / registry.family(family).FILE
    path.write_bytes(native(family))
    return ModelFolder(path, family, FEATURES, _version(family), {"registered_name": "stock.HAND"})


def local(location: str) -> Path:
    """The folder that an artifact location names."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    return Path(local_file_uri_to_path(location))


def case(folder: Path, monkeypatch: Any, uri: str | None = None) -> Case:
    """A fresh project in `folder`, with an empty MLflow database copied from a template (making one takes seconds).

    With a `uri` its store is there.
    """
    monkeypatch.setenv("DVC_ROOT", str(folder))
    believe_grades(monkeypatch)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(name, "")  # registers the restoration of what tracking sets
    made = Case(folder)
    if uri is not None:
        made.config.tracking.uri = uri
        return made
    made.database.parent.mkdir(parents=True)
    shutil.copy(_template(), made.database)
    return made


def believe_grades(monkeypatch: Any, regrader: type | None = None) -> None:
    """Let stored grades count as repeated: the runs of a `Case` have neither predictions nor bars."""
    from src.training.regrading import GradeCheck, Regrader

    def believed(_self: Any, graded: pl.DataFrame) -> Iterator[GradeCheck]:
        for key in graded.select("record_id", "strategy_key").iter_rows():
            yield GradeCheck(*key)

    monkeypatch.setattr(regrader or Regrader, "check", believed)


def make_store(database: Path) -> None:
    """An empty store of this project in a file, marked."""
    from src.evaluation.grade import Thresholds
    from src.tracking.database import mark_database

    shutil.copy(_template(), database)
    mark_database(database, Thresholds.of(Config().grade))


@functools.cache
def _template() -> Path:
    """The tables of MLflow in a file, which one process of the tests makes for all."""
    import os

    from src.tracking.environment import ENVIRONMENT
    from tests import process_case

    os.environ.update(ENVIRONMENT)
    import mlflow

    path = Path(tempfile.gettempdir()) / f"alpha-loop-{os.environ.get(process_case.RUN, os.getpid())}.db"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            made = Path(tempfile.mkdtemp(prefix="alpha-loop-")) / "template.db"
            uri = f"sqlite:///{made.as_posix()}"
            mlflow.MlflowClient(uri, uri).search_experiments(max_results=1)
            shutil.copy(made, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
    return path


def _version(family: str) -> str:
    return registry.family(family).LIBRARY.version
