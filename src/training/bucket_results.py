"""What a session collects bucket by bucket: grades and skips, stored as soon as a bucket is finished."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from src.training.run_store import RunStore, shard_name
from src.training.run_tables import CURVE_SCHEMA, grade_table


class BucketResults:
    """Grades and skips of a session's buckets.

    A bucket has parts: handing out its tasks is one, each task another. With the last part the bucket is closed: its
    runs are compacted, its grades and skips are stored.

    Parameters
    ----------
    store : RunStore
        Where they are stored.
    session_key : str
        Key of the session.
    record : callable, optional
        Gets the name and the grades of a bucket before they are stored.
    """

    def __init__(
        self, store: RunStore, session_key: str, record: Callable[[str, pl.DataFrame], None] | None = None
    ) -> None:
        self._store = store
        self._record = record
        self._session_key = session_key
        self._parts: dict[int, int] = {}
        self._grades: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self._stored_skips = store.skips(session_key)
        self._skips: dict[int, dict[str, str]] = defaultdict(dict)
        self._closed: list[tuple[int, pl.DataFrame]] = []
        self._all: list[pl.DataFrame] = []

    @property
    def buckets(self) -> set[int]:
        """Buckets that were begun."""
        return set(self._parts)

    def begin_part(self, bucket: int) -> None:
        """Begin one more part of a bucket."""
        self._parts[bucket] = self._parts.get(bucket, 0) + 1

    def end_part(self, bucket: int) -> None:
        """End a part of a bucket; the last one closes the bucket."""
        self._parts[bucket] -= 1
        if not self._parts[bucket]:
            self._close(bucket)

    def add_grade(self, bucket: int, row: dict[str, Any]) -> None:
        """Add a row of the grades.

        Parameters
        ----------
        bucket : int
            Bucket of the instrument.
        row : dict
            Columns of `src.training.run_tables.GRADE_SCHEMA` by name.
        """
        self._grades[bucket].append(row)

    def add_settled(self, grades: pl.DataFrame) -> None:
        """Add the grades of a bucket that needs nothing: they are stored, and in MLflow."""
        self._all.append(grades)

    def add_skips(self, bucket: int, reasons: dict[str, str]) -> None:
        """Add run keys for which there is nothing to train.

        Parameters
        ----------
        bucket : int
            Bucket of the instrument.
        reasons : dict
            Run key to reason.
        """
        self._skips[bucket] |= reasons

    def stored_skips(self, run_keys: list[str]) -> dict[str, str] | None:
        """Return the reasons why an earlier run of the session skipped these keys, or None where it did not skip all.

        Parameters
        ----------
        run_keys : list of str
            Run keys of one instrument.
        """
        reasons = {run_key: self._stored_skips[run_key] for run_key in run_keys if run_key in self._stored_skips}
        return reasons if len(reasons) == len(set(run_keys)) else None

    def closed(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield the buckets that were closed since the last call with their grades, after these are stored."""
        while self._closed:
            yield self._closed.pop(0)

    def grades(self) -> pl.DataFrame:
        """Return the grades of all closed buckets, without the equity curves, sorted by key and family."""
        empty = grade_table([]).drop(CURVE_SCHEMA)
        return pl.concat([empty, *self._all], how="diagonal_relaxed").sort("asset_class", "symbol", "family")

    def _close(self, bucket: int) -> None:
        shard = shard_name(bucket, self._session_key)
        self._store.compact(shard)
        if rows := self._grades.pop(bucket, None):
            graded = grade_table(rows)
            if self._record is not None:
                self._record(f"b{bucket:03d}", graded)
            self._store.write_grades(shard, graded)
            self._closed.append((bucket, graded))
            self._all.append(graded.drop(CURVE_SCHEMA))
        skips = self._skips.pop(bucket, {})
        if skips != {key: self._stored_skips[key] for key in skips if key in self._stored_skips}:
            self._store.write_skips(shard, self._session_key, skips)
