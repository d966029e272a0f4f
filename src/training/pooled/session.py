"""The session of the pooled scope: class by class, fit what is missing, grade the portfolio, account for every name."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from src.core.end_state import EndState
from src.core.failure import Failure
from src.evaluation.metrics import equity
from src.evaluation.multiple_testing import SessionEvidence, session_evidence
from src.evaluation.pooled.assessment import PooledAssessment, assess_pooled
from src.evaluation.pooled.graded_days import PooledRun
from src.evaluation.splits import InsufficientData
from src.market.survivors import survivorship
from src.models.pooled_file import FILE, pack
from src.sources import registry
from src.storage import atomic
from src.training.failures import Failures
from src.training.inputs import Inputs
from src.training.pooled import keys, outputs
from src.training.pooled.class_data import ClassBars, ClassData, Keys, require_featurized
from src.training.pooled.class_session import ClassSession, PooledPlan
from src.training.pooled.instrument_table import InstrumentTable
from src.training.pooled.instruments import PooledInstruments
from src.training.pooled.score_store import ScoreStore
from src.training.pooled.settings import PooledSettings, refuse_price_scale
from src.training.pooled.stored_runs import BUCKET, StoredRuns
from src.training.pooled.summary import PooledSummary
from src.training.pooled.trial_count import PooledTrials, tuning_trials
from src.training.run_store import RunStore, shard_name
from src.training.session_description import describe
from src.training.trials_ledger import TrialsLedger

log = logging.getLogger(__name__)
Graded = list[tuple[PooledPlan, PooledAssessment]]


class PooledSession:
    """Runs of one configuration of the pooled scope over one dataset.

    Parameters
    ----------
    settings : PooledSettings

    Raises
    ------
    StageError
        If a bucket is not featurized.
    """

    def __init__(self, settings: PooledSettings) -> None:
        self.settings = settings
        paths = settings.training.paths
        self.store = RunStore(paths.portfolios)
        atomic.remove_temporaries(self.store.root)
        self.store.compact_all()
        self.scores = ScoreStore(self.store.root)
        self.failures = Failures(self.store.root)
        self.inputs = Inputs(settings.training)
        refuse_price_scale(self.inputs.price_scaled)
        require_featurized(self.inputs.bars, self.inputs.buckets, settings.training.dataset)
        self.instruments = PooledInstruments(settings, self.inputs)
        self.key = keys.session_key(settings, self.inputs.shared)
        self.stored = StoredRuns(self.store, self.key, fresh=settings.training.fresh)
        portfolio, prior = keys.portfolio_settings_key(settings), settings.scope.prior_trials
        ledger = TrialsLedger(paths.trials, settings.training.dataset)
        self._simulated = registry.is_simulated(self.inputs.bars.manifest.source)
        self.trials = PooledTrials(ledger, self.key, portfolio, prior, simulated=self._simulated)
        self.states: list[EndState] = self.instruments.left()
        self.summary = PooledSummary(settings, self.key)
        self.table = InstrumentTable(settings)
        self._rows: list[dict[str, Any]] = []
        self._classes: list[str] = []  # with a portfolio

    @property
    def _own_states(self) -> Path:
        """States of this session, beside those of the last one: another eligibility ends names otherwise."""
        return self.store.root / f"states-{self.key[:8]}.parquet"

    def announce(self) -> None:
        """Store the description of the session, so that a lost MLflow store can be rebuilt with it."""
        describe(self.store.root / f"session-{self.key[:8]}.json", self.summary.description())

    def classes(self) -> Iterator[ClassSession]:
        """Yield the asset classes that have something to fit or to grade; the others are accounted for."""
        until = self.settings.training.split.until
        day = dt.date.fromisoformat(until) if until else None
        for kind, names in self.instruments.by_class.items():
            if not self.settings.models(kind):
                self._skip(names, "the chosen model is for other classes: model.classes=[] trains all with it")
                continue
            data = ClassData(
                ClassBars(self.inputs.bars, kind, day, names), self.settings.eligibility, self.settings.label
            )
            folder = self.settings.training.paths.ranks / kind
            part = ClassSession(self.settings, self.inputs, data, self.scores, folder, self.stored.since)
            if self._reuse(part):
                continue
            if reason := self._obstacle(part):
                self._skip(names, reason)
                continue
            yield part

    def _obstacle(self, part: ClassSession) -> str | None:
        """Why a class can't be trained."""
        try:
            graded = part.data.eligible[part.days]
        except InsufficientData as error:
            return str(error)
        if not graded.any():
            choice = self.settings.eligibility
            return f"no day has eligibility.min_names={choice.min_names} eligible names ({choice.name})"
        return None

    def _skip(self, names: Keys, reason: str) -> None:
        log.info("%d instruments are skipped: %s", len(names), reason)
        self.states += [EndState(*key, "skipped", reason) for key in sorted(names)]

    def _reuse(self, part: ClassSession) -> bool:
        """Take the stored grades of a class where every run has one under the same keys and counts the same trials."""
        grade_key = keys.grade_key(self.settings)
        found = [row for plan in part.plans if (row := self.stored.grade(plan.run_key, grade_key)) is not None]
        states = self.instruments.carried(part.asset_class, self._own_states)
        if len(found) < len(part.plans) or states is None:
            return False
        if not self.table.is_current(part.asset_class, part.plans[0].run_key):
            return False
        count = self._count(part, (found[0]["first_oos"], found[0]["last_oos"]))
        if any(row["n_trials"] != count for row in found):
            return False
        self._rows += found
        self.summary.reused += len(found)
        self.states += states
        self._classes.append(part.asset_class)
        return True

    # grades -------------------------------------------------------------------------------------------------------

    def _count(self, part: ClassSession, window: tuple[dt.date, dt.date]) -> int:
        """Trials that the evidence on a class has to allow for."""
        tuned = tuning_trials(self.settings.models(part.asset_class), window[0])
        return tuned + self.trials.count(part.asset_class, [plan.settings_key for plan in part.plans], window)

    def graded(self, part: ClassSession) -> Graded:
        """Grade the runs of a class whose fits are all stored; the others failed and are recorded as such.

        Parameters
        ----------
        part : ClassSession

        Returns
        -------
        list of (PooledPlan, PooledAssessment)
        """
        done = [plan for plan in part.plans if not part.failures.keys() & plan.fits.keys()]
        self._settle(part, done)
        data, days = part.data, part.data.section.dates[part.days].astype("datetime64[D]")
        count, found = self._count(part, (days[0].item(), days[-1].item())), []
        for plan in done:
            scores = part.run_scores(plan)[part.days]
            run = PooledRun(data.section, data.eligible, data.styles, data.targets, scores, part.days)
            assessed = assess_pooled(
                run, self.settings.portfolio, self.settings.eligibility, self.settings.training.grade,
                trials=count, seed=self.settings.training.seed, prior_trials=self.settings.scope.prior_trials,
            )  # fmt: skip
            found.append((plan, assessed))
            if plan is done[0]:
                self.table.add(run, plan.run_key)
                self._classes.append(part.asset_class)
        return found

    def lacks_model(self, found: Graded) -> list[str]:
        """Families to refit on every day, since a run that passed has no model, or another than was recorded."""
        passed = [plan for plan, assessed in found if assessed.values["passed"]]
        recorded = self.store.recorded_models() if passed else {}
        lacking = []
        for plan in passed:
            record_id, _ = self.stored.record_id(plan.run_key)
            if self.store.model_sha256(record_id) not in recorded.get(record_id, ()):
                lacking.append(plan)
        return list(dict.fromkeys(name for plan in lacking for name in plan.fits))

    def close(self, part: ClassSession, found: Graded) -> pl.DataFrame:
        """Store runs, portfolios and grades of a class, durable on return.

        Parameters
        ----------
        part : ClassSession
            With the refitted models of the runs that passed.
        found : list of (PooledPlan, PooledAssessment)

        Returns
        -------
        DataFrame
            Rows of grades of the class.
        """
        shard, rows = shard_name(BUCKET, self.key), []
        found = [(plan, assessed) for plan, assessed in found if not part.failures.keys() & plan.fits.keys()]
        reasons = self._settle(part, [plan for plan, _ in found])  # a refit may have failed since
        for plan, assessed in found:
            record_id, is_new = self.stored.record_id(plan.run_key)
            attempt, strategy_key = int(record_id.rpartition(".")[2]), keys.portfolio_key(self.settings)
            identity = {
                "record_id": record_id,
                "attempt": attempt,
                "session_key": self.key,
                "strategy_key": strategy_key,
            }
            run = part.run_row(plan, identity)
            if is_new:
                self.store.add(shard, [run])
            outputs.write_tables(self.store.root / record_id, assessed, part.data, keys.grade_key(self.settings))
            sha256 = self._write_model(part, plan, record_id) if assessed.values["passed"] else None
            rows.append(self._grade_row(run, assessed, sha256))
            log.info("%s %s: %s", run["symbol"], plan.family, self.summary.run_line(rows[-1]))
        self.store.compact_all()
        self._record_trials(part, rows)
        self._rows += rows
        states = outputs.end_states(part.data, part.days, self.settings.eligibility)
        self.states += outputs.with_failures(states, reasons, all_failed=not rows)
        outputs.write_states(self.states, self._own_states)
        self.store.write_grades(shard, outputs.grade_frame(self._rows))
        return outputs.grade_frame(rows)

    def _write_model(self, part: ClassSession, plan: PooledPlan, record_id: str) -> str | None:
        """Store the native file of a run that passed and return its hash."""
        if not plan.fits.keys() <= part.models.keys():
            return self.store.model_sha256(record_id)
        content = pack({name: part.models[name] for name in plan.fits}, part.meta(plan))
        self.store.write_model(record_id, FILE, content)
        return hashlib.sha256(content).hexdigest()

    def _grade_row(self, run: Mapping[str, Any], assessed: PooledAssessment, sha256: str | None) -> dict[str, Any]:
        net = assessed.portfolio.net
        own = (
            "record_id",
            "run_key",
            "session_key",
            "strategy_key",
            "fit_seconds",
            "family",
            "tuning_trials",
            "planted",
        )
        return {
            **{name: run[name] for name in own},
            **assessed.row(),
            "grade_key": keys.grade_key(self.settings),
            "graded_by": self.key,
            "model_sha256": sha256,
            "stamp": assessed.portfolio.stamps.astype("datetime64[us]").tolist(),
            "net": net.tolist(),
            "equity": equity(net).tolist(),
            "always_long": equity(assessed.always_net).tolist(),
        }

    def _record_trials(self, part: ClassSession, rows: list[dict[str, Any]]) -> None:
        settings = {plan.run_key: plan.settings_key for plan in part.plans}
        kept = ("run_key", "family", "first_oos", "last_oos")
        shared = {"asset_class": part.asset_class, "label": self.settings.label.name, "bars": part.key.bars}
        self.trials.record(
            [{name: row[name] for name in kept} | shared | {"settings": settings[row["run_key"]]} for row in rows]
        )

    def _settle(self, part: ClassSession, done: list[PooledPlan]) -> str:
        """Record why runs failed, and forget the former failures of those that worked; return the reasons."""
        failed: dict[str, Failure] = {}
        for plan in part.plans:
            for name in plan.fits.keys() & part.failures.keys():
                failed[plan.family] = part.failures[name]
        worked = {plan.family for plan in done}
        self.failures.settle(("pooled", self.settings.symbol(part.asset_class)), self.key, worked, failed)
        self.summary.failed |= {f"{part.asset_class} {name}": each.reason for name, each in failed.items()}
        return "; ".join(f"{name} failed: {each.reason}" for name, each in failed.items())

    # end ----------------------------------------------------------------------------------------------------------

    def finish(self) -> SessionEvidence:
        """Write the states of all instruments and add up the evidence over the runs."""
        outputs.write_states(self.states, self.settings.training.paths.portfolio_states)
        self.table.finish(self._classes)
        self.stored.finish()
        grades = outputs.grade_frame(self._rows)
        return session_evidence(grades, self.trials.session_number() if grades.height else None)

    def sentence(self, evidence: SessionEvidence) -> str:
        """Return the closing line of the stage."""
        path = self.settings.training.paths.states("hydrate")
        states = pl.read_parquet(path, glob=False) if path.is_file() else None
        found = {} if self._simulated else survivorship(states, self._classes)
        survivors_only = any(each.survivors_only for each in found.values())
        return self.summary.sentence(evidence, self.states, survivors_only=survivors_only)

    def write_grades(self, grades: pl.DataFrame, mlflow_ids: pl.DataFrame | None) -> None:
        """Write the grades table; MLflow's ids are null where it has none of the runs."""
        if mlflow_ids is None:
            mlflow_ids = pl.DataFrame(schema={"record_id": pl.String, "mlflow_run_id": pl.String})
        table = grades.join(mlflow_ids, on="record_id", how="left", maintain_order="left")
        atomic.write_parquet(table, self.settings.training.paths.portfolio_grades)
