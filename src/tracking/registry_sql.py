"""Plain SQL on the database behind MLflow, for what only reads: `status`, `doctor` and the invariants.

MLflow is not imported, so that a look at the registry takes milliseconds.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from src.tracking.location import StoreLocation
from src.tracking.registry_gate import Query


@contextlib.contextmanager
def registry_query(location: StoreLocation) -> Iterator[Query | None]:
    """Open the database of a store for reading.

    Parameters
    ----------
    location : StoreLocation

    Yields
    ------
    callable or None
        Takes SQL with ``?`` for its values and returns all rows; None where a server keeps the database, or there is
        none yet.

    Raises
    ------
    StoreUnreachable
        If PostgreSQL does not answer.
    """
    if location.database is not None and location.database.exists():
        with contextlib.closing(sqlite3.connect(location.database, timeout=30.0)) as connection:
            connection.execute("PRAGMA query_only = ON")

            def ask(sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
                return connection.execute(sql, values).fetchall()

            yield ask
    elif location.is_postgresql:
        from src.tracking import postgresql

        with postgresql.connected(location.uri) as connection, connection.cursor() as cursor:

            def query(sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
                cursor.execute(sql.replace("%", "%%").replace("?", "%s"), values)
                return list(cursor.fetchall())

            yield query
    else:
        yield None


def dialect(location: StoreLocation) -> str:
    """Name of the SQL dialect of a store that `registry_query` opens.

    Parameters
    ----------
    location : StoreLocation
    """
    return "postgresql" if location.is_postgresql else "sqlite"


def has_tables(query: Query, location: StoreLocation) -> bool:
    """Whether a database has MLflow's tables.

    Parameters
    ----------
    query : callable
        From `registry_query`.
    location : StoreLocation
    """
    if location.is_postgresql:
        return bool(query("SELECT 1 WHERE to_regclass(?) IS NOT NULL", ("logged_models",)))
    return bool(query("SELECT 1 FROM sqlite_master WHERE name = ?", ("logged_models",)))
