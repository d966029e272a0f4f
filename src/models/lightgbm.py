"""LightGBM: gradient boosting on histograms, leaf-wise (Ke et al. 2017). Missing values go their own way in a split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.models.library import Library, release, shares

if TYPE_CHECKING:
    import lightgbm as lgb

    from src.core.arrays import Matrix, Vector
else:
    lgb = Library("lightgbm")

FILE = "model.txt"


@dataclass
class LightGBMParams:
    """Settings of LightGBM, named as the library names them but for `rounds` and `l2`."""

    rounds: int = 30
    learning_rate: float = 0.1
    num_leaves: int = 4
    max_depth: int = 2
    min_child_samples: int = 40
    feature_fraction: float = 0.7
    bagging_fraction: float = 0.8
    max_bin: int = 31
    l2: float = 1.0


def version() -> str:
    """Name and version of the library."""
    return f"lightgbm {release('lightgbm')}"


def fit(x: Matrix, y: Vector, params: LightGBMParams, seed: int, names: list[str], device: str = "cpu") -> Any:
    """Fit one booster on one thread; see `src.models.registry.Family`."""
    settings = _settings(params, seed, device)
    return _boost(lgb.Dataset(x, y, feature_name=names, params=settings), settings, params.rounds)


def _boost(data: lgb.Dataset, settings: dict[str, Any], rounds: int) -> lgb.Booster:
    """Add the trees one by one: `lightgbm.train` ends with a copy of the model through its text."""
    booster = lgb.Booster(settings, data)
    for _ in range(rounds):
        booster.update()
    return booster


def _settings(params: LightGBMParams, seed: int, device: str = "cpu") -> dict[str, Any]:
    return {
        "objective": "binary",
        "num_iterations": params.rounds,
        "learning_rate": params.learning_rate,
        "num_leaves": params.num_leaves,
        "max_depth": params.max_depth,
        "min_child_samples": params.min_child_samples,
        "feature_fraction": params.feature_fraction,
        "bagging_fraction": params.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": params.l2,
        "max_bin": params.max_bin,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,
        "device_type": device,
        "verbosity": -1,
    }


def predict(model: Any, x: Matrix) -> Vector:
    """P(up) of each row."""
    return np.asarray(model.predict(x, num_threads=1), dtype=np.float64)


def importance(model: Any, names: list[str]) -> Vector:
    """Share of the total gain of each feature's splits; see `src.models.registry.Family`."""
    assert model.feature_name() == names
    return shares(np.asarray(model.feature_importance("gain"), dtype=np.float64))


def save(model: Any, path: Path) -> None:
    """Write LightGBM's text format."""
    path.write_text(model.model_to_string(), encoding="utf-8")


def load(path: Path) -> Any:
    """Read LightGBM's text format."""
    return lgb.Booster(model_str=path.read_text(encoding="utf-8"))
