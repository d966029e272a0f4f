"""SQL triggers in the two dialects of the gate: their text, and how a database gets those that it lacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from src.core.errors import StageError


@dataclass(frozen=True)
class GateTrigger:
    """A trigger that refuses a statement, or that carries out another one after it.

    Attributes
    ----------
    name : str
    event : str
        Such as ``INSERT`` or ``UPDATE OF status``.
    table : str
    condition : str
        SQL on NEW and OLD: when the trigger acts.
    message : str
        What a refused statement is answered with; without single quotes.
    follow_up : str
        Statement to carry out after the event; empty for a trigger that refuses.
    """

    name: str
    event: str
    table: str
    condition: str
    message: str = ""
    follow_up: str = ""

    @property
    def sqlite(self) -> str:
        """The statement that creates the trigger in sqlite."""
        when, act = (
            ("AFTER", self.follow_up) if self.follow_up else ("BEFORE", f"SELECT RAISE(ABORT, '{self.message}')")
        )
        return f"CREATE TRIGGER {self.name} {when} {self.event} ON {self.table} WHEN {self.condition} BEGIN {act}; END"

    @property
    def body(self) -> str:
        """PL/pgSQL; the error is of the kind that MLflow reports as a broken constraint, as it does for sqlite."""
        raised = f"RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = '{self.message}'"
        row = "OLD" if self.event == "DELETE" else "NEW"
        return f"BEGIN IF {self.condition} THEN {self.follow_up or raised}; END IF; RETURN {row}; END"

    @property
    def postgresql(self) -> str:
        """The statement that creates the trigger in PostgreSQL, beside its function."""
        when = "AFTER" if self.follow_up else "BEFORE"
        return (
            f"CREATE TRIGGER {self.name} {when} {self.event} ON {self.table} "
            f"FOR EACH ROW EXECUTE FUNCTION {self.name}()"
        )


def keep_in_sqlite(cursor: sqlite3.Cursor, triggers: Iterable[GateTrigger]) -> None:
    """Create the triggers that are missing or differ.

    Parameters
    ----------
    cursor : sqlite3.Cursor
        Inside a transaction.
    triggers : iterable of GateTrigger
    """
    stored = dict(cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
    for trigger in triggers:
        if stored.get(trigger.name) != trigger.sqlite:
            cursor.execute(f"DROP TRIGGER IF EXISTS {trigger.name}")
            cursor.execute(trigger.sqlite)


def enter_schema(cursor: Any) -> str:
    """Set the search path to the schema of MLflow's tables for this transaction.

    The temporary schema comes last, so that a temporary table can't replace one of MLflow's.

    Parameters
    ----------
    cursor : psycopg2 cursor

    Returns
    -------
    str
        Name of the schema, quoted.

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


def keep_in_postgresql(cursor: Any, schema: str, triggers: Iterable[GateTrigger]) -> None:
    """Create the triggers and their functions that are missing or differ.

    Parameters
    ----------
    cursor : psycopg2 cursor
        Inside a transaction.
    schema : str
        From `enter_schema`.
    triggers : iterable of GateTrigger
    """
    for trigger in triggers:
        keep_trigger(cursor, schema, trigger.name, trigger.table, trigger.postgresql, trigger.body)


def keep_trigger(cursor: Any, schema: str, name: str, table: str, statement: str, body: str) -> None:
    """Create a trigger of PostgreSQL and its function, unless they exist and are up to date.

    Parameters
    ----------
    cursor : psycopg2 cursor
    schema : str
    name, table : str
    statement : str
        Creates the trigger.
    body : str
        PL/pgSQL of its function.
    """
    changed = keep_function(cursor, schema, f"{name}()", "trigger", body)
    cursor.execute(
        "SELECT 1 FROM pg_trigger WHERE tgname = %s AND tgrelid = to_regclass(%s) AND tgenabled IN ('O', 'A')",
        (name, table),
    )
    if changed or not cursor.fetchall():
        cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
        cursor.execute(statement)


def keep_function(cursor: Any, schema: str, signature: str, returns: str, body: str) -> bool:
    """Create a function of PostgreSQL that reads this schema only, unless it is up to date.

    Parameters
    ----------
    cursor : psycopg2 cursor
    schema : str
    signature : str
        Name and parameters.
    returns : str
        Type of the result.
    body : str
        PL/pgSQL.

    Returns
    -------
    bool
        Whether it was created.
    """
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
