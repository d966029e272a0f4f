"""What the report asks MLflow's store: the pages of its runs, and which of them are champions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from src.config.paths import DatasetPaths
from src.core.errors import StageError
from src.tracking.crowned_versions import crowned_versions
from src.tracking.links import experiment_id, run_address, server_address
from src.tracking.location import store_location
from src.tracking.settings import TrackedDataset

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recorded:
    """What MLflow's store knows of the runs of a dataset.

    Attributes
    ----------
    pages : mapping of str to str
        Address of each run, of either scope, by ``record_id``.
    champions : frozenset of str
        ``record_id`` of the runs whose version is champion.
    """

    pages: Mapping[str, str] = field(default_factory=dict)
    champions: frozenset[str] = frozenset()


def recorded(tracked: TrackedDataset) -> Recorded:
    """Ask MLflow's store.

    Parameters
    ----------
    tracked : TrackedDataset

    Returns
    -------
    Recorded
        Empty where tracking is off, or the store has no experiment of the dataset; also, with a warning, where the
        store can't be read: the report is made without links.
    """
    if not tracked.tracking.enabled:
        return Recorded()
    try:
        location = store_location(tracked.tracking)
        number = experiment_id(location, tracked.experiment)
        if number is None:
            return Recorded()
        champions = frozenset(version.record_id for version in crowned_versions(tracked) if version.record_id)
    except StageError as error:
        _log.warning("the report has no links to MLflow and names no champions: %s", error)
        return Recorded()
    server = server_address(location)
    return Recorded({record: run_address(number, run, server) for record, run in _runs(tracked.paths)}, champions)


def _runs(paths: DatasetPaths) -> list[tuple[str, str]]:
    """Records of the grades that MLflow has a run of, and its id."""
    found: list[tuple[str, str]] = []
    for file in (paths.grades, paths.portfolio_grades):
        names = ("record_id", "mlflow_run_id")
        if file.exists() and set(names) <= set((rows := pl.scan_parquet(file, glob=False)).collect_schema()):
            found += rows.select(names).drop_nulls().collect().iter_rows()
    return found
