"""Buckets that need nothing, as the last session of the same settings left them: they are not planned again.

A bucket's entry holds one digest of all that decides what a session makes of it: settings, code, libraries and
thresholds, the instruments, the content of the files of bars, facts, runs, grades and skips, and the trials on record.
Where the digest is the same, the bucket contributes its stored grades and skips; where anything differs, it is planned
as if there were no entry. The file is written last, and it is a cache: without it a session takes longer, no more.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from src.core.end_state import EndState
from src.core.file_digest import files_digest, source_digest
from src.core.hashing import json_digest, text_digest
from src.core.instruments import KEY, Key
from src.storage import atomic, partitions
from src.storage.ledger import WAITING
from src.training import run_files
from src.training.inputs import Inputs
from src.training.planner import Planner
from src.training.run_store import RunStore, shard_name
from src.training.run_tables import CURVE_SCHEMA

log = logging.getLogger(__name__)
_FORMAT = 2


@dataclass(frozen=True)
class SettledBucket:
    """What a bucket contributes that needs nothing.

    Attributes
    ----------
    grades : DataFrame
        Stored grades of the session, without equity curves.
    skipped : list of EndState
        Instruments of which no run is graded although they have features.
    tried_by : list of str
        Other sessions that tried any of its series on overlapping dates.
    """

    grades: pl.DataFrame
    skipped: list[EndState]
    tried_by: list[str]


class SettledBuckets:
    """Entries of one session.

    Parameters
    ----------
    inputs : Inputs
    planner : Planner
        Its settings say whether anything may count as settled: nothing does with ``only`` or ``fresh``.
    store : RunStore
    grade_key : str
        Key of what grades every run: strategy, thresholds, evidence and the code of all.
    trials : DataFrame
        The ledger of trials as the session found it.
    """

    def __init__(self, inputs: Inputs, planner: Planner, store: RunStore, grade_key: str, trials: pl.DataFrame) -> None:
        self._inputs, self._planner, self._store = inputs, planner, store
        settings = planner.settings
        self._path = settings.paths.settled / f"{planner.key[:8]}.json"
        self._until = dt.date.fromisoformat(settings.split.until).year if settings.split.until else None
        self._instruments: dict[int, list[tuple[str, ...]]] = defaultdict(list)
        for row in inputs.instruments.select(*KEY, "state", "reason").iter_rows():
            self._instruments[inputs.bucket(row[:2])].append(row)
        own = self._is_own(trials)
        others = _text(trials.filter(~own))
        self._basis = json_digest([_FORMAT, source_digest(), planner.basis(), grade_key, others])
        self._trials = self._by_bucket(trials.filter(own))
        self._stored = {} if settings.only or settings.fresh else self._read()
        self._models = {path.name for path in (store.root / "models").glob("*")}
        self._settled: dict[int, dict[str, Any]] = {}
        self._planned: dict[int, tuple[str | None, list[str]]] = {}
        self._every_run: str | None = None  # digest of the runs of all buckets

    def of(self, bucket: int) -> SettledBucket | None:
        """Return what a bucket contributes, or None where it has to be planned.

        Parameters
        ----------
        bucket : int
            One of `Inputs.buckets`.
        """
        entry, read = self._stored.get(str(bucket)), self._read_digest(bucket)
        digest = self._digest(bucket, read, self._trials, spread=entry["spread"]) if entry and read else None
        same = entry is not None and digest is not None and entry["digest"] == digest
        if entry is None or not same or not self._has_models(grades := self._grades(bucket)):
            self._planned[bucket] = read, []
            return None
        self._settled[bucket] = entry
        return SettledBucket(grades, [EndState(a, s, "skipped", r) for a, s, r in entry["skipped"]], entry["tried_by"])

    def tried(self, bucket: int, sessions: set[str]) -> None:
        """Note which other sessions tried any series of a bucket that is planned."""
        self._planned[bucket] = self._planned[bucket][0], sorted(sessions - {self._planner.key})

    def write(self, ended: Mapping[Key, EndState], grades: pl.DataFrame, trials: Callable[[], pl.DataFrame]) -> None:
        """Write the entries of all buckets that need nothing now.

        Parameters
        ----------
        ended : mapping
            State of each instrument.
        grades : DataFrame
            All grades of the session.
        trials : callable
            Reads the ledger of trials as the session leaves it.
        """
        entries = {str(bucket): entry for bucket, entry in self._settled.items()}
        if self._planner.settings.only or (entries == self._stored and not self._planned):
            return
        self._every_run = None
        left = trials()
        own = self._by_bucket(left.filter(self._is_own(left)))
        graded = grades.group_by(KEY).agg("record_id")
        record_ids = {(kind, symbol): ids for kind, symbol, ids in graded.iter_rows()}
        for bucket, (read, tried_by) in self._planned.items():
            skipped = self._skipped(bucket, ended, record_ids)
            if skipped is None or read is None or read != self._read_digest(bucket):
                continue
            spread = self._is_spread(bucket)
            digest = self._digest(bucket, read, own, spread=spread)
            entries[str(bucket)] = {"digest": digest, "skipped": skipped, "tried_by": tried_by, "spread": spread}
        if entries != self._stored:
            atomic.write_json({"format": _FORMAT, "buckets": entries}, self._path, durable=False)

    def _skipped(
        self, bucket: int, ended: Mapping[Key, EndState], record_ids: Mapping[Key, list[str]]
    ) -> list[list[str]] | None:
        """Instruments that were skipped, or None where any is to be tried again or its grades are not those stored."""
        skipped: list[list[str]] = []
        wanted: set[str] = set()
        for kind, symbol, state, _ in self._instruments[bucket]:
            end, ids = ended[kind, symbol], record_ids.get((kind, symbol), [])
            if state != "done":
                continue
            if end.state == "skipped" and end.reason != WAITING and not ids:
                skipped.append([kind, symbol, end.reason])
            elif end.state != "done" or end.reason or len(ids) != len(self._planner.models_of(kind)):
                return None
            wanted.update(ids)
        stored = self._grades(bucket)
        return skipped if set(stored["record_id"] if stored.height else ()) == wanted else None

    def _digest(self, bucket: int, read: str, trials: Mapping[int, str], *, spread: bool) -> str | None:
        root = self._store.root
        try:
            runs = files_digest(root.glob(f"b{bucket:03d}-*"), root)
            if spread and self._every_run is None:
                self._every_run = files_digest(root.glob("b*.runs.parquet"), root)
        except OSError:
            return None
        every_run = self._every_run if spread else None
        return json_digest([self._basis, self._instruments[bucket], read, runs, every_run, trials.get(bucket)])

    def _is_spread(self, bucket: int) -> bool:
        """Whether runs of a bucket lie in files of others: they were stored when there were more or fewer buckets."""
        grades = self._grades(bucket)
        held: set[str] = set()
        for path in self._store.root.glob(f"b{bucket:03d}-*.runs.parquet"):
            held.update(run_files.read_columns(path, ["record_id"], None)["record_id"])
        return bool(grades.height) and not held.issuperset(grades["record_id"])

    def _read_digest(self, bucket: int) -> str | None:
        """Hash the files that are read up to ``split.until``; None where any is missing or is being replaced."""
        bars, facts = self._inputs.bars, self._inputs.paths.facts
        years = partitions.paths(bars.root, bucket)
        files = [path for year, path in years.items() if self._until is None or year <= self._until]
        try:
            if not bars.intact(bucket):
                return None
            known = files_digest(facts.glob(f"b{bucket:03d}.*"), facts) if self._inputs.fact_kinds else None
            return json_digest([files_digest(files, bars.root), known])
        except OSError:
            return None

    def _grades(self, bucket: int) -> pl.DataFrame:
        path = self._store.root / f"{shard_name(bucket, self._planner.key)}.grades.parquet"
        if not path.is_file():
            return pl.DataFrame()
        return pl.scan_parquet(path, glob=False).drop(CURVE_SCHEMA).collect()

    def _has_models(self, grades: pl.DataFrame) -> bool:
        """Whether the run store holds each native model as the grades name it, and every pass has one."""
        if not grades.height:
            return True
        models = grades.select("record_id", "passed", "model_sha256").iter_rows()
        return all(
            self._store.model_sha256(record_id) == sha256
            if record_id in self._models
            else sha256 is None and not passed
            for record_id, passed, sha256 in models
        )

    def _is_own(self, trials: pl.DataFrame) -> pl.Series:
        """Whether each trial is the session's own, on an instrument of its universe: those are never counted twice."""
        of_session = pl.lit(trials["session_key"] == self._planner.key)
        here = pl.struct(KEY).is_in(self._inputs.instruments.select(pl.struct(KEY)).to_series().implode())
        return trials.select(of_session & here).to_series()

    def _by_bucket(self, trials: pl.DataFrame) -> dict[int, str]:
        """Hash of the trials on the instruments of each bucket."""
        numbers = [self._inputs.bucket(key) for key in trials.select(KEY).iter_rows()]
        parts = trials.with_columns(_bucket=pl.Series(numbers, dtype=pl.Int64)).partition_by("_bucket", as_dict=True)
        return {int(str(bucket)): _text(part) for (bucket,), part in parts.items()}

    def _read(self) -> dict[str, Any]:
        """Entries by number of the bucket; empty without a file, or with one that is damaged or of another release."""
        try:
            content = atomic.read_json(self._path)
            return dict(content["buckets"]) if content["format"] == _FORMAT else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("%s can't be read: every bucket is planned", self._path)
            return {}


def _text(rows: pl.DataFrame) -> str:
    """Hash of rows as text, in their order."""
    return text_digest(rows.write_csv())
