"""What the registry demands of a model, read from MLflow's own tables: the mark, the facts, the files.

A database that belongs to this project carries a table with the thresholds (the mark), so a copy of it stays gated
wherever it is opened. `src.tracking.registry_store` asks here before anything enters the registry. SQL triggers stand
behind it (`src.tracking.gate_triggers`) for clients that run without our plugin; they know everything but the files and
the words.

What counts can't be changed afterwards: metrics must have exactly one value (a second one, logged later, fails), and
what ties a run to its model are MLflow params, which MLflow itself never overwrites.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.evaluation.grade import RULES, Grade, Thresholds, grade

Query = Callable[[str, tuple[Any, ...]], list[Any]]
"""Runs one SQL statement with its parameters and returns all rows."""

MARK = "alpha_loop_gate"
CHAMPION = "champion"
ASSET_PREFIXES = ("stock.", "etf.", "crypto.")
COUNTED = (*(rule.metric for rule in RULES), "n_oos")
"""Metrics that the gate looks at: logged exactly once."""

_LOGGED = re.compile(r"models:/(m-[0-9a-f]{32})")
_VERSION = re.compile(r"models:/([^/:@]+)/([0-9]+)")
READY = 2  # LoggedModelStatus.READY as stored
LARGEST = 1e300  # MLflow stores an infinity as the largest double
DELETED = "Deleted_Internal"


class Refused(Exception):
    """The gate's answer: what stands against the model, in words."""


@dataclass(frozen=True)
class Candidate:
    """A logged model that somebody wants in the registry, and what MLflow's tables say about it."""

    model_id: str
    run_id: str
    location: str
    params: dict[str, str]


# the mark ---------------------------------------------------------------------------------------------------------


MARKED = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?",
    "postgresql": "SELECT quote_ident(n.nspname) || '.' || m.relname FROM pg_class v JOIN pg_namespace n "
    "ON n.oid = v.relnamespace JOIN pg_class m ON m.relnamespace = n.oid AND m.relname = ? "
    "WHERE v.oid = to_regclass('model_versions')",
}
"""By dialect, the mark as a statement names it, where there is one.

In PostgreSQL it is that of the schema that MLflow's tables are in: no other on the search path stands in for it. The
catalogue answers also whoever may not read the mark.
"""


def limits(query: Query, dialect: str = "sqlite") -> Thresholds | None:
    """Thresholds that the database carries; null where it is not this project's.

    Raises
    ------
    Refused
        Where the mark is there and a threshold is missing or no number: a broken mark opens nothing.
    """
    found = query(MARKED[dialect], (MARK,))
    if not found:
        return None
    try:
        return Thresholds.of(dict(tuple(row) for row in query(f"SELECT name, value FROM {found[0][0]}", ())))
    except ValueError as error:
        raise Refused(f"the database's own thresholds are broken ({error}): run python -m src.sync") from error


# the facts --------------------------------------------------------------------------------------------------------


def candidate(query: Query, source: str) -> Candidate:
    """Find the logged model behind a source, and its run from the model itself, never from what a request claims.

    Raises
    ------
    Refused
        For every source that is not a logged model or a registered version of one (paths, ``runs:/``, ``s3:/`` ...).
    """
    if match := _VERSION.fullmatch(source or ""):
        found = query(
            "SELECT lm.model_id FROM model_versions mv JOIN logged_models lm ON lm.artifact_location = "
            "mv.storage_location WHERE mv.name = ? AND mv.version = ? AND mv.current_stage <> ?",
            (match[1], int(match[2]), DELETED),
        )
    else:
        match = _LOGGED.fullmatch(source or "")
        found = [(match[1],)] if match else []
    if not found:
        raise Refused(f"source {source!r} is no model that training logged (models:/m-...)")
    return _logged(query, found[0][0])


def version(query: Query, name: str, number: Any) -> Candidate | None:
    """The logged model behind a registered version; null where there is no such version.

    Raises
    ------
    Refused
        Where the version's files are not those of a logged model.
    """
    if not str(number).isdigit():
        return None
    rows = query(
        "SELECT storage_location FROM model_versions WHERE name = ? AND version = ? AND current_stage <> ?",
        (name, int(number), DELETED),
    )
    return stored_at(query, rows[0][0]) if rows else None


def stored_at(query: Query, location: str) -> Candidate:
    """The logged model whose files lie at a location.

    Raises
    ------
    Refused
        Where no logged model has its files there.
    """
    found = query("SELECT model_id FROM logged_models WHERE artifact_location = ?", (location,))
    if not found:
        raise Refused(f"the files at {location} belong to no model that training logged")
    return _logged(query, found[0][0])


def _logged(query: Query, model_id: str) -> Candidate:
    rows = query(
        "SELECT lm.source_run_id, lm.artifact_location, lm.status, lm.lifecycle_stage, r.status, r.lifecycle_stage "
        "FROM logged_models lm LEFT JOIN runs r ON r.run_uuid = lm.source_run_id WHERE lm.model_id = ?",
        (model_id,),
    )
    if not rows:
        raise Refused(f"there is no logged model {model_id}")
    run_id, location, ready, kept, ended, alive = rows[0]
    if alive is None:
        raise Refused(f"model {model_id} comes from no run of this database")
    if (ready, kept) != (READY, "active"):
        raise Refused(f"model {model_id} is unfinished or deleted")
    if (ended, alive) != ("FINISHED", "active"):
        raise Refused(f"run {run_id} is unfinished or deleted")
    params = dict(tuple(row) for row in query("SELECT key, value FROM params WHERE run_uuid = ?", (run_id,)))
    if params.get("model_id") != model_id or "model_digest" not in params:
        raise Refused(f"run {run_id} was not graded by Alpha Loop with model {model_id} (its param model_id)")
    return Candidate(model_id, run_id, location, params)


def verdict(query: Query, found: Candidate, thresholds: Thresholds) -> Grade:
    """Grade the run behind a model by the one gate, on metrics that have exactly one value."""
    metrics = counted(query, found.run_id)
    return grade(metrics, thresholds, None if is_cleared(query, found.run_id) else found.params.get("suspicious"))


def counted(query: Query, run_id: str) -> dict[str, float]:
    """The metrics that count, without those that have no value, NaN, an infinity, or more than one value."""
    marks = ", ".join("?" * len(COUNTED))
    rows = query(
        f"SELECT key, min(value) FROM metrics WHERE run_uuid = ? AND key IN ({marks}) "
        "GROUP BY key HAVING count(*) = 1 AND sum(CASE WHEN is_nan THEN 1 ELSE 0 END) = 0",
        (run_id, *COUNTED),
    )
    return {key: value for key, value in (tuple(row) for row in rows) if abs(value) < LARGEST}


def is_cleared(query: Query, run_id: str) -> bool:
    """Whether a person cleared the run of looking too good to be true, saying who and why."""
    rows = query("SELECT value FROM tags WHERE run_uuid = ? AND key = 'alpha.cleared'", (run_id,))
    try:
        said = json.loads(rows[0][0]) if rows else {}
    except (TypeError, ValueError):
        return False
    return isinstance(said, dict) and all(str(said.get(key) or "").strip() for key in ("who", "why"))


def misnamed(found: Candidate, name: str) -> str | None:
    """Say why a model can't have this name: the name of an instrument belongs to models of that instrument."""
    own = found.params.get("registered_name", "")
    if name == own or not name.lower().startswith(ASSET_PREFIXES):
        return None
    return f"run {found.run_id} is of {own or 'no instrument'}, not of {name}"


# the files --------------------------------------------------------------------------------------------------------


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files of a model folder.

    Left out: ``registered_model_meta``, which MLflow up to 3.17 writes into the folder on loading, and compiled Python.
    """
    total = hashlib.sha256()
    for name, path in sorted(_files(folder)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()


def check_files(folder: Path, found: Candidate) -> None:
    """Compare a model's files with what its run bound, and drop compiled Python, which anyone could have planted.

    Raises
    ------
    Refused
        Where a file is missing, changed or added.
    """
    if not folder.is_dir():
        raise Refused(f"the files of model {found.model_id} are missing at {folder}")
    for compiled in list(folder.rglob("__pycache__")):
        shutil.rmtree(compiled, ignore_errors=True)
    if folder_digest(folder) != found.params["model_digest"]:
        raise Refused(f"the files of model {found.model_id} are not those that run {found.run_id} was graded with")


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_file() and "__pycache__" not in inside.parts and inside.as_posix() != "registered_model_meta":
            yield inside.as_posix(), path
