"""One resolved training configuration's set of runs: hands out the work, keeps what comes back, accounts for all.

Tasks are made bucket by bucket; each finished instrument is kept at once, and a finished bucket is compacted, its
grades are written and whoever listens (MLflow) is told. Interrupted anywhere, the same configuration goes on.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from src import bars as bars_table
from src import files, identity, labels
from src.bars import BarStore
from src.config import Config, ModelConfig
from src.engine import Failure, Outcome
from src.features.registry import FeatureStore
from src.planning import Key, Planner
from src.procedure import Plan, Task, Trained, run_rows
from src.runs import RunStore, grade_rows, shard

log = logging.getLogger(__name__)
STATES = {
    "asset_class": pl.String,
    "symbol": pl.String,
    "state": pl.String,
    "reason": pl.String,
    "rows": pl.Int64,
    "first": pl.Date,
    "last": pl.Date,
}


class Session:
    """Runs of one configuration over one dataset.

    Parameters
    ----------
    config : Config
        The resolved configuration.
    models : list of ModelConfig
        The families to train, each with its settings.
    closed : callable
        Called with the grades of a finished bucket, after its runs and grades are stored.
    """

    def __init__(self, config: Config, models: list[ModelConfig], closed: Callable[[pl.DataFrame], None]) -> None:
        data = Path(config.data.root)
        self.config = config
        self.bars = BarStore(data / "bars" / config.dataset)
        self.features = FeatureStore(data / "features" / config.dataset)
        self.store = RunStore(data / "runs" / config.dataset)
        self.store.compact_all()
        self._until = dt.date.fromisoformat(config.split.until) if config.split.until else None
        hashes, panel = self.features.identity(config)
        self.names = list(hashes)
        self._panel_returns = self._read_panel() if config.label.relative else None
        if self._panel_returns is not None:
            panel = identity.digest([panel, identity.table_digest(self._panel_returns)])
        procedure = identity.Procedure.of(config, hashes, panel)
        self.planner = Planner(config, models, procedure, self.store)
        self.key = self.planner.key
        self.grade_key = identity.grade_key(config)
        self.trained = 0
        self.fit_seconds = 0.0
        self._planted = set(map(tuple, self.bars.manifest.planted))
        self._closed = closed
        self._states: dict[Key, dict[str, Any]] = {}
        self._open: dict[int, int] = {}
        self._grades: dict[int, list[dict[str, Any]]] = defaultdict(list)

    # work out -----------------------------------------------------------------------------------------------------

    def total(self) -> int:
        """Number of instruments of the universe."""
        return self._instruments().height

    def tasks(self) -> Iterator[Task]:
        """Yield what is to be done, one bucket in memory at a time."""
        for row in self._instruments().iter_rows(named=True):
            if row["state"] != "done":
                self._end((row["asset_class"], row["symbol"]), "skipped", f"{row['state']} before: {row['reason']}")
        for bucket in self.bars.buckets():
            self._open[bucket] = 1
            for task in self._bucket_tasks(bucket):
                self._open[bucket] += 1
                yield task
            self._close_one(bucket)

    def _instruments(self) -> pl.DataFrame:
        return pl.read_parquet(self._state_path("featurize"))

    def _cut(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keep the rows that training may use."""
        return rows if self._until is None else rows.filter(pl.col("date").cast(pl.Date) <= self._until)

    def _read_panel(self) -> pl.DataFrame:
        """Read the pinned panel's returns over the label's horizon."""
        members = self.bars.panel()
        parts = [self._cut(self.bars.read_bucket(bucket, symbols=members)) for bucket in self.bars.buckets()]
        return labels.panel_returns(pl.concat(parts), self.config.label)

    def _bucket_tasks(self, bucket: int) -> Iterator[Task]:
        bars = self._cut(self.bars.read_bucket(bucket))
        features = self._cut(self.features.read_bucket(bucket, self.names))
        matrix = features.select(self.names).to_numpy()
        keys = ["asset_class", "symbol"]
        starts = bars.with_row_index("row").group_by(keys, maintain_order=True).agg(pl.col("row").first(), pl.len())
        work = []
        for asset_class, symbol, start, length in starts.iter_rows():
            key = (asset_class, symbol)
            if key in self._states:
                continue
            frame = bars.slice(start, length)
            plans = self.planner.plans(key, bars_table.content_hash(frame, None), key in self._planted)
            n_trials = self.planner.n_trials(key, plans)
            wanted = [plan for plan in plans if not self._reuse(bucket, key, plan, n_trials)]
            if wanted:
                work.append((key, frame, matrix[start : start + length], wanted, n_trials))
        stored = self.planner.with_stored(bucket, [plan for *_, wanted, _ in work for plan in wanted])
        by_id = {plan.record_id: plan for plan in stored}
        for key, frame, rows, wanted, n_trials in work:
            yield self._task(key, bucket, frame, rows, [by_id[plan.record_id] for plan in wanted], n_trials)

    def _reuse(self, bucket: int, key: Key, plan: Plan, n_trials: int) -> bool:
        """Take a run's grade as it stands, or leave the run out where the command is narrowed to other symbols."""
        row = self.planner.is_done(plan, n_trials)
        if row is not None:
            self._grades[bucket].append(row)
            self._end_graded(key, row)
            return True
        only = self.config.only
        if only and key[1] not in only and ":".join(key) not in only:
            if key not in self._states:
                self._end(key, "skipped", f"left out by only={only}")
            return True
        return False

    def _task(self, key: Key, bucket: int, bars: pl.DataFrame, features: Any, plans: list[Plan], n_trials: int) -> Task:
        config = self.config
        return Task(
            *key, bucket, bars, features, self.names, plans, n_trials, config.seed,
            config.label, config.split, config.strategy, config.grade, self._panel_returns,
        )  # fmt: skip

    # results in ---------------------------------------------------------------------------------------------------

    def take(self, outcome: Outcome[Task, Trained]) -> None:
        """Keep what came of a task, durable on return."""
        task, result = outcome.item, outcome.result
        key = (task.asset_class, task.symbol)
        if isinstance(result, Failure):
            log.error("%s.%s failed: %s\n%s", *key, result.reason, result.traceback)
            self._end(key, "failed", result.reason)
        elif result.skipped is not None:
            self._end(key, "skipped", result.skipped)
        else:
            self._keep(task, result)
        self._close_one(task.bucket)

    def _keep(self, task: Task, result: Trained) -> None:
        for record_id, (name, content) in result.models.items():
            self.store.write_model(record_id, name, content)
        if result.runs:
            self.store.add(shard(task.bucket, self.key), run_rows(result.runs))
        plans = {plan.record_id: plan for plan in task.plans}
        fitted = {run["record_id"]: run["fit_seconds"] for run in result.runs}
        key = (task.asset_class, task.symbol)
        for row in result.grades:
            plan, seconds = plans[row["record_id"]], fitted.get(row["record_id"])
            named = {"asset_class": task.asset_class, "symbol": task.symbol, "family": plan.model.family}
            made = {name: plan.identity.get(name) for name in ("run_key", "session_key", "fit_seconds")}
            how = {"grade_key": self.grade_key, "n_trials": task.n_trials, "planted": key in self._planted}
            made["fit_seconds"] = made["fit_seconds"] if seconds is None else seconds
            self._grades[task.bucket].append({**named, **made, **row, **how})
            self._end_graded(key, row)
            log.info("%s.%s %s: %s", *key, plan.model.family, _summary(row, seconds))
        self.trained += len(result.runs)
        self.fit_seconds += result.fit_seconds

    def _close_one(self, bucket: int) -> None:
        """Count one part of a bucket as finished, and close the bucket with the last."""
        self._open[bucket] -= 1
        if self._open[bucket]:
            return
        self.store.compact(shard(bucket, self.key))
        if rows := self._grades.pop(bucket, None):
            self.store.write_grades(shard(bucket, self.key), grade_rows(rows))
            self._closed(grade_rows(rows))

    # accounts -----------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Write the states of all instruments; a fresh start that was asked for is done."""
        states = pl.DataFrame(list(self._states.values()), schema=STATES, orient="row")
        files.write_parquet(states.sort("asset_class", "symbol"), self._state_path("train"))
        self.planner.finish()

    @property
    def ended(self) -> int:
        """Number of instruments that have their state."""
        return len(self._states)

    def count(self, state: str) -> int:
        """Number of instruments that ended in a state."""
        return sum(row["state"] == state for row in self._states.values())

    def _end_graded(self, key: Key, row: dict[str, Any]) -> None:
        self._end(key, "done", "", row["n_oos"], row["first_oos"], row["last_oos"])

    def _end(self, key: Key, state: str, reason: str, rows: int = 0, first: Any = None, last: Any = None) -> None:
        fields = (*key, state, reason, rows, first, last)
        self._states[key] = dict(zip(STATES, fields, strict=True))

    def _state_path(self, stage: str) -> Path:
        return Path(self.config.data.root) / "states" / self.config.dataset / f"{stage}.parquet"


def _summary(row: dict[str, Any], seconds: float | None) -> str:
    figures = {name: row[name] for name in ("auc", "accuracy", "sharpe", "max_drawdown", "luck_rate")}
    shown = ", ".join(f"{name} {'undefined' if value is None else f'{value:.3f}'}" for name, value in figures.items())
    verdict = "passed" if row["passed"] else "failed"
    return f"{verdict}; {shown}; " + ("graded again" if seconds is None else f"fitted in {seconds:.2f} s")
