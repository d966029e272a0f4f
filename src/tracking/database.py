"""MLflow's sqlite file: create it with its gate, write the gate's thresholds, wait for its lock."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from src.config.commands import command
from src.evaluation.grade import Thresholds
from src.tracking import gate_mark
from src.tracking.errors import TrackingError, locked_error
from src.tracking.gate_mark import Loosening, MarkUpdate

LOCK_SECONDS = 30.0  # to wait for a database that another program has locked


def create_database(database: Path, artifacts: str, thresholds: Thresholds) -> None:
    """Create a store with MLflow's tables, mark and triggers, unless the file exists.

    MLflow creates its tables in dozens of steps, and a process killed between two of them leaves a file that no later
    start can repair. So the file is built aside and renamed once; of two processes at once only one builds it.

    Parameters
    ----------
    database : Path
    artifacts : str
        URI below which artifacts are kept.
    thresholds : Thresholds
        Those that the gate will demand.
    """
    from src.storage import atomic

    def build(path: Path) -> None:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = SqlAlchemyStore(f"sqlite:///{path.as_posix()}", artifacts)
        store.engine.dispose()
        mark_database(path, thresholds)

    if database.exists():
        atomic.remove_temporaries(database.parent, below=False)  # beside it lie the artifacts of thousands of runs
        return
    from filelock import FileLock

    with FileLock(database.with_name(f".{database.name}.lock")):
        if not database.exists():
            atomic.remove_temporaries(database.parent, below=False)
            atomic.write_atomic(database, build)


def mark_database(database: Path, thresholds: Thresholds, loosening: Loosening | None = None) -> MarkUpdate:
    """Write mark, thresholds and triggers into the file, and let readers work beside a writer (WAL).

    Parameters
    ----------
    database : Path
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
        If another program keeps the file locked.
    """
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            return gate_mark.mark_sqlite(connection, thresholds, loosening)
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):  # a full disk, or one that fails
            raise
        raise locked_error(database) from error


def wait_for_database(database: Path) -> None:
    """Wait until the file can be written; a file that does not exist yet can.

    Parameters
    ----------
    database : Path

    Raises
    ------
    TrackingError
        If another program keeps it locked for half a minute, or it is not a database.
    """
    if not database.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):  # a full disk, or one that fails
            raise
        raise locked_error(database) from error
    except sqlite3.DatabaseError as error:
        raise TrackingError(
            f"{database} is not a database ({error}): move it away; {command('sync')} makes a new one from data/runs"
        ) from error
