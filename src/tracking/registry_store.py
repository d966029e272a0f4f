"""MLflow's model registry with a gate: a plugin that replaces the built-in store for sqlite and PostgreSQL.

MLflow loads it through the entry point group ``mlflow.model_registry_store``, for the Python client and for the REST
API of ``mlflow server``, and so for the UI. Databases without the project's mark are not affected. Imports are kept
small, because every program that uses MLflow in this environment loads this module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from mlflow.entities.model_registry.model_version_stages import STAGE_ARCHIVED, STAGE_NONE, get_canonical_stage
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from src.core.errors import StageError
from src.evaluation.grade import Thresholds
from src.tracking import registry_gate
from src.tracking.model_files import check_files
from src.tracking.model_names import name_conflict
from src.tracking.recorded_folders import records_of
from src.tracking.registry_gate import CandidateModel, GateRefusal, Query

if TYPE_CHECKING:
    from src.tracking.records import Records
    from src.tracking.verdict import FolderCheck, Objection, Use

# Where a server keeps the files of mlflow-artifacts:/ (mlflow.server.constants).
_ARTIFACT_DESTINATION = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"


def gated_store(store_uri: str) -> SqlAlchemyStore:
    """Build the gated registry store; the entry points of the project name this function.

    Parameters
    ----------
    store_uri : str
        Address of a sqlite or PostgreSQL database.
    """
    return _gated(_mlflow_store())(store_uri)


def _mlflow_store() -> type[SqlAlchemyStore]:
    if not MLFLOW_ENABLE_WORKSPACES.get():
        return SqlAlchemyStore
    from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore

    return WorkspaceAwareSqlAlchemyStore


def _gated(mlflow_store: type[SqlAlchemyStore]) -> type[SqlAlchemyStore]:
    """Put the gate in front of MLflow's own store, which is another class if workspaces are enabled."""
    return type("GatedStore", (RegistryGateMixin, mlflow_store), {})


class RegistryGateMixin:
    """Checks the gate before a version, alias, stage or name is set, and before a version's files are served.

    Mixed in before an MLflow SQL store. Every refusal is PERMISSION_DENIED (HTTP 403) and says what is missing.
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
        """Register a model if its run clears the thresholds.

        Parameters and result are those of `mlflow.store.model_registry.AbstractStore`.

        Raises
        ------
        MlflowException
            PERMISSION_DENIED, if the gate refuses.
        """
        try:
            with self._gate(f"version of {name}") as (query, thresholds):
                if thresholds is not None:
                    if source == registry_gate.PROBE:
                        raise GateRefusal(registry_gate.demanded(thresholds))
                    candidate = registry_gate.candidate_from_source(query, source)
                    _require_same(candidate, run_id, model_id)
                    self._admit(query, candidate, name, thresholds)
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
            raise MlflowException(
                f"alpha-loop gate: version of {name} refused by the database's triggers; is the tracking URI the same "
                "database as the registry URI?",
                PERMISSION_DENIED,
            ) from error

    def set_registered_model_alias(self, name: str, alias: str, version: Any) -> Any:
        """Set an alias on a version that clears the thresholds; the champion also needs the bars of promotion.

        Raises
        ------
        MlflowException
            PERMISSION_DENIED, if the gate refuses.
        """
        with self._gate(f"alias {alias} of {name}") as (query, thresholds):
            if thresholds is not None and (candidate := registry_gate.registered_candidate(query, name, version)):
                is_promotion = alias.lower() == registry_gate.CHAMPION
                self._admit(query, candidate, name, thresholds, promotion=is_promotion)
        return super().set_registered_model_alias(name, alias, version)  # type: ignore[misc]

    def transition_model_version_stage(
        self, name: str, version: Any, stage: str, archive_existing_versions: bool
    ) -> Any:
        """Move a version that clears the thresholds to a stage; any version may be archived.

        Raises
        ------
        MlflowException
            PERMISSION_DENIED, if the gate refuses.
        """
        with self._gate(f"stage {stage} of {name}") as (query, thresholds):
            is_checked = get_canonical_stage(stage) not in (STAGE_NONE, STAGE_ARCHIVED)
            if thresholds is not None and is_checked:
                candidate = registry_gate.registered_candidate(query, name, version)
                if candidate is not None:
                    self._admit(query, candidate, name, thresholds)
        return super().transition_model_version_stage(  # type: ignore[misc]
            name, version, stage, archive_existing_versions
        )

    def rename_registered_model(self, name: str, new_name: str) -> Any:
        """Rename a registered model; an instrument's name is reserved for that instrument's models.

        Raises
        ------
        MlflowException
            PERMISSION_DENIED, if the gate refuses.
        """
        with self._gate(f"name {new_name}") as (query, thresholds):
            if thresholds is not None:
                rows = query("SELECT version FROM model_versions WHERE name = ? AND source LIKE 'models:/%'", (name,))
                for (number,) in rows:
                    candidate = registry_gate.registered_candidate(query, name, number)
                    if candidate is None:
                        continue
                    if conflict := name_conflict(candidate.run_id, candidate.params.get("registered_name"), new_name):
                        raise GateRefusal(conflict)
        return super().rename_registered_model(name, new_name)  # type: ignore[misc]

    def get_model_version_download_uri(self, name: str, version: Any) -> str:
        """Return the location of a version's files, after checking that they are the files that were graded.

        Raises
        ------
        MlflowException
            PERMISSION_DENIED, if a file is missing, changed or added.
        """
        from src.tracking.verdict import Use

        location: str = super().get_model_version_download_uri(name, version)  # type: ignore[misc]
        with self._gate(f"version {version} of {name}") as (query, thresholds):
            if thresholds is not None:
                candidate = registry_gate.candidate_at(query, location)
                asked = self._objections(query, candidate, name, thresholds, Use.LOAD)
                if damage := [str(objection) for objection in asked if objection.is_damage]:
                    raise GateRefusal(f"run {candidate.run_id} is not what training stored: {'; '.join(damage)}")
        return location

    @contextmanager
    def _gate(self, subject: str) -> Iterator[tuple[Query, Thresholds | None]]:
        """Give access to the database and its thresholds; a refusal becomes MLflow's PERMISSION_DENIED."""
        dialect = self.engine.dialect.name
        with self.engine.connect() as connection:

            def query(sql: str, values: tuple[Any, ...]) -> list[Any]:
                if dialect == "postgresql":
                    sql = sql.replace("%", "%%").replace("?", "%s")
                return list(connection.exec_driver_sql(sql, values))

            try:
                yield query, registry_gate.stored_thresholds(query, dialect)
            except GateRefusal as error:
                raise MlflowException(f"alpha-loop gate: {subject} refused: {error}", PERMISSION_DENIED) from error

    def _admit(
        self, query: Query, candidate: CandidateModel, name: str, thresholds: Thresholds, promotion: bool = False
    ) -> None:
        """Refuse a model that anything stands against.

        Raises
        ------
        GateRefusal
            With all reasons.
        """
        from src.tracking.verdict import Use

        objections = self._objections(query, candidate, name, thresholds, Use.PROMOTE if promotion else Use.REGISTER)
        if objections:
            raise GateRefusal(f"run {candidate.run_id} does not clear: {'; '.join(map(str, objections))}")

    def _objections(
        self, query: Query, candidate: CandidateModel, name: str, thresholds: Thresholds, use: Use
    ) -> tuple[Objection, ...]:
        """Ask the one verdict; where several folders of records are on this machine, one has to vouch for the model."""
        from src.tracking import verdict

        standing = verdict.standing_in_database(query, candidate, name, _files(candidate))
        try:
            found = records_of(query, self.engine.dialect.name, candidate)
            holding = [records for records in found if standing.record_id in records]
            asked: list[Records | None] = [*(holding or found)] or [None]
            answers = [verdict.objections(standing, thresholds, records, use) for records in asked]
        except StageError as error:
            raise GateRefusal(f"the records of training can't be read: {error}") from error
        return tuple(objection for objection in min(answers, key=len) if not objection.is_preference)

    def _drop_if_empty(self, name: str) -> None:
        """Remove the empty registered model that MLflow's client creates before it asks for a version."""
        with self.ManagedSessionMaker(read_only=False) as session:
            try:
                registered = self._get_registered_model(session, name)  # type: ignore[attr-defined]
            except MlflowException:
                return
            version = session.query(SqlModelVersion).filter(SqlModelVersion.name == name).first()
            if version is None and not registered.registered_model_tags and not registered.description:
                session.delete(registered)


def _require_same(candidate: CandidateModel, run_id: str | None, model_id: str | None) -> None:
    """Refuse a request that names another run or model than the one behind its source."""
    if run_id and run_id != candidate.run_id:
        raise GateRefusal(f"the model comes from run {candidate.run_id}, not from run {run_id} of the request")
    if model_id and model_id != candidate.model_id:
        raise GateRefusal(f"the source is model {candidate.model_id}, not model {model_id} of the request")


def _files(candidate: CandidateModel) -> FolderCheck:
    """What the files of a model are, wherever they are kept."""
    from src.tracking.verdict import FolderCheck

    try:
        return FolderCheck(sha256=_check_files(candidate))
    except GateRefusal as refusal:
        return FolderCheck(broken=str(refusal))


def _check_files(candidate: CandidateModel) -> str:
    """Check a model's files wherever they are kept; returns the SHA-256 of the native model file."""
    parsed = urlparse(candidate.location)
    destination = os.environ.get(_ARTIFACT_DESTINATION, "")
    if parsed.scheme == "mlflow-artifacts":
        if not destination:
            raise GateRefusal(f"the files of model {candidate.model_id} are kept by a tracking server: use that server")
        return _check_at(f"{destination.rstrip('/')}/{parsed.path.lstrip('/')}", candidate)
    return _check_at(candidate.location, candidate)


def _check_at(location: str, candidate: CandidateModel) -> str:
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    if is_local_uri(location, is_tracking_or_registry_uri=False):
        return check_files(Path(local_file_uri_to_path(location)), candidate)
    import tempfile

    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory() as folder:
        return check_files(Path(download_artifacts(artifact_uri=location, dst_path=folder)), candidate)
