"""The procedure that is graded, for one instrument: label, walk-forward folds, fits, out-of-sample predictions, grade.

`train_instrument` is what a worker does. It reads no file and writes none: what it needs comes in a `Task`, what it
found goes back in a `Trained`, and the one writer is the parent.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.config.schema import GradeConfig, LabelConfig, ModelConfig, SplitConfig, StrategyConfig
from src.core.arrays import Matrix, Vector
from src.core.failure import Failure
from src.evaluation.assessment import Assessment, assess
from src.evaluation.labels import Decisions, decisions
from src.evaluation.metrics import equity
from src.evaluation.splits import Fold, InsufficientData, walk_forward
from src.market.bars import BARS_PER_YEAR
from src.models.registry import family, load
from src.training import expanding_window
from src.training.expanding_window import Examples
from src.training.run_store import CURVE_SCHEMA, IMPORTANCE, OOS_SCHEMA, RUN_SCHEMA


@dataclass(frozen=True)
class Plan:
    """One run to be trained, graded again, or given its model: what exists of it is in `stored`."""

    record_id: str
    model: ModelConfig
    identity: dict[str, Any]  # the identity columns of its row in the run store
    is_new: bool = True
    stored: dict[str, Any] | None = None  # OOS columns, where the predictions exist
    has_model: bool = False


@dataclass(frozen=True)
class Task:
    """One instrument's work: bars up to ``split.until`` and their features, row by row."""

    asset_class: str
    symbol: str
    bucket: int
    bars: pl.DataFrame
    features: Matrix
    names: list[str]
    plans: list[Plan]
    n_trials: int
    seed: int
    label: LabelConfig
    split: SplitConfig
    strategy: StrategyConfig
    grade: GradeConfig
    panel_returns: pl.DataFrame | None = None

    @property
    def device(self) -> str:
        """Where it is fitted: one command's models are all for one device."""
        return self.plans[0].model.device if self.plans else "cpu"


@dataclass(frozen=True)
class Trained:
    """What came of a task: new rows for the run store, grades, native models, or the reason why there is nothing."""

    skipped: str | None = None
    runs: list[dict[str, Any]] = field(default_factory=list)
    grades: list[dict[str, Any]] = field(default_factory=list)
    models: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)  # by family, each after its second try
    fit_seconds: float = 0.0


def train_instrument(task: Task) -> Trained:
    """Do all plans of one instrument; thin or one-sided data is a skip with its reason, not an error."""
    yearly = bars_per_year(task.bars, task.asset_class)
    chosen = decisions(task.bars, task.label, task.panel_returns, yearly)
    try:
        folds = walk_forward(chosen.dates, task.asset_class, task.split, task.label.horizon, yearly)
        _check_labels(chosen, folds)
    except InsufficientData as reason:
        return Trained(skipped=str(reason))
    result = Trained()
    for plan in task.plans:
        load(plan.model.family)
    started = time.process_time()
    known = expanding_window.examples(task.features, chosen)
    for plan in task.plans:
        error = _attempt(plan, task, chosen, known, folds, result)
        if error is not None:
            result.failures[plan.model.family] = Failure.of(error, final=True)
    return replace(result, fit_seconds=time.process_time() - started)


def bars_per_year(bars: pl.DataFrame, asset_class: str) -> float:
    """Bars by which figures are annualised: the class's days a year, times the median bars a day where intraday."""
    days = BARS_PER_YEAR[asset_class]
    if bars.is_empty() or bars.schema["date"] == pl.Date:
        return float(days)
    a_day = bars.group_by(pl.col("date").dt.date()).len()["len"].median()
    return float(days) * float(str(a_day))


def _attempt(
    plan: Plan, task: Task, chosen: Decisions, known: Examples, folds: list[Fold], result: Trained
) -> Exception | None:
    """Do a plan, with a second try; return what that raised. Want of memory is the worker's end, not the plan's."""
    for last in (False, True):
        try:
            _do(plan, task, chosen, known, folds, result)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a plan raises is that plan's outcome
            if last:
                return error
        else:
            break
    return None


def _do(plan: Plan, task: Task, chosen: Decisions, known: Examples, folds: list[Fold], result: Trained) -> None:
    stored, run = plan.stored, None
    if stored is None:
        started = time.process_time()
        stored = _out_of_sample(plan.model, task, chosen, known, folds)
        seconds = time.process_time() - started
        figures = {"n_train": int(folds[-1].train.size), "n_folds": len(folds), "fit_seconds": seconds}
        run = {**plan.identity, **figures, **stored}
    graded = _grade(stored, task, chosen)
    row = graded.row()
    curve: dict[str, Any] = dict.fromkeys(CURVE_SCHEMA)
    if row["passed"]:
        curve = {
            "stamp": graded.stamps.astype("datetime64[us]").tolist(),
            "net": graded.net.tolist(),
            "equity": graded.equity.tolist(),
            "always_long": equity(graded.always_net).tolist(),
        }
        if not plan.has_model:
            result.models[plan.record_id] = _final_model(plan.model, task, known)
    if run is not None:
        result.runs.append(run)
    result.grades.append({"record_id": plan.record_id, **row, **curve})


def _check_labels(chosen: Decisions, folds: list[Fold]) -> None:
    """A fit needs both classes."""
    for fold in folds:
        ups = np.nanmean(chosen.label[fold.train]) if np.isfinite(chosen.label[fold.train]).any() else np.nan
        if not 0.0 < ups < 1.0:
            raise InsufficientData(
                f"training labels before {fold.first} are of one class: {np.isfinite(chosen.label[fold.train]).sum()} "
                f"of {fold.train.size} decisions have a direction"
            )


def _rows(task: Task, chosen: Decisions, where: npt.NDArray[np.int64]) -> Matrix:
    return np.ascontiguousarray(task.features[chosen.rows[where]])


def _out_of_sample(
    model: ModelConfig, task: Task, chosen: Decisions, known: Examples, folds: list[Fold]
) -> dict[str, Any]:
    """Predict each fold's test decisions by a model of its training decisions, and put the folds end to end."""
    library = family(model.family)
    models = expanding_window.each(known, [fold.train.size for fold in folds], model, task.names, task.seed)
    where: list[npt.NDArray[np.int64]] = []
    probability: list[Vector] = []
    gains: list[Vector] = []
    for fold, booster in zip(folds, models, strict=True):
        tradable = fold.test[np.isfinite(chosen.bar_return[fold.test])]
        if tradable.size:
            where.append(tradable)
            probability.append(library.predict(booster, _rows(task, chosen, tradable)))
            gains.append(library.importance(booster, task.names))
    index = np.concatenate(where)
    fold_ids = np.repeat(np.arange(len(where), dtype=np.int32), [part.size for part in where])
    return {
        "oos_date": chosen.dates[index],
        "oos_stamp": chosen.stamps[index],
        "oos_fold": fold_ids,
        "oos_probability": np.concatenate(probability),
        "oos_label": chosen.label[index],
        "oos_bar_return": chosen.bar_return[index],
        "importance": np.mean(gains, axis=0),
    }


def _grade(stored: dict[str, Any], task: Task, chosen: Decisions) -> Assessment:
    """Grade stored predictions: the same call for a new run and for an old one under other thresholds or costs."""
    positions = chosen.positions(np.asarray(stored["oos_date"], dtype="datetime64[us]"))
    probability = np.asarray(stored["oos_probability"], dtype=np.float64)
    return assess(probability, positions, chosen, task.strategy, task.grade, trials=task.n_trials)


def _final_model(model: ModelConfig, task: Task, known: Examples) -> tuple[str, bytes]:
    """Refit on every decision with a direction: the model to be registered, in its native format."""
    library = family(model.family)
    booster = library.fit(known.x, known.y, model.params, task.seed, task.names, model.device)
    return library.FILE, library.to_bytes(booster)


def run_rows(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of the run store as a table, JSON columns encoded."""
    table: dict[str, pl.Series] = {}
    for name, dtype in RUN_SCHEMA.items():
        values = [row[name] for row in rows]
        table[name] = pl.Series(name, [_json(value) for value in values], dtype=dtype)
    for name, dtype in (IMPORTANCE | OOS_SCHEMA).items():
        table[name] = pl.Series(name, [pl.Series(row[name]) for row in rows]).cast(dtype)
    return pl.DataFrame(table)


def _json(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
