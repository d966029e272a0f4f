"""What training produced: the one source of truth, of which MLflow's runs are a projection.

A run is one row: identity, settings, and its out-of-sample predictions as lists. Rows lie in one Parquet shard for
each bucket and session (``b007-1a2b3c4d.runs.parquet``), the grades of the session in a shard beside it, native models
under ``models/<record_id>/``. While a bucket is in work, each finished instrument is appended to the bucket's log
(``pending/b007-1a2b3c4d.runs.log``), so that a crash loses at most the work in flight. A finished bucket is compacted
into its shard. Former code wrote a file an instrument instead (``pending/b007-1a2b3c4d/*.runs.parquet``); what it left
is read and compacted too.

A key that is trained again (``fresh=true``) gets a further attempt. The latest attempt stands; earlier ones are
superseded.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from src.models.pooled_file import FILE as POOLED_FILE
from src.models.registry import FAMILIES, family
from src.storage import atomic, partitions
from src.storage.append_log import AppendLog
from src.storage.ledger import Ledger
from src.training import run_log, run_tables
from src.training.run_files import IDENTITY, as_dates, model_hashes, read, read_columns, scan
from src.training.run_tables import CURVE_SCHEMA, IMPORTANCE, OOS_SCHEMA, RUN_SCHEMA

BYTES_A_RUN = 60_000  # predictions of ten years, and a model for a few of the runs
MODEL_FILES = tuple(sorted({POOLED_FILE, *(family(name).FILE for name in FAMILIES)}))


class RunStore:
    """Runs, their predictions, grades and models of one dataset.

    Parameters
    ----------
    root : Path
        ``data/runs/<dataset>``; created by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._skips = Ledger(root, kind="skips")
        self._logs: dict[str, AppendLog] = {}

    # reading ------------------------------------------------------------------------------------------------------

    def runs(
        self,
        columns: Sequence[str] = tuple(RUN_SCHEMA),
        record_ids: Iterable[str] | None = None,
        bucket: int | None = None,
    ) -> pl.DataFrame:
        """Read the rows of runs without their predictions.

        Parameters
        ----------
        columns : sequence of str
            Columns of `RUN_SCHEMA`, `IMPORTANCE` and `OOS_SCHEMA`; the identity of a run is always among them.
        record_ids : iterable of str, optional
            Runs to read; by default all that were ever trained.
        bucket : int, optional
            Bucket in which the asked runs most likely lie; the others are read where it lacks any of them.

        Returns
        -------
        DataFrame
            One row a run, sorted by ``record_id``. ``superseded`` is true where the key has a later attempt.
        """
        columns = list(dict.fromkeys([*IDENTITY, *(name for name in columns if name != "superseded")]))
        selected = None if record_ids is None else pl.Series(list(record_ids), dtype=pl.String)
        rows = self._runs(columns, selected, _prefix(bucket))
        is_short = selected is not None and rows.height < selected.n_unique()
        return self._runs(columns, selected) if is_short and bucket is not None else rows

    def _runs(self, columns: list[str], selected: pl.Series | None, prefix: str = "b") -> pl.DataFrame:
        types = {**RUN_SCHEMA, **IMPORTANCE, **OOS_SCHEMA}
        empty = pl.DataFrame(schema={name: types[name] for name in columns})
        frames = self._read_shards(".runs", lambda path: read_columns(path, columns, selected), prefix)
        runs = pl.concat([empty, *frames], how="diagonal").unique("record_id", keep="first", maintain_order=True)
        latest = pl.col("attempt") < pl.col("attempt").max().over("run_key")
        runs = runs.with_columns(superseded=latest).sort("record_id")
        return runs if selected is None else runs.filter(pl.col("record_id").is_in(selected.implode()))

    def oos(self, record_ids: Iterable[str]) -> pl.DataFrame:
        """Read the out-of-sample rows of runs.

        Parameters
        ----------
        record_ids : iterable of str
            Runs to read.

        Returns
        -------
        DataFrame
            record_id, date, stamp, fold, probability, label, bar_return: one row a prediction.
        """
        lists = list(OOS_SCHEMA)
        rows = self._rows(".runs", record_ids, {"record_id": pl.String, **OOS_SCHEMA})
        return as_dates(rows.explode(lists).rename({name: name.removeprefix("oos_") for name in lists}))

    def predictions(self, bucket: int | None, record_ids: Iterable[str]) -> pl.DataFrame:
        """Read the stored predictions of runs as lists.

        Parameters
        ----------
        bucket : int, optional
            Bucket to look in; None for all of them.
        record_ids : iterable of str
            Runs to read.

        Returns
        -------
        DataFrame
            record_id and the columns of `OOS_SCHEMA`: one row a run.
        """
        return self._rows(".runs", record_ids, {"record_id": pl.String, **OOS_SCHEMA}, _prefix(bucket))

    def grades(self, session_key: str, bucket: int | None = None) -> pl.DataFrame:
        """Read the grades that a session gave.

        Parameters
        ----------
        session_key : str
            Key of the session.
        bucket : int, optional
            Bucket to read; None for all of them.

        Returns
        -------
        DataFrame
            One row a run, columns of `GRADE_SCHEMA`; no column where the session gave none.
        """
        prefix = "b*" if bucket is None else f"b{bucket:03d}"
        frames = [read(path) for path in sorted(self.root.glob(f"{prefix}-{session_key[:8]}.grades.parquet"))]
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()

    def skips(self, session_key: str) -> dict[str, str]:
        """Read the run keys for which a session found nothing to train.

        The key holds the bars, label and split that decide it, so the skip stands as long as the key does.

        Parameters
        ----------
        session_key : str
            Key of the session.

        Returns
        -------
        dict
            Run key to reason.
        """
        reasons: dict[str, str] = {}
        for shard in self._skips.names(f"b*-{session_key[:8]}"):
            reasons |= self._skips.fact(shard, "reasons") or {}
        return reasons

    def equity(self, record_ids: Iterable[str], session_key: str, bucket: int | None = None) -> pl.DataFrame:
        """Read the equity curves of a session's passing runs.

        Runs that did not pass have no rows: their equity follows from the predictions and `src.evaluation.assessment`.

        Parameters
        ----------
        record_ids : iterable of str
            Runs to read.
        session_key : str
            Key of the session.
        bucket : int, optional
            Bucket to look in; None for all of them.

        Returns
        -------
        DataFrame
            record_id, stamp, net (return), equity, always_long (equity of always holding): one row a day.
        """
        lists = list(CURVE_SCHEMA)
        schema = {"record_id": pl.String, **CURVE_SCHEMA}
        rows = self._rows(f"{session_key[:8]}.grades", record_ids, schema, _prefix(bucket))
        return as_dates(rows.filter(pl.col("stamp").is_not_null()).explode(lists))

    def model_path(self, record_id: str) -> Path | None:
        """Return the native model file of a run, or None where none is stored."""
        paths = (self.root / "models" / record_id / name for name in MODEL_FILES)
        return next((path for path in paths if path.is_file()), None)

    def model_sha256(self, record_id: str) -> str | None:
        """SHA-256 of the native model file of a run as it is now, or None where none is stored."""
        path = self.model_path(record_id)
        return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()

    def recorded_models(self, bucket: int | None = None) -> dict[str, set[str]]:
        """SHA-256 of each native model as the grades of a bucket, or of all, name it; several where sessions differ."""
        return model_hashes(sorted(self.root.glob(f"{_prefix(bucket)}*.grades.parquet")))

    def buckets(self) -> list[int]:
        """Return the numbers of the buckets that have runs."""
        paths = [*self.root.glob("b*-*.runs.parquet"), *self.root.glob("pending/b*")]
        return sorted({int(path.name.partition("-")[0][1:]) for path in paths})

    def graded_sessions(self) -> set[str]:
        """Return the first eight digits of the keys of the sessions whose grades are stored."""
        return {path.name.partition("-")[2][:8] for path in self.root.glob("b*-*.grades.parquet")}

    def graded_at(self, session_key: str) -> dt.datetime:
        """Return when a session first graded a bucket, by its files; now if it has none."""
        files = self.root.glob(f"b*-{session_key[:8]}.grades.parquet")
        now = dt.datetime.now(dt.UTC)
        return min([dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) for path in files], default=now)

    # writing ------------------------------------------------------------------------------------------------------

    def add(self, shard: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store the finished runs of one instrument, durable on return.

        Parameters
        ----------
        shard : str
            Name of the shard that they are merged into later, see `shard_name`.
        rows : sequence of mapping
            What `src.training.run_tables.run_table` takes.
        """
        if shard not in self._logs:
            self._logs[shard] = AppendLog(self._log(shard))
        self._logs[shard].append(run_log.encoded(rows))

    def compact_all(self) -> None:
        """Merge what an interrupted session left pending."""
        pending = (self.root / "pending").glob("b*")
        for shard in sorted({path.name.partition(".")[0] for path in pending}):
            self.compact(shard)

    def compact(self, shard: str) -> None:
        """Merge the pending runs of a bucket into its shard; safe to repeat after a crash at any point.

        Parameters
        ----------
        shard : str
            Name of the shard, see `shard_name`.
        """
        log = self._logs.pop(shard, None) or AppendLog(self._log(shard))
        log.cut()
        folder = self.root / "pending" / shard
        files = [*sorted(folder.glob("*.runs.parquet")), *([log.path] if log.path.exists() else [])]
        pending = [rows for path in files if (rows := read(path)).height]
        if pending:
            target = self.root / f"{shard}.runs.parquet"
            stored = [read(target)] if target.exists() else []
            rows = pl.concat([*stored, *pending], how="diagonal").unique("record_id", keep="first")
            atomic.write_parquet(rows.sort("asset_class", "symbol", "family", "attempt"), target)
        for path in files:
            atomic.remove(path)
        with contextlib.suppress(OSError):  # a folder that is not empty holds what the next call merges
            folder.rmdir()

    def _log(self, shard: str) -> Path:
        return self.root / "pending" / f"{shard}.runs.log"

    def write_grades(self, shard: str, rows: pl.DataFrame) -> None:
        """Replace the grades that a session gave to the runs of one bucket.

        Parameters
        ----------
        shard : str
            Name of the shard, see `shard_name`.
        rows : DataFrame
            What `src.training.run_tables.grade_table` makes.
        """
        path = self.root / f"{shard}.grades.parquet"
        rows = rows.sort("asset_class", "symbol", "family")
        if partitions.same(path, rows):
            return
        atomic.write_parquet(rows, path)

    def write_skips(self, shard: str, session_key: str, reasons: dict[str, str]) -> None:
        """Replace the skips of one bucket.

        Parameters
        ----------
        shard : str
            Name of the shard, see `shard_name`.
        session_key : str
            Key of the session.
        reasons : dict
            Run key to reason.
        """
        if reasons or self._skips.read(shard):
            self._skips.record(shard, session_key, durable=False, reasons=reasons)

    def write_model(self, record_id: str, name: str, content: bytes) -> None:
        """Store the native model file of a run.

        Parameters
        ----------
        record_id : str
            Key and attempt of the run.
        name : str
            One of `MODEL_FILES`.
        content : bytes
            The file's content.
        """

        def put(path: Path) -> None:
            path.write_bytes(content)

        atomic.write_atomic(self.root / "models" / record_id / name, put)

    def _read_shards(self, kind: str, read: Callable[[Path], pl.DataFrame], prefix: str = "b") -> list[pl.DataFrame]:
        """Read every file of a kind; pending ones first, as they may be merged into their shard meanwhile."""

        def checked(path: Path) -> pl.DataFrame:
            with atomic.read_errors(path, run_tables.remedy()):
                return read(path)

        logs = self.root.glob(f"pending/{prefix}*{kind}.log")
        pending = []
        for path in sorted([*self.root.glob(f"pending/{prefix}*/*{kind}.parquet"), *logs]):
            with contextlib.suppress(FileNotFoundError):  # merged: its rows are in the shard, which is read below
                pending.append(checked(path))
        return [*(checked(path) for path in sorted(self.root.glob(f"{prefix}*{kind}.parquet"))), *pending]

    def _rows(self, kind: str, record_ids: Iterable[str], schema: dict[str, Any], prefix: str = "b") -> pl.DataFrame:
        """Some columns of the asked runs, in the files of a kind whose names begin so."""
        asked = list(record_ids)
        wanted = pl.col("record_id").is_in(asked)

        def found(path: Path) -> pl.DataFrame:
            return scan(path).select(list(schema)).filter(wanted).collect()

        frames = self._read_shards(kind, found, prefix) if asked else []
        rows = pl.concat([pl.DataFrame(schema=schema), *frames], how="vertical_relaxed")
        return rows.unique("record_id", keep="first", maintain_order=True)


def shard_name(bucket: int, session_key: str) -> str:
    """Return the name of the shard of one bucket in one session, such as ``b007-1a2b3c4d``."""
    return f"b{bucket:03d}-{session_key[:8]}"


def _prefix(bucket: int | None) -> str:
    return "b" if bucket is None else f"b{bucket:03d}-"
