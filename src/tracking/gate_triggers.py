"""The part of the gate that a database carries: a table with the thresholds (the mark), and SQL triggers.

The triggers protect the registry from clients that run without the plugin `src.tracking.registry_store`. They repeat
the rules of `src.tracking.registry_gate` in the SQL of sqlite or PostgreSQL, without the check of the model files and
without reasons; a test compares both with that module. The owner of MLflow's tables can drop the triggers and, in
PostgreSQL, change the thresholds.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from src.core.errors import StageError
from src.evaluation.grade import GATE_METRICS, GateMetric, Thresholds
from src.tracking.registry_gate import ASSET_PREFIXES, CHAMPION, DELETED, LARGEST, MARK, READY

_REFUSAL = "alpha-loop gate: the run behind this model does not clear the thresholds, or is not the one that made it"
_MARK_LOCK = 0x616C7068  # any number: the advisory lock of programs that mark one PostgreSQL database


def mark_sqlite(connection: sqlite3.Connection, thresholds: Thresholds) -> list[str]:
    """Write mark, thresholds and triggers into a sqlite database.

    Parameters
    ----------
    connection : sqlite3.Connection
        In autocommit mode.
    thresholds : Thresholds

    Returns
    -------
    list of str
        Thresholds that changed, as ``min_sharpe 0.5 -> 0.75``; empty for a database that had none.
    """
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {MARK} (name TEXT PRIMARY KEY, value REAL NOT NULL)")
        before = dict(cursor.execute(f"SELECT name, value FROM {MARK}").fetchall())
        wanted = {name: float(value) for name, value in thresholds.by_name().items()}
        cursor.executemany(f"REPLACE INTO {MARK} (name, value) VALUES (?, ?)", list(wanted.items()))
        for trigger in _triggers("sqlite"):
            stored = cursor.execute(
                "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (trigger.name,)
            ).fetchone()
            if stored is None or stored[0] != trigger.sqlite:
                cursor.execute(f"DROP TRIGGER IF EXISTS {trigger.name}")
                cursor.execute(trigger.sqlite)
        cursor.execute("COMMIT")
    return _changed(before, wanted)


def mark_postgresql(connection: Any, thresholds: Thresholds) -> list[str]:
    """Write mark, thresholds and triggers into a PostgreSQL database, in one transaction.

    Only differences are written, so a role that may not change the schema can use a database that is up to date.

    Parameters
    ----------
    connection : psycopg2 connection
    thresholds : Thresholds

    Returns
    -------
    list of str
        Thresholds that changed, as ``min_sharpe 0.5 -> 0.75``; empty for a database that had none.

    Raises
    ------
    StageError
        If the role finds none of MLflow's tables.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_MARK_LOCK,))
        schema = _enter_schema(cursor)
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (MARK,))
        if not cursor.fetchone()[0]:
            cursor.execute(f"CREATE TABLE {MARK} (name TEXT PRIMARY KEY, value DOUBLE PRECISION NOT NULL)")
            cursor.execute(f"REVOKE ALL ON {MARK} FROM PUBLIC")
            cursor.execute(f"GRANT SELECT ON {MARK} TO PUBLIC")
        cursor.execute(f"SELECT name, value FROM {MARK}")
        before = dict(cursor.fetchall())
        wanted = {name: float(value) for name, value in thresholds.by_name().items()}
        for name, value in wanted.items():
            if before.get(name) != value:
                upsert = f"INSERT INTO {MARK} VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
                cursor.execute(upsert, (name, value))
        _keep_function(cursor, schema, f"{MARK}_said(said text)", "boolean", _HAS_REASON)
        for trigger in _triggers("postgresql"):
            _keep_trigger(cursor, schema, trigger.name, trigger.table, trigger.postgresql, trigger.body)
        _keep_trigger(cursor, schema, _OWNERS, MARK, _OWNERS_TRIGGER, _OWNERS_BODY)
    return _changed(before, wanted)


def _enter_schema(cursor: Any) -> str:
    """Set the search path to the schema of MLflow's tables for this transaction; returns its name, quoted.

    The temporary schema comes last, so that a temporary table can't replace one of MLflow's.

    Raises
    ------
    StageError
        If the role finds none of MLflow's tables.
    """
    cursor.execute(
        "SELECT quote_ident(n.nspname), set_config('search_path', quote_ident(n.nspname) || ', pg_temp', true) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('model_versions')"
    )
    row = cursor.fetchone()
    if row is None:
        raise StageError("this role finds no tables of MLflow in the database: grant it USAGE on their schema")
    return str(row[0])


def _keep_trigger(cursor: Any, schema: str, name: str, table: str, statement: str, body: str) -> None:
    """Create a trigger and its function, unless they exist and are up to date."""
    changed = _keep_function(cursor, schema, f"{name}()", "trigger", body)
    cursor.execute(
        "SELECT 1 FROM pg_trigger WHERE tgname = %s AND tgrelid = to_regclass(%s) AND tgenabled IN ('O', 'A')",
        (name, table),
    )
    if changed or not cursor.fetchall():
        cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
        cursor.execute(statement)


def _keep_function(cursor: Any, schema: str, signature: str, returns: str, body: str) -> bool:
    """Create a function that reads this schema only, unless it is up to date; returns whether it was created."""
    cursor.execute(
        "SELECT prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE quote_ident(n.nspname) = %s AND p.proname = %s",
        (schema, signature.split("(", maxsplit=1)[0]),
    )
    if [row[0] for row in cursor.fetchall()] == [body]:
        return False
    cursor.execute(
        f"CREATE OR REPLACE FUNCTION {signature} RETURNS {returns} LANGUAGE plpgsql "
        f"SET search_path = {schema}, pg_temp AS $gate${body}$gate$"
    )
    return True


def _changed(before: Mapping[str, float], wanted: Mapping[str, float]) -> list[str]:
    changed = {name: value for name, value in wanted.items() if before.get(name) != value}
    return [f"{name} {before.get(name)} -> {value:g}" for name, value in changed.items()] if before else []


@dataclass(frozen=True)
class _Trigger:
    """A trigger: name, event, table, and the SQL condition under which it refuses."""

    name: str
    event: str
    table: str
    refused: str

    @property
    def sqlite(self) -> str:
        raised = f"SELECT RAISE(ABORT, '{_REFUSAL}')"
        return f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} WHEN {self.refused} BEGIN {raised}; END"

    @property
    def body(self) -> str:
        """PL/pgSQL; the error is of the kind that MLflow reports as a broken constraint, as it does for sqlite."""
        raised = f"RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = '{_REFUSAL}'"
        return f"BEGIN IF {self.refused} THEN {raised}; END IF; RETURN NEW; END"

    @property
    def postgresql(self) -> str:
        return (
            f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} "
            f"FOR EACH ROW EXECUTE FUNCTION {self.name}()"
        )


def _triggers(dialect: str) -> Iterator[_Trigger]:
    """Triggers on new versions, changed versions, stages, new aliases and moved aliases."""
    differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    bound = ("name", "source", "storage_location", "run_id")
    moved = " OR ".join(f"NEW.{column} {differs} OLD.{column}" for column in bound)
    fails = f"NOT {_clears('NEW', 'min_oos', dialect)}"
    kept = f"NEW.current_stage <> '{DELETED}' AND ({moved}) AND {fails}"
    staged = f"NEW.current_stage IN ('Staging', 'Production') AND {fails}"
    versions, aliases = "model_versions", "registered_model_aliases"
    yield _Trigger(f"{MARK}_insert", "INSERT", versions, fails)
    yield _Trigger(f"{MARK}_update", f"UPDATE OF {', '.join(bound)}", versions, kept)
    yield _Trigger(f"{MARK}_stage", "UPDATE OF current_stage", versions, staged)
    for name, event in (("alias", "INSERT"), ("alias_moved", "UPDATE OF alias, version")):
        yield _Trigger(f"{MARK}_{name}", event, aliases, f"NOT {_clears_alias(dialect)}")


def _clears_alias(dialect: str) -> str:
    least = f"CASE lower(NEW.alias) WHEN '{CHAMPION}' THEN 'min_oos_promote' ELSE 'min_oos' END"
    return (
        "EXISTS (SELECT 1 FROM model_versions mv WHERE mv.workspace = NEW.workspace AND mv.name = NEW.name "
        f"AND mv.version = NEW.version AND mv.current_stage <> '{DELETED}' AND {_clears('mv', least, dialect)})"
    )


def _clears(row: str, least: str, dialect: str) -> str:
    """SQL condition: the model version `row` clears the gate, apart from its files."""
    bars = least if least.startswith("CASE") else f"'{least}'"
    parts = [
        f"lm.artifact_location = {row}.storage_location AND lm.status = {READY} AND lm.lifecycle_stage = 'active'",
        "r.lifecycle_stage = 'active' AND r.status = 'FINISHED'",
        f"coalesce({row}.run_id, '') IN ('', r.run_uuid)",
        f"({row}.source = 'models:/' || lm.model_id OR EXISTS (SELECT 1 FROM model_versions c WHERE "
        f"{row}.source = 'models:/' || c.name || '/' || c.version AND c.storage_location = lm.artifact_location))",
        f"{_param('model_id')} = lm.model_id AND {_param('model_digest')} IS NOT NULL",
        f"({_param('registered_name')} = {row}.name OR NOT ({_instrument_name(row)}))",
        *(_meets(metric) for metric in GATE_METRICS),
        f"{_metric('n_oos')} >= {_limit(bars)} AND {_metric('n_oos')} < {LARGEST:g}",
        f"({_param('suspicious')} IS NULL OR {_cleared(dialect)})",
    ]
    joined = "logged_models lm JOIN runs r ON r.run_uuid = lm.source_run_id"
    return f"EXISTS (SELECT 1 FROM {joined} WHERE {' AND '.join(parts)})"


def _meets(metric: GateMetric) -> str:
    value, side = _metric(metric.name), ">=" if metric.at_least else "<="
    low, high = max(metric.lowest, -LARGEST), min(metric.highest, LARGEST)
    return f"{value} BETWEEN {low:g} AND {high:g} AND {value} {side} {_limit(repr(metric.threshold))}"


def _metric(name: str) -> str:
    once = "CASE WHEN count(*) = 1 AND sum(CASE WHEN m.is_nan THEN 1 ELSE 0 END) = 0 THEN min(m.value) END"
    return f"(SELECT {once} FROM metrics m WHERE m.run_uuid = r.run_uuid AND m.key = '{name}')"


def _limit(name: str) -> str:
    return f"(SELECT g.value FROM {MARK} g WHERE g.name = {name})"


def _param(name: str) -> str:
    return f"(SELECT p.value FROM params p WHERE p.run_uuid = r.run_uuid AND p.key = '{name}')"


def _instrument_name(row: str) -> str:
    return " OR ".join(f"lower(substr({row}.name, 1, {len(prefix)})) = '{prefix}'" for prefix in ASSET_PREFIXES)


def _cleared(dialect: str) -> str:
    """SQL condition: a person has cleared the run, with name and reason in JSON."""
    filled = " AND ".join(f"trim(coalesce(json_extract(t.value, '$.{key}'), '')) <> ''" for key in ("who", "why"))
    has_reason = f"CASE WHEN json_valid(t.value) THEN {filled} ELSE 0 END"
    if dialect == "postgresql":
        has_reason = f"{MARK}_said(t.value)"
    return f"EXISTS (SELECT 1 FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'alpha.cleared' AND {has_reason})"


_HAS_REASON = (
    "BEGIN RETURN "
    + " AND ".join(f"trim(coalesce(said::json ->> '{key}', '')) <> ''" for key in ("who", "why"))
    + "; EXCEPTION WHEN OTHERS THEN RETURN false; END"
)

_OWNERS = f"{MARK}_owners"
_OWNERS_BODY = (
    f"BEGIN IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = '{MARK}'::regclass), 'MEMBER') "
    "THEN RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = "
    "'alpha-loop gate: thresholds are changed by the owner of the tables alone'; END IF; RETURN NULL; END"
)
_OWNERS_TRIGGER = (  # refuses even a role with granted rights: GRANT ... ON ALL TABLES includes the mark
    f"CREATE TRIGGER {_OWNERS} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {MARK} "
    f"FOR EACH STATEMENT EXECUTE FUNCTION {_OWNERS}()"
)
