"""Native models of runs and the stored features that they are explained on, bucket by bucket."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray, Matrix
from src.core.errors import StageError
from src.core.hashing import json_digest
from src.core.instruments import KEY, Key
from src.features.store import FeatureStore
from src.models.registry import FAMILIES, explained_family, family
from src.reporting.tear_sheets.contributions import sampled
from src.training.run_store import RunStore

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.signals.own_decisions import GradedRun


@dataclass(frozen=True)
class FittedRun:
    """What training stored of a run beside its predictions.

    Attributes
    ----------
    family, run_key : str
    features : list of str
    gain : float64, shape (F,)
    parts : dict
        Of its key.
    model_sha256 : str or None
        Of the native model, as it was graded.
    """

    family: str
    run_key: str
    features: list[str]
    gain: FloatArray
    parts: dict[str, Any]
    model_sha256: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any], model_sha256: str | None) -> FittedRun:
        """Take a row of the run store."""
        names = json.loads(row["features"] or "[]")
        gain = np.array(row["importance"] or [0.0] * len(names), dtype=np.float64)
        return cls(row["family"], row["run_key"], names, gain, json.loads(row["parts"]), model_sha256)


class ExplainedRuns:
    """Explains scores of runs by their native models.

    Parameters
    ----------
    paths : DatasetPaths
    runs : mapping of str to FittedRun
        By record id.
    """

    def __init__(self, paths: DatasetPaths, runs: Mapping[str, FittedRun]) -> None:
        self._runs, self._store = runs, RunStore(paths.runs)
        self._features = FeatureStore(paths.features)
        self._tables: dict[Key, pl.DataFrame] = {}
        self._bucket: int | None = None
        self._complete: set[int] | None = None

    def read(self, bucket: int, keys: Sequence[Key], runs: Sequence[FittedRun]) -> None:
        """Read the features of a bucket, in place of those of the bucket before; none where they are not stored.

        Parameters
        ----------
        bucket : int
        keys : sequence of (asset_class, symbol)
        runs : sequence of FittedRun
            Runs of these instruments: their features are read, where they are stored by the code of their training.
        """
        self._tables, self._bucket = {}, bucket
        if self._complete is None:
            self._complete = set(self._features.buckets())
        if bucket not in self._complete:
            return
        names = sorted({name for run in runs if self._is_stored(run) for name in run.features})
        if names:
            try:
                rows = self._features.read_bucket(bucket, names, list(keys))
            except StageError:
                return
            found = rows.partition_by(KEY, as_dict=True)
            self._tables = {(str(kind), str(symbol)): table for (kind, symbol), table in found.items()}

    def explained(self, run: GradedRun) -> tuple[Matrix, FloatArray] | None:
        """Give the features of a sample of a run's out-of-sample days, and what each adds to the score.

        Parameters
        ----------
        run : GradedRun

        Returns
        -------
        (float32 of shape (n, F), float64 of shape (n, F)) or None
            None where the native model or its features are not those of training, or the family explains nothing.
        """
        stored = self._runs[run.record_id]
        library = explained_family(stored.family) if stored.family in FAMILIES else None
        table = self._tables.get(run.key)
        if library is None or table is None or not self._is_stored(stored):
            return None
        content = self._native(run.record_id, stored)
        rows = sampled(run.positions.size)
        x = _rows(table, stored.features, run.decisions.dates[run.positions[rows]])
        if content is None or x is None:
            return None
        return x, np.asarray(library.contributions(family(stored.family).from_bytes(content), x), dtype=np.float64)

    def _native(self, record_id: str, stored: FittedRun) -> bytes | None:
        path = self._store.model_path(record_id)
        content = path.read_bytes() if path else None
        if content is None or stored.model_sha256 is None:
            return None
        return content if hashlib.sha256(content).hexdigest() == stored.model_sha256 else None

    def _is_stored(self, run: FittedRun) -> bool:
        """Whether the bucket has the features of a run by the code that it was trained with."""
        assert self._bucket is not None
        codes = self._features.codes(self._bucket)
        return json_digest({name: codes.get(name) for name in run.features}) == run.parts.get("features")


def _rows(table: pl.DataFrame, names: list[str], dates: DateArray) -> Matrix | None:
    """Features of some bars; None where one of them has no row."""
    known = table["date"].to_numpy().astype("datetime64[us]")
    wanted = dates.astype("datetime64[us]")
    at = np.searchsorted(known, wanted)
    if (at >= known.size).any() or (known[at] != wanted).any():
        return None
    return np.ascontiguousarray(table[at.tolist()].select(names).to_numpy().astype(np.float32))
