"""Where the runs of an experiment are stored, as a database remembers it, and what these records say of a model.

Training and `sync` write the folders below ``data/runs`` and ``data/portfolios`` into the database itself, out of reach
of MLflow's API. On a machine where such a folder exists, the registry's plugin demands that a model's run stands in it,
with equal figures and the same native model: a run that was made through the client alone, however good it looks, is
not registered. On other machines the rules of the database decide alone.
"""

from __future__ import annotations

import contextlib
import platform
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from src.tracking.database import LOCK_SECONDS
from src.tracking.location import StoreLocation
from src.tracking.registry_gate import FOLDERS, MARKED, CandidateModel, Query

if TYPE_CHECKING:
    from src.tracking.records import Records


def remember_folder(location: StoreLocation, experiment: str, folder: Path) -> None:
    """Write into the database where this machine stores the runs of an experiment.

    Parameters
    ----------
    location : StoreLocation
        Nothing is written into a server's database, nor into PostgreSQL by a role that may not.
    experiment : str
        Its id.
    folder : Path
        ``data/runs/<dataset>`` or ``data/portfolios/<dataset>``.
    """
    row = (experiment, platform.node(), str(folder.absolute()))
    known = f"SELECT 1 FROM {FOLDERS} WHERE experiment = ? AND machine = ? AND folder = ?"
    insert = f"INSERT INTO {FOLDERS} (experiment, machine, folder) VALUES (?, ?, ?)"
    if location.database is not None:
        database = sqlite3.connect(location.database, timeout=LOCK_SECONDS, isolation_level=None)
        with contextlib.closing(database) as connection:
            if not connection.execute(known, row).fetchall():
                connection.execute(insert.replace("INSERT", "INSERT OR IGNORE"), row)
    elif location.is_postgresql:
        from src.tracking import postgresql

        with postgresql.connected(location.uri) as connection, connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS ({known.replace('?', '%s')})", row)
            ((is_known,),) = cursor.fetchall()
            cursor.execute("SELECT has_table_privilege(%s, 'INSERT')", (FOLDERS,))
            ((may_write,),) = cursor.fetchall()
            if may_write and not is_known:
                cursor.execute(f"{insert.replace('?', '%s')} ON CONFLICT DO NOTHING", row)


def records_of(query: Query, dialect: str, candidate: CandidateModel) -> list[Records]:
    """Find the records on this machine of the experiment that a model is of.

    Parameters
    ----------
    query : callable
        Runs SQL on the database.
    dialect : str
        ``sqlite`` or ``postgresql``.
    candidate : CandidateModel

    Returns
    -------
    list of Records
        One for each folder that the database remembers and this machine has; one of them has to vouch for the model.
        Empty if none of the experiment's is on this machine.
    """
    from src.tracking.records import Records

    return [Records.at(folder) for folder in _folders(query, dialect, candidate.run_id) if folder.is_dir()]


def _folders(query: Query, dialect: str, run_id: str) -> list[Path]:
    tables = query(MARKED[dialect], (FOLDERS,))
    if not tables:
        return []
    rows = query(
        f"SELECT f.folder FROM {tables[0][0]} f JOIN runs r ON CAST(r.experiment_id AS VARCHAR(32)) = f.experiment "
        "WHERE r.run_uuid = ? AND f.machine = ?",
        (run_id, platform.node()),
    )
    return [Path(row[0]) for row in rows]
