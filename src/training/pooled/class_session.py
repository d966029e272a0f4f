"""The fits and grades of one asset class in a session of the pooled scope."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.config.paths import listings
from src.core import git
from src.core.arrays import Matrix
from src.core.failure import Failure
from src.core.hashing import json_digest
from src.core.instruments import Key
from src.models.registry import family
from src.storage import atomic
from src.training.pooled import keys
from src.training.pooled.categories import categories, listings_digest
from src.training.pooled.class_data import ClassData
from src.training.pooled.class_facts import facts_digest
from src.training.pooled.fit_task import FitTask, FoldFit
from src.training.pooled.folds import PooledFold, pooled_folds, spaced
from src.training.pooled.ranks import RankTable, rank_table
from src.training.pooled.score_store import ScoreStore, StoredFold, combined
from src.training.pooled.settings import ENSEMBLE, PooledSettings

if TYPE_CHECKING:
    from src.config.schema import ModelConfig
    from src.training.inputs import Inputs

log = logging.getLogger(__name__)
ALL_DAYS = "all"
"""Name of the refit on every day whose outcome is known."""


@dataclass(frozen=True)
class PooledPlan:
    """One run of a class: its families, its keys, and whether it is new."""

    family: str
    fits: Mapping[str, str]
    parts: Mapping[str, Any]
    run_key: str
    settings_key: str

    @property
    def members(self) -> list[str]:
        """Families whose scores it averages."""
        return list(self.fits)


@dataclass
class ClassSession:
    """One asset class: its folds, the fits that are missing, and the scores of its runs.

    Attributes
    ----------
    settings : PooledSettings
    inputs : Inputs
        Of the dataset.
    data : ClassData
    scores : ScoreStore
    folder : Path
        Of the class's ranks.
    since : datetime, optional
        With ``fresh=true``: fits that are older are made again.
    """

    settings: PooledSettings
    inputs: Inputs
    data: ClassData
    scores: ScoreStore
    folder: Path
    since: dt.datetime | None = None
    failures: dict[str, Failure] = field(default_factory=dict)
    models: dict[str, bytes] = field(default_factory=dict)

    @property
    def asset_class(self) -> str:
        """The class."""
        return self.data.bars.asset_class

    @cached_property
    def key(self) -> keys.ClassKey:
        """What its fits share."""
        kept = listings_digest(listings(self.settings.training.paths.root), self.asset_class, self.data.bars.until)
        bars = self.data.bars.digest(self._beside("bars.json"))
        facts = facts_digest(self.data.bars, self.inputs, self._beside("facts.json"))
        return keys.ClassKey(self.asset_class, bars, kept, facts)

    @cached_property
    def plans(self) -> list[PooledPlan]:
        """The runs of the class: the ensemble, or one a family."""
        models = self.settings.models(self.asset_class)
        fits = {m.family: keys.fit_parts(self.settings, self.inputs.shared, self.key, m) for m in models}
        groups = [fits] if self.settings.is_ensemble and fits else [{name: parts} for name, parts in fits.items()]
        return [self._plan(group) for group in groups]

    def _plan(self, fits: Mapping[str, Mapping[str, Any]]) -> PooledPlan:
        parts = keys.run_parts(fits)
        name = ENSEMBLE if self.settings.is_ensemble else next(iter(fits))
        key = keys.run_key(self.asset_class, self.settings.symbol(self.asset_class), parts)
        return PooledPlan(name, parts["fits"], parts, key, keys.settings_key(parts))

    @cached_property
    def folds(self) -> list[PooledFold]:
        """Folds on the class's calendar.

        Raises
        ------
        InsufficientData
            If the calendar is too short.
        """
        scope, split, horizon = self.settings.scope, self.settings.training.split, self.settings.label.horizon
        return pooled_folds(self.data.section.dates, self.asset_class, split, horizon, scope.train_every)

    @cached_property
    def ranks(self) -> RankTable:
        """Ranks of the features of each day; what is missing of them is computed."""
        section, hashes = self.data.section, dict(self.inputs.shared.features)
        made_from = json_digest([self.key.bars, self.inputs.shared.panel.get(self.asset_class)])
        kinds = categories(section, listings(self.settings.training.paths.root))
        return rank_table(
            self.folder, section, self.data.eligible, self.inputs.features, hashes, self.settings.training.seed,
            bars=made_from, categories=kinds,
        )  # fmt: skip

    def _beside(self, name: str) -> Path:
        """File beside the folder of ranks, which holds nothing else."""
        return self.folder.parent / f"{self.folder.name}-{name}"

    @cached_property
    def _target(self) -> Path:
        """The fitted values beside the ranks, row by row."""
        regression = self.settings.scope.objective == "regression"
        table = self.data.targets.value if regression else self.data.targets.up
        path = self._beside("target.npy")

        def put(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.save(file, self.data.rows(table))

        atomic.write_atomic(path, put)
        return path

    # fits ---------------------------------------------------------------------------------------------------------

    @property
    def fit_keys(self) -> dict[str, str]:
        """Key of each family's fits."""
        return {name: key for plan in self.plans for name, key in plan.fits.items()}

    def missing(self) -> list[tuple[str, PooledFold]]:
        """Family and fold of the fits that are not stored."""
        return [
            (name, fold)
            for fold in self.folds
            for name, key in self.fit_keys.items()
            if self.scores.stored(key, fold.first.isoformat(), self.since) is None
        ]

    def tasks(self) -> Iterator[FitTask]:
        """Yield the fits that are missing, the longest first."""
        missing = self.missing()
        if not missing:
            return
        ranks, target = self.ranks, self._target
        log.info("%s: %d rows of ranks, %d fits to do", self.asset_class, ranks.offsets[-1], len(missing))
        for name, fold in sorted(missing, key=lambda each: -each[1].train.size):
            yield self._task(name, target, fold.first.isoformat(), fold.train, fold.score)

    def refits(self, names: list[str]) -> Iterator[FitTask]:
        """Yield fits of families on every day whose outcome is known, for the registry."""
        self.ranks  # noqa: B018 (computed where it is missing)
        known = np.flatnonzero(np.isfinite(self.data.targets.value).any(axis=1))
        days = spaced(known, self.settings.scope.train_every)
        for name in names:
            yield self._task(name, self._target, ALL_DAYS, days, None)

    def _task(self, name: str, target: Path, fold: str, train: Any, score: slice | None) -> FitTask:
        seed, objective = self.settings.training.seed, self.settings.scope.objective
        return FitTask(self.folder, target, self._model(name), fold, train, score, seed, objective)

    def _model(self, name: str) -> ModelConfig:
        return next(model for model in self.settings.models(self.asset_class) if model.family == name)

    def take(self, task: FitTask, result: FoldFit | Failure) -> None:
        """Store the result of a fit, durable on return; a failure is kept for the run's reason."""
        name = task.model.family
        if isinstance(result, Failure):
            self.failures[name] = result
            log.error("%s %s %s failed: %s", self.asset_class, name, task.fold, result.reason)
            return
        if task.fold == ALL_DAYS:
            self.models[name] = result.model
            return
        note = StoredFold(result.n_train, result.seconds, result.importance.tolist())
        self.scores.add(self.fit_keys[name], task.fold, result.scores, note)
        log.info("%s %s %s: %d rows, %.1f s", self.asset_class, name, task.fold, result.n_train, result.seconds)

    # runs ---------------------------------------------------------------------------------------------------------

    def run_scores(self, plan: PooledPlan) -> Matrix:
        """Out-of-sample scores of a run, shape (T, N); NaN where there are none."""
        names = [fold.first.isoformat() for fold in self.folds]
        dates, mask = self.data.section.dates, self.data.eligible
        return combined({name: self.scores.table(key, names, dates, mask) for name, key in plan.fits.items()}, mask)

    @property
    def days(self) -> slice:
        """Days that are graded: from the first boundary to the last day whose return is known."""
        last = self.folds[-1]
        return slice(self.folds[0].score.start, last.score.start + last.graded)

    def run_row(self, plan: PooledPlan, identity: Mapping[str, Any]) -> dict[str, Any]:
        """Row of a run for the run store; its lists hold one entry a graded day.

        Parameters
        ----------
        plan : PooledPlan
        identity : mapping
            record_id, attempt, session_key, strategy_key.
        """
        stored = [
            self.scores.stored(plan.fits[name], fold.first.isoformat()) for fold in self.folds for name in plan.fits
        ]
        notes = [note for note in stored if note is not None]
        dates, days = self.data.section.dates, self.days
        fold_of = np.searchsorted([fold.score.start for fold in self.folds], np.arange(days.start, days.stop), "right")
        nothing = [None] * (days.stop - days.start)
        models = {name: self._model(name) for name in plan.fits}
        return {
            **identity,
            "run_key": plan.run_key,
            "asset_class": "pooled",
            "symbol": self.settings.symbol(self.asset_class),
            "family": plan.family,
            "params": {name: asdict(model.pooled or model.params) for name, model in models.items()},
            "features": list(self.ranks.columns),
            "parts": dict(plan.parts),
            "library_version": ", ".join(family(name).LIBRARY.version for name in plan.fits),
            "git_commit": git.git_commit(),
            "n_train": max(note.n_train for note in notes),
            "n_folds": len(self.folds),
            "fit_seconds": sum(note.seconds for note in notes),
            "created_at": dt.datetime.now(dt.UTC),
            "planted": False,
            "tuning_trials": sum(model.trials for model in models.values()),
            "importance": np.mean([note.importance for note in notes], axis=0),
            "oos_date": dates[days],
            "oos_stamp": dates[days.start + 2 : days.stop + 2],
            "oos_fold": (fold_of - 1).astype(np.int32),
            "oos_probability": nothing,
            "oos_label": nothing,
            "oos_bar_return": nothing,
        }

    def meta(self, plan: PooledPlan) -> dict[str, Any]:
        """What a registered model says of itself."""
        return {
            "asset_class": self.asset_class,
            "families": plan.members,
            "features": list(self.ranks.columns),
            "categories": [int(each) for each in self.ranks.categories],
            "objective": self.settings.scope.objective,
            "label": asdict(self.settings.label),
            "eligibility": asdict(self.settings.eligibility),
            "portfolio": asdict(self.settings.portfolio),
            "data_until": str(self.data.section.dates[-1]),
            "run_key": plan.run_key,
        }

    def names(self) -> list[Key]:
        """Instruments of the class."""
        return [(self.asset_class, symbol) for symbol in self.data.section.symbols]


def described(parts: str) -> dict[str, str]:
    """Fit keys by family, as a stored run's parts hold them.

    Parameters
    ----------
    parts : str
        JSON of the run store.
    """
    fits: dict[str, str] = json.loads(parts)["fits"]
    return fits
