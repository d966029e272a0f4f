"""One resolved training configuration's set of runs: hands out the work, keeps what comes back, accounts for all.

Tasks are made bucket by bucket; each finished instrument is kept at once, and a finished bucket is compacted, its
grades are written and whoever listens (MLflow) is told. Interrupted anywhere, the same configuration goes on.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from src import bars as bars_table
from src import files, identity, labels
from src.bars import BarStore
from src.config import Config, ModelConfig
from src.engine import Failure, Outcome
from src.errors import StageError
from src.features.choice import select
from src.features.registry import reach
from src.features.store import FeatureStore
from src.ledger import WAITING
from src.masking import masked
from src.models import Matrix
from src.passes import SessionEvidence, session_evidence
from src.planning import Key, Planner, require_known
from src.procedure import Plan, Task, Trained, run_rows
from src.runs import CURVE_SCHEMA, RunStore, grade_rows, shard

log = logging.getLogger(__name__)
BYTES_A_RUN = 60_000
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
    """

    def __init__(self, config: Config, models: list[ModelConfig]) -> None:
        data = Path(config.data.root)
        self.config = config
        self.bars = BarStore(data / "bars" / config.dataset)
        self.features = FeatureStore(data / "features" / config.dataset)
        self.store = RunStore(data / "runs" / config.dataset)
        self.store.compact_all()
        self._until = dt.date.fromisoformat(config.split.until) if config.split.until else None
        chosen = select(config.features, config.universe.interval)
        self.names = [item.name for item in chosen]
        self._panel_returns = self._read_panel() if config.label.relative else None
        self._hashes, _ = self.features.identity(config)
        self._looks_at_panel = any(item.needs_panel for item in chosen)
        self._looks_at_splits = any("split" in reach(item) for item in chosen)
        procedure = identity.Procedure.of(config, self._hashes, self._panel_hashes())
        self.planner = Planner(config, models, procedure, self.store)
        self.key = self.planner.key
        self.grade_key = identity.grade_key(config)
        self.strategy_key = identity.strategy_key(config)
        self.trained = 0
        self.worked = 0
        self._verdicts: dict[str, Counter[str]] = defaultdict(Counter)
        self.fit_seconds = 0.0
        self._planted = set(map(tuple, self.bars.manifest.planted))
        self._closed: list[pl.DataFrame] = []
        self._models = models
        self._states: dict[Key, dict[str, Any]] = {}
        self._open: dict[int, int] = {}
        self._all: list[pl.DataFrame] = []
        require_known(config, self._instruments)
        self._grades: dict[int, list[dict[str, Any]]] = defaultdict(list)

    # work out -----------------------------------------------------------------------------------------------------

    def total(self) -> int:
        """Number of instruments of the universe."""
        return self._instruments.height

    def tasks(self) -> Iterator[Task]:
        """Yield what is to be done, one bucket in memory at a time."""
        for row in self._instruments.iter_rows(named=True):
            if row["state"] != "done":
                self._end((row["asset_class"], row["symbol"]), "skipped", _earlier(row["state"], row["reason"]))
        for bucket in self.features.buckets():
            self._open[bucket] = 1
            for task in self._bucket_tasks(bucket):
                self._open[bucket] += 1
                yield task
            self._close_one(bucket)

    @cached_property
    def _instruments(self) -> pl.DataFrame:
        """State of every instrument before training; what featurize has not come to waits for it."""
        keys, ready = ["asset_class", "symbol"], self.features.buckets()
        states = pl.read_parquet(self._state_path("featurize")).select(*keys, "state", "reason")
        hydrated = [self.bars.ledger.states(b).select(keys) for b in self.bars.buckets() if b not in ready]
        waiting = pl.concat([states.select(keys).clear(), *hydrated])
        waiting = waiting.with_columns(state=pl.lit("skipped"), reason=pl.lit(WAITING))
        left = states.join(waiting, on=keys, how="anti")
        kept = states.join(waiting, on=keys, how="semi").filter(pl.col("state") != "done")
        return pl.concat([left, kept, waiting.join(kept, on=keys, how="anti")]).sort(keys)

    def _cut(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keep the rows that training may use."""
        return rows if self._until is None else rows.filter(pl.col("date").cast(pl.Date) <= self._until)

    def _panel_hashes(self) -> dict[str, str]:
        """Hash what the features and the label know of each class's market."""
        tables = []
        panel = self.features.panel()
        if panel is not None and self._looks_at_panel:
            tables.append(self._cut(panel))
        if self._panel_returns is not None:
            tables.append(self._panel_returns)
        found: dict[str, list[str]] = defaultdict(list)
        for table in tables:
            for (asset_class,), rows in table.group_by("asset_class"):
                found[str(asset_class)].append(identity.table_digest(rows.sort("date")))
        return {asset_class: identity.digest(parts) for asset_class, parts in found.items()}

    def _read_panel(self) -> pl.DataFrame:
        """Read the pinned panel's returns over the label's horizon."""
        members = self.bars.panel()
        parts = [self._cut(self.bars.read_bucket(bucket, symbols=members)) for bucket in self.bars.buckets()]
        return labels.panel_returns(pl.concat(parts), self.config.label)

    def _bucket_tasks(self, bucket: int) -> Iterator[Task]:
        bars, matrix = self._read(bucket)
        keys = ["asset_class", "symbol"]
        starts = bars.with_row_index("row").group_by(keys, maintain_order=True).agg(pl.col("row").first(), pl.len())
        work = []
        for asset_class, symbol, start, length in starts.iter_rows():
            key = (asset_class, symbol)
            if key in self._states:
                continue
            frame = bars.slice(start, length)
            again = self._is_wanted(key)
            plans = self.planner.plans(key, self._bars_hash(frame), key in self._planted, again=again)
            n_trials = self.planner.n_trials(key, plans)
            graded = self._grade_key(frame)
            wanted = [plan for plan in plans if not self._reuse(bucket, key, plan, n_trials, graded)]
            if wanted:
                work.append((key, frame, matrix[start : start + length], wanted, n_trials))
        stored = self.planner.with_stored(bucket, [plan for *_, wanted, _ in work for plan in wanted])
        by_id = {plan.record_id: plan for plan in stored}
        for key, frame, rows, wanted, n_trials in work:
            yield self._task(key, bucket, frame, rows, [by_id[plan.record_id] for plan in wanted], n_trials)

    def _read(self, bucket: int) -> tuple[pl.DataFrame, Matrix]:
        """Bars and features of a bucket, row by row the same.

        Raises
        ------
        StageError
            Another command is changing them.
        """
        digest = self.bars.digest(bucket)
        self.features.require_current(bucket, digest, self._hashes, self._looks_at_panel)
        bars = self._cut(self.bars.read_bucket(bucket))
        if bars.is_empty():
            return bars, np.empty((0, len(self.names)), dtype=np.float32)
        features = self._cut(self.features.read_bucket(bucket, self.names))
        key = ["asset_class", "symbol", "date"]
        if self.bars.digest(bucket) != digest or not bars.select(key).equals(features.select(key)):
            raise StageError(
                f"bars or features of {self.config.dataset} changed while training read them: let hydrate and "
                "featurize end, then run the same command"
            )
        return bars, features.select(self.names).to_numpy()

    def _bars_hash(self, bars: pl.DataFrame) -> str:
        """Hash of what a fit takes from the bars: the split history counts where a feature looks at it."""
        found = bars_table.content_hash(bars, None)
        return identity.digest([found, identity.table_digest(bars.select("split"))]) if self._looks_at_splits else found

    def _is_wanted(self, key: Key) -> bool:
        """Whether the command is for this instrument: it may be narrowed to others."""
        only = self.config.only
        return not only or key[1] in only or ":".join(key) in only

    def _grade_key(self, bars: pl.DataFrame) -> str:
        """Key of what grades an instrument's runs: costs look at the split history, doubts at the marks of repairs."""
        return identity.digest([self.grade_key, identity.table_digest(bars.select("split", "repaired"))])

    def _reuse(self, bucket: int, key: Key, plan: Plan, n_trials: int, grade_key: str) -> bool:
        """Take a run's grade as it stands, or leave the run out where the command is narrowed to other symbols."""
        row = self.planner.is_done(plan, n_trials, grade_key)
        if row is not None:
            self._grades[bucket].append(row)
            self._verdicts[row["family"]].update(runs=1, passed=int(row["passed"]))
            self._end_graded(key, row)
            return True
        if self._is_wanted(key):
            return False
        if key not in self._states:
            self._end(key, "skipped", f"left out by only={self.config.only}")
        return True

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
            made = {name: plan.identity.get(name) for name in ("run_key", "fit_seconds")}
            # A run keeps the session that trained it, unless another strategy makes other returns of it.
            same = plan.identity["strategy_key"] == self.strategy_key
            made["session_key"] = plan.identity["session_key"] if same else self.key
            how = {
                "strategy_key": self.strategy_key,
                "grade_key": self._grade_key(task.bars),
                "graded_by": self.key,
                "planted": key in self._planted,
            }
            made["fit_seconds"] = made["fit_seconds"] if seconds is None else seconds
            self._grades[task.bucket].append({**named, **made, **row, **how})
            self._verdicts[plan.model.family].update(runs=1, passed=int(row["passed"]))
            self._end_graded(key, row)
            log.info("%s.%s %s: %s", *key, plan.model.family, _summary(row, seconds))
        self.trained += len(result.runs)
        self.worked += 1
        self.fit_seconds += result.fit_seconds

    def _close_one(self, bucket: int) -> None:
        """Count one part of a bucket as finished, and close the bucket with the last."""
        self._open[bucket] -= 1
        if self._open[bucket]:
            return
        self.store.compact(shard(bucket, self.key))
        if rows := self._grades.pop(bucket, None):
            graded = grade_rows(rows)
            self.store.write_grades(shard(bucket, self.key), graded)
            self._closed.append(graded)
            self._all.append(graded.drop(CURVE_SCHEMA))

    def announce(self) -> None:
        """Keep what the session is beside its runs, so that a lost MLflow store can be rebuilt with it."""
        path = self.store.root / f"session-{self.key[:8]}.json"
        if not path.exists():
            files.write_json(self.description(), path)

    def closed(self) -> Iterator[pl.DataFrame]:
        """Yield the grades of buckets that were closed since the last call, after they are stored."""
        while self._closed:
            yield self._closed.pop(0)

    # accounts -----------------------------------------------------------------------------------------------------

    def finish(self) -> SessionEvidence:
        """Write the states of all instruments and add up the evidence over all runs."""
        for key in self._instruments.select("asset_class", "symbol").iter_rows():
            if key not in self._states:
                self._end(key, "skipped", f"no bars up to split.until={self.config.split.until}")
        states = pl.DataFrame(list(self._states.values()), schema=STATES, orient="row")
        files.write_parquet(states.sort("asset_class", "symbol"), self._state_path("train"))
        self.planner.finish()
        grades = pl.concat([grade_rows([]).drop(CURVE_SCHEMA), *self._all], how="diagonal_relaxed")
        return session_evidence(grades.sort("asset_class", "symbol", "family"))

    def write_grades(self, grades: pl.DataFrame, mlflow_ids: pl.DataFrame | None) -> None:
        """Write the grades table, with the ids of MLflow's runs where there are any."""
        if mlflow_ids is None:
            mlflow_ids = pl.DataFrame(schema={"record_id": pl.String, "mlflow_run_id": pl.String})
        table = grades.join(mlflow_ids, on="record_id", how="left", maintain_order="left")
        files.write_parquet(table, Path(self.config.data.root) / "grades" / f"{self.config.dataset}.parquet")

    def description(self) -> dict[str, Any]:
        """What MLflow's run of this session is called and says from the start."""
        config = self.config
        families = "+".join(model.family for model in self._models)
        return {
            "key": self.key,
            "name": f"{config.dataset} {families} {config.label.name} {config.strategy.name}",
            "dataset": config.dataset,
            "git_commit": identity.git_commit(),
            "config_yaml": masked(yaml.safe_dump(asdict(config), sort_keys=False)),
        }

    def figures(self, evidence: SessionEvidence, seconds: float) -> dict[str, Any]:
        """Add what is known at the end: counts, luck, and the throughput that no other output holds."""
        return {
            **self.description(),
            "instruments": len(self._states),
            **{f"instruments_{state}": self.count(state) for state in ("done", "skipped", "failed")},
            "runs": evidence.grades.height,
            "runs_trained": self.trained,
            "passed": evidence.passes,
            "passed_instruments": evidence.instruments,
            "expected_lucky_passes": evidence.expected,
            "expected_lucky_low": evidence.low,
            "expected_lucky_high": evidence.high,
            "seconds": seconds,
            "fit_seconds": self.fit_seconds,
            "instruments_per_hour": self.worked / seconds * 3600.0 if seconds else 0.0,
        }

    def sentence(self, evidence: SessionEvidence) -> str:
        """Say it all in one line."""
        reused = evidence.grades.height - self.trained
        before = f" ({reused:,} of them from before)" if reused else ""
        return (
            f"train: {len(self._states):,} instruments, {evidence.grades.height:,} runs{before}; "
            f"{evidence.sentence()}; {self.count('skipped'):,} skipped, {self.count('failed'):,} failed"
        )

    def note(self) -> str:
        """Say what has passed so far, for the progress bar."""
        return f"{sum(found['passed'] for found in self._verdicts.values()):,} passes"

    def facts(self) -> dict[str, Any]:
        """Count states by asset class and runs by family, for the heartbeat; who waits for features has no state."""
        states: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self._states.values():
            if row["reason"] != WAITING:
                states[row["asset_class"]][row["state"]] += 1
        return {"states": states, "runs": self._verdicts}

    def bytes_needed(self) -> int:
        """Estimate the disk that new runs take: predictions of ten years for each family, and a few models."""
        return self.total() * len(self._models) * BYTES_A_RUN

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


def _earlier(state: str, reason: str) -> str:
    """Say why an instrument never came here; a skip carries its first reason along."""
    return reason if state == "skipped" else f"{state} by featurize: {reason}"


def _summary(row: dict[str, Any], seconds: float | None) -> str:
    figures = {name: row[name] for name in ("auc", "accuracy", "sharpe", "max_drawdown", "luck_rate")}
    shown = ", ".join(f"{name} {'undefined' if value is None else f'{value:.3f}'}" for name, value in figures.items())
    verdict = "passed" if row["passed"] else "failed"
    return f"{verdict}; {shown}; " + ("graded again" if seconds is None else f"fitted in {seconds:.2f} s")
