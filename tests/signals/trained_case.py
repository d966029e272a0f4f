"""A small dataset that is hydrated, featurized and trained in this process, for tests of what champions decide."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.config.schema import Config, ModelConfig
from src.engine.outcome import Outcome
from src.evaluation import labels
from src.evaluation.labels import Decisions
from src.evaluation.splits import Fold, walk_forward
from src.features.build import FeatureJob, build
from src.hydration import files
from src.hydration.job import HydrationJob
from src.market.bars import BarStore, bucket
from src.models.registry import PARAMS, family
from src.signals.bucket_lines import BucketLines, Shared
from src.signals.candidates import Candidate
from src.signals.dataset import SignalDataset
from src.signals.days import BookDays
from src.signals.graded_settings import RecordedSettings
from src.signals.instrument_lines import instrument_lines
from src.signals.line_columns import LineColumns
from src.signals.model_threads import model_threads
from src.tracking.crowned_versions import CrownedVersion
from src.tracking.evidence import StoredEvidence
from src.training import expanding_window
from src.training.expanding_window import Examples
from src.training.run_store import RunStore
from src.training.session import Session
from src.training.settings import TrainingSettings
from src.training.walk_forward import InstrumentTask, bars_per_year, train_instrument

UNTIL, END = "2023-06-30", "2023-12-29"
FAMILIES = ("lightgbm", "xgboost", "catboost", "ridge", "hist_gradient_boosting")
SMALL = {"rounds": 8}


@dataclass
class Trained:
    """A dataset in a folder, with the tasks that training did."""

    config: Config
    tasks: dict[str, InstrumentTask]

    @property
    def dataset(self) -> SignalDataset:
        return SignalDataset.of(self.config)

    @property
    def runs(self) -> RunStore:
        return RunStore(self.config.paths.runs)

    def copy(self, folder: Path) -> Trained:
        """The same in another folder, to be changed there."""
        shutil.copytree(self.config.data.root, folder / "data")
        return Trained(in_folder(self.config, folder), self.tasks)

    def champions(self, *chosen: str) -> list[CrownedVersion]:
        """Champions as the registry would name them: all runs, or those of ``symbol family``."""
        rows = StoredEvidence(self.runs).table.sort("symbol", "family").to_dicts()
        found = []
        for row in rows:
            name = f"{row['symbol']} {row['family']}"
            if not chosen or name in chosen:
                champion = f"{row['asset_class']}.{row['symbol']}"
                sha256 = row["model_sha256"] or self._store_model(row)
                found.append(
                    CrownedVersion(champion, 1, "run", row["record_id"], row["strategy_key"], sha256, grade=row)
                )
        return found

    def lines(
        self, first: dt.date | str, last: dt.date | str | None = None, *chosen: str, explain: bool = True
    ) -> pl.DataFrame:
        """Lines of champions on a range of days."""
        return instrument_lines(self.champions(*chosen), self.dataset, days(first, last), explain=explain)

    def _store_model(self, row: dict[str, Any]) -> str:
        """Store the model of a run that did not pass, as if it had."""
        path = self.runs.root / "models" / row["record_id"] / family(row["family"]).FILE
        if not path.is_file():
            task = self.tasks[row["symbol"]]
            examples = expanding_window.examples(task.features, decisions_of(task))
            model = fitted(row["family"], task, examples)
            self.runs.write_model(row["record_id"], path.name, family(row["family"]).to_bytes(model))
        return hashlib.sha256(path.read_bytes()).hexdigest()


def days(first: dt.date | str, last: dt.date | str | None = None) -> BookDays:
    """A range of days; one day where the last is left out."""
    dates = [dt.date.fromisoformat(str(each)) for each in (first, last or first)]
    return BookDays(dates[0], dates[1])


def configured(folder: Path, **changes: Any) -> Config:
    """Two stocks and a coin of the simulated source, whose bars go on half a year after training."""
    config = in_folder(Config(), folder)
    config.universe.buckets, config.universe.panel, config.universe.allow_simulated = 2, 5, True
    config.source.simulated = replace(config.source.simulated, stock=2, etf=0, crypto=1, first="2018-01-02", edge=0.5)
    config.data.until, config.split.until = END, UNTIL
    for name, value in changes.items():
        *path, last = name.split("__")
        part: Any = config
        for each in path:
            part = getattr(part, each)
        setattr(part, last, value)
    return config


def in_folder(config: Config, folder: Path) -> Config:
    """The configuration with its data in a folder."""
    data = replace(config.data, root=str(folder / "data"), logs=str(folder / "logs"), reports=str(folder / "reports"))
    return replace(config, data=data)


def hydrated(config: Config) -> None:
    """Hydrate and featurize, in this process."""
    files.run(HydrationJob.of(config))
    build(FeatureJob.of(config))


def trained(config: Config, *families: str) -> Trained:
    """Hydrate, featurize and train; every run is graded, and no MLflow is asked."""
    hydrated(config)
    return train(config, *families)


def train(config: Config, *families: str) -> Trained:
    """Train what is hydrated and featurized."""
    models = [ModelConfig(name, params=params_of(name)) for name in families or FAMILIES]
    session = Session(TrainingSettings.of(config, models))
    session.announce()
    tasks = {}
    for task in session.tasks():
        tasks[task.symbol] = task
        session.take(Outcome(task, train_instrument(task)))
    session.write_grades(session.finish().grades, None)
    return Trained(config, tasks)


def params_of(name: str) -> Any:
    """Small models, which take little time."""
    return PARAMS[name](**({} if name == "ridge" else SMALL))


def fitted(name: str, task: InstrumentTask, examples: Examples, fold: Fold | None = None) -> Any:
    """A model of a fold's training decisions, by a fit that sees no others; of all decisions without a fold."""
    if fold is not None:
        rows = int(np.searchsorted(examples.positions, fold.train.size))
        examples = Examples(examples.x[:rows], examples.y[:rows], examples.positions[:rows])
    folds, model = folds_of(task), ModelConfig(name, params=params_of(name))
    ends = [each.train.size for each in folds if fold is None or each.train.size <= fold.train.size]
    return expanding_window.final_model(examples, ends, model, task.feature_names, task.seed)


def decisions_of(task: InstrumentTask) -> Decisions:
    """Decisions as training made them."""
    return labels.decisions(task.bars, task.label, task.panel_returns, bars_per_year(task.bars, task.asset_class))


def folds_of(task: InstrumentTask) -> list[Fold]:
    """Folds as training made them."""
    yearly = bars_per_year(task.bars, task.asset_class)
    return walk_forward(decisions_of(task).dates, task.asset_class, task.split, task.label.horizon, yearly)


def replayed_fold(case: Trained, champion: CrownedVersion, fold: Fold, model: Any) -> pl.DataFrame:
    """Lines of a fold's days by a model of its training decisions, by the functions that `predict` calls."""
    settings = RecordedSettings(case.dataset, [champion])
    chosen = settings.of(champion)
    dates = decisions_of(case.tasks[chosen.symbol]).dates.astype("datetime64[D]")
    grade = dict(champion.grade) | {"last_oos": dates[fold.test[0] - 3].item()}
    candidate = Candidate(replace(champion, grade=grade), (chosen.asset_class, chosen.symbol), chosen, None, None)
    store = BarStore(case.config.paths.bars)
    span = BookDays(dates[fold.test[0]].item(), dates[fold.test[-1]].item())
    lines = LineColumns()
    with model_threads([chosen.family]) as threads:
        shared = Shared.of(case.dataset, store, span, threads, explain=False)
        shared = replace(shared, given={champion.record_id: model})
        BucketLines(bucket(*candidate.key, store.manifest.buckets), shared).add([candidate], lines)
    return lines.frame().unique("decided_on", keep="first", maintain_order=True)
