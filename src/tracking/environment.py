"""What MLflow finds in this environment: its variables, and the entry points of the registry gate."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import logging
import os

from src.tracking.errors import REINSTALL, TrackingError
from src.tracking.location import StoreLocation, local_folder

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # 3.18's new name would refuse our models' loader too
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
HTTP_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4"}
"""Used unless the user's environment sets them: retries of a server that has gone end after half a minute."""


def set_environment(location: StoreLocation) -> None:
    """Set the variables that MLflow reads, and create the store's folders.

    Parameters
    ----------
    location : StoreLocation
    """
    os.environ.update(ENVIRONMENT)
    # A filter, as MLflow resets the level when it is imported.
    logging.getLogger("mlflow.store.db.utils").addFilter(_is_not_raised)
    os.environ["MLFLOW_TRACKING_URI"] = os.environ["MLFLOW_REGISTRY_URI"] = location.uri
    if location.is_server:
        for name, value in HTTP_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    if location.artifacts is not None and (folder := local_folder(location.artifacts)):
        folder.mkdir(parents=True, exist_ok=True)
    if location.database is not None:
        location.database.parent.mkdir(parents=True, exist_ok=True)


def _is_not_raised(record: logging.LogRecord) -> bool:
    """Drop what MLflow prints of a database's error: it raises the error too, and what is raised is logged here."""
    return record.levelno < logging.ERROR


def gated_schemes(group: str = "mlflow.model_registry_store") -> list[str]:
    """Kinds of databases that MLflow opens through the project's own stores.

    Parameters
    ----------
    group : str
        Group of entry points: the registry's, or ``mlflow.tracking_store``.

    Returns
    -------
    list of str
        Names of entry points whose module exists. An environment made before the module was moved names the old place,
        and MLflow then uses its own store instead.
    """
    points = importlib.metadata.entry_points(group=group)
    return sorted({point.name for point in points if _is_ours(point.value.partition(":")[0])})


def require_gate() -> None:
    """Check that MLflow will find the project's registry and tracking stores, before MLflow itself is imported.

    Raises
    ------
    TrackingError
        If the entry points are missing or name a module that does not exist.
    """
    needed = {"sqlite", "postgresql"}
    if not needed <= set(gated_schemes()) or not needed <= set(gated_schemes("mlflow.tracking_store")):
        raise TrackingError(
            "this environment has no entry points of the project, or those of older code, so MLflow would not find the "
            f"gate of the model registry: {REINSTALL}"
        )


def _is_ours(module: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):  # the package around it is gone as well
        return module.startswith("src.") and importlib.util.find_spec(module) is not None
    return False
