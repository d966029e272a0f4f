"""Runs of the pooled scope that earlier sessions stored: what needs no fit, and what needs nothing at all."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl

from src.storage import atomic
from src.training.pooled.outputs import are_of
from src.training.run_store import RunStore

BUCKET = 0
"""The runs of all classes are few: one shard a session."""


class StoredRuns:
    """Stored runs and grades of one session's key.

    Parameters
    ----------
    store : RunStore
        At ``data/portfolios/<dataset>``.
    session_key : str
    fresh : bool
        Whether to make everything again: what is older than the first command that said so does not count.
    """

    def __init__(self, store: RunStore, session_key: str, *, fresh: bool) -> None:
        self._store = store
        self._marker: Path = store.root / f"fresh-{session_key[:8]}.json"
        self.since = self._begun() if fresh else None
        runs = store.runs(("run_key", "record_id", "created_at", "superseded")).filter(~pl.col("superseded"))
        columns = runs.select("run_key", "record_id", "created_at").iter_rows()
        self._latest = {key: (record_id, at) for key, record_id, at in columns}
        grades = pl.DataFrame() if fresh else store.grades(session_key, BUCKET)
        self._grades = {row["run_key"]: row for row in grades.iter_rows(named=True)}

    def record_id(self, run_key: str) -> tuple[str, bool]:
        """Record id of a run, and whether it is a new one."""
        if run_key not in self._latest:
            return f"{run_key}.0", True
        record_id, at = self._latest[run_key]
        if self.since is not None and at < self.since:
            return f"{run_key}.{int(record_id.rpartition('.')[2]) + 1}", True
        return record_id, False

    def grade(self, run_key: str, grade_key: str) -> dict[str, Any] | None:
        """Row of the grades of a run that is whole: its own tables and, where it passed, its model are stored."""
        row = self._grades.get(run_key)
        if row is None or row["grade_key"] != grade_key:
            return None
        whole = are_of(self._store.root / row["record_id"], grade_key)
        return row if whole and self.has_model(row) else None

    def has_model(self, row: dict[str, Any]) -> bool:
        """Whether a run that passed has its model, as it was stored."""
        if not row["passed"]:
            return True
        return row["model_sha256"] is not None and self._store.model_sha256(row["record_id"]) == row["model_sha256"]

    def finish(self) -> None:
        """Remove the marker of ``fresh=true``: everything was made again."""
        self._marker.unlink(missing_ok=True)

    def _begun(self) -> dt.datetime:
        if not self._marker.exists():
            atomic.write_json({"since": dt.datetime.now(dt.UTC).isoformat()}, self._marker)
        since: str = atomic.read_json(self._marker)["since"]
        return dt.datetime.fromisoformat(since)
