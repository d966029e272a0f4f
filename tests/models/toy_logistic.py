"""A model family as a person would add it: logistic regression by ridge-penalised Newton steps, in NumPy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src.core.field_rules import ranged
from src.models.library import Library, shares
from src.models.search_space import Bounds

if TYPE_CHECKING:
    from src.core.arrays import Matrix, Vector

LIBRARY = Library("numpy")
FILE = "weights.json"


@dataclass
class ToyLogisticParams:
    """Settings of the toy."""

    steps: int = ranged(5, low=1, high=100, unit="steps")
    penalty: float = ranged(100.0, low=0, high=1e6, above=True)


PARAMS = ToyLogisticParams
SPACE = {"penalty": Bounds(1.0, 1000.0, log=True)}


def cost(params: Mapping[str, Any]) -> float:
    """Estimate the milliseconds of one fit."""
    return float(params["steps"])


def fit(x: Matrix, y: Vector, params: ToyLogisticParams, seed: int, names: list[str], device: str = "cpu") -> Any:
    """Fit the weights of standardised columns; a missing value counts as the column's mean."""
    if device != "cpu":
        raise ValueError("the toy fits on the CPU alone")
    values = np.where(np.isnan(x), np.nan, x.astype(np.float64))
    present = np.isfinite(values)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, values, 0.0).sum(axis=0) / count
    scale = np.sqrt(np.where(present, (values - mean) ** 2, 0.0).sum(axis=0) / count)
    scale[scale == 0.0] = 1.0
    z = np.column_stack([np.where(present, (values - mean) / scale, 0.0), np.ones(len(x))])
    weights = np.zeros(z.shape[1])
    for _ in range(params.steps):
        chance = 1.0 / (1.0 + np.exp(-z @ weights))
        gradient = z.T @ (y - chance) - params.penalty * weights
        curvature = (z.T * (chance * (1.0 - chance))) @ z + params.penalty * np.eye(weights.size)
        weights = weights + np.linalg.solve(curvature, gradient)
    return {"mean": mean.tolist(), "scale": scale.tolist(), "weights": weights.tolist(), "names": names}


def predict(model: Any, x: Matrix) -> Vector:
    """Return P(up) of each row."""
    z = (np.asarray(x, dtype=np.float64) - np.array(model["mean"])) / np.array(model["scale"])
    weights = np.array(model["weights"])
    score = np.where(np.isnan(z), 0.0, z) @ weights[:-1] + weights[-1]
    return np.asarray(1.0 / (1.0 + np.exp(-score)))


def importance(model: Any, names: list[str]) -> Vector:
    """Return the shares of the absolute weights, as the toy has no splits."""
    assert model["names"] == names
    return shares(np.abs(np.array(model["weights"][:-1])))


def to_bytes(model: Any) -> bytes:
    """Return the weights as JSON."""
    return json.dumps(model).encode("utf-8")


def from_bytes(content: bytes) -> Any:
    """Read the weights."""
    import json

    return json.loads(content)
