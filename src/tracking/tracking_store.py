"""MLflow's tracking store with one rule more: no experiment keeps its artifacts in the folder of another one's models.

A plugin like `src.tracking.registry_store`: MLflow loads it through the entry point group ``mlflow.tracking_store``,
for the Python client, for the REST API of ``mlflow server`` and for the UI. Databases without the project's mark are
not affected. Without the plugin, a trigger of the database refuses the plain spellings (`src.tracking.gate_locks`).

MLflow loads this module while it is imported itself, so its parts are imported where they are used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from src.tracking.artifact_places import overlapping
from src.tracking.registry_gate import MARK, MARKED

if TYPE_CHECKING:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

# Variables of mlflow.server.constants.
_ARTIFACT_ROOT, _ARTIFACT_DESTINATION = "_MLFLOW_SERVER_ARTIFACT_ROOT", "_MLFLOW_SERVER_ARTIFACT_DESTINATION"
_READ_REPLICA = "_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE"
_WITH_MODELS = (
    "SELECT DISTINCT e.artifact_location FROM experiments e JOIN logged_models l ON l.experiment_id = e.experiment_id "
    "WHERE e.artifact_location IS NOT NULL"
)


def gated_tracking_store(store_uri: str, artifact_uri: str | None = None) -> SqlAlchemyStore:
    """Build the tracking store; the entry points of the project name this function.

    Parameters
    ----------
    store_uri : str
        Address of a sqlite or PostgreSQL database.
    artifact_uri : str, optional
        Where experiments without a location of their own keep their artifacts.
    """
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH

    root = artifact_uri or os.environ.get(_ARTIFACT_ROOT, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
    replica = {"read_db_uri": os.environ[_READ_REPLICA]} if os.environ.get(_READ_REPLICA) else {}
    kind = type("GatedTrackingStore", (ArtifactPlacesMixin, _mlflow_store()), {})
    store: SqlAlchemyStore = kind(store_uri, root, **replica)
    return store


def _mlflow_store() -> type[SqlAlchemyStore]:
    from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if not MLFLOW_ENABLE_WORKSPACES.get():
        return SqlAlchemyStore
    from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore

    return WorkspaceAwareSqlAlchemyStore


class ArtifactPlacesMixin:
    """Checks the artifact location of a new experiment; mixed in before an MLflow SQL store."""

    engine: Any

    def create_experiment(self, name: str, artifact_location: str | None = None, tags: Any = None) -> Any:
        """Create an experiment whose artifacts do not lie in the folder of another one's models, nor around it.

        Parameters and result are those of `mlflow.store.tracking.AbstractStore`.

        Raises
        ------
        MlflowException
            PERMISSION_DENIED, if the locations overlap.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

        if artifact_location:
            served = os.environ.get(_ARTIFACT_DESTINATION, "")
            other = overlapping(artifact_location, self._places_of_models(), served)
            if other is not None:
                raise MlflowException(
                    f"alpha-loop gate: experiment {name} refused: its artifact location {artifact_location} overlaps "
                    f"{other}, where models are kept: leave the location out, or choose one beside it",
                    PERMISSION_DENIED,
                )
        return super().create_experiment(name, artifact_location, tags)  # type: ignore[misc]

    def _places_of_models(self) -> list[str]:
        dialect = self.engine.dialect.name
        with self.engine.connect() as connection:
            marked = MARKED[dialect].replace("?", "%s") if dialect == "postgresql" else MARKED[dialect]
            if not list(connection.exec_driver_sql(marked, (MARK,))):
                return []
            return [str(row[0]) for row in connection.exec_driver_sql(_WITH_MODELS)]
