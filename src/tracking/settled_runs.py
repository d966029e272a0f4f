"""MLflow's runs of a session as its last projection left them: where nothing differs, passes alone are compared again.

The mark is one digest of what the projection writes (grades, stored runs, settings, code) and of what MLflow holds
then: state, tags, metrics and model of every run of the experiment that training wrote. A run that was deleted, a
database that was lost or replaced, a tag that was changed: the digest differs, and every run is compared. The mark is
a cache, written last. Passes are compared in any case, with their models and versions.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config.paths import is_pooled
from src.core.file_digest import files_digest, source_digest
from src.core.hashing import json_digest, text_digest
from src.storage import atomic
from src.tracking.sqlite_held import held_runs
from src.tracking.sqlite_runs import BulkRuns

if TYPE_CHECKING:
    from src.tracking.store import MlflowStore
    from src.training.run_store import RunStore

_FORMAT = 1


@dataclass(frozen=True)
class SettledRun:
    """A run that needs nothing: its id, and the session that trained it."""

    run_id: str
    session_key: str


class SettledRuns:
    """The mark of one session's projection.

    Parameters
    ----------
    target : MlflowStore
    store : RunStore
    grades : DataFrame
        All rows of grades that are projected.
    session_key : str
    is_sync : bool
        Whether `src.sync` projects: its settings are its own.
    """

    def __init__(
        self, target: MlflowStore, store: RunStore, grades: pl.DataFrame, session_key: str, *, is_sync: bool
    ) -> None:
        self._runs = target.runs if isinstance(target.runs, BulkRuns) and not is_pooled(store.root) else None
        self._path = target.settings.paths.settled / f"mlflow-{session_key[:8]}{'-sync' if is_sync else ''}.json"
        self._target, self._store, self._grades = target, store, grades
        self._wanted = self._projected(session_key) if self._runs is not None else ""

    def unchanged(self) -> dict[str, SettledRun]:
        """Return the runs that did not pass, by record id, where all is as the mark says; else nothing."""
        if self._runs is None or not self._grades.height:
            return {}
        stored: Any = None
        with contextlib.suppress(OSError, ValueError):
            stored = atomic.read_json(self._path)
        held = held_runs(self._runs)
        if stored != {"format": _FORMAT, "projected": self._wanted, "held": held.digest}:
            return {}
        keys = self._grades.filter(~pl.col("passed")).select("record_id", "strategy_key").iter_rows()
        found = {key: held.runs.get(key) for key in keys}
        settled = {record_id: SettledRun(*run) for (record_id, _), run in found.items() if run is not None}
        return settled if len(settled) == len(found) else {}

    def write(self) -> None:
        """Mark what MLflow holds now."""
        if self._runs is None or not self._grades.height:
            return
        mark = {"format": _FORMAT, "projected": self._wanted, "held": held_runs(self._runs).digest}
        atomic.write_json(mark, self._path, durable=False)

    def _projected(self, session_key: str) -> str:
        nested = [name for name, kind in self._grades.schema.items() if kind.is_nested() or kind == pl.Binary]
        reasons = pl.col("reasons").list.join("; ").alias("_reasons")
        shown = self._grades.sort("record_id").with_columns(reasons).drop(nested)
        root = self._store.root
        kinds = ("b*.runs.parquet", "pending/b*/*.runs.parquet", "pending/b*.runs.log")
        files = files_digest([path for kind in kinds for path in root.glob(kind)], root)
        others = [repr(self._target.settings), repr(self._target.thresholds), self._target.experiment, session_key]
        return json_digest([source_digest(), *others, files, text_digest(shown.write_csv())])
