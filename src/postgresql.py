"""MLflow's store in a PostgreSQL database that we open ourselves: connecting, making its tables once, its mark.

A password belongs into ``~/.pgpass`` or ``PGPASSWORD``, which PostgreSQL's own library reads, not into
``tracking.uri``; one that stands there all the same is masked wherever the address is shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from src import gate_mark
from src.grade import Thresholds
from src.masking import masked
from src.mlflow_home import TrackingError, Unreachable

_PATIENCE = 10  # seconds that we wait for an answer of the server
_MAKING = 0x6D6C666C  # any number: two programs that make MLflow's tables wait for each other on it


def mark(uri: str, thresholds: Thresholds) -> list[str]:
    """Write mark, thresholds and triggers into the database; returns what changed, in words."""
    with _connected(uri) as connection:
        return gate_mark.mark_postgresql(connection, thresholds)


@contextlib.contextmanager
def alone(uri: str) -> Iterator[None]:
    """Keep other programs from making MLflow's tables meanwhile; the server lets go when this process ends."""
    with _connected(uri) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (_MAKING,))
            yield


def analyze(uri: str) -> None:
    """Count rows now: ordering runs by a metric needs it, and PostgreSQL's own turn comes a minute or more later."""
    with _connected(uri) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
                cursor.execute(f"ANALYZE {table}")


@contextlib.contextmanager
def _connected(uri: str) -> Iterator[Any]:
    """A connection of PostgreSQL's own driver.

    Raises
    ------
    TrackingError
        Where the address is none, or no server answers there, or it refuses.
    """
    import psycopg2
    from sqlalchemy import create_engine, exc, make_url, pool

    try:
        address = make_url(uri).set(drivername="postgresql+psycopg2")
        engine = create_engine(address, poolclass=pool.NullPool, connect_args={"connect_timeout": _PATIENCE})
        connection = engine.raw_connection()
    except (exc.ArgumentError, ValueError) as error:
        raise TrackingError(f"tracking.uri={masked(uri)} is no address of a database: {masked(str(error))}") from None
    except psycopg2.OperationalError as error:
        words = masked(" ".join(str(error).split()))
        raise Unreachable(
            f"PostgreSQL can't be used at {masked(uri)} ({words}): start it, or mend tracking.uri or the password "
            "(~/.pgpass or PGPASSWORD)"
        ) from None
    try:
        yield connection.driver_connection
    finally:
        connection.close()
