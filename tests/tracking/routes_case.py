"""One small project by every route into MLflow, and all that a store then has of it, for the tests and the soak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from src.sync import sync
from src.tracking import client_runs, store
from src.tracking.location import StoreLocation
from src.tracking.sqlite_runs import BulkRuns
from src.tracking.sweep import forget_swept
from tests.tracking.test_registry_server import serving
from tests.tracking.tracking_case import BAD, GOOD, Case, case, make_store


@contextmanager
def store_server(folder: Path) -> Iterator[tuple[str, str]]:
    """A tracking server that keeps runs in a file of its own and passes artifacts on; its address and the file's."""
    database = folder / "server.db"
    make_store(database)
    where = StoreLocation(f"sqlite:///{database.as_posix()}", database, (folder / "unused").as_uri())
    with serving(where, folder, folder / "kept") as url:
        yield url, where.uri


def written_by_bulk(folder: Path) -> dict[str, Any]:
    """What the bulk route writes: the measure of the others."""
    with pytest.MonkeyPatch.context() as patch:
        made = project_at(folder, patch)
        with store.open_store(made.tracked) as target:
            assert isinstance(target.runs, BulkRuns)
        sync(made.config)
        return rows(made.uri, "alpha-loop/demo")


def look_anew() -> None:
    """Forget what this process knows of the store, as another process would have to look."""
    forget_swept()
    client_runs.forget()


def ended_at(step: str, times: int, made: Case) -> None:
    """A sync that ends at a call of MLflow's client, as by Ctrl+C, and one after it."""
    import mlflow

    real, calls = getattr(mlflow.MlflowClient, step), Counter[str]()

    def dying(self: Any, *arguments: Any, **named: Any) -> Any:
        calls[step] += 1
        if calls[step] > times:
            raise KeyboardInterrupt
        return real(self, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, step, dying)
        with pytest.raises(KeyboardInterrupt):
            sync(made.config)
    look_anew()
    sync(made.config)


def project_at(folder: Path, patch: pytest.MonkeyPatch, uri: str | None = None) -> Case:
    """A project with a run that passes, one that fails, one with an undefined metric, and one of another session."""
    made = case(folder, patch, uri)
    made.add("crypto", "BTC-USD")
    made.add("stock", "AAPL", metrics={**BAD, "accuracy": None})
    made.add("etf", "SPY", "xgboost", session="6" * 24)
    made.add("stock", "TOOGOOD", metrics={**GOOD, "auc": 0.7}, suspicious="AUC 0.70 at or above 0.65")
    look_anew()
    return made


NOISE = {
    "runs": ("run_uuid", "experiment_id", "artifact_uri", "user_id"),
    "tags": ("run_uuid", "experiment_id"),
    "params": ("run_uuid", "experiment_id"),
    "metrics": ("run_uuid", "experiment_id"),
    "latest_metrics": ("run_uuid", "experiment_id"),
}
FREE = ("alpha.writer", "model_id", "model_digest", "mlflow.parentRunId", "mlflow.user")


def rows(uri: str, experiment: str) -> dict[str, Any]:
    """All that a store has of an experiment's runs: ids, places, times of writing and who wrote apart."""
    holder = Case(Path())
    holder.config.tracking.uri = uri
    with holder.sql() as execute:

        def table(name: str, where: str, *values: str) -> list[dict[str, Any]]:
            columns = execute.columns(name)
            found = execute(f"SELECT * FROM {name} WHERE {where}", values)
            return [dict(zip(columns, row, strict=True)) for row in found]

        number = execute("SELECT experiment_id FROM experiments WHERE name = ?", (experiment,))[0][0]
        runs = table("runs", "experiment_id = ? AND lifecycle_stage = 'active'", number)
        names = {run["run_uuid"]: run["name"] for run in runs}
        shown: dict[str, Any] = {}
        for run in runs:
            own: dict[str, Any] = {"runs": [_shown("runs", run)]}
            for name in ("tags", "params", "metrics", "latest_metrics"):
                kept = [row for row in table(name, "run_uuid = ?", run["run_uuid"]) if row["key"] not in FREE]
                own[name] = sorted(map(repr, (_shown(name, row) for row in kept)))
            is_session = any("'alpha.session'" in tag for tag in own["tags"])
            if is_session:  # its times are those of the clock
                own["runs"] = [{k: v for k, v in own["runs"][0].items() if k not in ("start_time", "end_time")}]
                own["metrics"] = own["latest_metrics"] = []
            parent = "SELECT value FROM tags WHERE run_uuid = ? AND key = 'mlflow.parentRunId'"
            parents = execute(parent, (run["run_uuid"],))
            own["parent"] = [names[parent] for (parent,) in parents]
            own["bound"] = execute(
                "SELECT key FROM params WHERE run_uuid = ? AND key LIKE 'model_%' ORDER BY key", (run["run_uuid"],)
            )
            shown[run["name"]] = own
        assert len(shown) == len(runs)
        joined = "model_versions v JOIN runs r ON r.run_uuid = v.run_id"
        versions = execute(f"SELECT v.name, r.name, v.source FROM {joined} WHERE r.experiment_id = ?", (number,))
        versions = [(name, run, source[:10]) for name, run, source in versions]
        shown["versions"] = sorted(versions)
    return shown


def _shown(table: str, row: dict[str, Any]) -> dict[str, Any]:
    plain = {name: bool(value) if name == "is_nan" else value for name, value in row.items()}
    if plain.get("key") == "alpha.registered":  # the number counts what other tests registered as well
        plain["value"] = plain["value"].split("/")[0]
    return {name: value for name, value in sorted(plain.items()) if name not in NOISE[table]}
