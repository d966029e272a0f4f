"""The procedure that is graded, for one instrument: label, walk-forward folds, fits, out-of-sample predictions, grade.

`train_instrument` is what a worker does. It reads and writes no file: everything it needs comes in an `InstrumentTask`,
everything it makes goes back in a `TrainedInstrument`, and the parent process alone writes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.config.schema import GradeConfig, LabelConfig, ModelConfig, SplitConfig, StrategyConfig
from src.core.arrays import Matrix, Vector
from src.core.end_state import EndState
from src.core.failure import Failure
from src.core.instruments import Key
from src.evaluation import labels
from src.evaluation.assessment import Assessment, Grader
from src.evaluation.labels import Decisions
from src.evaluation.metrics import equity
from src.evaluation.splits import Fold, InsufficientData, walk_forward
from src.market.bars import BARS_PER_YEAR
from src.models.registry import family, load
from src.training import expanding_window
from src.training.expanding_window import Examples
from src.training.run_tables import CURVE_SCHEMA


@dataclass(frozen=True)
class RunPlan:
    """One run to be trained, graded again, or given its model.

    Attributes
    ----------
    record_id : str
        Key and attempt of the run.
    model : ModelConfig
        Family, hyperparameters and device.
    identity : dict
        Identity columns of the run's row in the run store.
    is_new : bool
        Whether the run has to be fitted.
    stored : dict, optional
        Out-of-sample columns of the run store, where the run was fitted before.
    model_sha256 : str, optional
        Of the native model that the run store holds; None where it holds none, or another than was recorded.
    needs_model : bool
        Whether a native model is made where the run passes.
    """

    record_id: str
    model: ModelConfig
    identity: dict[str, Any]
    is_new: bool = True
    stored: dict[str, Any] | None = None
    model_sha256: str | None = None
    needs_model: bool = True

    @property
    def has_model(self) -> bool:
        """Whether the run store holds the native model."""
        return self.model_sha256 is not None


@dataclass(frozen=True)
class InstrumentTask:
    """The work on one instrument.

    Attributes
    ----------
    asset_class, symbol : str
        Key of the instrument.
    bucket : int
        Bucket of the instrument in the stores.
    bars : DataFrame
        Its bars up to ``split.until``, sorted by date.
    features : float32, shape (bars, features)
        Its features, row by row those of the bars.
    feature_names : list of str
        Names of the columns of `features`.
    plans : list of RunPlan
        Runs to do, one for each family.
    n_trials : int
        Distinct run keys ever graded on the instrument, for the evidence.
    seed, label, split, strategy, grade
        Settings of the session.
    panel_returns : DataFrame, optional
        Returns of the portfolio that the label compares with and P&L is hedged by, where the label is relative.
    """

    asset_class: str
    symbol: str
    bucket: int
    bars: pl.DataFrame
    features: Matrix
    feature_names: list[str]
    plans: list[RunPlan]
    n_trials: int
    seed: int
    label: LabelConfig
    split: SplitConfig
    strategy: StrategyConfig
    grade: GradeConfig
    panel_returns: pl.DataFrame | None = None

    @property
    def key(self) -> Key:
        """Asset class and symbol."""
        return self.asset_class, self.symbol

    @property
    def device(self) -> str:
        """Device that the task needs: all models of a command are for one device."""
        return self.plans[0].model.device if self.plans else "cpu"


@dataclass(frozen=True)
class TrainedInstrument:
    """Results of a task.

    Attributes
    ----------
    runs : list of dict
        New rows of the run store.
    grades : list of dict
        New rows of the grades.
    models : dict
        Record id to the file name and content of the native model, for runs that passed.
    failures : dict
        Family to its failure, each after a second try.
    fit_seconds : float
        CPU seconds of the whole task.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    grades: list[dict[str, Any]] = field(default_factory=list)
    models: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    fit_seconds: float = 0.0


@dataclass(frozen=True)
class _Prepared:
    """What all runs of an instrument share."""

    decisions: Decisions
    examples: Examples
    folds: list[Fold]
    grader: Grader


def train_instrument(task: InstrumentTask) -> TrainedInstrument | EndState:
    """Do all runs of one instrument.

    Parameters
    ----------
    task : InstrumentTask
        The instrument's bars and features, and the runs to do.

    Returns
    -------
    TrainedInstrument or EndState
        Runs, grades, models and failures by family; a skip where the data is too short, too thin or of one direction.

    Raises
    ------
    MemoryError
        If memory runs out: the worker process ends with it, and the engine tries the instrument again alone.
    """
    yearly = bars_per_year(task.bars, task.asset_class)
    decisions = labels.decisions(task.bars, task.label, task.panel_returns, yearly)
    try:
        folds = walk_forward(decisions.dates, task.asset_class, task.split, task.label.horizon, yearly)
        _check_labels(decisions, folds)
    except InsufficientData as error:
        return EndState(*task.key, "skipped", str(error))
    result = TrainedInstrument()
    for plan in task.plans:
        load(plan.model.family)
    started = time.process_time()
    grader = Grader(decisions, task.strategy, task.grade)
    prepared = _Prepared(decisions, expanding_window.examples(task.features, decisions), folds, grader)
    for plan in task.plans:
        failure = _try_twice(plan, task, prepared, result)
        if failure is not None:
            result.failures[plan.model.family] = failure
    return replace(result, fit_seconds=time.process_time() - started)


def bars_per_year(bars: pl.DataFrame, asset_class: str) -> float:
    """Return the number of bars by which figures are annualised.

    Parameters
    ----------
    bars : DataFrame
        Bars of one instrument; the type of ``date`` says whether they are intraday.
    asset_class : str
        Decides the number of trading days a year.

    Returns
    -------
    float
        Days a year of the class, times the median number of bars a day where bars are intraday.
    """
    days = BARS_PER_YEAR[asset_class]
    if bars.is_empty() or bars.schema["date"] == pl.Date:
        return float(days)
    a_day = bars.group_by(pl.col("date").dt.date()).len()["len"].median()
    return float(days) * float(str(a_day))


def _try_twice(plan: RunPlan, task: InstrumentTask, prepared: _Prepared, result: TrainedInstrument) -> Failure | None:
    """Do a run and add it to the result; return the failure of the second try."""
    for last in (False, True):
        try:
            _do(plan, task, prepared, result)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a run raises is that run's failure
            if last:
                return Failure.of(error, final=True)
        else:
            break
    return None


def _do(plan: RunPlan, task: InstrumentTask, prepared: _Prepared, result: TrainedInstrument) -> None:
    """Fit where there are no predictions yet, grade, refit where the run passed, then add all of it to the result."""
    stored, run = plan.stored, None
    if stored is None:
        started = time.process_time()
        stored = _out_of_sample(plan.model, task, prepared.decisions, prepared.examples, prepared.folds)
        seconds = time.process_time() - started
        folds = prepared.folds
        figures = {"n_train": int(folds[-1].train.size), "n_folds": len(folds), "fit_seconds": seconds}
        run = {**plan.identity, **figures, **stored}
    graded = grade_stored(stored, prepared.grader, task.n_trials)
    row, sha256 = graded.row(), plan.model_sha256
    curve: dict[str, Any] = dict.fromkeys(CURVE_SCHEMA)
    if row["passed"]:
        curve = _curve(graded)
        if plan.needs_model and not plan.has_model:
            name, content = _final_model(plan.model, task, prepared)
            result.models[plan.record_id], sha256 = (name, content), hashlib.sha256(content).hexdigest()
    if run is not None:
        result.runs.append(run)
    result.grades.append({"record_id": plan.record_id, **row, **curve, "model_sha256": sha256})


def _curve(graded: Assessment) -> dict[str, Any]:
    return {
        "stamp": graded.stamps.astype("datetime64[us]").tolist(),
        "net": graded.net.tolist(),
        "equity": graded.equity.tolist(),
        "always_long": equity(graded.always_net).tolist(),
    }


def _check_labels(decisions: Decisions, folds: list[Fold]) -> None:
    """Make sure that the training labels of every fold have both classes: a fit needs them."""
    for fold in folds:
        label = decisions.label[fold.train]
        ups = np.nanmean(label) if np.isfinite(label).any() else np.nan
        if not 0.0 < ups < 1.0:
            raise InsufficientData(
                f"training labels before {fold.first} are of one class: {np.isfinite(label).sum()} of "
                f"{fold.train.size} decisions have a direction"
            )


def _out_of_sample(
    model: ModelConfig, task: InstrumentTask, decisions: Decisions, examples: Examples, folds: list[Fold]
) -> dict[str, Any]:
    """Predict the test decisions of each fold by a model of its training decisions, and put the folds end to end."""
    library = family(model.family)
    ends = [fold.train.size for fold in folds]
    models = expanding_window.window_models(examples, ends, model, task.feature_names, task.seed)
    tested: list[npt.NDArray[np.int64]] = []
    probability: list[Vector] = []
    importances: list[Vector] = []
    for fold, booster in zip(folds, models, strict=True):
        tradable = fold.test[np.isfinite(decisions.bar_return[fold.test])]
        if tradable.size:
            x = np.ascontiguousarray(task.features[decisions.rows[tradable]])
            tested.append(tradable)
            probability.append(library.predict(booster, x))
            importances.append(library.importance(booster, task.feature_names))
    index = np.concatenate(tested)
    fold_ids = np.repeat(np.arange(len(tested), dtype=np.int32), [part.size for part in tested])
    return {
        "oos_date": decisions.dates[index],
        "oos_stamp": decisions.stamps[index],
        "oos_fold": fold_ids,
        "oos_probability": np.concatenate(probability),
        "oos_label": decisions.label[index],
        "oos_bar_return": decisions.bar_return[index],
        "importance": np.mean(importances, axis=0),
    }


def grade_stored(stored: Mapping[str, Any], grader: Grader, n_trials: int) -> Assessment:
    """Grade predictions: one call for a new run, for an old one under other thresholds or costs, and for a check.

    Parameters
    ----------
    stored : mapping
        Out-of-sample columns of the run store.
    grader : Grader
        Of the instrument's bars, by the strategy and grade that count.
    n_trials : int
        Distinct run keys ever graded on the instrument.

    Returns
    -------
    Assessment

    Raises
    ------
    ValueError
        If a prediction is dated where no bar is tradable.
    """
    positions = grader.decisions.positions(np.asarray(stored["oos_date"], dtype="datetime64[us]"))
    probability = np.asarray(stored["oos_probability"], dtype=np.float64)
    return grader.assess(probability, positions, trials=n_trials)


def _final_model(model: ModelConfig, task: InstrumentTask, prepared: _Prepared) -> tuple[str, bytes]:
    """Refit on every decision with a direction: the model to be registered, in its native format."""
    library, ends = family(model.family), [fold.train.size for fold in prepared.folds]
    booster = expanding_window.final_model(prepared.examples, ends, model, task.feature_names, task.seed)
    return library.FILE, library.to_bytes(booster)
