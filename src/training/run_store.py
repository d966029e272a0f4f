"""What training produced: the one source of truth, of which MLflow's runs are a projection.

A run is one row: identity, settings, and its out-of-sample predictions as lists. Rows live in one Parquet shard for
each bucket and session (``b007-1a2b3c4d.runs.parquet``), the grades that a session gave in a shard beside it, native
models under ``models/<record_id>/``. While a bucket is in work, each finished instrument is a file of its own under
``pending/``, so that a crash loses at most the work in flight; a finished bucket is compacted.

A key that is trained again (``fresh=true``) gets a further attempt; the latest attempt stands, earlier ones are
superseded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from src.evaluation.assessment import SCHEMA as ASSESSED
from src.models.registry import FAMILIES, family
from src.storage import atomic, partitions

RUN_SCHEMA: dict[str, Any] = {
    "record_id": pl.String,
    "run_key": pl.String,
    "attempt": pl.Int32,
    "session_key": pl.String,
    "strategy_key": pl.String,
    "asset_class": pl.String,
    "symbol": pl.String,
    "family": pl.String,
    "params": pl.String,
    "features": pl.String,
    "parts": pl.String,
    "library_version": pl.String,
    "git_commit": pl.String,
    "n_train": pl.Int64,
    "n_folds": pl.Int32,
    "fit_seconds": pl.Float64,
    "created_at": pl.Datetime("us", "UTC"),
    "planted": pl.Boolean,
    "tuning_trials": pl.Int64,  # among which its settings were chosen, as known when it was trained
}
OOS_SCHEMA: dict[str, Any] = {
    "oos_date": pl.List(pl.Datetime("us")),
    "oos_stamp": pl.List(pl.Datetime("us")),
    "oos_fold": pl.List(pl.Int32),
    "oos_probability": pl.List(pl.Float64),
    "oos_label": pl.List(pl.Float64),
    "oos_bar_return": pl.List(pl.Float64),
}
IMPORTANCE: dict[str, Any] = {"importance": pl.List(pl.Float32)}
"""Mean over the folds' models of each feature's share of the gain, in the order of the run's `features`."""
CURVE_SCHEMA: dict[str, Any] = {
    "stamp": pl.List(pl.Datetime("us")),
    "net": pl.List(pl.Float64),
    "equity": pl.List(pl.Float64),
    "always_long": pl.List(pl.Float64),
}
GRADE_SCHEMA: dict[str, Any] = {
    **{name: pl.String for name in ("record_id", "run_key", "session_key", "strategy_key", "grade_key", "graded_by")},
    "asset_class": pl.String,
    "symbol": pl.String,
    "family": pl.String,
    "planted": pl.Boolean,
    "fit_seconds": pl.Float64,
    "tuning_trials": pl.Int64,  # the most that any session which used the run knew of
    **ASSESSED,
    **CURVE_SCHEMA,
}
_IDENTITY = ("record_id", "run_key", "attempt")
_REMEDY = "move it away and run `python -m src.train` again, which makes anew what is missing"
MODEL_FILES = tuple(sorted({family(name).FILE for name in FAMILIES}))


class RunStore:
    """Runs, their predictions, grades and models of one dataset, under ``data/runs/<dataset>/``.

    Parameters
    ----------
    root : Path
        The folder; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    # reading ------------------------------------------------------------------------------------------------------

    def runs(self, columns: Sequence[str] = tuple(RUN_SCHEMA), record_ids: Iterable[str] | None = None) -> pl.DataFrame:
        """Runs ever trained, all or those asked for; `superseded` is true where a later attempt of a key exists."""
        wanted = list(dict.fromkeys([*_IDENTITY, *(c for c in columns if c != "superseded")]))
        asked = None if record_ids is None else pl.Series(list(record_ids), dtype=pl.String)
        types = {**RUN_SCHEMA, **IMPORTANCE, **OOS_SCHEMA}
        empty = pl.DataFrame(schema={name: types[name] for name in wanted})
        frames = self._frames(".runs", lambda path: _known(path, wanted, asked))
        runs = pl.concat([empty, *frames], how="diagonal").unique("record_id", keep="first", maintain_order=True)
        latest = pl.col("attempt") < pl.col("attempt").max().over("run_key")
        runs = runs.with_columns(superseded=latest).sort("record_id")
        return runs if asked is None else runs.filter(pl.col("record_id").is_in(asked.implode()))

    def oos(self, record_ids: Iterable[str]) -> pl.DataFrame:
        """Out-of-sample rows of the runs: record_id, date, stamp, fold, probability, label, bar_return."""
        lists = list(OOS_SCHEMA)
        rows = self._rows(".runs", record_ids, {"record_id": pl.String, **OOS_SCHEMA})
        return _days(rows.explode(lists).rename({name: name.removeprefix("oos_") for name in lists}))

    def predictions(self, bucket: int | None, record_ids: Iterable[str]) -> pl.DataFrame:
        """Stored predictions of runs of one bucket, or of any, as lists: a row a run, record_id and OOS_SCHEMA."""
        wanted = list(record_ids)
        if not wanted:
            return pl.DataFrame(schema={"record_id": pl.String, **OOS_SCHEMA})
        which = "b" if bucket is None else f"b{bucket:03d}-"
        return self._rows(".runs", wanted, {"record_id": pl.String, **OOS_SCHEMA}, which)

    def grades(self, session_key: str, bucket: int | None = None) -> pl.DataFrame:
        """Grades that a session gave, of one bucket or all: a row a run, `grade_key` and `n_trials` telling how."""
        which = "b*" if bucket is None else f"b{bucket:03d}"
        frames = [_table(path) for path in sorted(self.root.glob(f"{which}-{session_key[:8]}.grades.parquet"))]
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()

    def skips(self, session_key: str) -> dict[str, str]:
        """Why a session found nothing to train under a run key; the key holds the bars, label and split that say so."""
        found: dict[str, str] = {}
        for path in self.root.glob(f"b*-{session_key[:8]}.skips.json"):
            found |= atomic.read_json(path)
        return found

    def equity(self, record_ids: Iterable[str], session_key: str) -> pl.DataFrame:
        """Net return and net equity of a session's passing runs: record_id, stamp, net, equity, always_long (equity).

        Runs that did not pass have no rows: their equity follows from the predictions and `src.evaluation.assessment`.
        """
        lists = list(CURVE_SCHEMA)
        schema = {"record_id": pl.String, **CURVE_SCHEMA}
        rows = self._rows(f"{session_key[:8]}.grades", record_ids, schema)
        return _days(rows.filter(pl.col("stamp").is_not_null()).explode(lists))

    def model_path(self, record_id: str) -> Path | None:
        """Native model file of a run, or null where none was kept."""
        found = (self.root / "models" / record_id / name for name in MODEL_FILES)
        return next((path for path in found if path.is_file()), None)

    def trials(self) -> pl.DataFrame:
        """Number of distinct run keys ever graded on each instrument: asset_class, symbol, n_trials."""
        runs = self.runs(("run_key", "asset_class", "symbol"))
        return runs.group_by("asset_class", "symbol").agg(pl.col("run_key").n_unique().alias("n_trials"))

    # writing ------------------------------------------------------------------------------------------------------

    def add(self, shard: str, rows: pl.DataFrame) -> None:
        """Keep the finished runs of one instrument, durable on return."""
        atomic.write_parquet(rows, self.root / "pending" / shard / f"{rows['record_id'][0]}.runs.parquet")

    def compact_all(self) -> None:
        """Merge what an interrupted session left pending."""
        for folder in sorted((self.root / "pending").glob("b*")):
            self.compact(folder.name)

    def compact(self, shard: str) -> None:
        """Merge the pending files of a bucket into its shard; safe to repeat after a crash at any point."""
        pending = sorted((self.root / "pending" / shard).glob("*.runs.parquet"))
        if not pending:
            return
        target = self.root / f"{shard}.runs.parquet"
        known = [target] if target.exists() else []
        rows = pl.concat([_table(path) for path in [*known, *pending]], how="diagonal")
        rows = rows.unique("record_id", keep="first").sort("asset_class", "symbol", "family", "attempt")
        atomic.write_parquet(rows, target)
        for path in pending:
            path.unlink()
        with contextlib.suppress(OSError):  # a folder that is not empty holds what the next call merges
            target_folder = self.root / "pending" / shard
            target_folder.rmdir()

    def write_grades(self, shard: str, rows: pl.DataFrame) -> None:
        """Replace the grades that a session gave to the runs of one bucket."""
        path = self.root / f"{shard}.grades.parquet"
        rows = rows.sort("asset_class", "symbol", "family")
        if partitions.same(path, rows):
            return
        atomic.write_parquet(rows, path)

    def write_skips(self, shard: str, reasons: dict[str, str]) -> None:
        """Replace what a session remembers of one bucket's run keys under which there is nothing to train."""
        path = self.root / f"{shard}.skips.json"
        if reasons or path.exists():
            atomic.write_json(reasons, path, durable=False)

    def write_model(self, record_id: str, name: str, content: bytes) -> None:
        """Keep a run's native model file."""

        def put(path: Path) -> None:
            path.write_bytes(content)

        atomic.write_atomic(self.root / "models" / record_id / name, put)

    def _frames(self, kind: str, reads: Callable[[Path], pl.DataFrame], which: str = "b") -> list[pl.DataFrame]:
        """Read every file of a kind; what is pending comes first, since it may be merged meanwhile into its shard."""

        def read(path: Path) -> pl.DataFrame:
            with atomic.read_errors(path, _REMEDY):
                return reads(path)

        pending = []
        for path in sorted(self.root.glob(f"pending/{which}*/*{kind}.parquet")):
            with contextlib.suppress(FileNotFoundError):  # merged: its rows are in the shard, which is read below
                pending.append(read(path))
        return [*(read(path) for path in sorted(self.root.glob(f"{which}*{kind}.parquet"))), *pending]

    def _rows(self, kind: str, record_ids: Iterable[str], schema: dict[str, Any], which: str = "b") -> pl.DataFrame:
        wanted = pl.col("record_id").is_in(list(record_ids))
        found = self._frames(
            kind, lambda path: pl.scan_parquet(path).select(list(schema)).filter(wanted).collect(), which
        )
        rows = pl.concat([pl.DataFrame(schema=schema), *found], how="vertical_relaxed")
        return rows.unique("record_id", keep="first", maintain_order=True)


def _table(path: Path) -> pl.DataFrame:
    with atomic.read_errors(path, _REMEDY):
        return pl.read_parquet(path)


def _known(path: Path, wanted: Sequence[str], asked: pl.Series | None) -> pl.DataFrame:
    """Those of the wanted columns that a file has: it may be older than some; its keys alone if no run is asked for."""
    if asked is not None:
        keys = pl.read_parquet(path, columns=list(_IDENTITY))
        if not keys["record_id"].is_in(asked.implode()).any():
            return keys
    return pl.scan_parquet(path).select(pl.col(f"^({'|'.join(wanted)})$")).collect()


def grade_rows(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Grades as a table; a figure that is undefined is null, never NaN."""
    columns = [pl.Series(name, [row.get(name) for row in rows], dtype=dtype) for name, dtype in GRADE_SCHEMA.items()]
    return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))


def shard(bucket: int, session_key: str) -> str:
    """Name of the shard of one bucket in one session."""
    return f"b{bucket:03d}-{session_key[:8]}"


def _days(rows: pl.DataFrame) -> pl.DataFrame:
    """Show times of day only where there are any."""
    times = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)]
    daily = [name for name in times if (rows[name] == rows[name].dt.truncate("1d")).all()]
    return rows.with_columns(pl.col(daily).cast(pl.Date))
