"""MLflow's store in a PostgreSQL database that this process opens itself: connections, locks and the mark.

A password belongs in ``~/.pgpass`` or ``PGPASSWORD``, which PostgreSQL's own library reads, not in ``tracking.uri``; a
password there works, and is masked wherever the address is shown.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Iterator
from typing import Any

from src.config.commands import command
from src.evaluation.grade import Thresholds
from src.runtime.redaction import masked, masked_address
from src.tracking import gate_mark
from src.tracking.errors import StoreUnreachable, TrackingError
from src.tracking.gate_mark import Loosening, MarkUpdate

_CONNECT_SECONDS = 10
_TABLES_LOCK = 0x6D6C666C  # any number: the advisory lock of programs that create MLflow's tables
_KEEPALIVE = {"tcp_keepalives_idle": "60", "tcp_keepalives_interval": "15", "tcp_keepalives_count": "4"}
_HOLDER = (
    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_database d "
    "ON d.oid = l.database WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
    "AND d.datname = current_database() AND (l.classid::bigint << 32) | l.objid::bigint = %s"
)
_CLAIMS: dict[tuple[str, str], tuple[Any, contextlib.ExitStack]] = {}
"""Connections that hold the lock on an experiment, by address and experiment, with the stack that closes them."""


def mark(uri: str, thresholds: Thresholds, loosening: Loosening | None = None) -> MarkUpdate:
    """Write mark, thresholds and triggers into the database.

    Parameters
    ----------
    uri : str
        Address of the database.
    thresholds : Thresholds
        Of the configuration.
    loosening : Loosening, optional
        Without it, a threshold of the mark that is tighter than the configuration's stays.

    Returns
    -------
    MarkUpdate

    Raises
    ------
    TrackingError
        If something has to change and the role is not the owner of MLflow's tables.
    """
    import psycopg2.errors

    with connected(uri) as connection:
        try:
            return gate_mark.mark_postgresql(connection, thresholds, loosening)
        except psycopg2.errors.InsufficientPrivilege as error:
            raise TrackingError(
                f"the gate in the database at {masked_address(uri)} differs from this project's "
                f"conf/grade/default.yaml and code, and this role may not change it ({str(error).splitlines()[0]}): "
                f"run {command('sync')} as the owner of MLflow's tables"
            ) from error


@contextlib.contextmanager
def creating_tables(uri: str) -> Iterator[None]:
    """Keep other programs from creating MLflow's tables while the block runs.

    The server releases the lock when this process ends, however it ends.

    Parameters
    ----------
    uri : str
        Address of the database.
    """
    with connected(uri) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (_TABLES_LOCK,))
            yield


def claim(uri: str, experiment: str) -> None:
    """Make this process, until it ends, the only one that may write an experiment; safe to repeat.

    The server releases the lock when the connection ends, however it ends; it notices within minutes that a machine has
    gone.

    Parameters
    ----------
    uri : str
        Address of the database.
    experiment : str
        Its name.

    Raises
    ------
    TrackingError
        If another command writes it.
    """
    import psycopg2

    existing = _CLAIMS.get((uri, experiment))
    if existing is not None:
        connection, closing = existing
        try:
            connection.cursor().execute("SELECT 1")
            return
        except psycopg2.Error:  # the server was restarted, or closed the connection
            closing.close()
            del _CLAIMS[uri, experiment]
    with contextlib.ExitStack() as closing:
        connection = closing.enter_context(connected(uri))
        connection.autocommit = True
        _lock(connection, uri, experiment)
        _CLAIMS[uri, experiment] = connection, closing.pop_all()


def _lock(connection: Any, uri: str, experiment: str) -> None:
    name = f"alpha-loop {platform.node()[:40]}:{os.getpid()}"  # what pg_stat_activity shows; 63 characters at most
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('application_name', %s, false)", (name,))
        for setting, value in _KEEPALIVE.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (setting, value))
        cursor.execute("SELECT relnamespace FROM pg_class WHERE oid = to_regclass('model_versions')")
        lock_name = f"{cursor.fetchone()[0]}/{experiment}".encode()
        key = int.from_bytes(hashlib.blake2b(lock_name, digest_size=8).digest(), "big", signed=True)
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (key,))
        if cursor.fetchone()[0]:
            return
        cursor.execute(_HOLDER, (key,))
        row = cursor.fetchone() or (None,)
    holder = f" ({str(row[0]).removeprefix('alpha-loop ')})" if row[0] else ""
    raise TrackingError(
        f"another command{holder} writes {experiment} at {masked_address(uri)}, and only one at a time may: wait until "
        "it ends"
    )


@contextlib.contextmanager
def connected(uri: str) -> Iterator[Any]:
    """Open a connection of PostgreSQL's own driver.

    Raises
    ------
    TrackingError
        If the address is not valid.
    StoreUnreachable
        If no server answers there, or it refuses the connection.
    """
    import psycopg2
    from sqlalchemy import create_engine, exc, make_url, pool

    try:
        address = make_url(uri).set(drivername="postgresql+psycopg2")
        if "@" in (address.host or ""):
            raise ValueError("the host holds what follows an @ of the password")
        engine = create_engine(address, poolclass=pool.NullPool, connect_args={"connect_timeout": _CONNECT_SECONDS})
        connection = engine.raw_connection()
    except (exc.ArgumentError, ValueError):
        raise TrackingError(
            f"tracking.uri={masked_address(uri)} is not the address of a database: write "
            "postgresql://<user>@<host>/<database>, and an @ or a / in a user or password as %40 or %2F"
        ) from None
    except psycopg2.OperationalError as error:
        cause = masked(" ".join(str(error).split()))
        raise StoreUnreachable(
            f"PostgreSQL can't be used at {masked_address(uri)} ({cause}): start it, or correct tracking.uri or the "
            "password (~/.pgpass or PGPASSWORD)"
        ) from None
    try:
        yield connection.driver_connection
    finally:
        connection.close()
