"""CatBoost: boosting of symmetric trees (Prokhorenkova et al. 2018), plain mode. Missing values rank lowest."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.field_rules import ranged
from src.models.library import LazyModule, Library, shares
from src.models.pooled_columns import LEVELS, ranked
from src.models.quantiles import blanked, quantiles
from src.models.search_space import Bounds, TreeCost

if TYPE_CHECKING:
    import numpy as np

    from src.core.arrays import Bytes, Matrix, Scores, Vector
else:
    np = LazyModule("numpy")

LIBRARY = Library("catboost")
FILE = "model.cbm"
_CPU_ONLY = ("rsm",)  # CatBoost refuses it for these trees on a GPU


@dataclass
class CatBoostParams:
    """Settings of CatBoost, named as the library names them except for `rounds` and `l2`."""

    rounds: int = ranged(30, low=1, high=100_000, unit="trees")
    learning_rate: float = ranged(0.05, low=0, high=1, above=True)
    depth: int = ranged(3, low=1, high=16, unit="levels")
    rsm: float = ranged(0.3, low=0, high=1, above=True)
    subsample: float = ranged(0.8, low=0, high=1, above=True)
    border_count: int = ranged(31, low=1, high=65_535, unit="borders")
    l2: float = ranged(3.0, low=0, high=1e6)


PARAMS = CatBoostParams
SPACE = {
    "rounds": Bounds(10, 150, log=True),
    "learning_rate": Bounds(0.01, 0.2, log=True),
    "depth": Bounds(1, 5),
    "rsm": Bounds(0.2, 1.0),
    "subsample": Bounds(0.4, 1.0),
    "border_count": Bounds(15, 63, log=True),
    "l2": Bounds(0.5, 100.0, log=True),
}
_COST = TreeCost(6.0, 0.291, 0.0, 0.161, 0.0, 0.00136)


def cost(params: Mapping[str, Any]) -> float:
    """Estimate the milliseconds of one fit; see `src.models.library.Family`."""
    return _COST.milliseconds(params["rounds"], 2.0 ** params["depth"], params["rsm"], params["border_count"])


def fit(x: Matrix, y: Vector, params: CatBoostParams, seed: int, names: list[str], device: str = "cpu") -> Any:
    """Fit one model on one thread; see `src.models.library.Family`.

    Returns
    -------
    catboost.CatBoost

    Raises
    ------
    catboost.CatBoostError
        If CatBoost can't fit on the device.
    """
    import catboost as cb

    model = cb.CatBoost(_settings(params, seed, device))
    return model.fit(cb.Pool(x, y, feature_names=names, thread_count=1))


def fit_windows(
    x: Matrix, y: Vector, ends: Sequence[int], params: CatBoostParams, seed: int, names: list[str], *, bins: int
) -> Iterator[Any]:
    """Fit one model for each expanding window; see `src.models.library.WindowedFamily`.

    Each window is binned by the same borders, which need not be searched for: they lie halfway between the quantiles of
    the first `bins` rows, and the lowest one sets missing values apart. Slices of rows that are binned once would cost
    as much, and CatBoost keeps their memory.

    Yields
    ------
    catboost.CatBoost
    """
    import catboost as cb

    values = quantiles(x[:bins], max(params.border_count, 2))
    x = blanked(x[: max(ends)], values)
    with _borders_file(_borders_between(values)) as path:
        settings = _settings(params, seed, "cpu") | {"input_borders": str(path)}
        for end in ends:
            by_column = np.asfortranarray(x[:end])  # CatBoost reads columns where they are
            yield cb.CatBoost(settings).fit(cb.Pool(by_column, y[:end], feature_names=names, thread_count=1))


def _borders_between(values: Matrix) -> str:
    """Text of CatBoost's file of borders: halfway between the values of each column, missing ones below the first."""
    middles = values[:-1] + (values[1:] - values[:-1]) / np.float32(2)
    lowest = float(np.finfo(np.float32).min)
    borders = [sorted({lowest, *column[~np.isnan(column)].tolist()}) for column in middles.T]
    return "".join(f"{column}\t{border!r}\tMin\n" for column, each in enumerate(borders) for border in each)


@contextlib.contextmanager
def _borders_file(borders: str) -> Iterator[Path]:
    """CatBoost reads borders from a file alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "borders.tsv"
        path.write_text(borders, encoding="utf-8")
        yield path


def _settings(params: CatBoostParams, seed: int, device: str) -> dict[str, Any]:
    settings = {
        "loss_function": "Logloss",
        "iterations": params.rounds,
        "learning_rate": params.learning_rate,
        "depth": params.depth,
        "rsm": params.rsm,
        "bootstrap_type": "Bernoulli",
        "subsample": params.subsample,
        "l2_leaf_reg": params.l2,
        "border_count": params.border_count,
        "boosting_type": "Plain",
        "random_seed": seed,
        "thread_count": 1,
        "task_type": "CPU",
        "allow_writing_files": False,
        "logging_level": "Silent",
    }
    if device == "cuda":
        settings["task_type"] = "GPU"
        for name in _CPU_ONLY:
            del settings[name]
    return settings


def fit_pooled(
    x: Bytes, y: Scores, params: CatBoostParams, seed: int, names: list[str],
    *, objective: str, categories: Sequence[int] = (), device: str = "cpu",
) -> Any:  # fmt: skip
    """Fit one model to ranks and categories on one thread; see `src.models.library.PooledFamily`.

    The borders are those between all possible ranks, or as many at equal distances: none is searched for, and they are
    the same in every fold. Each category is split off by itself (one-hot). Last columns of categories that are the
    same in every row are left out, since CatBoost draws columns for them too: what is known of a category after the
    last row changes no fit.

    Returns
    -------
    catboost.CatBoost

    Raises
    ------
    catboost.CatBoostError
        If CatBoost can't fit on the device.
    """
    import catboost as cb

    columns, used = ranked(names, categories), _used(x, categories)
    settings = _settings(params, seed, device) | {"loss_function": _OBJECTIVES[objective], "one_hot_max_size": LEVELS}
    by_column = np.asfortranarray(x[:, :used])  # CatBoost reads these bytes where they are, and copies rows to floats
    kinds = list(range(columns, used)) or None
    data = cb.Pool(by_column, y, cat_features=kinds, feature_names=names[:used], thread_count=1)
    with _borders_file(_borders(columns, params.border_count)) as path:
        data.quantize(input_borders=str(path))
    del by_column
    return cb.CatBoost(settings).fit(data)


_OBJECTIVES = {"regression": "RMSE", "classification": "Logloss"}


def _used(x: Bytes, categories: Sequence[int]) -> int:
    """Return the number of columns without the last categories that are the same in every row."""
    used = x.shape[1]
    while used - 1 in categories and (x[:, used - 1] == x[0, used - 1]).all():
        used -= 1
    return used


def _borders(columns: int, count: int) -> str:
    """Text of CatBoost's file of borders: the same for each column."""
    count = min(count, LEVELS - 1)
    borders = [number * LEVELS // (count + 1) - 0.5 for number in range(1, count + 1)]
    return "".join(f"{column}\t{border}\n" for column in range(columns) for border in borders)


def score(model: Any, x: Bytes) -> Scores:
    """Return the score of each row of ranks and categories; see `src.models.library.PooledFamily`.

    Returns
    -------
    float32, shape (rows,)
        The log odds of a classification.
    """
    found, used = np.empty(len(x), dtype=np.float32), len(model.feature_names_)
    for start in range(0, len(x), 65_536):
        block = np.ascontiguousarray(x[start : start + 65_536, :used])
        found[start : start + 65_536] = model.predict(block, prediction_type="RawFormulaVal", thread_count=1)
    return found


def predict(model: Any, x: Matrix) -> Vector:
    """Return P(up) of each row; see `src.models.library.Family`.

    Returns
    -------
    float64, shape (rows,)
        A missing value counts as smaller than every other.
    """
    return np.asarray(model.predict(x, prediction_type="Probability", thread_count=1), dtype=np.float64)[:, 1]


def contributions(model: Any, x: Matrix | Bytes) -> Vector:
    """Return what each feature adds to the log odds of each row (TreeSHAP); see `src.models.library.ExplainedFamily`.

    Returns
    -------
    float64, shape (rows, features)
    """
    import catboost as cb

    used = len(model.feature_names_)
    found = np.zeros(x.shape, dtype=np.float64)
    if len(x):
        kinds = model.get_cat_feature_indices() or None
        data = cb.Pool(np.ascontiguousarray(x[:, :used]), cat_features=kinds, thread_count=1)
        found[:, :used] = model.get_feature_importance(data, type="ShapValues", thread_count=1)[:, :used]
    return found


def importance(model: Any, names: list[str]) -> Vector:
    """Return each feature's share in how much the prediction moves; see `src.models.library.Family`.

    Returns
    -------
    float64, shape (features,)
        CatBoost's PredictionValuesChange, which is no gain of splits, as shares of its sum.
    """
    changes, used = np.zeros(len(names)), len(model.feature_names_)
    changes[:used] = model.get_feature_importance(type="PredictionValuesChange")
    assert model.feature_names_ == names[:used]
    return shares(changes)


def to_bytes(model: Any) -> bytes:
    """Return CatBoost's binary format; see `src.models.library.Family`.

    Returns
    -------
    bytes
        The same for the same fit: CatBoost's time of the fit and random identifier are emptied.
    """
    about = model.get_metadata()
    for name in ("train_finish_time", "model_guid"):
        about[name] = ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        model.save_model(str(path))
        return path.read_bytes()


def from_bytes(content: bytes) -> Any:
    """Read CatBoost's binary format; see `src.models.library.Family`.

    Returns
    -------
    catboost.CatBoost
    """
    import catboost as cb

    model = cb.CatBoost()
    model.load_model(blob=content)
    return model
