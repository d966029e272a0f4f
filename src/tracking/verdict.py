"""The one verdict on a model version: what stands against registering, promoting or loading it.

Training, `promote`, `sync`, `status`, `doctor` and the registry's plugin all ask `objections`. It looks at the run's
figures by the one grade function, at suspicions, at the run and its model in MLflow, at the files of the model, and at
the record that training stored. Facts come from a database (`standing_in_database`) or from MLflow's client
(`src.tracking.champions`). MLflow is not imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from src.evaluation.grade import Thresholds, grade
from src.tracking import registry_gate
from src.tracking.clearing import names_who_and_why
from src.tracking.location import local_folder
from src.tracking.model_files import check_files
from src.tracking.model_names import name_conflict
from src.tracking.records import Records
from src.tracking.registry_gate import CandidateModel, GateRefusal, Query

PLACEBO = "placebo"
"""Value of the param and tag ``arm`` of runs that were trained with shifted features, to measure luck."""


class Use(Enum):
    """What a version is wanted for."""

    REGISTER = "registered"
    PROMOTE = "promoted"
    KEEP = "kept as champion"
    LOAD = "loaded"


@dataclass(frozen=True)
class Objection:
    """One reason against a version.

    Attributes
    ----------
    message : str
    is_damage : bool
        Whether something is not as training left it (changed files, a run that was not trained, a record that is
        gone), as opposed to a version that merely clears too little.
    is_preference: bool
        Whether a person may decide otherwise: the registry itself does not refuse for it.
    """

    message: str
    is_damage: bool = False
    is_preference: bool = False

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Standing:
    """What is known of a version, registered or not.

    Attributes
    ----------
    name : str
        Of the registered model that it is in, or is to enter.
    run_id : str
        MLflow's run.
    record_id : str or None
        The record of training that the run names.
    own_name : str or None
        Name of the registered model of the run's instrument.
    metrics : mapping
        Figures that the gate reads, by name.
    model_sha256 : str or None
        Of the native model, as the run's param says.
    suspicious : str or None
        Why the run looks too good to be true, unless a person has cleared it.
    is_cleared : bool
        Whether a person has cleared the run.
    is_superseded : bool
        Whether MLflow says that a later run replaces it.
    arm : str or None
        ``placebo`` for runs that measure luck.
    broken : str or None
        What is wrong with the run, its model or the files of the model.
    """

    name: str
    run_id: str
    record_id: str | None
    own_name: str | None
    metrics: Mapping[str, float]
    model_sha256: str | None = None
    suspicious: str | None = None
    is_cleared: bool = False
    is_superseded: bool = False
    arm: str | None = None
    broken: str | None = None


def objections(standing: Standing, thresholds: Thresholds, records: Records | None, use: Use) -> tuple[Objection, ...]:
    """List what stands against a version.

    Parameters
    ----------
    standing : Standing
    thresholds : Thresholds
        Those of the database's mark, or of the project.
    records : Records or None
        What training stored; None where ``data/runs`` can't be reached, and then only the database is judged.
    use : Use
        What the version is wanted for. A superseded champion stays.

    Returns
    -------
    tuple of Objection
        Empty if nothing stands against it; damage comes first.
    """
    found = []
    if standing.broken:
        found.append(Objection(standing.broken, is_damage=True))
    if standing.arm == PLACEBO:
        found.append(Objection("the run is of the placebo arm, which measures luck", is_damage=True))
    if conflict := name_conflict(standing.run_id, standing.own_name, standing.name):
        found.append(Objection(conflict, is_damage=True))
    if records is not None:
        unlike = records.objections(standing.record_id, standing.metrics, standing.model_sha256)
        found += [Objection(message, is_damage=True) for message in unlike]
    graded = grade(standing.metrics, thresholds, _suspicion(standing, records))
    needs_champions_bars = use in (Use.PROMOTE, Use.KEEP)
    reasons = graded.against_promotion if needs_champions_bars else graded.against_registration
    found += [Objection(reason) for reason in reasons]
    if use in (Use.REGISTER, Use.PROMOTE) and is_superseded(standing, records):
        found.append(Objection("superseded by a later run of the same model", is_preference=True))
    return tuple(found)


def is_superseded(standing: Standing, records: Records | None) -> bool:
    """Whether a later run replaces a version, by MLflow or by the records.

    Parameters
    ----------
    standing : Standing
    records : Records or None
    """
    return standing.is_superseded or bool(
        records is not None and standing.record_id and records.is_superseded(standing.record_id)
    )


@dataclass(frozen=True)
class FolderCheck:
    """What a look at the files of a model found.

    Attributes
    ----------
    broken : str or None
        What differs from what the run recorded.
    sha256 : str or None
        Of the native model file, where the files were read.
    """

    broken: str | None = None
    sha256: str | None = None


def standing_in_database(
    query: Query, candidate: CandidateModel, name: str, files: FolderCheck | None = None
) -> Standing:
    """Collect what MLflow's tables and the files of the model say of a version.

    Parameters
    ----------
    query : callable
        Runs SQL on the database.
    candidate : CandidateModel
        The logged model behind the version.
    name : str
        Of the registered model.
    files : FolderCheck, optional
        What a look at its files found. Default: look at them where they lie in a folder of this machine.
    """
    tags = dict(tuple(row) for row in query("SELECT key, value FROM tags WHERE run_uuid = ?", (candidate.run_id,)))
    metrics = registry_gate.gate_metrics(query, candidate.run_id)
    return standing_of(candidate, name, tags, metrics, files or changed_files(candidate))


def standing_of(
    candidate: CandidateModel,
    name: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
    files: FolderCheck,
) -> Standing:
    """Collect what was read of a version.

    Parameters
    ----------
    candidate : CandidateModel
    name : str
        Of the registered model.
    tags, metrics : mapping
        Of the run, by name.
    files : FolderCheck
        Empty where they were not looked at.
    """
    params = candidate.params
    is_cleared = names_who_and_why(tags.get("alpha.cleared"))
    return Standing(
        name=name,
        run_id=candidate.run_id,
        record_id=tags.get("alpha.record_id"),
        own_name=params.get("registered_name"),
        metrics=metrics,
        model_sha256=files.sha256 or params.get("model_sha256"),
        suspicious=None if is_cleared else params.get("suspicious"),
        is_cleared=is_cleared,
        is_superseded=bool(tags.get("alpha.superseded")),
        arm=PLACEBO if PLACEBO in (params.get("arm"), tags.get("arm")) else None,
        broken=files.broken,
    )


def changed_files(candidate: CandidateModel) -> FolderCheck:
    """Compare the files of a model with what its run recorded, where they are kept in a folder of this machine.

    Parameters
    ----------
    candidate : CandidateModel

    Returns
    -------
    FolderCheck
        Empty where the files are kept elsewhere.
    """
    folder = local_folder(candidate.location)
    if folder is None:
        return FolderCheck()
    try:
        return FolderCheck(sha256=check_files(folder, candidate))
    except GateRefusal as refusal:
        return FolderCheck(broken=str(refusal))


def _suspicion(standing: Standing, records: Records | None) -> str | None:
    if standing.is_cleared or standing.suspicious or records is None or not standing.record_id:
        return standing.suspicious
    grades = records.grades(standing.record_id)
    return grades[-1].suspicious if grades else None
