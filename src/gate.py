"""What the registry demands of a model, read from MLflow's own tables: the mark, the facts, the files, the triggers.

A database that belongs to this project carries a table with the thresholds (the mark), so a copy of it stays gated
wherever it is opened. `src.registry_store` asks here before anything enters the registry. SQL triggers stand behind it
for clients that run without our plugin; they know everything but the files and the words.

What counts can't be changed afterwards: metrics must have exactly one value (a second one, logged later, fails), and
what ties a run to its model are MLflow params, which MLflow itself never overwrites.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from src.grade import RULES, Grade, Rule, Thresholds, grade

Query = Callable[[str, tuple[Any, ...]], list[Any]]
"""Runs one SQL statement with its parameters and returns all rows."""

MARK = "alpha_loop_gate"
CHAMPION = "champion"
ASSET_PREFIXES = ("stock.", "etf.", "crypto.")
COUNTED = (*(rule.metric for rule in RULES), "n_oos")
"""Metrics that the gate looks at: logged exactly once."""

_LOGGED = re.compile(r"models:/(m-[0-9a-f]{32})")
_VERSION = re.compile(r"models:/([^/:@]+)/([0-9]+)")
_READY = 2  # LoggedModelStatus.READY as stored
_LARGEST = 1e300  # MLflow stores an infinity as the largest double
_DELETED = "Deleted_Internal"


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


def limits(query: Query) -> Thresholds | None:
    """Thresholds that the database carries; null where it is not this project's.

    Raises
    ------
    Refused
        Where the mark is there and a threshold is missing or no number: a broken mark opens nothing.
    """
    if not query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (MARK,)):
        return None
    try:
        return Thresholds.of(dict(tuple(row) for row in query(f"SELECT name, value FROM {MARK}", ())))
    except ValueError as error:
        raise Refused(f"the database's own thresholds are broken ({error}): run python -m src.sync") from error


def mark(connection: sqlite3.Connection, thresholds: Thresholds) -> list[str]:
    """Make the database this project's, with these thresholds and the triggers; returns what changed, in words."""
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {MARK} (name TEXT PRIMARY KEY, value REAL NOT NULL)")
        before = dict(cursor.execute(f"SELECT name, value FROM {MARK}").fetchall())
        wanted = {name: float(value) for name, value in asdict(thresholds).items()}
        changed = [
            f"{name} {before.get(name)} -> {value:g}" for name, value in wanted.items() if before.get(name) != value
        ]
        cursor.executemany(f"REPLACE INTO {MARK} (name, value) VALUES (?, ?)", list(wanted.items()))
        for name, text in _triggers():
            stored = cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (name,))
            if (row := stored.fetchone()) is None or row[0] != text:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
                cursor.execute(text)
        cursor.execute("COMMIT")
    return changed if before else []


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
            (match[1], int(match[2]), _DELETED),
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
        (name, int(number), _DELETED),
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
    if (ready, kept) != (_READY, "active"):
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
        "GROUP BY key HAVING count(*) = 1 AND max(is_nan) = 0",
        (run_id, *COUNTED),
    )
    return {key: value for key, value in (tuple(row) for row in rows) if abs(value) < _LARGEST}


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

    Left out: ``registered_model_meta``, which MLflow writes into the folder on loading, and compiled Python.
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


# the triggers -----------------------------------------------------------------------------------------------------

_WORDS = "alpha-loop gate: the run behind this model does not clear the thresholds, or is not the one that made it"


def _triggers() -> Iterator[tuple[str, str]]:
    """Names and texts of the triggers: insert, change and stage of versions, aliases set and moved."""
    moved = " OR ".join(
        f"NEW.{column} IS NOT OLD.{column}" for column in ("name", "source", "storage_location", "run_id")
    )
    staged = "NEW.current_stage IN ('Staging', 'Production')"
    yield _trigger("insert", "INSERT ON model_versions", f"NOT {_clears('NEW', 'min_oos')}")
    kept = f"NEW.current_stage <> '{_DELETED}' AND ({moved})"
    columns = "UPDATE OF name, source, storage_location, run_id ON model_versions"
    yield _trigger("update", columns, f"{kept} AND NOT {_clears('NEW', 'min_oos')}")
    yield _trigger(
        "stage", "UPDATE OF current_stage ON model_versions", f"{staged} AND NOT {_clears('NEW', 'min_oos')}"
    )
    for name, event in (("alias", "INSERT"), ("alias_moved", "UPDATE OF alias, version")):
        yield _trigger(name, f"{event} ON registered_model_aliases", f"NOT {_clears_alias()}")


def _trigger(name: str, event: str, refused: str) -> tuple[str, str]:
    full = f"{MARK}_{name}"
    return full, f"CREATE TRIGGER {full} BEFORE {event} WHEN {refused} BEGIN SELECT RAISE(ABORT, '{_WORDS}'); END"


def _clears_alias() -> str:
    least = f"CASE lower(NEW.alias) WHEN '{CHAMPION}' THEN 'min_oos_promote' ELSE 'min_oos' END"
    return (
        "EXISTS (SELECT 1 FROM model_versions mv WHERE mv.workspace = NEW.workspace AND mv.name = NEW.name "
        f"AND mv.version = NEW.version AND mv.current_stage <> '{_DELETED}' AND {_clears('mv', least)})"
    )


def _clears(row: str, least: str) -> str:
    """SQL that holds where the model version `row` clears the gate, its files apart."""
    bars = least if least.startswith("CASE") else f"'{least}'"
    parts = [
        f"lm.artifact_location = {row}.storage_location AND lm.status = {_READY} AND lm.lifecycle_stage = 'active'",
        "r.lifecycle_stage = 'active' AND r.status = 'FINISHED'",
        f"coalesce({row}.run_id, '') IN ('', r.run_uuid)",
        f"({row}.source = 'models:/' || lm.model_id OR EXISTS (SELECT 1 FROM model_versions c WHERE "
        f"{row}.source = 'models:/' || c.name || '/' || c.version AND c.storage_location = lm.artifact_location))",
        f"{_param('model_id')} = lm.model_id AND {_param('model_digest')} IS NOT NULL",
        f"({_param('registered_name')} = {row}.name OR NOT ({_instrument_name(row)}))",
        *(_meets(rule) for rule in RULES),
        f"{_metric('n_oos')} >= {_limit(bars)} AND {_metric('n_oos')} < {_LARGEST:g}",
        f"({_param('suspicious')} IS NULL OR {_cleared()})",
    ]
    joined = "logged_models lm JOIN runs r ON r.run_uuid = lm.source_run_id"
    return f"EXISTS (SELECT 1 FROM {joined} WHERE {' AND '.join(parts)})"


def _meets(rule: Rule) -> str:
    value, side = _metric(rule.metric), ">=" if rule.at_least else "<="
    low, high = max(rule.lowest, -_LARGEST), min(rule.highest, _LARGEST)
    return f"{value} BETWEEN {low:g} AND {high:g} AND {value} {side} {_limit(repr(rule.limit))}"


def _metric(name: str) -> str:
    once = "CASE WHEN count(*) = 1 AND max(m.is_nan) = 0 THEN min(m.value) END"
    return f"(SELECT {once} FROM metrics m WHERE m.run_uuid = r.run_uuid AND m.key = '{name}')"


def _limit(name: str) -> str:
    return f"(SELECT g.value FROM {MARK} g WHERE g.name = {name})"


def _param(name: str) -> str:
    return f"(SELECT p.value FROM params p WHERE p.run_uuid = r.run_uuid AND p.key = '{name}')"


def _instrument_name(row: str) -> str:
    return " OR ".join(f"lower(substr({row}.name, 1, {len(prefix)})) = '{prefix}'" for prefix in ASSET_PREFIXES)


def _cleared() -> str:
    said = " AND ".join(f"trim(coalesce(json_extract(t.value, '$.{key}'), '')) <> ''" for key in ("who", "why"))
    return (
        "EXISTS (SELECT 1 FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'alpha.cleared' "
        f"AND CASE WHEN json_valid(t.value) THEN {said} ELSE 0 END)"
    )
