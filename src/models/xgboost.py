"""XGBoost: gradient boosting on histograms (Chen and Guestrin 2016). Missing values take a default branch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.models.library import Library, release, shares

if TYPE_CHECKING:
    import xgboost as xgb

    from src.core.arrays import Matrix, Vector
else:
    xgb = Library("xgboost")

FILE = "model.ubj"


@dataclass
class XGBoostParams:
    """Settings of XGBoost; `colsample` is by tree, `l2` is its lambda."""

    rounds: int = 30
    learning_rate: float = 0.05
    max_depth: int = 3
    min_child_weight: float = 10.0
    colsample: float = 0.3
    subsample: float = 0.8
    max_bin: int = 32
    l2: float = 1.0


def version() -> str:
    """Name and version of the library."""
    return f"xgboost {release('xgboost')}"


def fit(x: Matrix, y: Vector, params: XGBoostParams, seed: int, names: list[str], device: str = "cpu") -> Any:
    """Fit one booster on one thread; see `src.models.registry.Family`."""
    settings = _settings(params, seed, device)
    data = xgb.QuantileDMatrix(x, y, max_bin=params.max_bin, nthread=1)
    booster = xgb.train(settings, data, num_boost_round=params.rounds)
    if device != "cpu":
        _require_device(booster, device)
    booster.feature_names = names  # named after the fit: XGBoost would compare the names at every round
    return booster


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


def predict(model: Any, x: Matrix) -> Vector:
    """P(up) of each row."""
    return np.asarray(model.inplace_predict(x, validate_features=False), dtype=np.float64)


def importance(model: Any, names: list[str]) -> Vector:
    """Share of the total gain of each feature's splits; see `src.models.registry.Family`."""
    gains = model.get_score(importance_type="total_gain")
    return shares(np.array([gains.get(name, 0.0) for name in names], dtype=np.float64))


def save(model: Any, path: Path) -> None:
    """Write XGBoost's binary JSON format."""
    path.write_bytes(bytes(model.save_raw("ubj")))


def load(path: Path) -> Any:
    """Read XGBoost's binary JSON format."""
    model = xgb.Booster({"nthread": 1})
    model.load_model(bytearray(path.read_bytes()))
    return model
