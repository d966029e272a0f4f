"""Failures of MLflow's store, each with its remedy."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from src.config.commands import command
from src.core.errors import ConfigError, StageError
from src.runtime.redaction import masked

REINSTALL = "run make setup (on Windows scripts\\launch.bat setup)"
"""How to update an environment to this code: the locked packages, and the project with its entry points."""


class TrackingError(StageError):
    """MLflow's store can't be used; the message says why and what to do."""


class TrackingConfigError(TrackingError, ConfigError):
    """A setting of ``tracking`` names a store that is not supported: wrong usage, not a failure of the store."""


class StoreUnreachable(TrackingError):
    """Nothing answers at the store's address; a later try may succeed."""


def locked_error(database: Path | None) -> TrackingError:
    """Error for a database that another program keeps locked.

    Parameters
    ----------
    database : Path or None
        The sqlite file.
    """
    return TrackingError(
        f"the MLflow database {database} is locked by another program (an open database browser?): close it; trained "
        f"runs are safe under data/runs, and {command('sync')} brings MLflow up to date"
    )


def schema_error(uri: str, error: Exception) -> TrackingError:
    """Error for a database whose tables belong to another version of MLflow and are not migrated automatically.

    Parameters
    ----------
    uri : str
        Address of the store.
    error : Exception
        MLflow's own, which names the two revisions.
    """
    revisions = re.search(r"found version (\w+), but expected (\w+)", str(error))
    actual, expected = revisions.groups() if revisions else ("another", "its own")
    return TrackingError(
        f"the tables of {masked(uri)} have revision {actual}, and MLflow {importlib.metadata.version('mlflow')} needs "
        f'{expected}: {REINSTALL}, which installs the MLflow that this code is tested with; "A newer MLflow" in '
        "docs/tracking.md says what to do where it is installed already"
    )
