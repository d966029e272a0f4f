"""XGBoost: gradient boosting on histograms (Chen and Guestrin 2016). Missing values take a default branch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.core.field_rules import ranged
from src.models.library import LazyModule, Library, shares
from src.models.pooled_columns import LEVELS, ranked
from src.models.quantiles import blanked, quantiles
from src.models.search_space import Bounds, TreeCost

if TYPE_CHECKING:
    import numpy as np
    import xgboost as xgb

    from src.core.arrays import Bytes, Matrix, Scores, Vector
else:
    np = LazyModule("numpy")

LIBRARY = Library("xgboost")
FILE = "model.ubj"


@dataclass
class XGBoostParams:
    """Settings of XGBoost; `colsample` is by tree, `l2` is its lambda."""

    rounds: int = ranged(30, low=1, high=100_000, unit="trees")
    learning_rate: float = ranged(0.05, low=0, high=1, above=True)
    max_depth: int = ranged(3, low=1, high=64, unit="levels")
    min_child_weight: float = ranged(10.0, low=0, high=1e6)
    colsample: float = ranged(0.3, low=0, high=1, above=True)
    subsample: float = ranged(0.8, low=0, high=1, above=True)
    max_bin: int = ranged(32, low=2, high=65_535, unit="bins")
    l2: float = ranged(1.0, low=0, high=1e6)


PARAMS = XGBoostParams
SPACE = {
    "rounds": Bounds(10, 150, log=True),
    "learning_rate": Bounds(0.01, 0.2, log=True),
    "max_depth": Bounds(1, 5),
    "min_child_weight": Bounds(2.0, 40.0, log=True),
    "colsample": Bounds(0.2, 1.0),
    "subsample": Bounds(0.4, 1.0),
    "max_bin": Bounds(16, 64, log=True),
    "l2": Bounds(0.1, 100.0, log=True),
}
_COST = TreeCost(3.7, 0.2, 0.017, 0.067, 0.0, 0.00067)


def cost(params: Mapping[str, Any]) -> float:
    """Estimate the milliseconds of one fit; see `src.models.library.Family`."""
    return _COST.milliseconds(params["rounds"], 2.0 ** params["max_depth"], params["colsample"], params["max_bin"])


def fit(x: Matrix, y: Vector, params: XGBoostParams, seed: int, names: list[str], device: str = "cpu") -> Any:
    """Fit one booster on one thread; see `src.models.library.Family`.

    Returns
    -------
    xgboost.Booster

    Raises
    ------
    RuntimeError
        If XGBoost fitted on another device than the one asked for.
    xgboost.core.XGBoostError
        If it can't fit at all.
    """
    import xgboost as xgb

    settings = _settings(params, seed, device)
    data = xgb.QuantileDMatrix(x, y, max_bin=params.max_bin, nthread=1)
    booster = xgb.train(settings, data, num_boost_round=params.rounds)
    if device != "cpu":
        _require_device(booster, device)
    booster.feature_names = names  # named after the fit: XGBoost would compare the names at every round
    return booster


def fit_windows(
    x: Matrix, y: Vector, ends: Sequence[int], params: XGBoostParams, seed: int, names: list[str], *, bins: int
) -> Iterator[Any]:
    """Fit one booster for each expanding window; see `src.models.library.WindowedFamily`.

    All rows are binned once, by the quantiles of the first `bins` rows. In each fit the rows after its window have no
    weight: the booster is that of a matrix without these rows, to the last bit.

    Yields
    ------
    xgboost.Booster
    """
    import xgboost as xgb

    settings, rows = _settings(params, seed), max(ends)
    values = quantiles(x[:bins], params.max_bin)
    reference = xgb.QuantileDMatrix(values, np.zeros(len(values)), max_bin=params.max_bin, nthread=1)
    data = xgb.QuantileDMatrix(blanked(x[:rows], values), y[:rows], max_bin=params.max_bin, nthread=1, ref=reference)
    for end in ends:
        data.set_weight((np.arange(rows) < end).astype(np.float32))
        booster = xgb.Booster(settings, [data])
        for number in range(params.rounds):  # xgboost.train evaluates and calls back between the trees
            booster.update(data, number)
        booster.feature_names = names
        yield booster


def _require_device(booster: xgb.Booster, device: str) -> None:
    """XGBoost turns to the CPU with a mere warning: a run must not pass for one of another device."""
    used = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    if not used.startswith(device):
        raise RuntimeError(f"xgboost found no device {device} and fitted on {used}")


def _settings(params: XGBoostParams, seed: int, device: str = "cpu") -> dict[str, Any]:
    return {
        "objective": "binary:logistic",
        "learning_rate": params.learning_rate,
        "max_depth": params.max_depth,
        "min_child_weight": params.min_child_weight,
        "colsample_bytree": params.colsample,
        "subsample": params.subsample,
        "lambda": params.l2,
        "max_bin": params.max_bin,
        "tree_method": "hist",
        "seed": seed,
        "nthread": 1,
        "device": device,
        "verbosity": 0,
    }


def fit_pooled(
    x: Bytes, y: Scores, params: XGBoostParams, seed: int, names: list[str],
    *, objective: str, categories: Sequence[int] = (), device: str = "cpu",
) -> Any:  # fmt: skip
    """Fit one booster to ranks on one thread; see `src.models.library.PooledFamily`.

    The bins are those of all possible ranks, which need no sketch of the rows and are the same in every fold. The bytes
    are read where they are. Categories are left out.

    Returns
    -------
    xgboost.Booster

    Raises
    ------
    RuntimeError, xgboost.core.XGBoostError
        As `fit`.
    """
    import xgboost as xgb

    columns = ranked(names, categories)
    settings = _settings(params, seed, device) | {"objective": _OBJECTIVES[objective]}
    every = np.repeat(np.arange(LEVELS, dtype=np.uint8)[:, np.newaxis], columns, axis=1)
    bins = xgb.QuantileDMatrix(every, np.zeros(LEVELS), max_bin=params.max_bin, nthread=1)
    data = xgb.QuantileDMatrix(x[:, :columns], y, max_bin=params.max_bin, nthread=1, ref=bins)
    booster = xgb.train(settings, data, num_boost_round=params.rounds)
    if device != "cpu":
        _require_device(booster, device)
    booster.feature_names = names[:columns]
    return booster


_OBJECTIVES = {"regression": "reg:squarederror", "classification": "binary:logistic"}


def score(model: Any, x: Bytes) -> Scores:
    """Return the score of each row of ranks; see `src.models.library.PooledFamily`.

    Returns
    -------
    float32, shape (rows,)
        The log odds of a classification.
    """
    if not len(x):
        return np.empty(0, dtype=np.float32)
    ranks = x[:, : model.num_features()]
    margin = model.inplace_predict(ranks, predict_type="margin", validate_features=False)
    return np.asarray(margin, dtype=np.float32)


def predict(model: Any, x: Matrix) -> Vector:
    """Return P(up) of each row; see `src.models.library.Family`.

    Returns
    -------
    float64, shape (rows,)
        A missing value follows the default branch of its split.
    """
    return np.asarray(model.inplace_predict(x, validate_features=False), dtype=np.float64)


def contributions(model: Any, x: Matrix | Bytes) -> Vector:
    """Return what each feature adds to the log odds of each row (TreeSHAP); see `src.models.library.ExplainedFamily`.

    Returns
    -------
    float64, shape (rows, features)
    """
    import xgboost as xgb

    used = model.num_features()
    found = np.zeros(x.shape, dtype=np.float64)
    if len(x):
        data = xgb.DMatrix(np.asarray(x[:, :used], dtype=np.float32), nthread=1)
        found[:, :used] = model.predict(data, pred_contribs=True, validate_features=False)[:, :used]
    return found


def importance(model: Any, names: list[str]) -> Vector:
    """Return each feature's share of the total gain of its splits; see `src.models.library.Family`.

    Returns
    -------
    float64, shape (features,)
        Sums to 1, or is all zero where no tree has a split.
    """
    gains = model.get_score(importance_type="total_gain")
    return shares(np.array([gains.get(name, 0.0) for name in names], dtype=np.float64))


def to_bytes(model: Any) -> bytes:
    """Return XGBoost's binary JSON format; see `src.models.library.Family`."""
    return bytes(model.save_raw("ubj"))


def from_bytes(content: bytes) -> Any:
    """Read XGBoost's binary JSON format; see `src.models.library.Family`.

    Returns
    -------
    xgboost.Booster
        Set to predict on one thread.
    """
    import xgboost as xgb

    model = xgb.Booster({"nthread": 1})
    model.load_model(bytearray(content))
    return model
