"""Grade stored runs of the pooled scope again from their scores and the bars; see `src.training.regrading`.

The scores in ``data/portfolios`` and the bars are what is trusted. A row that this code and these settings made is
repeated whole, evidence included, because evidence ranks and crowns; of an older row, and of a champion that nothing
could replace, the figures of the gate are.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config.commands import command
from src.config.schema import (
    EligibilityConfig,
    FeaturesConfig,
    GradeConfig,
    LabelConfig,
    PortfolioConfig,
    ScopeConfig,
    SplitConfig,
    StrategyConfig,
)
from src.core.errors import StageError
from src.core.hashing import json_digest
from src.core.instruments import KEY
from src.evaluation.grade import GATE_METRICS, Outcomes
from src.evaluation.pooled.assessment import assess_pooled
from src.evaluation.pooled.graded_days import GradedDays, PooledRun
from src.evaluation.splits import InsufficientData
from src.market.bars import BarStore
from src.storage import atomic
from src.training.pooled import keys
from src.training.pooled.class_data import ClassBars, ClassData, Keys
from src.training.pooled.folds import pooled_folds
from src.training.pooled.score_store import ScoreStore, combined
from src.training.pooled.settings import PooledSettings
from src.training.regrading import CHECKED, GradeCheck, differences, recorded_config, section
from src.training.run_store import RunStore
from src.training.settings import TrainingSettings

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

_GATED = (*(metric.name for metric in GATE_METRICS), "n_oos")
_RESTATED = "its bars are gone or were restated since, so its grade can't be checked"


@dataclass(frozen=True)
class PooledChoices:
    """Settings by which a session graded pooled runs, or may have graded.

    Attributes
    ----------
    portfolio : PortfolioConfig
    grade : GradeConfig
    until : str or None
        Last date that training uses.
    """

    portfolio: PortfolioConfig
    grade: GradeConfig
    until: str | None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> PooledChoices:
        """Take the settings from the configuration that a session recorded of itself."""
        until = (config.get("split") or {}).get("until")
        portfolio = section(PortfolioConfig, config.get("portfolio") or {})
        return cls(portfolio, section(GradeConfig, config.get("grade") or {}), until and str(until))

    def settings(self, paths: DatasetPaths, parts: Mapping[str, Any]) -> PooledSettings:
        """Settings of a session as far as a grade depends on them: from the parts of its run, and these choices.

        Parameters
        ----------
        paths : DatasetPaths
        parts : mapping
            Of the run's key, as stored beside it.
        """
        split, label = section(SplitConfig, parts["split"]), section(LabelConfig, parts["label"])
        training = TrainingSettings(
            paths, "1d", [], FeaturesConfig(), label, replace(split, until=self.until), StrategyConfig(), self.grade,
            int(parts["seed"]),
        )  # fmt: skip
        scope, eligibility = section(ScopeConfig, parts["scope"]), section(EligibilityConfig, parts["eligibility"])
        return PooledSettings(training, label, scope, eligibility, self.portfolio, is_ensemble=len(parts["fits"]) > 1)


class PooledRegrader:
    """Grades pooled runs of one dataset again.

    Parameters
    ----------
    paths : DatasetPaths
        Where bars and runs lie.
    own : PooledChoices
        Settings of the command; those that a session recorded of itself are tried first.
    """

    def __init__(self, paths: DatasetPaths, own: PooledChoices) -> None:
        self._paths = paths
        self._store = RunStore(paths.portfolios)
        self._scores = ScoreStore(paths.portfolios)
        self._own = own
        self._classes: dict[str, ClassData | None] = {}

    def check(self, graded: pl.DataFrame) -> Iterator[GradeCheck]:
        """Grade runs again and compare.

        Parameters
        ----------
        graded : DataFrame
            Rows of grades, as stored. Where a column ``gate_alone`` is true, the evidence of a row is not repeated,
            which takes hundreds of draws.

        Yields
        ------
        GradeCheck
            One a row.
        """
        ids = graded["record_id"].to_list()
        stored = {row["record_id"]: row for row in self._store.runs(record_ids=ids).iter_rows(named=True)}
        for row in graded.iter_rows(named=True):
            identity = row["record_id"], row["strategy_key"]
            if row["record_id"] not in stored:
                yield GradeCheck(*identity, missing=f"data/portfolios has no record {row['record_id']}")
                continue
            try:
                yield self._check(row, stored[row["record_id"]])
            except (StageError, InsufficientData, ValueError) as error:  # scores that are gone, or of other bars
                yield GradeCheck(*identity, missing=f"its scores can't be graded: {error}")

    def graded_days(self, row: Mapping[str, Any]) -> GradedDays:
        """Give the out-of-sample days of a portfolio as they were graded, with its stored scores.

        Parameters
        ----------
        row : mapping
            Of grades, as stored.

        Returns
        -------
        GradedDays

        Raises
        ------
        StageError
            If its record, its scores or its bars are gone, or it was graded by other settings than are recorded.
        """
        stored = self._store.runs(record_ids=[row["record_id"]]).to_dicts()
        if not stored:
            raise StageError(f"data/portfolios has no record {row['record_id']}")
        parts = json.loads(stored[0]["parts"])
        candidates = [choices.settings(self._paths, parts) for choices in self._choices(row["graded_by"])]
        candidates = [each for each in candidates if keys.portfolio_key(each) == row["strategy_key"]]
        data = self._data(stored[0], parts, candidates) if candidates else None
        if data is None:
            raise StageError(_RESTATED if candidates else "the settings that it was graded by are not recorded")
        run, settings = self._run(parts, data, candidates[0]), candidates[0]
        return GradedDays(run, settings.portfolio, settings.eligibility.delisting_return)

    def _check(self, row: Mapping[str, Any], run: Mapping[str, Any]) -> GradeCheck:
        identity, parts = (row["record_id"], row["strategy_key"]), json.loads(run["parts"])
        candidates = [choices.settings(self._paths, parts) for choices in self._choices(row["graded_by"])]
        candidates = [each for each in candidates if keys.portfolio_key(each) == row["strategy_key"]]
        train = command("train", "experiment=pooled")
        if not candidates:
            reason = f"it was graded by a portfolio of other code or settings: run `{train}`, which grades again"
            return GradeCheck(*identity, missing=reason)
        data = self._data(run, parts, candidates)
        if data is None:
            return GradeCheck(
                *identity, missing=f"{_RESTATED}: run `{train}`, which makes a run of the bars that there are"
            )
        current = [each for each in candidates if keys.grade_key(each) == row["grade_key"]]
        whole = bool(current) and not row.get("gate_alone")
        figures = self._graded(parts, data, (current or candidates)[0], row["n_trials"] or 1, whole=whole)
        unlike = differences(row, figures, CHECKED if whole else _GATED)
        return GradeCheck(*identity, differing=tuple(unlike), is_current=bool(current))

    def _graded(
        self, parts: Mapping[str, Any], data: ClassData, settings: PooledSettings, n_trials: int, *, whole: bool
    ) -> Mapping[str, Any]:
        """Figures of a run, from its stored scores: all of them, or those of the gate alone."""
        run = self._run(parts, data, settings)
        if not whole:
            return _gate_figures(run, settings)
        return assess_pooled(
            run, settings.portfolio, settings.eligibility, settings.training.grade,
            trials=n_trials, seed=settings.training.seed,
        ).values  # fmt: skip

    def _run(self, parts: Mapping[str, Any], data: ClassData, settings: PooledSettings) -> PooledRun:
        """Put the stored scores of a run on the calendar of its class."""
        dates, split, horizon = data.section.dates, settings.training.split, settings.label.horizon
        folds = pooled_folds(dates, data.bars.asset_class, split, horizon, settings.scope.train_every)
        names = [fold.first.isoformat() for fold in folds]
        tables = {kind: self._scores.table(key, names, dates, data.eligible) for kind, key in parts["fits"].items()}
        days = slice(folds[0].score.start, folds[-1].score.start + folds[-1].graded)
        scores = combined(tables, data.eligible)[days]
        return PooledRun(data.section, data.eligible, data.styles, data.targets, scores, days)

    # settings and bars --------------------------------------------------------------------------------------------

    def _choices(self, session_key: str) -> list[PooledChoices]:
        """Settings that a session recorded, then those of the command: thresholds may have changed since."""
        config = recorded_config(self._store, session_key)
        if config is None:
            return [self._own]
        recorded = PooledChoices.of(config)
        return [recorded, replace(recorded, grade=self._own.grade), self._own]

    def _data(
        self, run: Mapping[str, Any], parts: Mapping[str, Any], candidates: list[PooledSettings]
    ) -> ClassData | None:
        """The cross-section that the run was made of; None where its bars are gone or were restated."""
        asset_class, first = str(run["symbol"]).partition(".")[0], candidates[0]
        key = json_digest([asset_class, parts["bars"], parts["label"], parts["eligibility"]])
        if key not in self._classes:
            self._classes.clear()  # one at a time in memory
            untils = dict.fromkeys(each.training.split.until for each in candidates)
            bars = self._bars_of(run, asset_class, parts["bars"], list(untils))
            self._classes[key] = None if bars is None else ClassData(bars, first.eligibility, first.label)
        return self._classes[key]

    def _bars_of(
        self, run: Mapping[str, Any], asset_class: str, expected: str, untils: list[str | None]
    ) -> ClassBars | None:
        """Bars that the run's key recognises: up to a pinned date, or to the last booked return if more came since."""
        booked = self._store.predictions(None, [run["record_id"]])["oos_stamp"].explode().max()
        last = [booked.date().isoformat()] if isinstance(booked, dt.datetime) else []
        for until in dict.fromkeys([*untils, *last]):
            note = self._paths.ranks / asset_class / ("bars.json" if until == untils[0] else "bars-cut.json")
            bars = self._bars(asset_class, until)
            if bars is not None and bars.digest(note) == expected:
                return bars
        return None

    def _bars(self, asset_class: str, until: str | None) -> ClassBars | None:
        """Bars of the instruments of a class that are featurized; None where there are none any more."""
        store, states = BarStore(self._paths.bars), self._paths.states("featurize")
        if not store.exists() or not states.is_file():
            return None
        with atomic.read_errors(states, f"run `{command('featurize', stored=self._paths.dataset)}`, which writes it"):
            rows = pl.read_parquet(states, columns=[*KEY, "state"], glob=False)
        rows = rows.filter(pl.col("state") == "done", pl.col("asset_class") == asset_class)
        names: Keys = frozenset(rows.select(KEY).iter_rows())
        return ClassBars(store, asset_class, dt.date.fromisoformat(until) if until else None, names)


def _gate_figures(run: PooledRun, settings: PooledSettings) -> dict[str, Any]:
    """What the gate reads of a run, without the draws that evidence needs."""
    days = GradedDays(run, settings.portfolio, settings.eligibility.delisting_return)
    net, (label, score) = days.trade(run.scores).net, days.labels_and_scores()
    outcomes = Outcomes(label, score, net, run.section.bars_per_year)
    return {**{metric.name: metric.compute(outcomes) for metric in GATE_METRICS}, "n_oos": net.size}
