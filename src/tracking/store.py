"""MLflow's store of one dataset: its experiment, session runs, models and registered versions.

`src.tracking.reconcile` decides what has to be written, and this module writes it. What may be registered is decided by
`src.tracking.registry_store`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from src.evaluation.grade import Thresholds
from src.tracking import environment, sqlite_runs
from src.tracking.client_runs import ClientRuns, run_points
from src.tracking.connection import connect
from src.tracking.database import wait_for_database
from src.tracking.errors import TrackingError, locked_error, schema_error
from src.tracking.late_client import LateClient
from src.tracking.location import StoreLocation, local_folder, store_location
from src.tracking.model_cards import Card
from src.tracking.reconcile import ExperimentRuns
from src.tracking.recorded_folders import remember_folder
from src.tracking.run_record import RunContent
from src.tracking.search import experiment_by_name, runs_by_id, version_numbers
from src.tracking.session_runs import SessionRuns
from src.tracking.settings import TrackedDataset
from src.tracking.sqlite_runs import BulkRuns
from src.tracking.view_state import lacking_tags, view_tags
from src.tracking.writer_tag import WRITER, writer_tag

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from src.tracking.model_package import ModelFolder

_SHORT = 2000  # characters; MLflow shortens params beyond 6,000 and tags beyond 8,000
_CONCURRENT_REQUESTS = 4  # to a server or to PostgreSQL


@contextmanager
def open_store(settings: TrackedDataset, *, writes: bool = False, late: bool = False) -> Iterator[MlflowStore]:
    """Open MLflow's store and check that its registry is gated.

    Parameters
    ----------
    settings : TrackedDataset
    writes : bool
        Whether runs are written. In PostgreSQL this process is then, until it ends, the only one that may write the
        dataset.
    late : bool
        Whether a writer calls `MlflowStore.require_client` before it writes runs or models: one that finds nothing to
        do then does not import MLflow.

    Raises
    ------
    TrackingError
        If the plugin is not active, on this side or the server's; the database is locked, broken or of another MLflow;
        or another command writes the dataset.
    """
    location = store_location(settings.tracking)
    try:
        environment.set_environment(location)
        if location.database is not None:
            wait_for_database(location.database)
        client, demanded = connect(location, settings.thresholds, late=late or not writes)
        if writes and location.is_postgresql:
            from src.tracking import postgresql

            postgresql.claim(location.uri, settings.experiment)
        store = MlflowStore(settings, client, location, demanded)
        if writes:
            for folder in (settings.paths.runs, settings.paths.portfolios):
                remember_folder(location, store.experiment, folder)
        yield store
    except Exception as error:
        if isinstance(error, TrackingError):
            raise
        if "database is locked" in str(error):
            raise locked_error(location.database) from error
        if "out-of-date database schema" in str(error):
            raise schema_error(location.uri, error) from error
        raise


class MlflowStore:
    """MLflow's store of one dataset, opened and gated; made by `open_store`.

    Parameters
    ----------
    settings : TrackedDataset
    client : MlflowClient
    location : StoreLocation
    thresholds : Thresholds
        Those that the registry demands.

    Attributes
    ----------
    experiment : str
        Id of the dataset's experiment.
    runs : ExperimentRuns
        Reads and writes the runs of the experiment.
    """

    def __init__(
        self, settings: TrackedDataset, client: MlflowClient, location: StoreLocation, thresholds: Thresholds
    ) -> None:
        self.settings = settings
        self.client = client
        self.location = location
        self.thresholds = thresholds
        self.experiment, self._artifacts = self._experiment()
        self.runs: ExperimentRuns = self._runs()
        self._sessions = SessionRuns(client, location, self.experiment, settings.dataset, self.runs)
        self._valid_names: set[str] = set()

    def session_run(self, key: str, name: str | None = None) -> str:
        """Find or create the run of a session, the parent of the runs that it trained.

        Parameters
        ----------
        key : str
            Key of the session.
        name : str, optional
            Of a new run.

        Returns
        -------
        str
            Id of the run.
        """
        return self._sessions.run(key, name)

    def require_client(self) -> None:
        """Open MLflow's client, if that was left for later, before anything is written that it has to gate.

        Raises
        ------
        TrackingError
            If the plugin is not active.
        """
        if isinstance(self.client, LateClient):
            self.client.open()

    def describe_session(self, session: Mapping[str, Any], reused: Mapping[str, str]) -> None:
        """Write figures, texts and configuration of a session into its run.

        Parameters
        ----------
        session : mapping
            ``key`` and, if known, ``name`` and ``config_yaml``. Other numbers become metrics, texts become tags.
        reused : mapping
            Record id to run id of the runs that come from earlier sessions; kept in an artifact.
        """
        self._sessions.describe(session, reused)
        if self.location.database is not None:
            sqlite_runs.analyze(self.location.database)

    def validated(self, content: RunContent) -> RunContent:
        """Pass a run through MLflow's own validators, which also shorten values that are too long.

        Parameters
        ----------
        content : RunContent

        Returns
        -------
        RunContent
            As MLflow's client would write it.
        """
        from mlflow.entities import Param, RunTag
        from mlflow.utils.validation import _validate_batch_log_data

        if self._is_plain(content):
            return content
        params = [Param(key, value) for key, value in content.params.items()]
        tags = [RunTag(key, value) for key, value in content.tags.items()]
        _, params, tags = _validate_batch_log_data(run_points(content), params, tags)
        self._valid_names.update(content.metrics, content.params, content.tags)
        return replace(content, params={p.key: p.value for p in params}, tags={t.key: t.value for t in tags})

    def _is_plain(self, content: RunContent) -> bool:
        """Whether the validators would let a run pass as it is: they knew all its names, and no text is long."""
        texts = [*content.params.values(), *content.tags.values()]
        names = self._valid_names
        is_known = all(names.issuperset(own) for own in (content.metrics, content.params, content.tags))
        return is_known and not content.equity and content.end >= 0 and max(map(len, texts)) <= _SHORT

    def log_model(self, folder: ModelFolder, name: str, record_id: str, run_id: str) -> str:
        """Log a model and tie it to its run by params, which MLflow never overwrites.

        Parameters
        ----------
        folder : ModelFolder
            Content of the model's folder.
        name : str
            Shown in MLflow.
        record_id : str
            Of the stored run.
        run_id : str
            Of the MLflow run.

        Returns
        -------
        str
            Id of the logged model.
        """
        from mlflow.entities import LoggedModelOutput, Param

        tags = {"alpha.record_id": record_id, WRITER: writer_tag()}
        model = self.client.create_logged_model(self.experiment, name, run_id, tags, model_type=folder.family)
        if not self.location.is_server and (local := local_folder(model.artifact_location)) is not None:
            params = folder.write(local, model.model_id, run_id)
        else:
            with tempfile.TemporaryDirectory() as staged:
                params = folder.write(Path(staged), model.model_id, run_id)
                self.client.log_model_artifacts(model.model_id, staged)
        self.client.finalize_logged_model(model.model_id, "READY")
        self.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
        params["model_id"] = model.model_id
        self.client.log_batch(run_id, params=[Param(key, value) for key, value in params.items()])
        return str(model.model_id)

    def register(self, run_id: str, model_id: str, name: str, cards: tuple[Card, Card] | None = None) -> str:
        """Register a run's model, unless it is registered already.

        Parameters
        ----------
        run_id : str
        model_id : str
        name : str
            Of the registered model.
        cards : (Card, Card), optional
            What the registry says of the version, and of a registered model that is new.

        Returns
        -------
        str
            The version.

        Raises
        ------
        TrackingError
            If the gate refuses; the message is the gate's.
        """
        number = version_numbers(self.client, [run_id]).get(run_id, {}).get(name, "")
        with self.refusals():
            number = number or self._new_version(run_id, model_id, name, cards)
        self.client.set_tag(run_id, "alpha.registered", f"{name}/{number}")
        return number

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Turn a refusal of the registry, an invalid name, and a missing version or model into a `TrackingError`.

        Raises
        ------
        TrackingError
            With MLflow's message.
        """
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            if error.error_code not in ("PERMISSION_DENIED", "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise TrackingError(error.message) from error

    def runs_by_id(self, run_ids: Iterable[str], *, with_deleted: bool = False) -> dict[str, Run]:
        """Runs of the dataset's experiment.

        Parameters
        ----------
        run_ids : iterable of str
        with_deleted : bool
            Whether deleted runs are found too.

        Returns
        -------
        dict
            Run by id; unknown ids are left out.
        """
        return runs_by_id(self.client, self.experiment, run_ids, with_deleted=with_deleted)

    def _experiment(self) -> tuple[str, str]:
        """Id and artifact location of the dataset's experiment, created or restored if necessary."""
        name = self.settings.experiment
        experiment = experiment_by_name(self.client, name)
        if experiment is None:
            artifacts = self.location.artifacts
            place = None if artifacts is None else f"{artifacts}/{quote(self.settings.dataset)}"
            tags = {"alpha.dataset": self.settings.dataset, **view_tags()}
            experiment = self.client.get_experiment(self.client.create_experiment(name, place, tags=tags))
        elif experiment.lifecycle_stage != "active":
            self.client.restore_experiment(experiment.experiment_id)
        for key, value in lacking_tags(experiment.tags).items():
            self.client.set_experiment_tag(experiment.experiment_id, key, value)
        return str(experiment.experiment_id), str(experiment.artifact_location)

    def _runs(self) -> ExperimentRuns:
        """The route that `tracking.route` names; auto inserts in bulk into tested tables, else uses the client."""
        database, route = self.location.database, self.settings.tracking.route
        if database is not None and route != "client":
            revision = sqlite_runs.revision(database)
            if revision in sqlite_runs.REVISIONS:
                return BulkRuns(database, self.experiment, self._artifacts)
            if route == "bulk":
                raise TrackingError(
                    f"tracking.route=bulk knows MLflow's tables of revision {' or '.join(sqlite_runs.REVISIONS)}, and "
                    f"{database} has {revision}: leave tracking.route=auto, which uses MLflow's client there"
                )
        return ClientRuns(self.client, self.experiment, 1 if database is not None else _CONCURRENT_REQUESTS)

    def _new_version(self, run_id: str, model_id: str, name: str, cards: tuple[Card, Card] | None) -> str:
        from mlflow.exceptions import MlflowException

        refit = Card(f"A refit on all data; the grade of run {run_id} is of the walk-forward procedure.", {})
        of_version, of_model = cards or (refit, Card("", {}))
        try:
            self.client.create_registered_model(name, of_model.tags, of_model.description or None)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
                raise
        version = self.client.create_model_version(
            name, f"models:/{model_id}", run_id, of_version.tags, description=of_version.description, model_id=model_id
        )
        listed = json.dumps([{"name": name, "version": int(version.version)}])
        self.client.set_logged_model_tags(model_id, {"mlflow.modelVersions": listed})
        return str(version.version)
