"""The placebo arm of a session: a share of its instruments, trained once more with features rotated in time.

Its runs lie in a run store of their own, ``data/runs/<dataset>/placebo``, so that no grade, q-value, trial or pass of
the real runs counts them. They are planned, stored and graded like real ones: an interrupted arm goes on, and nothing
is trained twice. A run that passes keeps no model.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from src.config.commands import command
from src.config.paths import DatasetPaths
from src.core.end_state import EndState
from src.core.failure import Failure
from src.core.instruments import KEY, Key
from src.engine.outcome import Outcome
from src.evaluation import placebo
from src.evaluation.placebo import PlaceboEvidence, placebo_evidence
from src.storage import atomic
from src.training.bucket_results import BucketResults
from src.training.failures import Failures
from src.training.grade_rows import GradeRows
from src.training.inputs import Inputs
from src.training.planner import Planner, require_symbols
from src.training.run_key import session_key
from src.training.run_store import BYTES_A_RUN, RunStore, shard_name
from src.training.run_tables import CURVE_SCHEMA, GRADE_SCHEMA
from src.training.session_states import SessionStates
from src.training.session_summary import SessionSummary, Totals, run_line
from src.training.settings import TrainingSettings
from src.training.walk_forward import InstrumentTask, RunPlan, TrainedInstrument

log = logging.getLogger(__name__)
_FIGURES = {name: dtype for name, dtype in GRADE_SCHEMA.items() if name not in CURVE_SCHEMA}


class PlaceboArm:
    """The placebo runs of one configuration over one dataset.

    Parameters
    ----------
    settings : TrainingSettings
        Settings of the session.
    share : float
        Share of the instruments, above 0 and at most 1.
    inputs : Inputs, optional
        Bars and features, where the session has opened them already.

    Attributes
    ----------
    key : str
        Key of the session, the same as that of its real runs.
    offset : int
        Bars by which the features are rotated.
    store : RunStore
        The arm's own.

    Raises
    ------
    ConfigError
        If ``only`` names a symbol that the universe does not have.
    """

    def __init__(self, settings: TrainingSettings, share: float, inputs: Inputs | None = None) -> None:
        self.settings = settings
        self.inputs = inputs or Inputs(settings)
        require_symbols(settings.only, self.inputs.instruments, settings.dataset)
        self.store = RunStore(settings.paths.placebo)
        atomic.remove_temporaries(self.store.root)
        self.store.compact_all()
        self.key = session_key(settings.dataset, settings.models, settings.strategy, self.inputs.shared)
        self.offset = placebo.offset_of(self.key)
        self.bars_needed = placebo.bars_needed(self.offset, settings.label.horizon, self.inputs.longest_window)
        arm = {"arm": placebo.ARM, "offset": self.offset}
        self._planner = Planner(settings, self.inputs.shared, self.store, arm)
        self._chosen = placebo.chosen(self._long_enough(), self.key, share)
        self._grade_rows = GradeRows(settings, self.key)
        self._failures = Failures(self.store.root)
        self._results = BucketResults(self.store, self.key)
        self._states = SessionStates()
        self._summary = SessionSummary(settings, self.key, self._states, Totals())
        self._in_flight: set[Key] = set()
        self._short = 0  # chosen instruments with too few bars up to ``split.until``

    # work out ---------------------------------------------------------------------------------------------------------

    def total(self) -> int:
        """Return the number of instruments of the arm."""
        return len(self._chosen)

    def finished(self) -> int:
        """Return the number of them with nothing left to do."""
        return sum(key in self._states and key not in self._in_flight for key in self._chosen)

    def bytes_needed(self) -> int:
        """Return an estimate of the disk space that new runs take."""
        return self.total() * len(self.settings.models) * BYTES_A_RUN

    def note(self) -> str:
        """Return the number of passes so far, for the progress bar."""
        return self._states.note().replace("passes", "placebo passes")

    def announce(self) -> None:
        """Store the description of the session beside the runs, so that a lost MLflow store can be rebuilt with it."""
        path = self.store.root / f"session-{self.key[:8]}.json"
        if self._chosen and not path.exists():
            atomic.write_json(self._description(), path)

    def tasks(self) -> Iterator[InstrumentTask]:
        """Yield what is to be done, with one bucket in memory at a time.

        Yields
        ------
        InstrumentTask
            An instrument with rotated features, and those of its placebo runs that have to be fitted or graded again.
        """
        earlier = self.store.grades(self.key)
        graded = set(earlier.select(KEY).iter_rows()) if earlier.height else set()
        wanted: dict[int, set[Key]] = defaultdict(set)
        for key in self._chosen | graded:  # what the session graded before counts, also where the share is smaller now
            wanted[self.inputs.bucket(key)].add(key)
        for bucket in self.inputs.buckets:
            if bucket in wanted:
                self._results.begin_part(bucket)
                for task in self._bucket_tasks(bucket, wanted[bucket]):
                    self._results.begin_part(bucket)
                    yield task
                self._results.end_part(bucket)

    def _bucket_tasks(self, bucket: int, wanted: set[Key]) -> Iterator[InstrumentTask]:
        """Yield the tasks of a bucket; features are read only where there are tasks."""
        read = self.inputs.read_bars(bucket)
        if read is None:
            log.warning("another command is replacing bucket %d: its placebo runs wait for the next run", bucket)
            return
        bars, digest = read
        self._planner.read_grades(bucket)
        work = list(self._work(bucket, bars, wanted))
        matrices = self.inputs.read_features(bucket, bars, digest, [key for key, *_ in work]) if work else None
        if matrices is None:
            return
        self._in_flight.update(key for key, *_ in work)
        plans = self._planner.with_predictions(bucket, [plan for *_, plans in work for plan in plans])
        by_id = {plan.record_id: plan for plan in plans}
        settings = self.settings
        for key, rows, planned in work:
            yield InstrumentTask(
                *key, bucket, bars[rows], placebo.rotated(matrices.pop(key), self.offset), self.inputs.feature_names,
                [by_id[plan.record_id] for plan in planned], len(settings.models), settings.seed, settings.label,
                settings.split, settings.strategy, settings.grade, self.inputs.panel_returns,
            )  # fmt: skip

    def _work(self, bucket: int, bars: pl.DataFrame, wanted: set[Key]) -> Iterator[tuple[Key, slice, list[RunPlan]]]:
        """Yield key, rows and plans of the bucket's instruments that need something."""
        starts = bars.with_row_index("row").group_by(KEY, maintain_order=True).agg(pl.col("row").first(), pl.len())
        for asset_class, symbol, start, length in starts.iter_rows():
            key = (asset_class, symbol)
            if key not in wanted:
                continue
            own = bars.slice(start, length)
            again = key in self._chosen
            hashes = self.inputs.bars_hash(own), self.inputs.facts_hash(key, own)
            plans = self._planner.plans(key, hashes[0], key in self.inputs.planted, again=again, facts=hashes[1])
            plans = [replace(plan, needs_model=False) for plan in plans]  # it could never be registered
            grade_key = self._grade_rows.key(own)
            left = [plan for plan in plans if not self._reuse(bucket, key, plan, grade_key)]
            if key not in self._chosen or not left or self._skip(bucket, key, left, length):
                continue
            yield key, slice(start, start + length), left

    def _reuse(self, bucket: int, key: Key, plan: RunPlan, grade_key: str) -> bool:
        """Take a run's grade as it stands, if it does."""
        row = self._planner.stored_grade(plan, len(self.settings.models), grade_key)
        if row is None:
            return False
        self._results.add_grade(bucket, row)
        self._states.graded(key, row["family"], row)
        return True

    def _skip(self, bucket: int, key: Key, plans: list[RunPlan], bars: int) -> bool:
        """Skip an instrument that has too few bars up to ``split.until``, or that the session skipped before."""
        reasons = self._results.stored_skips([plan.identity["run_key"] for plan in plans])
        if reasons is not None:
            self._results.add_skips(bucket, reasons)
        elif bars >= self.bars_needed:
            return False
        self._short += bars < self.bars_needed
        reason = f"{bars:,} bars, and an offset of {self.offset:,} bars needs {self.bars_needed:,}"
        self._states.end(EndState(*key, "skipped", next(iter(reasons.values())) if reasons else reason))
        return True

    def _long_enough(self) -> list[Key]:
        """Instruments that the command is for, with a model for their class, and with enough bars."""
        states = pl.read_parquet(self.settings.paths.states("featurize"), glob=False).select(*KEY, "rows")
        ready = self.inputs.instruments.filter(pl.col("state") == "done").join(states, on=KEY, how="left")
        long = ready.filter(pl.col("rows") >= self.bars_needed).select(KEY)
        included = self.settings.includes
        return [key for key in long.iter_rows() if included(key) and self._planner.unmodelled(key[0]) is None]

    # results in -------------------------------------------------------------------------------------------------------

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
            self._settle(task, {plan.model.family: result for plan in task.plans})
        elif isinstance(result, EndState):
            self._states.end(result)
            self._settle(task, {})
            run_keys = [plan.identity["run_key"] for plan in task.plans]
            self._results.add_skips(task.bucket, dict.fromkeys(run_keys, result.reason))
        else:
            self._store(task, result)
            self._settle(task, result.failures)
        self._results.end_part(task.bucket)

    def _settle(self, task: InstrumentTask, failed: Mapping[str, Failure]) -> None:
        """Record why families failed, and remove former failures of those that worked."""
        for family, failure in failed.items():
            log.error("placebo %s.%s %s failed: %s\n%s", *task.key, family, failure.reason, failure.traceback)
        worked = {plan.model.family for plan in task.plans} - failed.keys()
        self._failures.settle(task.key, self.key, worked, failed)
        if failed:
            self._states.failed(task.key, failed)

    def _store(self, task: InstrumentTask, result: TrainedInstrument) -> None:
        if result.runs:
            self.store.add(shard_name(task.bucket, self.key), result.runs)
        plans = {plan.record_id: plan for plan in task.plans}
        fitted = {run["record_id"]: run["fit_seconds"] for run in result.runs}
        planted, grade_key = task.key in self.inputs.planted, self._grade_rows.key(task.bars)
        for row in result.grades:
            plan, seconds = plans[row["record_id"]], fitted.get(row["record_id"])
            graded = self._grade_rows.row(task, plan, row, seconds, grade_key, planted=planted)
            self._results.add_grade(task.bucket, graded)
            self._states.graded(task.key, plan.model.family, row)
            log.info("placebo %s.%s %s: %s", *task.key, plan.model.family, run_line(row, seconds))

    # end --------------------------------------------------------------------------------------------------------------

    def finish(self) -> pl.DataFrame:
        """End the arm: everything that ``fresh=true`` asked for is trained.

        Returns
        -------
        DataFrame
            Its grades.
        """
        self._planner.finish()
        return self._results.grades()

    def figures(self, grades: pl.DataFrame) -> dict[str, Any]:
        """Return the description, and the counts that MLflow's run of the session shows of the arm.

        Parameters
        ----------
        grades : DataFrame
            What `finish` returned.

        Returns
        -------
        dict
            Names that begin with ``placebo_``; empty counts where no run was graded.
        """
        evidence = stored_evidence(self.settings.paths, self.key) if grades.height else None
        if evidence is None:
            return self._description()
        session, total = evidence.session.figures(), evidence.total.figures()
        return {
            **self._description(),
            **{f"placebo_{name}": value for name, value in session.items()},
            **{f"placebo_all_{name}": value for name, value in total.items()},
            "placebo_sessions": evidence.sessions,
        }

    def line(self) -> str:
        """Return one plain line: runs that passed beside what luck expects, or why there are none."""
        evidence = stored_evidence(self.settings.paths, self.key)
        if evidence is None:
            return f"placebo: {self._empty()}"
        failed = self._states.failed_runs()
        left = f" {failed:,} failed: see {self.store.root.as_posix()}/failures." if failed else ""
        return f"placebo: {evidence.sentence()}{left}"

    def _empty(self) -> str:
        """Why no run was graded."""
        if self._short == self.total():
            return f"no instrument has the {self.bars_needed:,} bars that an offset of {self.offset:,} bars needs."
        ended = f"{self._states.count('skipped'):,} skipped, {self._states.count('failed'):,} failed"
        return f"no run of {self.total():,} instruments was graded ({ended})."

    def _description(self) -> dict[str, Any]:
        return {**self._summary.description(), "placebo_offset": self.offset}


def stored_evidence(paths: DatasetPaths, session: str) -> PlaceboEvidence | None:
    """Read the placebo runs of a dataset: those of one session beside those of all sessions.

    Parameters
    ----------
    paths : DatasetPaths
        Of the dataset.
    session : str
        Key of the session.

    Returns
    -------
    PlaceboEvidence or None
        None where the session has no graded placebo run.

    Raises
    ------
    StageError
        If a file can't be read; the message names it.
    """
    tables = [pl.DataFrame(schema=_FIGURES)]
    for path in sorted(paths.placebo.glob("b*.grades.parquet")):
        with atomic.read_errors(
            path, f"move it away and run `{command('train', stored=paths.dataset)}`, which writes it again"
        ):
            tables.append(pl.scan_parquet(path, glob=False).select(pl.col(f"^({'|'.join(_FIGURES)})$")).collect())
    graded = pl.concat(tables, how="diagonal_relaxed")
    sessions = {str(key): rows for (key,), rows in graded.group_by("graded_by", maintain_order=True)}
    own = sessions.pop(session, None)
    return None if own is None else placebo_evidence(own, sessions)
