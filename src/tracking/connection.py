"""MLflow's client on a store that has its tables, its mark and its gate."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from src.evaluation.grade import Thresholds
from src.runtime.redaction import masked
from src.tracking import environment
from src.tracking.errors import REINSTALL, StoreUnreachable, TrackingError
from src.tracking.location import StoreLocation

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)


def connect(location: StoreLocation, thresholds: Thresholds) -> MlflowClient:
    """Open a store and check that its registry is gated; a database gets tables, mark and triggers if it lacks them.

    Parameters
    ----------
    location : StoreLocation
    thresholds : Thresholds
        Written into a database. A server has those of its own database.

    Raises
    ------
    TrackingError
        If the registry has no gate, or the store can't be used.
    """
    if location.is_server:
        client = _client(location)
        _require_gated_server(location)
        return client
    environment.require_gate()
    if location.is_postgresql:
        client, changed = _connect_postgresql(location, thresholds)
    else:
        client, changed = _connect_sqlite(location, thresholds)
    if changed:
        log.warning("thresholds of the model registry changed: %s", ", ".join(changed))
    return client


def _connect_postgresql(location: StoreLocation, thresholds: Thresholds) -> tuple[MlflowClient, list[str]]:
    from src.tracking import postgresql

    with postgresql.creating_tables(location.uri):
        client = _client(location)
        client.search_experiments(max_results=1)  # MLflow creates or checks its tables here
        changed = postgresql.mark(location.uri, thresholds)
    _require_gated_plugin(location)
    return client, changed


def _connect_sqlite(location: StoreLocation, thresholds: Thresholds) -> tuple[MlflowClient, list[str]]:
    from src.tracking.database import create_database, mark_database

    assert location.database is not None and location.artifacts is not None
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    create_database(location.database, location.artifacts, thresholds)
    client = _client(location)
    _require_gated_plugin(location)
    return client, mark_database(location.database, thresholds)


def _client(location: StoreLocation) -> MlflowClient:
    """MLflow's client, with the addresses set everywhere that MLflow might guess them."""
    import mlflow

    for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(location.uri)
    mlflow.set_registry_uri(location.uri)
    return mlflow.MlflowClient(location.uri, location.uri)


def _require_gated_plugin(location: StoreLocation) -> None:
    from mlflow.tracking._model_registry.utils import _get_store

    from src.tracking.registry_store import RegistryGateMixin

    if not isinstance(_get_store(location.uri, location.uri), RegistryGateMixin):
        raise TrackingError(f"the gate of the model registry is not active, so nothing is tracked: {REINSTALL}")


def _require_gated_server(location: StoreLocation) -> None:
    """Ask a server for an impossible version: only a gated one refuses it with the gate's message."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    nothing = "m-" + "0" * 32
    body = {"name": "alpha-loop.probe", "source": f"models:/{nothing}", "model_id": nothing}
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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
