"""The two scopes of a dataset as training stores them: runs of instruments, and portfolios of pooled models.

Both are stored alike, each in a run store of its own; what differs is where its grades lie and how one is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import polars as pl

from src.config.paths import is_pooled
from src.tracking.settings import TrackedDataset
from src.training.confirmed_grades import ConfirmedGrades
from src.training.regrading import GradeCheck
from src.training.run_store import RunStore


class GradeRepeater(Protocol):
    """Repeats stored grades from stored predictions: `ConfirmedGrades`, or `PooledRegrader` for portfolios."""

    def check(self, graded: pl.DataFrame) -> Iterator[GradeCheck]:
        """Grade runs again and compare; see `src.training.confirmed_grades.ConfirmedGrades.check`."""


def regrader_of(settings: TrackedDataset, store: RunStore) -> GradeRepeater:
    """Return what repeats the grades of a run store.

    Parameters
    ----------
    settings : TrackedDataset
        Of the command; what a session recorded of itself is tried first.
    store : RunStore
    """
    if is_pooled(store.root):
        from src.training.pooled.regrading import PooledChoices, PooledRegrader

        own = PooledChoices(settings.portfolio, settings.grade, settings.until)
        return PooledRegrader(settings.paths, own)
    return ConfirmedGrades(
        settings.paths, settings.strategy, settings.grade, settings.until, keeps=not settings.is_dry_run
    )
