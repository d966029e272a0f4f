"""CatBoost: boosting of symmetric trees (Prokhorenkova et al. 2018), plain mode. Missing values rank lowest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.models.library import Library, release, shares

if TYPE_CHECKING:
    import catboost as cb

    from src.core.arrays import Matrix, Vector
else:
    cb = Library("catboost")

FILE = "model.cbm"
CPU_ALONE = ("rsm",)  # not for these trees on a GPU


@dataclass
class CatBoostParams:
    """Settings of CatBoost, named as the library names them but for `rounds` and `l2`."""

    rounds: int = 30
    learning_rate: float = 0.05
    depth: int = 3
    rsm: float = 0.3
    subsample: float = 0.8
    border_count: int = 31
    l2: float = 3.0


def version() -> str:
    """Name and version of the library."""
    return f"catboost {release('catboost')}"


def fit(x: Matrix, y: Vector, params: CatBoostParams, seed: int, names: list[str], device: str = "cpu") -> Any:
    """Fit one model on one thread; see `src.models.registry.Family`."""
    model = cb.CatBoost(_settings(params, seed, device))
    return model.fit(cb.Pool(x, y, feature_names=names, thread_count=1))


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
        for name in CPU_ALONE:
            del settings[name]
    return settings


def predict(model: Any, x: Matrix) -> Vector:
    """P(up) of each row."""
    return np.asarray(model.predict(x, prediction_type="Probability", thread_count=1), dtype=np.float64)[:, 1]


def importance(model: Any, names: list[str]) -> Vector:
    """Share of each feature in how much the prediction moves (PredictionValuesChange); see `Family.importance`."""
    assert model.feature_names_ == names
    return shares(np.asarray(model.get_feature_importance(type="PredictionValuesChange"), dtype=np.float64))


def save(model: Any, path: Path) -> None:
    """Write CatBoost's binary format."""
    model.save_model(str(path))


def load(path: Path) -> Any:
    """Read CatBoost's binary format."""
    model = cb.CatBoost()
    model.load_model(str(path))
    return model
