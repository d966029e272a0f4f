"""The rules of the registry gate, checked against MLflow's own tables: thresholds, run and metrics.

A database that belongs to this project carries a table with the thresholds (the mark), so a copy of it stays gated
wherever it is opened. `src.tracking.registry_store` calls this module before anything enters the registry. SQL triggers
(`src.tracking.gate_triggers`) repeat the rules for clients that run without the plugin; they check everything except
the model files (`src.tracking.model_files`), and give no reasons.

What the gate reads can't be changed later: a metric must have exactly one value, so one that was logged twice fails,
and a run is tied to its model by MLflow params, which MLflow never overwrites.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from src.config.commands import command
from src.evaluation.grade import GATE_METRICS, Grade, Thresholds, grade
from src.tracking.clearing import names_who_and_why

Query = Callable[[str, tuple[Any, ...]], list[Any]]
"""Runs one SQL statement with its parameters and returns all rows. Placeholders are ``?``."""

MARK = "alpha_loop_gate"
HISTORY = f"{MARK}_history"
FOLDERS = f"{MARK}_records"
"""Tables of a marked database: the thresholds, who changed them, and the folders of data/runs that vouch for runs."""

PLACEBO = "placebo"
"""Value of the param or tag ``arm`` of runs with shifted features: they show what luck gives; none is registered."""

PROBE = "models:/m-" + "0" * 32
"""A source that no model has: a gated registry answers a request for it with the thresholds that it demands."""

CHAMPION = "champion"
ASSET_PREFIXES = ("stock.", "etf.", "crypto.", "pooled.")
"""How names of registered models begin that are reserved for one instrument, or for one portfolio of pooled models."""
GATED = (*(metric.name for metric in GATE_METRICS), "n_oos")
"""Metrics that the gate reads. Each must be logged exactly once."""

_LOGGED = re.compile(r"models:/(m-[0-9a-f]{32})")
_VERSION = re.compile(r"models:/([^/:@]+)/([0-9]+)")
READY = 2  # LoggedModelStatus.READY as stored
LARGEST = 1e300  # MLflow stores an infinity as the largest double
DELETED = "Deleted_Internal"
_ARM = "SELECT value FROM tags WHERE run_uuid = ? AND key = 'arm'"


class GateRefusal(Exception):
    """The gate refuses a model; the message gives the reasons."""


@dataclass(frozen=True)
class CandidateModel:
    """A logged model that is to enter the registry, as MLflow's tables describe it.

    Attributes
    ----------
    model_id : str
        MLflow's id of the logged model.
    run_id : str
        The run that the model comes from.
    location : str
        URI of the folder with the model's files.
    params : dict
        Params of the run.
    """

    model_id: str
    run_id: str
    location: str
    params: dict[str, str]


# thresholds of the database -------------------------------------------------------------------------------------------


MARKED = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?",
    "postgresql": "SELECT quote_ident(n.nspname) || '.' || m.relname FROM pg_class v JOIN pg_namespace n "
    "ON n.oid = v.relnamespace JOIN pg_class m ON m.relnamespace = n.oid AND m.relname = ? "
    "WHERE v.oid = to_regclass('model_versions')",
}
"""Query for the name of the mark's table, by SQL dialect; it returns no row in a database without the mark.

In PostgreSQL only the schema that holds MLflow's tables counts, so a table of the same name elsewhere on the search
path can't replace the mark. The query reads the catalogue, which works even for a role that may not read the mark.
"""


def stored_thresholds(query: Query, dialect: str = "sqlite") -> Thresholds | None:
    """Read the thresholds that a database carries.

    Parameters
    ----------
    query : callable
        Runs SQL on the database.
    dialect : str
        ``sqlite`` or ``postgresql``.

    Returns
    -------
    Thresholds or None
        None if the database carries no mark, so it is not this project's.

    Raises
    ------
    GateRefusal
        If the mark exists, but a threshold is missing or is not a number: a broken mark lets nothing through.
    """
    tables = query(MARKED[dialect], (MARK,))
    if not tables:
        return None
    try:
        return Thresholds.of(dict(tuple(row) for row in query(f"SELECT name, value FROM {tables[0][0]}", ())))
    except ValueError as error:
        raise GateRefusal(f"the database's own thresholds are broken ({error}): run {command('sync')}") from error


def demanded(thresholds: Thresholds) -> str:
    """Say what a registry demands, as the answer to `PROBE`.

    Parameters
    ----------
    thresholds : Thresholds

    Returns
    -------
    str
        A sentence that ends with the thresholds as JSON, for `demanded_by`.
    """
    return f"there is no such model; this registry demands {json.dumps(thresholds.by_name())}"


def demanded_by(answer: str) -> Thresholds | None:
    """Read the thresholds from a registry's answer to `PROBE`.

    Parameters
    ----------
    answer : str

    Returns
    -------
    Thresholds or None
        None if it names none: a server of older code.
    """
    match = re.search(r"this registry demands (\{[^{}]*\})", answer.replace('\\"', '"'))
    try:
        return Thresholds.of(json.loads(match[1])) if match else None
    except ValueError:
        return None


# run and metrics ------------------------------------------------------------------------------------------------------


def candidate_from_source(query: Query, source: str) -> CandidateModel:
    """Find the logged model behind a source; its run is read from the model, never from the request.

    Parameters
    ----------
    query : callable
        Runs SQL on the database.
    source : str
        ``models:/m-...`` or ``models:/<name>/<version>``.

    Raises
    ------
    GateRefusal
        For any other source (paths, ``runs:/``, ``s3:/`` ...), and for a model that training did not log.
    """
    if match := _VERSION.fullmatch(source or ""):
        rows = query(
            "SELECT lm.model_id FROM model_versions mv JOIN logged_models lm ON lm.artifact_location = "
            "mv.storage_location WHERE mv.name = ? AND mv.version = ? AND mv.current_stage <> ?",
            (match[1], int(match[2]), DELETED),
        )
    else:
        match = _LOGGED.fullmatch(source or "")
        rows = [(match[1],)] if match else []
    if not rows:
        raise GateRefusal(f"source {source!r} is not a model that training logged (models:/m-...)")
    return _logged(query, rows[0][0])


def registered_candidate(query: Query, name: str, number: Any) -> CandidateModel | None:
    """Find the logged model behind a registered version.

    Parameters
    ----------
    query : callable
        Runs SQL on the database.
    name : str
        Name of the registered model.
    number : int or str
        The version.

    Returns
    -------
    CandidateModel or None
        None if there is no such version.

    Raises
    ------
    GateRefusal
        If the version's files are not those of a logged model.
    """
    if not str(number).isdigit():
        return None
    rows = query(
        "SELECT storage_location FROM model_versions WHERE name = ? AND version = ? AND current_stage <> ?",
        (name, int(number), DELETED),
    )
    return candidate_at(query, rows[0][0]) if rows else None


def candidate_at(query: Query, location: str) -> CandidateModel:
    """Find the logged model whose files are at a location.

    Parameters
    ----------
    query : callable
        Runs SQL on the database.
    location : str
        URI of a folder.

    Raises
    ------
    GateRefusal
        If no logged model has its files there.
    """
    rows = query("SELECT model_id FROM logged_models WHERE artifact_location = ?", (location,))
    if not rows:
        raise GateRefusal(f"the files at {location} do not belong to a model that training logged")
    return _logged(query, rows[0][0])


def _logged(query: Query, model_id: str) -> CandidateModel:
    rows = query(
        "SELECT lm.source_run_id, lm.artifact_location, lm.status, lm.lifecycle_stage, r.status, r.lifecycle_stage "
        "FROM logged_models lm LEFT JOIN runs r ON r.run_uuid = lm.source_run_id WHERE lm.model_id = ?",
        (model_id,),
    )
    if not rows:
        raise GateRefusal(f"there is no logged model {model_id}")
    params = dict(tuple(row) for row in query("SELECT key, value FROM params WHERE run_uuid = ?", (rows[0][0],)))
    return logged_candidate(model_id, rows[0], params, [row[0] for row in query(_ARM, (rows[0][0],))])


def logged_candidate(model_id: str, row: Sequence[Any], params: dict[str, str], arms: Iterable[Any]) -> CandidateModel:
    """Check a logged model and its run, as MLflow's tables have them.

    Parameters
    ----------
    model_id : str
    row : source run, artifact location, status and lifecycle stage of the model, status and lifecycle stage of the run
    params : params of the run
    arms : values of the run's tag ``arm``
    """
    run_id, location, model_status, model_stage, run_status, run_stage = row
    if run_stage is None:
        raise GateRefusal(f"model {model_id} comes from no run of this database")
    if (model_status, model_stage) != (READY, "active"):
        raise GateRefusal(f"model {model_id} is unfinished or deleted")
    if (run_status, run_stage) != ("FINISHED", "active"):
        raise GateRefusal(f"run {run_id} is unfinished or deleted")
    if any(str(arm).strip(" ").lower() == PLACEBO for arm in (params.get("arm"), *arms)):
        raise GateRefusal(
            f"run {run_id} is of the placebo arm: its features were shifted, and it shows what luck gives"
        )
    if params.get("model_id") != model_id or "model_digest" not in params:
        raise GateRefusal(f"run {run_id} was not graded by Alpha Loop with model {model_id} (its param model_id)")
    return CandidateModel(model_id, run_id, location, params)


def grade_candidate(query: Query, candidate: CandidateModel, thresholds: Thresholds) -> Grade:
    """Grade the run behind a model with the one gate function.

    Parameters
    ----------
    query : callable
        Runs SQL on the database.
    candidate : CandidateModel
    thresholds : Thresholds
        Usually those of the database, see `stored_thresholds`.
    """
    metrics = gate_metrics(query, candidate.run_id)
    suspicion = None if is_cleared(query, candidate.run_id) else candidate.params.get("suspicious")
    return grade(metrics, thresholds, suspicion)


def gate_metrics(query: Query, run_id: str) -> dict[str, float]:
    """Read the metrics that the gate uses.

    Parameters
    ----------
    query : callable
        Runs SQL on the database.
    run_id : str

    Returns
    -------
    dict
        Value by name, without metrics that have no value, NaN, an infinity, or more than one value.
    """
    return gate_metrics_by_run(query, "run_uuid = ?", (run_id,)).get(run_id, {})


def gate_metrics_by_run(query: Query, where: str, values: tuple[Any, ...]) -> dict[str, dict[str, float]]:
    """Read the metrics of several runs as `gate_metrics` does; ``where`` chooses by run_uuid, with its values."""
    marks, found = ", ".join("?" * len(GATED)), defaultdict[str, dict[str, float]](dict)
    for run_id, key, value in query(
        f"SELECT run_uuid, key, min(value) FROM metrics WHERE {where} AND key IN ({marks}) GROUP BY run_uuid, key "
        "HAVING count(*) = 1 AND sum(CASE WHEN is_nan THEN 1 ELSE 0 END) = 0",
        (*values, *GATED),
    ):
        if abs(value) < LARGEST:
            found[run_id][key] = value
    return found


def is_cleared(query: Query, run_id: str) -> bool:
    """Whether a person has cleared a suspicious run, with a name and a reason.

    Parameters
    ----------
    query : callable
        Runs SQL on the database.
    run_id : str
    """
    rows = query("SELECT value FROM tags WHERE run_uuid = ? AND key = 'alpha.cleared'", (run_id,))
    return any(names_who_and_why(value) for (value,) in rows)
