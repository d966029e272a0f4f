"""MLflow's runs and models as a projection of what training stored.

`project` is all that a stage calls. This module opens MLflow's store, makes sure that its registry is gated, and does
the writing; what has to be written is decided in `src.tracking.reconcile`, and what is registered by
`src.tracking.registry_store`.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from src.evaluation.grade import Thresholds
from src.runtime.redaction import masked
from src.tracking import location as location_module
from src.tracking import sqlite_runs
from src.tracking.client_runs import ClientRuns, metrics, points
from src.tracking.location import REINSTALL, Home, TrackingError, Unreachable, folder_of
from src.tracking.reconcile import Runs, bring_up_to_date
from src.tracking.run_record import RunContent
from src.tracking.search import all_pages, runs_by_id, versions_by_run
from src.tracking.sqlite_runs import BulkRuns
from src.tracking.writer_tag import WRITER, is_alive, writer

if TYPE_CHECKING:
    import polars as pl
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from src.config.schema import Config
    from src.tracking.model_package import ModelFolder
    from src.training.run_store import RunStore

__all__ = ["Tracking", "TrackingError", "open_store", "project"]

log = logging.getLogger(__name__)
_SLICE = 2000  # runs in memory at a time
_WRITERS = 4  # requests in flight to a server or to PostgreSQL
_SWEPT: set[tuple[str, str]] = set()


def project(config: Config, store: RunStore, grades: pl.DataFrame, session: Mapping[str, Any]) -> pl.DataFrame:
    """Bring MLflow up to date with graded runs; safe to repeat, and to interrupt anywhere.

    Parameters
    ----------
    config : Config
    store : RunStore
        Where runs, equity curves and native models are.
    grades : DataFrame
        Any rows of grades; called again with others, or the same, at will.
    session : mapping
        ``key`` and, where known, ``name`` and ``config_yaml``; other numbers become metrics and texts tags of the
        session's own run.

    Returns
    -------
    DataFrame
        record_id, mlflow_run_id; empty where tracking is off.

    Raises
    ------
    TrackingError
        Where the store can't be opened, has no gate, or is locked.
    """
    import polars as pl

    ids: dict[str, str] = {}
    if config.tracking.enabled:
        with open_store(config, writes=True) as target:
            target.sweep()
            reused: dict[str, str] = {}
            for part in grades.iter_slices(_SLICE) if grades.height else [grades]:
                for record, each in bring_up_to_date(target, store, part, session).items():
                    ids[record] = each.run_id
                    if each.tags["alpha.session_key"] != session["key"]:
                        reused[record] = each.run_id
            target.describe(session, reused)
    schema = {"record_id": pl.String, "mlflow_run_id": pl.String}
    return pl.DataFrame({"record_id": list(ids), "mlflow_run_id": list(ids.values())}, schema=schema)


@contextmanager
def open_store(config: Config, *, writes: bool = False) -> Iterator[Tracking]:
    """Open MLflow's store and see that its registry is gated.

    Parameters
    ----------
    config : Config
    writes : bool
        Whether runs are written: in PostgreSQL the process is then, until it ends, the only one that writes the
        dataset.

    Raises
    ------
    TrackingError
        Where the plugin is not active, on this side or the server's, the database is locked, broken or of another
        MLflow, or another command writes the dataset.
    """
    where = location_module.home(config.tracking)
    try:
        location_module.prepare(where)
        demanded = location_module.thresholds(config)
        client = _opened(where, demanded)
        if writes and where.is_postgresql:
            from src.tracking import postgresql

            postgresql.claim(where.uri, _experiment_name(config))
        yield Tracking(config, client, where, demanded)
    except Exception as error:
        if isinstance(error, TrackingError):
            raise
        if "database is locked" in str(error):
            raise location_module.locked(where.database) from error
        if "out-of-date database schema" in str(error):
            raise location_module.of_another_mlflow(where, error) from error
        raise


class Tracking:
    """MLflow's store for one dataset, opened and gated."""

    def __init__(self, config: Config, client: MlflowClient, where: Home, demanded: Thresholds) -> None:
        self.config = config
        self.client = client
        self.where = where
        self.thresholds = demanded
        self.experiment, self._artifacts = self._experiment()
        self.runs: Runs = self._runs()
        self._sessions: dict[str, str] = {}

    def session_run(self, key: str, name: str | None = None) -> str:
        """The id of a session's own run: adopted where MLflow has it, made where not."""
        if key not in self._sessions:
            query = f"tags.`alpha.session` = '{key}'"
            found = list(self.client.search_runs([self.experiment], query, order_by=["start_time ASC"], max_results=1))
            if not found:
                tags = {"alpha.session": key, "alpha.dataset": self.config.dataset}
                made = self.client.create_run(self.experiment, tags=tags, run_name=name or f"session {key[:8]}")
                self.client.set_terminated(made.info.run_id)
                found = [made]
            elif found[0].info.status != "FINISHED":  # who made it was killed on the way
                self.client.set_terminated(found[0].info.run_id)
            self._sessions[key] = found[0].info.run_id
        return self._sessions[key]

    def describe(self, session: Mapping[str, Any], reused: Mapping[str, str]) -> None:
        """Tell the session's run its figures, texts and configuration, and which runs come from earlier sessions."""
        from mlflow.entities import RunTag

        run_id = self.session_run(session["key"], session.get("name"))
        said = {key: value for key, value in session.items() if key not in ("key", "config_yaml") and value is not None}
        numbers = {key: float(value) for key, value in said.items() if isinstance(value, int | float)}
        tags = [RunTag(f"alpha.{key}", str(value)) for key, value in said.items() if key not in numbers]
        before = self.client.get_run(run_id).data.metrics
        moved = {key: value for key, value in numbers.items() if before.get(key) != value}
        self.client.log_batch(run_id, metrics=metrics(moved, int(1000 * time.time())), tags=tags)
        if session.get("config_yaml"):
            self.client.log_text(run_id, str(session["config_yaml"]), "config.yaml")
        if reused:
            self.client.log_text(run_id, json.dumps(dict(sorted(reused.items())), indent=1), "reused.json")
        if self.where.database is not None:
            sqlite_runs.analyze(self.where.database)

    def valid(self, content: RunContent) -> RunContent:
        """Pass the content through MLflow's own validators, which also shorten what is too long."""
        from mlflow.entities import Param, RunTag
        from mlflow.utils.validation import _validate_batch_log_data

        params = [Param(key, value) for key, value in content.params.items()]
        tags = [RunTag(key, value) for key, value in content.tags.items()]
        _, params, tags = _validate_batch_log_data(points(content), params, tags)
        return replace(content, params={p.key: p.value for p in params}, tags={t.key: t.value for t in tags})

    def log_model(self, folder: ModelFolder, name: str, record_id: str, run_id: str) -> str:
        """Log a model and tie it to its run by params, which MLflow never overwrites; returns the model's id."""
        from mlflow.entities import LoggedModelOutput, Param

        made = self.client.create_logged_model(
            self.experiment, name, run_id, {"alpha.record_id": record_id, WRITER: writer()}, model_type=folder.family
        )
        if not self.where.is_server and (local := folder_of(made.artifact_location)) is not None:
            bound = folder.write(local, made.model_id, run_id)
        else:
            with tempfile.TemporaryDirectory() as staged:
                bound = folder.write(Path(staged), made.model_id, run_id)
                self.client.log_model_artifacts(made.model_id, staged)
        self.client.finalize_logged_model(made.model_id, "READY")
        self.client.log_outputs(run_id, [LoggedModelOutput(made.model_id, 0)])
        bound["model_id"] = made.model_id
        self.client.log_batch(run_id, params=[Param(key, value) for key, value in bound.items()])
        return str(made.model_id)

    def register(self, run_id: str, model_id: str, name: str) -> str:
        """Register a run's model, unless it is; returns the version.

        Raises
        ------
        TrackingError
            Where the gate refuses, in its words.
        """
        found = self.client.search_model_versions(f"run_id = '{run_id}'")
        with self.refusals():
            number = str(found[0].version) if found else self._new_version(run_id, model_id, name)
        self.client.set_tag(run_id, "alpha.registered", f"{name}/{number}")
        return number

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Turn the registry's refusal, a bad name, and a version or model that is not there into a `TrackingError`."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            if error.error_code not in ("PERMISSION_DENIED", "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise TrackingError(error.message) from error

    def sweep(self) -> None:
        """Remove half-written runs, and models that no run is tied to, whose writer has ended; once a process.

        What is registered stays, and what another machine's command may be busy with.
        """
        if (self.where.uri, self.experiment) in _SWEPT:
            return
        half = f"attributes.status = 'RUNNING' AND tags.`{WRITER}` LIKE '%'"
        found = all_pages(lambda token: self.client.search_runs([self.experiment], half, 1, page_token=token))
        left = [run.info.run_id for run in found if not is_alive(run.data.tags[WRITER])]
        loose = list(self._loose_models())
        held = versions_by_run(self.client, [*left, *(model.source_run_id for model in loose)])
        for run_id in left:
            if run_id not in held:
                self.client.delete_run(run_id)
        for model in loose:
            if any(_may_hold(version, model.model_id) for version in held.get(model.source_run_id, [])):
                continue
            self.client.delete_logged_model(model.model_id)
            if not self.where.is_server and (folder := folder_of(model.artifact_location)):
                shutil.rmtree(folder.parent, ignore_errors=True)
        _SWEPT.add((self.where.uri, self.experiment))

    def _loose_models(self) -> Iterator[Any]:
        """Models of ours that their run does not name as its own, and that nobody is logging any more."""
        search = self.client.search_logged_models
        models = list(all_pages(lambda token: search([self.experiment], page_token=token)))
        ours = [model for model in models if "alpha.record_id" in model.tags and model.source_run_id]
        runs = self.runs_by_id(model.source_run_id for model in ours)
        for model in ours:
            run = runs.get(model.source_run_id)
            is_tied = run is not None and run.data.params.get("model_id") == model.model_id
            if not is_tied and (WRITER not in model.tags or not is_alive(model.tags[WRITER])):
                yield model

    def runs_by_id(self, run_ids: Iterable[str]) -> dict[str, Run]:
        """Active runs of the dataset's experiment by their ids."""
        return runs_by_id(self.client, self.experiment, run_ids)

    def _experiment(self) -> tuple[str, str]:
        """Id and artifact location of the dataset's experiment, made or taken out of the bin where need be."""
        name = _experiment_name(self.config)
        found = self.client.get_experiment_by_name(name)
        if found is None:
            below = self.where.artifacts
            location = None if below is None else f"{below}/{quote(self.config.dataset)}"
            made = self.client.create_experiment(name, location, tags={"alpha.dataset": self.config.dataset})
            found = self.client.get_experiment(made)
        elif found.lifecycle_stage != "active":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id), str(found.artifact_location)

    def _runs(self) -> Runs:
        """Take the route that `tracking.route` names; auto is bulk inserts where they are tested, else the client."""
        database, route = self.where.database, self.config.tracking.route
        if database is not None and route != "client":
            revision = sqlite_runs.revision(database)
            if revision in sqlite_runs.REVISIONS:
                return BulkRuns(database, self.experiment, self._artifacts)
            if route == "bulk":
                raise TrackingError(
                    f"tracking.route=bulk knows MLflow's tables of revision {' or '.join(sqlite_runs.REVISIONS)}, and "
                    f"{database} has {revision}: leave tracking.route=auto, which takes MLflow's client there"
                )
        return ClientRuns(self.client, self.experiment, 1 if database is not None else _WRITERS)

    def _new_version(self, run_id: str, model_id: str, name: str) -> str:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
                raise
        about = f"A refit on all data; the grade of run {run_id} is of the walk-forward procedure."
        made = self.client.create_model_version(
            name, f"models:/{model_id}", run_id, description=about, model_id=model_id
        )
        listed = json.dumps([{"name": name, "version": int(made.version)}])
        self.client.set_logged_model_tags(model_id, {"mlflow.modelVersions": listed})
        return str(made.version)


def _experiment_name(config: Config) -> str:
    return f"{config.tracking.experiment}/{config.dataset}"


def _may_hold(version: Any, model_id: str) -> bool:
    """Whether a version's files may be this model's: it names the model, or is a copy that names another version."""
    return str(version.source) == f"models:/{model_id}" or not str(version.source).startswith("models:/m-")


def _opened(where: Home, demanded: Thresholds) -> MlflowClient:
    """MLflow's client on a store that has its tables, its mark and its gate."""
    if where.is_server:
        client = _client(where)
        _probe(where)
        return client
    location_module.require_gate()
    if where.is_postgresql:
        from src.tracking import postgresql

        with postgresql.alone(where.uri):
            client = _client(where)
            client.search_experiments(max_results=1)  # MLflow makes or checks its tables here
            changed = postgresql.mark(where.uri, demanded)
        _require_plugin(where)
    else:
        assert where.database is not None and where.artifacts is not None
        _make_database(where.database, where.artifacts, demanded)
        client = _client(where)
        _require_plugin(where)
        changed = location_module.mark(where.database, demanded)
    if changed:
        log.warning("thresholds of the model registry changed: %s", ", ".join(changed))
    return client


def _make_database(database: Path, artifacts: str, demanded: Thresholds) -> None:
    from src.tracking.registry_store import make_database

    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    make_database(database, artifacts, demanded)


def _client(where: Home) -> MlflowClient:
    """MLflow's client, with the URIs said outright everywhere that MLflow might guess them."""
    import mlflow

    for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(where.uri)
    mlflow.set_registry_uri(where.uri)
    return mlflow.MlflowClient(where.uri, where.uri)


def _require_plugin(where: Home) -> None:
    from mlflow.tracking._model_registry.utils import _get_store

    from src.tracking.registry_store import Gate

    if not isinstance(_get_store(where.uri, where.uri), Gate):
        raise TrackingError(f"the gate of the model registry is not active, so nothing is tracked: {REINSTALL}")


def _probe(where: Home) -> None:
    """Ask a server for an impossible version: only a gated one refuses it in the gate's words."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    nothing = "m-" + "0" * 32
    body = {"name": "alpha-loop.probe", "source": f"models:/{nothing}", "model_id": nothing}
    creds, path = get_default_host_creds(where.uri), "/api/2.0/mlflow/model-versions/create"
    try:
        answer = http_request(creds, path, "POST", max_retries=0, raise_on_status=False, json=body)
    except MlflowException as error:
        raise Unreachable(
            f"no MLflow server answers at {masked(where.uri)} ({masked(_first_line(error))}): start it, or mend "
            "tracking.uri"
        ) from error
    if "alpha-loop gate" not in answer.text:
        raise TrackingError(
            f"the model registry at {masked(where.uri)} has no gate, so nothing is tracked there: install this project "
            "into the server's environment, run python -m src.sync tracking.uri=<its database> there once, and start "
            "the server again"
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
