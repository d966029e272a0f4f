"""Files beside a run in MLflow: the tear sheet of a pass, the report of a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from src.tracking.location import StoreLocation

Files = Mapping[str, bytes]
"""Content by path among the run's artifacts, such as ``tear_sheet.html`` or ``data/days.csv``."""


def record_artifacts(
    location: StoreLocation, dataset: str, files: Mapping[str, tuple[str, Callable[[], Files]]]
) -> int:
    """Log files to runs that lack them, or have others.

    Parameters
    ----------
    location : StoreLocation
    dataset : str
    files : mapping of str to (str, callable)
        By MLflow run id: a digest of the files, and what makes them. A run that carries the digest is left alone, and
        nothing is made for it.

    Returns
    -------
    int
        Runs that were written.
    """
    raise NotImplementedError


def session_run_ids(location: StoreLocation, dataset: str) -> dict[str, str]:
    """Give the parent run of each session of a dataset.

    Parameters
    ----------
    location : StoreLocation
    dataset : str

    Returns
    -------
    dict of str to str
        MLflow run id by session key.
    """
    raise NotImplementedError
