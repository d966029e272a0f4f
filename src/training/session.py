"""One resolved training configuration's set of runs: hands out the work, keeps what comes back, accounts for all.

Tasks are made bucket by bucket; each finished instrument is kept at once, and a finished bucket is compacted, its
grades are written and whoever listens (MLflow) is told. Interrupted anywhere, the same configuration goes on.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from src.config.schema import Config, ModelConfig
from src.core import git
from src.core.failure import Failure
from src.core.hashing import json_digest, table_digest
from src.core.instruments import KEY, Key
from src.engine.outcome import Outcome
from src.evaluation.grade import GATE_METRICS, Thresholds, grade
from src.evaluation.multiple_testing import SessionEvidence, session_evidence
from src.runtime import memory
from src.runtime.redaction import masked, masked_address
from src.storage import atomic
from src.storage.ledger import WAITING
from src.training import run_key as run_key_module
from src.training.failures import Failures
from src.training.inputs import Inputs
from src.training.planner import Planner, require_known
from src.training.run_store import CURVE_SCHEMA, RunStore, grade_rows, shard
from src.training.session_states import SessionStates
from src.training.walk_forward import Plan, Task, Trained, run_rows

log = logging.getLogger(__name__)
BYTES_A_RUN = 60_000


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
        self.config = config
        self.store = RunStore(Path(config.data.root) / "runs" / config.dataset)
        atomic.remove_temporaries(self.store.root)
        self.store.compact_all()
        self.failures = Failures(self.store.root)
        self.inputs = Inputs(config)
        self.planner = Planner(config, models, self.inputs.procedure, self.store)
        self.key = self.planner.key
        self.grade_key = run_key_module.grade_key(config)
        self.strategy_key = run_key_module.strategy_key(config.strategy)
        self.states = SessionStates()
        self.trained = 0
        self.worked = 0
        self.fit_seconds = 0.0
        self.memory_worker = 0  # bytes: the most that any worker took
        self._models = models
        self._open: dict[int, int] = {}
        self._grades: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self._out: set[Key] = set()  # instruments whose tasks have not come back; some of their runs may be graded
        self._waiting: set[int] = set()  # buckets that another command makes anew
        self._known_skips = self.store.skips(self.key)
        self._skips: dict[int, dict[str, str]] = defaultdict(dict)
        self._closed: list[pl.DataFrame] = []
        self._all: list[pl.DataFrame] = []
        require_known(config, self.inputs.instruments)

    # work out -----------------------------------------------------------------------------------------------------

    def total(self) -> int:
        """Number of instruments of the universe."""
        return self.inputs.instruments.height

    def finished(self) -> int:
        """Number of instruments with nothing left to do."""
        return len(self.states) - sum(key in self.states for key in self._out)

    def tasks(self) -> Iterator[Task]:
        """Yield what is to be done, one bucket in memory at a time."""
        for row in self.inputs.instruments.iter_rows(named=True):
            why = _earlier(row["state"], row["reason"]) if row["state"] != "done" else self.planner.left_out(row)
            if why:
                self.states.end((row["asset_class"], row["symbol"]), "skipped", why)
        for bucket in self.inputs.buckets:
            self._open[bucket] = 1
            for task in self._bucket_tasks(bucket):
                self._open[bucket] += 1
                yield task
            self._close_one(bucket)

    def _bucket_tasks(self, bucket: int) -> Iterator[Task]:
        """Yield what is to be done in a bucket; features are many times what bars are, and read where needed alone."""
        found = self.inputs.read_bars(bucket)
        if found is None:
            self._wait(bucket)
            return
        bars, digest = found
        self.planner.open(bucket)
        work = self._work(bucket, bars)
        matrix = self.inputs.read_features(bucket, bars, digest) if work else None
        if matrix is None:
            if work:
                self._wait(bucket)
            return
        self._out.update(key for key, *_ in work)
        stored = self.planner.with_stored(bucket, [plan for *_, wanted, _ in work for plan in wanted])
        by_id = {plan.record_id: plan for plan in stored}
        for key, rows, wanted, n_trials in work:
            plans = [by_id[plan.record_id] for plan in wanted]
            # A copy: a task in flight would keep the whole bucket in memory beside the next.
            yield self._task(key, bucket, bars[rows], matrix[rows].copy(), plans, n_trials)

    def _work(self, bucket: int, bars: pl.DataFrame) -> list[tuple[Key, slice, list[Plan], int]]:
        """Instruments of a bucket that need something, with where their rows are, what they need and their trials."""
        starts = bars.with_row_index("row").group_by(KEY, maintain_order=True).agg(pl.col("row").first(), pl.len())
        work = []
        for asset_class, symbol, start, length in starts.iter_rows():
            key = (asset_class, symbol)
            if key in self.states:
                continue
            frame = bars.slice(start, length)
            marked, again = key in self.inputs.planted, self._is_wanted(key)
            plans = self.planner.plans(key, self.inputs.bars_hash(frame), marked, again=again)
            n_trials = self.planner.n_trials(key, plans, frame)
            graded = self._grade_key(frame)
            wanted = [plan for plan in plans if not self._reuse(bucket, key, plan, n_trials, graded)]
            if wanted and not self._skip_again(bucket, key, wanted):
                work.append((key, slice(start, start + length), wanted, n_trials))
        return work

    def _wait(self, bucket: int) -> None:
        log.warning("bucket %d is made anew by another command: its instruments wait for the next run", bucket)
        self._waiting.add(bucket)

    def _skip_again(self, bucket: int, key: Key, plans: list[Plan]) -> bool:
        """Whether the session found before that there is nothing to train under these keys; if so, say it again."""
        run_keys = [plan.identity["run_key"] for plan in plans]
        reasons = {run_key: self._known_skips.get(run_key) for run_key in run_keys}
        found = {run_key: reason for run_key, reason in reasons.items() if reason is not None}
        if len(found) < len(reasons):
            return False
        self._skips[bucket] |= found
        self.states.end(key, "skipped", next(iter(found.values())))
        return True

    def _is_wanted(self, key: Key) -> bool:
        """Whether the command is for this instrument: it may be narrowed to others."""
        only = self.config.only
        return not only or key[1] in only or ":".join(key) in only

    def _grade_key(self, bars: pl.DataFrame) -> str:
        """Key of what grades an instrument's runs: costs look at the split history, doubts at the marks of repairs."""
        return json_digest([self.grade_key, table_digest(bars.select("split", "repaired"))])

    def _reuse(self, bucket: int, key: Key, plan: Plan, n_trials: int, grade_key: str) -> bool:
        """Take a run's grade as it stands, or leave the run out where the command is narrowed to other symbols."""
        row = self.planner.is_done(plan, n_trials, grade_key)
        if row is not None:
            self._grades[bucket].append(row)
            self.states.graded(key, row["family"], row)
            return True
        if self._is_wanted(key):
            return False
        if key not in self.states:
            self.states.end(key, "skipped", f"left out by only={self.config.only}")
        return True

    def _task(self, key: Key, bucket: int, bars: pl.DataFrame, features: Any, plans: list[Plan], n_trials: int) -> Task:
        config = self.config
        return Task(
            *key, bucket, bars, features, self.inputs.names, plans, n_trials, config.seed,
            config.label, config.split, config.strategy, config.grade, self.inputs.panel_returns,
        )  # fmt: skip

    # results in ---------------------------------------------------------------------------------------------------

    def take(self, outcome: Outcome[Task, Trained]) -> None:
        """Keep what came of a task, durable on return."""
        task, result = outcome.item, outcome.result
        key = (task.asset_class, task.symbol)
        self._out.discard(key)
        if isinstance(result, Failure):
            self._account_failed(task, {plan.model.family: result for plan in task.plans})
        elif result.skipped is not None:
            self.states.end(key, "skipped", result.skipped)
            self._account_failed(task, {})
            self._skips[task.bucket] |= {plan.identity["run_key"]: result.skipped for plan in task.plans}
        else:
            self._keep(task, result)
            self._account_failed(task, result.failures)
        self.memory_worker = max(self.memory_worker, outcome.peak_bytes)
        self._close_one(task.bucket)

    def _account_failed(self, task: Task, failed: Mapping[str, Failure]) -> None:
        """Keep why families failed, durably, and forget it of those that worked."""
        key = (task.asset_class, task.symbol)
        for family, failure in failed.items():
            log.error("%s.%s %s failed: %s\n%s", *key, family, failure.reason, failure.traceback)
        worked = {plan.model.family for plan in task.plans} - failed.keys()
        self.failures.settle(key, self.key, worked, failed)
        if failed:
            self.states.failed(key, failed)

    def _keep(self, task: Task, result: Trained) -> None:
        for record_id, (name, content) in result.models.items():
            self.store.write_model(record_id, name, content)
        if result.runs:
            self.store.add(shard(task.bucket, self.key), run_rows(result.runs))
        plans = {plan.record_id: plan for plan in task.plans}
        fitted = {run["record_id"]: run["fit_seconds"] for run in result.runs}
        key = (task.asset_class, task.symbol)
        grade_key = self._grade_key(task.bars)
        for row in result.grades:
            plan, seconds = plans[row["record_id"]], fitted.get(row["record_id"])
            named = {"asset_class": task.asset_class, "symbol": task.symbol, "family": plan.model.family}
            made = {name: plan.identity.get(name) for name in ("run_key", "fit_seconds", "tuning_trials")}
            # A run keeps the session that trained it, unless another strategy makes other returns of it.
            same = plan.identity["strategy_key"] == self.strategy_key
            made["session_key"] = plan.identity["session_key"] if same else self.key
            how = {
                "strategy_key": self.strategy_key,
                "grade_key": grade_key,
                "graded_by": self.key,
                "planted": key in self.inputs.planted,
            }
            made["fit_seconds"] = made["fit_seconds"] if seconds is None else seconds
            self._grades[task.bucket].append({**named, **made, **row, **how})
            self.states.graded(key, plan.model.family, row)
            log.info("%s.%s %s: %s", *key, plan.model.family, _summary(row, seconds))
        self.trained += len(result.runs)
        self.worked += bool(result.grades)
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
        skips = self._skips.pop(bucket, {})
        if skips != {key: self._known_skips[key] for key in skips if key in self._known_skips}:
            self.store.write_skips(shard(bucket, self.key), skips)

    def announce(self) -> None:
        """Keep what the session is beside its runs, so that a lost MLflow store can be rebuilt with it."""
        path = self.store.root / f"session-{self.key[:8]}.json"
        if not path.exists():
            atomic.write_json(self.description(), path)

    def closed(self) -> Iterator[pl.DataFrame]:
        """Yield the grades of buckets that were closed since the last call, after they are stored."""
        while self._closed:
            yield self._closed.pop(0)

    # accounts -----------------------------------------------------------------------------------------------------

    def finish(self) -> SessionEvidence:
        """Write the states of all instruments and add up the evidence over all runs."""
        for key in self.states.missing(self.inputs.instruments.select(KEY).iter_rows()):
            read = self.inputs.bucket(key) in self._open.keys() - self._waiting
            self.states.end(key, "skipped", f"no bars up to split.until={self.config.split.until}" if read else WAITING)
        self.states.write(self.inputs.states_folder / "train.parquet")
        self.planner.finish()
        grades = pl.concat([grade_rows([]).drop(CURVE_SCHEMA), *self._all], how="diagonal_relaxed")
        return session_evidence(grades.sort("asset_class", "symbol", "family"))

    def write_grades(self, grades: pl.DataFrame, mlflow_ids: pl.DataFrame | None) -> None:
        """Write the grades table, with the ids of MLflow's runs where there are any."""
        if mlflow_ids is None:
            mlflow_ids = pl.DataFrame(schema={"record_id": pl.String, "mlflow_run_id": pl.String})
        table = grades.join(mlflow_ids, on="record_id", how="left", maintain_order="left")
        atomic.write_parquet(table, Path(self.config.data.root) / "grades" / f"{self.config.dataset}.parquet")

    def description(self) -> dict[str, Any]:
        """What MLflow's run of this session is called and says from the start."""
        config = self.config
        families = "+".join(dict.fromkeys(model.family for model in self._models))
        return {
            "key": self.key,
            "name": f"{config.dataset} {families} {config.label.name} {config.strategy.name}",
            "dataset": config.dataset,
            "git_commit": git.git_commit(),
            "config_yaml": settings(config),
        }

    def figures(self, evidence: SessionEvidence, seconds: float) -> dict[str, Any]:
        """Add what is known at the end: counts, luck, and the throughput that no other output holds."""
        return {
            **self.description(),
            "instruments": len(self.states),
            **{f"instruments_{state}": self.states.count(state) for state in ("done", "skipped", "failed")},
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
            "memory_parent_gib": memory.peak_bytes() / memory.GIB,
            "memory_worker_gib": self.memory_worker / memory.GIB,
            "runs_failed": self.states.lost(),
        }

    def memory(self) -> str:
        """Say how much memory this process and the largest of its workers took at most."""
        mine, theirs = (taken / memory.GIB for taken in (memory.peak_bytes(), self.memory_worker))
        return f"memory: at most {mine:.2f} GiB here, {theirs:.2f} GiB in a worker"

    def left_out(self, grades: pl.DataFrame, demanded: Thresholds) -> int:
        """Count the passes by this command's own thresholds alone, which those that the registry demands leave out."""
        if demanded == Thresholds.of(self.config.grade):
            return 0
        figures = [metric.name for metric in GATE_METRICS]
        return sum(not grade(row, demanded).passed for row in grades.filter("passed").select(figures).to_dicts())

    def sentence(self, evidence: SessionEvidence) -> str:
        """Say how the session ended, in one line: instruments, passes beside luck, skips and failures."""
        total, reused = len(self.states), evidence.grades.height - self.trained
        before = f"{reused:,} run{'' if reused == 1 else 's'} reused, " if reused else ""
        lost = self.states.lost()
        runs = f" ({lost:,} run{'' if lost == 1 else 's'}: see {self.store.root.as_posix()}/failures)" if lost else ""
        ended = f"{self.states.count('skipped'):,} skipped, {self.states.count('failed'):,} failed{runs}"
        return f"train: {total:,} instrument{'' if total == 1 else 's'}; {evidence.sentence()} {before}{ended}."

    def bytes_needed(self) -> int:
        """Estimate the disk that new runs take: predictions of ten years for each family, and a few models."""
        return self.total() * len(self._models) * BYTES_A_RUN


def _earlier(state: str, reason: str) -> str:
    """Say why an instrument never came here; a skip carries its first reason along."""
    return reason if state == "skipped" else f"{state} by featurize: {reason}"


def _summary(row: dict[str, Any], seconds: float | None) -> str:
    figures = {name: row[name] for name in (*(metric.name for metric in GATE_METRICS), "luck_rate")}
    shown = ", ".join(f"{name} {'undefined' if value is None else f'{value:.3f}'}" for name, value in figures.items())
    verdict = "passed" if row["passed"] else "failed"
    return f"{verdict}; {shown}; " + ("graded again" if seconds is None else f"fitted in {seconds:.2f} s")


def settings(config: Config) -> str:
    """The configuration as YAML, without passwords: YAML would fold one with spaces."""
    shown = replace(config, tracking=replace(config.tracking, uri=masked_address(config.tracking.uri)))
    return masked(yaml.safe_dump(asdict(shown), sort_keys=False))
