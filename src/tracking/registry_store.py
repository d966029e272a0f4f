"""MLflow's model registry with a gate: a plugin that takes the place of the built-in store of sqlite and PostgreSQL.

MLflow loads it through the entry point group ``mlflow.model_registry_store`` for the Python client, for the REST API of
``mlflow server`` and so for the UI. Databases without the project's mark pass through untouched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from mlflow.entities.model_registry.model_version_stages import STAGE_ARCHIVED, STAGE_NONE, get_canonical_stage
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from src.evaluation.grade import Thresholds
from src.tracking import registry_gate
from src.tracking.registry_gate import Candidate, Query, Refused

_SERVED_FILES = (
    "_MLFLOW_SERVER_ARTIFACT_DESTINATION"  # where a server keeps mlflow-artifacts:/ (mlflow.server.constants)
)


def make_database(database: Path, artifacts: str, thresholds: Thresholds) -> None:
    """Make a new store whole or not at all: tables, mark and triggers, then one rename.

    MLflow builds its tables in dozens of steps, and a process killed between two of them leaves a file that no later
    start can repair. Two processes at once make it once.
    """
    from filelock import FileLock
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

    from src.storage import atomic
    from src.tracking import location as location_module

    def build(path: Path) -> None:
        store = TrackingStore(f"sqlite:///{path.as_posix()}", artifacts)
        store.engine.dispose()
        location_module.mark(path, thresholds)

    if database.exists():
        return
    with FileLock(database.with_name(f".{database.name}.lock")):
        if not database.exists():
            atomic.sweep(database.parent)
            atomic.write_atomic(database, build)


def gated_store(store_uri: str) -> SqlAlchemyStore:
    """Build the store for a sqlite or PostgreSQL URI: what the entry points name."""
    return _gated(_plain_store())(store_uri)


def _plain_store() -> type[SqlAlchemyStore]:
    if not MLFLOW_ENABLE_WORKSPACES.get():
        return SqlAlchemyStore
    from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore

    return WorkspaceAwareSqlAlchemyStore


def _gated(plain: type[SqlAlchemyStore]) -> type[SqlAlchemyStore]:
    """The gate in front of MLflow's own store, which is a different class where workspaces are on."""
    return type("GatedStore", (Gate, plain), {})


class Gate:
    """Asks the gate before a version, an alias, a stage or a name is set, and before a version's files are handed out.

    Mixed in before an MLflow SQL store. Every refusal is PERMISSION_DENIED (HTTP 403) and names what was missed.
    """

    engine: Any
    ManagedSessionMaker: Any

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Any = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> Any:
        """Register a model whose run clears the thresholds; see `mlflow.store.model_registry.AbstractStore`."""
        try:
            with self._asked(f"version of {name}") as (query, limits):
                if limits is not None:
                    found = registry_gate.candidate(query, source)
                    _same(found, run_id, model_id)
                    self._admit(query, found, name, limits)
        except MlflowException:
            self._drop_if_empty(name)
            raise
        try:
            return super().create_model_version(  # type: ignore[misc]
                name, source, run_id, tags, run_link, description, local_model_path, model_id
            )
        except MlflowException as error:
            if not error.message.startswith("Model Version creation error"):
                raise
            words = "the database's triggers; is the tracking URI the same database as the registry URI?"
            raise MlflowException(
                f"alpha-loop gate: version of {name} refused by {words}", PERMISSION_DENIED
            ) from error

    def set_registered_model_alias(self, name: str, alias: str, version: Any) -> Any:
        """Point an alias at a version that clears; the champion needs the out-of-sample bars of promotion."""
        with self._asked(f"alias {alias} of {name}") as (query, limits):
            if limits is not None and (found := registry_gate.version(query, name, version)):
                self._admit(query, found, name, limits, promotion=alias.lower() == registry_gate.CHAMPION)
        return super().set_registered_model_alias(name, alias, version)  # type: ignore[misc]

    def transition_model_version_stage(
        self, name: str, version: Any, stage: str, archive_existing_versions: bool
    ) -> Any:
        """Move a version that clears to a stage; archiving needs nothing."""
        with self._asked(f"stage {stage} of {name}") as (query, limits):
            leaving = get_canonical_stage(stage) in (STAGE_NONE, STAGE_ARCHIVED)
            if limits is not None and not leaving and (found := registry_gate.version(query, name, version)):
                self._admit(query, found, name, limits)
        return super().transition_model_version_stage(  # type: ignore[misc]
            name, version, stage, archive_existing_versions
        )

    def rename_registered_model(self, name: str, new_name: str) -> Any:
        """Rename a registered model; the name of an instrument stays with that instrument's models."""
        with self._asked(f"name {new_name}") as (query, limits):
            if limits is not None:
                rows = query("SELECT version FROM model_versions WHERE name = ? AND source LIKE 'models:/%'", (name,))
                for (number,) in rows:
                    if (found := registry_gate.version(query, name, number)) and (
                        words := registry_gate.misnamed(found, new_name)
                    ):
                        raise Refused(words)
        return super().rename_registered_model(name, new_name)  # type: ignore[misc]

    def get_model_version_download_uri(self, name: str, version: Any) -> str:
        """Hand out where a version's files are, once they are seen to be those that were graded."""
        location: str = super().get_model_version_download_uri(name, version)  # type: ignore[misc]
        with self._asked(f"version {version} of {name}") as (query, limits):
            if limits is not None:
                _check_files(registry_gate.stored_at(query, location))
        return location

    @contextmanager
    def _asked(self, what: str) -> Iterator[tuple[Query, Thresholds | None]]:
        """A look into the database in which a refusal becomes MLflow's PERMISSION_DENIED."""
        dialect = self.engine.dialect.name
        with self.engine.connect() as connection:

            def query(sql: str, values: tuple[Any, ...]) -> list[Any]:
                if dialect == "postgresql":
                    sql = sql.replace("%", "%%").replace("?", "%s")
                return list(connection.exec_driver_sql(sql, values))

            try:
                yield query, registry_gate.limits(query, dialect)
            except Refused as error:
                raise MlflowException(f"alpha-loop gate: {what} refused: {error}", PERMISSION_DENIED) from error

    def _admit(self, query: Query, found: Candidate, name: str, limits: Thresholds, promotion: bool = False) -> None:
        graded = registry_gate.verdict(query, found, limits)
        missed = list(graded.against_promotion if promotion else graded.against_registration)
        missed += [words] if (words := registry_gate.misnamed(found, name)) else []
        if missed:
            raise Refused(f"run {found.run_id} does not clear: {'; '.join(missed)}")
        _check_files(found)

    def _drop_if_empty(self, name: str) -> None:
        """Remove the registered model that MLflow's client makes before it asks for the version that was refused."""
        with self.ManagedSessionMaker(read_only=False) as session:
            try:
                registered = self._get_registered_model(session, name)  # type: ignore[attr-defined]
            except MlflowException:
                return
            held = session.query(SqlModelVersion).filter(SqlModelVersion.name == name).first()
            if held is None and not registered.registered_model_tags and not registered.description:
                session.delete(registered)


def _same(found: Candidate, run_id: str | None, model_id: str | None) -> None:
    """Refuse a request that claims another run or model than the one that its source comes from."""
    if run_id and run_id != found.run_id:
        raise Refused(f"the model comes from run {found.run_id}, not from run {run_id} of the request")
    if model_id and model_id != found.model_id:
        raise Refused(f"the source is model {found.model_id}, not model {model_id} of the request")


def _check_files(found: Candidate) -> None:
    parsed = urlparse(found.location)
    served = os.environ.get(_SERVED_FILES, "")
    if parsed.scheme == "mlflow-artifacts":
        if not served:
            raise Refused(f"the files of model {found.model_id} are behind a tracking server: ask that server")
        _check_at(f"{served.rstrip('/')}/{parsed.path.lstrip('/')}", found)
    else:
        _check_at(found.location, found)


def _check_at(location: str, found: Candidate) -> None:
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    if is_local_uri(location, is_tracking_or_registry_uri=False):
        registry_gate.check_files(Path(local_file_uri_to_path(location)), found)
        return
    import tempfile

    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory() as folder:
        registry_gate.check_files(Path(download_artifacts(artifact_uri=location, dst_path=folder)), found)
