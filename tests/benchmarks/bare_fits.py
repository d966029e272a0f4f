"""The libraries' own calls for the fits of training, and nothing else: what training's CPU is held against."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.evaluation.labels import Decisions, decisions
from src.evaluation.splits import Fold, InsufficientData, walk_forward
from src.models.registry import family
from src.training.walk_forward import InstrumentTask, bars_per_year

FAMILIES = ("lightgbm", "xgboost", "catboost")


def folds_of(task: InstrumentTask) -> tuple[Decisions, list[Fold]] | None:
    """An instrument's decisions and folds, as training cuts them; None where it is skipped."""
    yearly = bars_per_year(task.bars, task.asset_class)
    chosen = decisions(task.bars, task.label, task.panel_returns, yearly)
    try:
        return chosen, walk_forward(chosen.dates, task.asset_class, task.split, task.label.horizon, yearly)
    except InsufficientData:
        return None


@dataclass(frozen=True)
class Windows:
    """What the libraries are given: rows of all training windows, and the rows that each fold predicts."""

    x: Any
    y: Any
    ends: list[int]
    later: list[Any]
    names: list[str]
    params: dict[str, Any]
    settings: dict[str, Any]

    @classmethod
    def of(cls, task: InstrumentTask, chosen: Decisions, folds: list[Fold]) -> Windows:
        known = folds[-1].train[np.isfinite(chosen.label[folds[-1].train])]
        ends = [int(np.searchsorted(known, fold.train.size)) for fold in folds]
        later = [task.features[chosen.rows[fold.test]] for fold in folds]
        params = {plan.model.family: plan.model.params for plan in task.plans}
        settings = {name: family(name)._settings(params[name], task.seed, "cpu") for name in FAMILIES}  # type: ignore[attr-defined]
        x, y = task.features[chosen.rows[known]], chosen.label[known]
        return cls(x, y, ends, later, task.feature_names, params, settings)


def bare(task: InstrumentTask) -> float | None:
    """CPU seconds of the libraries' own calls for the same folds and settings, nothing else; None where skipped.

    Bins are shared among the folds, as each library's documentation says how.
    """
    return _cpu_of_fits(task, (_lightgbm_shared, _xgboost_shared, _catboost_shared))


def bare_by_fold(task: InstrumentTask) -> float | None:
    """The same where each fold bins its rows itself."""
    return _cpu_of_fits(task, (_each_fold,))


def _cpu_of_fits(task: InstrumentTask, fits: tuple[Callable[[Windows], None], ...]) -> float | None:
    cut = folds_of(task)
    if cut is None:
        return None
    windows = Windows.of(task, *cut)
    started = time.process_time()
    for fit in fits:
        fit(windows)
    return time.process_time() - started


def _lightgbm_shared(it: Windows) -> None:
    import lightgbm

    settings, first, last = it.settings["lightgbm"], it.ends[0], it.ends[-1]
    settings = {name: value for name, value in settings.items() if name != "force_col_wise"} | {"force_row_wise": True}
    bins = lightgbm.Dataset(it.x[:first], it.y[:first], feature_name=it.names, params=settings)
    rows = lightgbm.Dataset(it.x[:last], it.y[:last], reference=bins, params=settings).construct()
    for end, later in zip(it.ends, it.later, strict=True):
        booster = lightgbm.train(settings, rows.subset(list(range(end))), it.params["lightgbm"].rounds)
        booster.predict(later, num_threads=1)


def _xgboost_shared(it: Windows) -> None:
    import xgboost

    first, last, params = it.ends[0], it.ends[-1], it.params["xgboost"]
    bins = xgboost.QuantileDMatrix(it.x[:first], it.y[:first], max_bin=params.max_bin, nthread=1)
    rows = xgboost.QuantileDMatrix(it.x[:last], it.y[:last], max_bin=params.max_bin, nthread=1, ref=bins)
    for end, later in zip(it.ends, it.later, strict=True):
        rows.set_weight((np.arange(last) < end).astype(np.float32))
        booster = xgboost.Booster(it.settings["xgboost"], [rows])
        for number in range(params.rounds):
            booster.update(rows, number)
        booster.inplace_predict(later)


def _catboost_shared(it: Windows) -> None:
    import catboost

    first, last = it.ends[0], it.ends[-1]
    bins = catboost.Pool(it.x[:first], it.y[:first], feature_names=it.names, thread_count=1)
    bins.quantize(border_count=it.params["catboost"].border_count)
    rows = catboost.Pool(it.x[:last], it.y[:last], feature_names=it.names, thread_count=1)
    with tempfile.TemporaryDirectory() as folder:
        bins.save_quantization_borders(f"{folder}/borders.tsv")
        rows.quantize(input_borders=f"{folder}/borders.tsv")
    for end, later in zip(it.ends, it.later, strict=True):
        catboost.CatBoost(it.settings["catboost"]).fit(rows.slice(list(range(end)))).predict(later, thread_count=1)


def _each_fold(it: Windows) -> None:
    import catboost
    import lightgbm
    import xgboost

    settings, params = it.settings, it.params
    for end, later in zip(it.ends, it.later, strict=True):
        x, y = it.x[:end], it.y[:end]
        rows = lightgbm.Dataset(x, y, feature_name=it.names, params=settings["lightgbm"])
        lightgbm.train(settings["lightgbm"], rows, params["lightgbm"].rounds).predict(later, num_threads=1)
        matrix = xgboost.QuantileDMatrix(x, y, feature_names=it.names, max_bin=params["xgboost"].max_bin, nthread=1)
        xgboost.train(settings["xgboost"], matrix, params["xgboost"].rounds).inplace_predict(later)
        pool = catboost.Pool(x, y, feature_names=it.names, thread_count=1)
        catboost.CatBoost(settings["catboost"]).fit(pool).predict(later, thread_count=1)
