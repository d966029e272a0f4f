"""The tables that a marked database carries, and how they are written: thresholds, their history, folders of runs.

The thresholds (the mark) follow ``conf/grade/default.yaml`` as long as that makes them tighter. Only a `Loosening`,
which names who and why, makes them looser. A database that carries them stays gated wherever it is opened. The owner of
MLflow's tables can change them by SQL; in PostgreSQL, no other role can.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from src.evaluation.grade import GATE_METRICS, Thresholds
from src.tracking import gate_locks, gate_sql, gate_triggers
from src.tracking.registry_gate import FOLDERS, HISTORY, MARK

_MARK_LOCK = 0x616C7068  # any number: the advisory lock of programs that mark one PostgreSQL database
_COLUMNS = {
    MARK: "(name TEXT PRIMARY KEY, value DOUBLE PRECISION NOT NULL)",
    HISTORY: "(changed_at TEXT NOT NULL, name TEXT NOT NULL, earlier DOUBLE PRECISION, "
    "value DOUBLE PRECISION NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL)",
    FOLDERS: "(experiment TEXT NOT NULL, machine TEXT NOT NULL, folder TEXT NOT NULL, "
    "PRIMARY KEY (experiment, machine, folder))",
}
_OWNED = (MARK, HISTORY)
_CONF = "conf/grade/default.yaml"


@dataclass(frozen=True)
class Loosening:
    """A decision to demand less: the reason, and who decided."""

    why: str
    who: str


@dataclass(frozen=True)
class MarkUpdate:
    """What writing the mark changed.

    Attributes
    ----------
    changed : tuple of str
        Such as ``min_sharpe 0.5 -> 0.75``; empty for a database that had no mark.
    kept : tuple of str
        Thresholds that stay tighter than the configuration, such as ``min_auc 0.55 (conf 0.52)``.
    """

    changed: tuple[str, ...]
    kept: tuple[str, ...]


class _Sql:
    """Statements with ``?`` on a cursor of either driver."""

    def __init__(self, cursor: Any, placeholder: str = "?") -> None:
        self._cursor = cursor
        self._placeholder = placeholder

    def __call__(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self._cursor.execute(statement.replace("?", self._placeholder), tuple(values))
        return [tuple(row) for row in self._cursor.fetchall()] if self._cursor.description else []


def mark_sqlite(
    connection: sqlite3.Connection, thresholds: Thresholds, loosening: Loosening | None = None
) -> MarkUpdate:
    """Write mark, thresholds and triggers into a sqlite database.

    Parameters
    ----------
    connection : sqlite3.Connection
        In autocommit mode.
    thresholds : Thresholds
        Of the configuration.
    loosening : Loosening, optional
        Without it, a threshold of the mark that is tighter than the configuration's stays.
    """
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        sql = _Sql(cursor)
        for table, columns in _COLUMNS.items():
            sql(f"CREATE TABLE IF NOT EXISTS {table} {columns}")
        update = _write_thresholds(sql, thresholds, loosening)
        gate_sql.keep_in_sqlite(cursor, _triggers("sqlite"))
        cursor.execute("COMMIT")
    return update


def mark_postgresql(connection: Any, thresholds: Thresholds, loosening: Loosening | None = None) -> MarkUpdate:
    """Write mark, thresholds and triggers into a PostgreSQL database, in one transaction.

    Only differences are written, so a role that may not change the schema can use a database that is up to date.

    Parameters
    ----------
    connection : psycopg2 connection
    thresholds : Thresholds
        Of the configuration.
    loosening : Loosening, optional
        Without it, a threshold of the mark that is tighter than the configuration's stays.

    Raises
    ------
    StageError
        If the role finds none of MLflow's tables.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_MARK_LOCK,))
        schema = gate_sql.enter_schema(cursor)
        for table, columns in _COLUMNS.items():
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (table,))
            if not cursor.fetchone()[0]:
                cursor.execute(f"CREATE TABLE {table} {columns}")
                cursor.execute(f"REVOKE ALL ON {table} FROM PUBLIC")
                cursor.execute(f"GRANT SELECT ON {table} TO PUBLIC")
        update = _write_thresholds(_Sql(cursor, "%s"), thresholds, loosening)
        gate_sql.keep_function(cursor, schema, f"{MARK}_said(said text)", "boolean", gate_triggers.HAS_REASON)
        gate_sql.keep_in_postgresql(cursor, schema, _triggers("postgresql"))
        for table in _OWNED:
            name = f"{table}_owners"
            statement = _OWNERS_TRIGGER.format(name=name, table=table)
            gate_sql.keep_trigger(cursor, schema, name, table, statement, _OWNERS_BODY)
    return update


def stored_mark(sql: Any) -> dict[str, Any]:
    """Read the thresholds as they are stored.

    Parameters
    ----------
    sql : callable
        Runs a statement and returns its rows.

    Returns
    -------
    dict
        Value by name; a value of a broken mark may be anything.
    """
    return dict(sql(f"SELECT name, value FROM {MARK}"))


def looser(name: str, value: float, than: float) -> bool:
    """Whether a value of a threshold demands less than another.

    Parameters
    ----------
    name : str
        Of the threshold.
    value, than : float
    """
    at_most = {metric.threshold for metric in GATE_METRICS if not metric.at_least}
    return value > than if name in at_most else value < than


def tightest(one: Thresholds, other: Thresholds) -> Thresholds:
    """Return the tighter value of each threshold of two.

    Parameters
    ----------
    one, other : Thresholds
    """
    values = other.by_name()
    pairs = {name: (value, values[name]) for name, value in one.by_name().items()}
    return Thresholds.of({name: b if looser(name, a, b) else a for name, (a, b) in pairs.items()})


def _triggers(dialect: str) -> list[gate_sql.GateTrigger]:
    message = "alpha-loop gate: the history of the thresholds is only added to"
    events = ("UPDATE", "DELETE")
    history = [gate_sql.GateTrigger(f"{HISTORY}_{event.lower()}", event, HISTORY, "1 = 1", message) for event in events]
    return [*gate_triggers.registry_triggers(dialect), *gate_locks.lock_triggers(dialect), *history]


def _write_thresholds(sql: _Sql, thresholds: Thresholds, loosening: Loosening | None) -> MarkUpdate:
    before = stored_mark(sql)
    changed, kept = [], []
    for name, value in thresholds.by_name().items():
        stored = before.get(name)
        number = float(stored) if isinstance(stored, int | float) and math.isfinite(stored) else None
        if number == value:
            continue
        if number is not None and looser(name, value, number) and loosening is None:
            kept.append(f"{name} {number:g} (conf {value:g})")
            continue
        if stored is None:
            sql(f"INSERT INTO {MARK} (name, value) VALUES (?, ?)", (name, float(value)))
        else:
            sql(f"UPDATE {MARK} SET value = ? WHERE name = ?", (float(value), name))
        if before:
            changed.append(f"{name} {stored} -> {value:g}")
            _remember(sql, name, number, float(value), loosening)
    return MarkUpdate(tuple(changed), tuple(kept))


def _remember(sql: _Sql, name: str, earlier: float | None, value: float, loosening: Loosening | None) -> None:
    decision = loosening or Loosening(_CONF, getpass.getuser())
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    statement = f"INSERT INTO {HISTORY} (changed_at, name, earlier, value, who, why) VALUES (?, ?, ?, ?, ?, ?)"
    sql(statement, (now, name, earlier, value, decision.who, decision.why))


_OWNERS_BODY = (
    f"BEGIN IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = '{MARK}'::regclass), 'MEMBER') "
    "THEN RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = "
    "'alpha-loop gate: thresholds are changed by the owner of the tables alone'; END IF; RETURN NULL; END"
)
_OWNERS_TRIGGER = (  # refuses even a role with granted rights: GRANT ... ON ALL TABLES includes the mark
    "CREATE TRIGGER {name} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
)
