"""MLflow's store in a PostgreSQL database that we open ourselves: connecting, making its tables once, its mark.

A password belongs into ``~/.pgpass`` or ``PGPASSWORD``, which PostgreSQL's own library reads, not into
``tracking.uri``; one that stands there all the same is masked wherever the address is shown.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Iterator
from typing import Any

from src.evaluation.grade import Thresholds
from src.runtime.redaction import masked, masked_address
from src.tracking import gate_triggers
from src.tracking.location import TrackingError, Unreachable

_PATIENCE = 10  # seconds that we wait for an answer of the server
_MAKING = 0x6D6C666C  # any number: two programs that make MLflow's tables wait for each other on it
_NOTICED = {"tcp_keepalives_idle": "60", "tcp_keepalives_interval": "15", "tcp_keepalives_count": "4"}
_HOLDER = (
    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_database d "
    "ON d.oid = l.database WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
    "AND d.datname = current_database() AND (l.classid::bigint << 32) | l.objid::bigint = %s"
)
_CLAIMS: dict[tuple[str, str], tuple[Any, contextlib.ExitStack]] = {}
"""Connections that hold a claim, by address and experiment, and what closes them."""


def mark(uri: str, thresholds: Thresholds) -> list[str]:
    """Write mark, thresholds and triggers into the database; returns what changed, in words.

    Raises
    ------
    TrackingError
        Where something is to be changed, and the role is not the owner of MLflow's tables.
    """
    import psycopg2.errors

    with _connected(uri) as connection:
        try:
            return gate_triggers.mark_postgresql(connection, thresholds)
        except psycopg2.errors.InsufficientPrivilege as error:
            raise TrackingError(
                f"the gate in the database at {masked_address(uri)} is not as this project's conf/grade/default.yaml "
                f"and code want it, and this role may not change it ({str(error).splitlines()[0]}): run python -m "
                "src.sync as the owner of MLflow's tables"
            ) from error


@contextlib.contextmanager
def alone(uri: str) -> Iterator[None]:
    """Keep other programs from making MLflow's tables meanwhile; the server lets go when this process ends."""
    with _connected(uri) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (_MAKING,))
            yield


def claim(uri: str, experiment: str) -> None:
    """Make this process, until it ends, the only one that writes an experiment; safe to repeat.

    The server lets go when the connection ends, however it ends; a machine that went away is noticed within minutes.

    Raises
    ------
    TrackingError
        Where another command writes it.
    """
    import psycopg2

    held = _CLAIMS.get((uri, experiment))
    if held is not None:
        connection, closing = held
        try:
            connection.cursor().execute("SELECT 1")
            return
        except psycopg2.Error:  # the server was started again, or ended the connection
            closing.close()
            del _CLAIMS[uri, experiment]
    with contextlib.ExitStack() as closing:
        connection = closing.enter_context(_connected(uri))
        connection.autocommit = True
        _lock(connection, uri, experiment)
        _CLAIMS[uri, experiment] = connection, closing.pop_all()


def _lock(connection: Any, uri: str, experiment: str) -> None:
    name = f"alpha-loop {platform.node()[:40]}:{os.getpid()}"  # what pg_stat_activity shows; 63 characters at most
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('application_name', %s, false)", (name,))
        for setting, value in _NOTICED.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (setting, value))
        cursor.execute("SELECT relnamespace FROM pg_class WHERE oid = to_regclass('model_versions')")
        words = f"{cursor.fetchone()[0]}/{experiment}".encode()
        key = int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "big", signed=True)
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (key,))
        if cursor.fetchone()[0]:
            return
        cursor.execute(_HOLDER, (key,))
        found = cursor.fetchone() or (None,)
    who = f" ({str(found[0]).removeprefix('alpha-loop ')})" if found[0] else ""
    raise TrackingError(
        f"another command{who} writes {experiment} at {masked_address(uri)}, and only one at a time may: wait until it "
        "ends"
    )


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
        if "@" in (address.host or ""):
            raise ValueError("the host holds what follows an @ of the password")
        engine = create_engine(address, poolclass=pool.NullPool, connect_args={"connect_timeout": _PATIENCE})
        connection = engine.raw_connection()
    except (exc.ArgumentError, ValueError):
        raise TrackingError(
            f"tracking.uri={masked_address(uri)} is no address of a database: write "
            "postgresql://<user>@<host>/<database>, and an @ or a / in a user or password as %40 or %2F"
        ) from None
    except psycopg2.OperationalError as error:
        words = masked(" ".join(str(error).split()))
        raise Unreachable(
            f"PostgreSQL can't be used at {masked_address(uri)} ({words}): start it, or mend tracking.uri or the "
            "password (~/.pgpass or PGPASSWORD)"
        ) from None
    try:
        yield connection.driver_connection
    finally:
        connection.close()
