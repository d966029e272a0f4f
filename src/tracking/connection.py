"""MLflow's client on a store that has its tables, its mark and its gate."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from src.config.commands import setting, shell_word
from src.config.schema import TrackingConfig
from src.evaluation.grade import Thresholds
from src.runtime.redaction import masked, masked_address
from src.tracking import database, environment
from src.tracking.errors import REINSTALL, StoreUnreachable, TrackingError
from src.tracking.gate_mark import MarkUpdate
from src.tracking.late_client import LateClient
from src.tracking.location import StoreLocation, store_location
from src.tracking.registry_gate import PROBE, GateRefusal, demanded_by, stored_thresholds
from src.tracking.registry_sql import dialect, registry_query
from src.tracking.sqlite_searches import SqliteSearches, answers

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)


_require_gate = functools.cache(environment.require_gate)
"""Once in a process: what is installed does not change under it, and a look at all entry points takes 0.1 s."""


def connect(location: StoreLocation, thresholds: Thresholds, *, late: bool = False) -> tuple[MlflowClient, Thresholds]:
    """Open a store and check that its registry is gated; a database gets tables, mark and triggers if it lacks them.

    Parameters
    ----------
    location : StoreLocation
    thresholds : Thresholds
        Of the configuration: a database without thresholds gets these, and one that has them gets those that are
        tighter. A server has those of its own database.
    late : bool
        Whether MLflow may be imported later, by the first thing that needs its client, where a file can be searched
        without it. Its plugin is looked for now and checked then.

    Returns
    -------
    client : MlflowClient
    demanded : Thresholds
        Those that the registry demands.

    Raises
    ------
    TrackingError
        If the registry has no gate, or the store can't be used.
    """
    if location.is_server:
        client = _client(location)
        return client, server_thresholds(location) or thresholds
    _require_gate()
    if location.is_postgresql:
        client, update = _connect_postgresql(location, thresholds)
    else:
        client, update = _connect_sqlite(location, thresholds, late=late)
    if update.changed:
        log.warning("thresholds of the model registry changed: %s", ", ".join(update.changed))
    if update.kept:
        _warn_once(
            "the model registry keeps thresholds that are tighter than conf/grade/default.yaml: "
            f"{', '.join(update.kept)}; "
            f'`{gate_command(location)} loosen why="..."` takes those of the configuration'
        )
    return client, demanded_thresholds(location) or thresholds


def demanded_thresholds(location: StoreLocation) -> Thresholds | None:
    """Read the thresholds that a store's registry demands, and change nothing.

    Parameters
    ----------
    location : StoreLocation

    Returns
    -------
    Thresholds or None
        None for a database that does not exist yet or carries no mark, and for a server of older code.

    Raises
    ------
    TrackingError
        If the store can't be read, or its thresholds are broken.
    """
    try:
        if location.is_server:
            return server_thresholds(location)
        with registry_query(location) as query:
            return None if query is None else stored_thresholds(query, dialect(location))
    except GateRefusal as error:
        raise TrackingError(str(error)) from error


def gate_command(location: StoreLocation) -> str:
    """The command that shows the thresholds of a store, as it is typed into a shell.

    Parameters
    ----------
    location : StoreLocation
    """
    usual = store_location(TrackingConfig()).uri
    store = [] if location.uri == usual else [setting("tracking.uri", masked_address(location.uri))]
    return " ".join(["python -m src.gate", *map(shell_word, store)])


@functools.cache
def _warn_once(message: str) -> None:
    log.warning("%s", message)


def _connect_postgresql(location: StoreLocation, thresholds: Thresholds) -> tuple[MlflowClient, MarkUpdate]:
    from src.tracking import postgresql

    with postgresql.creating_tables(location.uri):
        client = _client(location)
        client.search_experiments(max_results=1)  # MLflow creates or checks its tables here
        update = postgresql.mark(location.uri, thresholds)
    _require_gated_plugin(location)
    return client, update


def _connect_sqlite(location: StoreLocation, thresholds: Thresholds, *, late: bool) -> tuple[MlflowClient, MarkUpdate]:
    assert location.database is not None and location.artifacts is not None
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    database.create_database(location.database, location.artifacts, thresholds)
    client: Any
    if late and answers(location.database):
        client = LateClient(SqliteSearches(location.database), lambda: _gated_client(location))
    else:
        client = _gated_client(location)
    return client, database.mark_database(location.database, thresholds)


def _gated_client(location: StoreLocation) -> MlflowClient:
    client = _client(location)
    _require_gated_plugin(location)
    return client


def _client(location: StoreLocation) -> MlflowClient:
    """MLflow's client, with the addresses set everywhere that MLflow might guess them."""
    import mlflow

    for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(location.uri)
    mlflow.set_registry_uri(location.uri)
    return mlflow.MlflowClient(location.uri, location.uri)


def server_client(location: StoreLocation) -> MlflowClient:
    """Give MLflow's client of a tracking server, after one question without retries.

    Parameters
    ----------
    location : StoreLocation
        Of a server.

    Raises
    ------
    StoreUnreachable
        If no server answers.
    TrackingError
        If its registry has no gate.
    """
    environment.set_environment(location)
    server_thresholds(location)
    return _client(location)


def _require_gated_plugin(location: StoreLocation) -> None:
    from mlflow.tracking._model_registry.utils import _get_store

    from src.tracking.registry_store import RegistryGateMixin

    if not isinstance(_get_store(location.uri, location.uri), RegistryGateMixin):
        raise TrackingError(f"the gate of the model registry is not active, so nothing is tracked: {REINSTALL}")


def server_thresholds(location: StoreLocation) -> Thresholds | None:
    """Ask a server for an impossible version: only a gated one refuses it with the gate's message.

    Parameters
    ----------
    location : StoreLocation

    Returns
    -------
    Thresholds or None
        Those that its registry demands; None if it does not say.

    Raises
    ------
    StoreUnreachable
        If no server answers.
    TrackingError
        If its registry has no gate.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    body = {"name": "alpha-loop.probe", "source": PROBE, "model_id": PROBE.removeprefix("models:/")}
    credentials, path = get_default_host_creds(location.uri), "/api/2.0/mlflow/model-versions/create"
    try:
        answer = http_request(credentials, path, "POST", max_retries=0, raise_on_status=False, json=body)
    except MlflowException as error:
        raise StoreUnreachable(
            f"no MLflow server answers at {masked(location.uri)} ({masked(_first_line(error))}): start it, or correct "
            "tracking.uri"
        ) from error
    if "alpha-loop gate" not in answer.text:
        raise TrackingError(
            f"the model registry at {masked(location.uri)} has no gate, so nothing is tracked there: install this "
            "project into the server's environment, run python -m src.sync tracking.uri=<its database> there once, and "
            "start the server again"
        )
    return demanded_by(answer.text)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
