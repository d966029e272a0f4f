"""The runs of one resolved training configuration: hand out the work, store what comes back, account for everything.

Tasks are made bucket by bucket. Each finished instrument is stored at once; a finished bucket is compacted and its
grades are written, so that MLflow can show them. After an interruption the same configuration goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import polars as pl

from src.core.arrays import Matrix
from src.core.end_state import EndState
from src.core.failure import Failure
from src.core.instruments import KEY, Key
from src.engine.outcome import Outcome
from src.evaluation.multiple_testing import SessionEvidence, session_evidence
from src.storage import atomic
from src.storage.ledger import WAITING
from src.training.bucket_results import BucketResults
from src.training.failures import Failures
from src.training.grade_rows import GradeRows
from src.training.inputs import Inputs
from src.training.planned_bars import PlannedInstrument
from src.training.planner import Planner, require_symbols
from src.training.run_store import BYTES_A_RUN, RunStore, shard_name
from src.training.session_description import describe
from src.training.session_states import SessionStates
from src.training.session_summary import SessionSummary, Totals, run_line
from src.training.settings import TrainingSettings
from src.training.settled_buckets import SettledBuckets
from src.training.trials_backfill import open_trials
from src.training.walk_forward import InstrumentTask, RunPlan, TrainedInstrument

log = logging.getLogger(__name__)


class Session:
    """Runs of one configuration over one dataset.

    Parameters
    ----------
    settings : TrainingSettings
        Models, features, label, split, strategy and grade, and where the dataset lies.

    Raises
    ------
    StageError
        If no features are of the bars and the code that there are.
    ConfigError
        If ``only`` names a symbol that the universe does not have.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self.store = RunStore(settings.paths.runs)
        atomic.remove_temporaries(self.store.root)
        self.store.compact_all()
        self.failures = Failures(self.store.root)
        self.inputs = Inputs(settings)
        self.planner = Planner(settings, self.inputs.shared, self.store)
        self.key = self.planner.key
        self.grade_rows = GradeRows(settings, self.key)
        self.states = SessionStates()
        self.trials = open_trials(settings, self.store, self.inputs, self.key, self.planner.stored_keys)
        self.settled = SettledBuckets(
            self.inputs, self.planner, self.store, self.grade_rows.grade_key, self.trials.rows
        )
        self.results = BucketResults(self.store, self.key, self.trials.record)
        self.totals = Totals()
        self.summary = SessionSummary(settings, self.key, self.states, self.totals)
        self._in_flight: set[Key] = set()  # instruments whose tasks have not come back; some runs may be graded
        self._waiting: set[int] = set()  # buckets that another command is replacing
        require_symbols(settings.only, self.inputs.instruments, settings.dataset)

    # work out -----------------------------------------------------------------------------------------------------

    def total(self) -> int:
        """Return the number of instruments of the universe."""
        return self.inputs.instruments.height

    def finished(self) -> int:
        """Return the number of instruments with nothing left to do."""
        return len(self.states) - sum(key in self.states for key in self._in_flight)

    def bytes_needed(self) -> int:
        """Return an estimate of the disk space that new runs take."""
        return self.total() * len(self.settings.models) * BYTES_A_RUN

    def announce(self) -> None:
        """Store the description of the session, so that a lost MLflow store can be rebuilt with it.

        One small file a session, with neither units nor states, so it is no ledger.
        """
        describe(self.store.root / f"session-{self.key[:8]}.json", self.summary.description())

    def tasks(self) -> Iterator[InstrumentTask]:
        """Yield what is to be done, with one bucket in memory at a time.

        Yields
        ------
        InstrumentTask
            An instrument with those of its runs that have to be fitted, graded again or given their model.
        """
        for asset_class, symbol, state, reason in self.inputs.instruments.select(*KEY, "state", "reason").iter_rows():
            skipped = self.planner.unmodelled(asset_class) if state == "done" else _earlier(state, reason)
            if skipped:
                self.states.end(EndState(asset_class, symbol, "skipped", skipped))
        for bucket in self.inputs.buckets:
            self.results.begin_part(bucket)
            for task in () if self._is_settled(bucket) else self._bucket_tasks(bucket):
                self.results.begin_part(bucket)
                yield task
            self.results.end_part(bucket)

    def _is_settled(self, bucket: int) -> bool:
        """Take what a bucket contributes that needs nothing; False where it has to be planned."""
        settled = self.settled.of(bucket)
        if settled is None:
            return False
        for state in settled.skipped:
            self.states.end(state)
        if settled.grades.height:
            self.states.take(settled.grades)
            self.results.add_settled(settled.grades)
        self.trials.also_tried(settled.tried_by)
        return True

    def _bucket_tasks(self, bucket: int) -> Iterator[InstrumentTask]:
        """Yield the tasks of a bucket; features, many times larger than bars, are read only where there are tasks."""
        read = self.inputs.read_bars(bucket)
        if read is None:
            self._wait(bucket)
            return
        bars, digest = read
        self.planner.read_grades(bucket)
        work = self._work(bucket, bars)
        if not work:
            return
        matrices = self.inputs.read_features(bucket, bars, digest, [key for key, *_ in work])
        if matrices is None:
            self._wait(bucket)
            return
        self._in_flight.update(key for key, *_ in work)
        stored = self.planner.with_predictions(bucket, [plan for _, _, plans, _ in work for plan in plans])
        by_id = {plan.record_id: plan for plan in stored}
        for key, rows, wanted, n_trials in work:
            plans = [by_id[plan.record_id] for plan in wanted]
            # Taken out: what is kept here would stay in memory until the bucket's last task has been taken.
            yield self._task(key, bucket, bars[rows], matrices.pop(key), plans, n_trials)

    def _work(self, bucket: int, bars: pl.DataFrame) -> list[tuple[Key, slice, list[RunPlan], int]]:
        """Return key, rows, plans and number of trials of the bucket's instruments that need something."""
        planned, rows, work = [], [], []
        for key, own in self._instruments(bars):
            planted, again = key in self.inputs.planted, self.settings.includes(key)
            bars_hash = self.inputs.bars_hash(bars[own])
            facts = self.inputs.facts_hash(key, bars[own])
            plans = self.planner.plans(key, bars_hash, planted, again=again, facts=facts)
            planned.append(PlannedInstrument(key, bars[own], bars_hash, plans))
            rows.append(own)
        counts = self.trials.counts(planned)
        self.settled.tried(bucket, self.trials.tried_by)
        for each, own, tried in zip(planned, rows, counts, strict=True):
            n_trials = tried + self.planner.tuning_trials(each.plans, each.bars)
            grade_key = self.grade_rows.key(each.bars)
            plans = [plan for plan in each.plans if not self._reuse(bucket, each.key, plan, n_trials, grade_key)]
            if plans and not self._skip_again(bucket, each.key, plans):
                work.append((each.key, own, plans, n_trials))
        return work

    def _instruments(self, bars: pl.DataFrame) -> Iterator[tuple[Key, slice]]:
        """Yield key and rows of each instrument of a bucket that has not ended yet."""
        starts = bars.with_row_index("row").group_by(KEY, maintain_order=True).agg(pl.col("row").first(), pl.len())
        for asset_class, symbol, start, length in starts.iter_rows():
            if (asset_class, symbol) not in self.states:
                yield (asset_class, symbol), slice(start, start + length)

    def _wait(self, bucket: int) -> None:
        log.warning("another command is replacing bucket %d: its instruments wait for the next run", bucket)
        self._waiting.add(bucket)

    def _skip_again(self, bucket: int, key: Key, plans: list[RunPlan]) -> bool:
        """Skip an instrument where the session found before that there is nothing to train under these keys."""
        reasons = self.results.stored_skips([plan.identity["run_key"] for plan in plans])
        if reasons is None:
            return False
        self.results.add_skips(bucket, reasons)
        self.states.end(EndState(*key, "skipped", next(iter(reasons.values()))))
        return True

    def _reuse(self, bucket: int, key: Key, plan: RunPlan, n_trials: int, grade_key: str) -> bool:
        """Take a run's grade as it stands, or leave the run out where the command is narrowed to other symbols."""
        row = self.planner.stored_grade(plan, n_trials, grade_key)
        if row is not None:
            self.results.add_grade(bucket, row)
            self.states.graded(key, row["family"], row)
            return True
        if self.settings.includes(key):
            return False
        if key not in self.states:
            self.states.end(EndState(*key, "skipped", f"left out by only={self.settings.only}"))
        return True

    def _task(
        self, key: Key, bucket: int, bars: pl.DataFrame, features: Matrix, plans: list[RunPlan], n_trials: int
    ) -> InstrumentTask:
        settings = self.settings
        return InstrumentTask(
            *key, bucket, bars, features, self.inputs.feature_names, plans, n_trials, settings.seed,
            settings.label, settings.split, settings.strategy, settings.grade, self.inputs.panel_returns,
        )  # fmt: skip

    # results in ---------------------------------------------------------------------------------------------------

    def take(self, outcome: Outcome[InstrumentTask, TrainedInstrument | EndState]) -> None:
        """Store the result of a task, durable on return.

        Parameters
        ----------
        outcome : Outcome
            The task with its result, the skip that it ended with, or its failure.
        """
        task, result = outcome.item, outcome.result
        self._in_flight.discard(task.key)
        if isinstance(result, Failure):
            self._settle_failures(task, {plan.model.family: result for plan in task.plans})
        elif isinstance(result, EndState):
            self.states.end(result)
            self._settle_failures(task, {})
            run_keys = [plan.identity["run_key"] for plan in task.plans]
            self.results.add_skips(task.bucket, dict.fromkeys(run_keys, result.reason))
        else:
            self._store_results(task, result)
            self._settle_failures(task, result.failures)
        self.totals.worker_bytes = max(self.totals.worker_bytes, outcome.peak_bytes)
        self.results.end_part(task.bucket)

    def closed(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield the buckets that were closed since the last call with their grades, after these are stored."""
        return self.results.closed()

    def _settle_failures(self, task: InstrumentTask, failed: Mapping[str, Failure]) -> None:
        """Record why families failed, and remove former failures of those that worked."""
        for family, failure in failed.items():
            traceback = {"traceback": failure.traceback}
            log.error("%s.%s %s failed: %s", *task.key, family, failure.reason, extra=traceback)
        worked = {plan.model.family for plan in task.plans} - failed.keys()
        self.failures.settle(task.key, self.key, worked, failed)
        if failed:
            self.states.failed(task.key, failed)

    def _store_results(self, task: InstrumentTask, result: TrainedInstrument) -> None:
        for record_id, (name, content) in result.models.items():
            self.store.write_model(record_id, name, content)
        if result.runs:
            self.store.add(shard_name(task.bucket, self.key), result.runs)
        plans = {plan.record_id: plan for plan in task.plans}
        fitted = {run["record_id"]: run["fit_seconds"] for run in result.runs}
        planted, grade_key = task.key in self.inputs.planted, self.grade_rows.key(task.bars)
        for row in result.grades:
            plan, seconds = plans[row["record_id"]], fitted.get(row["record_id"])
            graded = self.grade_rows.row(task, plan, row, seconds, grade_key, planted=planted)
            self.results.add_grade(task.bucket, graded)
            self.states.graded(task.key, plan.model.family, row)
            log.info("%s.%s %s: %s", *task.key, plan.model.family, run_line(row, seconds))
        self.totals.runs += len(result.runs)
        self.totals.instruments += bool(result.grades)
        self.totals.fit_seconds += result.fit_seconds

    # end ----------------------------------------------------------------------------------------------------------

    def finish(self) -> SessionEvidence:
        """Write the states of all instruments and add up the evidence over all runs.

        Returns
        -------
        SessionEvidence
            Grades with q-values, passes, and how many of them luck explains.
        """
        for key in self.states.missing(self.inputs.instruments.select(KEY).iter_rows()):
            read = self.inputs.bucket(key) in self.results.buckets - self._waiting
            reason = f"no bars up to split.until={self.settings.split.until}" if read else WAITING
            self.states.end(EndState(*key, "skipped", reason))
        self.states.write(self.settings.paths.states("train"))
        self.planner.finish()
        self.trials.close()
        grades = self.results.grades()
        return session_evidence(grades, self.trials.session_number() if grades.height else None)

    def write_grades(self, grades: pl.DataFrame, mlflow_ids: pl.DataFrame | None) -> None:
        """Write the grades table.

        Parameters
        ----------
        grades : DataFrame
            Grades of the session.
        mlflow_ids : DataFrame, optional
            record_id, mlflow_run_id; None where MLflow has none of the runs.
        """
        if mlflow_ids is None:
            mlflow_ids = pl.DataFrame(schema={"record_id": pl.String, "mlflow_run_id": pl.String})
        table = grades.join(mlflow_ids, on="record_id", how="left", maintain_order="left")
        atomic.write_parquet(table, self.settings.paths.grades)
        self.settled.write(self.states.ended, grades, self.trials.stored)


def _earlier(state: str, reason: str) -> str:
    """Reason why an instrument never came here; a skip carries its first reason along."""
    return reason if state == "skipped" else f"{state} by featurize: {reason}"
