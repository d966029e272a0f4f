"""The settings that the study compares, all that were tried: each family in its own words, by the same names.

A boosted model of few rounds is the beginning of one of many, so one fit stands for every number of rounds in `rounds`
(a test holds the libraries to that); what each costs is measured by fits of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from src.config.schema import ModelConfig
from src.core.arrays import FloatArray
from src.models.catboost import CatBoostParams
from src.models.lightgbm import LightGBMParams
from src.models.registry import PARAMS, family
from src.models.xgboost import XGBoostParams

SLOW = ("mid-100", "mid-300")
ORIGINAL = "original"
FORMER = "small-50"  # the settings in use when the study was begun


@dataclass(frozen=True)
class Shape:
    """Settings of one family that differ in the number of rounds alone."""

    family: str
    name: str
    params: Any
    rounds: tuple[int, ...]

    @property
    def id(self) -> str:
        """Name of its files."""
        return f"{self.family}-{self.name}"

    @property
    def settings(self) -> list[str]:
        """Names of the settings that one fit of it stands for."""
        return [self.name if self.name == ORIGINAL else f"{self.name}-{n}" for n in self.rounds]

    def cut(self, rounds: tuple[int, ...]) -> Shape:
        """Fit no further than these rounds."""
        return replace(self, rounds=rounds)

    @property
    def model(self) -> ModelConfig:
        """What is fitted: the most rounds."""
        return ModelConfig(self.family, params=replace(self.params, rounds=max(self.rounds)))

    def probabilities(self, model: Any, x: Any) -> FloatArray:
        """P(up) after each number of rounds, shape (rounds, rows)."""
        if self.family == "lightgbm":
            return _by_steps(model, x, self.rounds)
        return np.stack([_after(self.family, model, x, n) for n in self.rounds])


def _by_steps(model: Any, x: Any, rounds: tuple[int, ...]) -> FloatArray:
    """LightGBM's trees are the slowest to ask: each is asked once."""
    spans = [(first, last - first) for first, last in pairwise((0, *rounds))]
    raw = [model.predict(x, start_iteration=at, num_iteration=n, num_threads=1, raw_score=True) for at, n in spans]
    odds: FloatArray = np.cumsum(np.stack(raw), axis=0)
    return 1.0 / (1.0 + np.exp(-odds))


def _after(name: str, model: Any, x: Any, rounds: int) -> FloatArray:
    if name == "xgboost":
        found = model.inplace_predict(x, iteration_range=(0, rounds), validate_features=False)
        return np.asarray(found, dtype=np.float64)
    found = model.predict(x, prediction_type="Probability", ntree_end=rounds, thread_count=1)
    return np.asarray(found, dtype=np.float64)[:, 1]


def _shapes() -> list[Shape]:
    """Every shape: `small` first, then what differs from it, then the slow ones."""
    light = LightGBMParams(50, 0.05, 7, 4, 40, 0.7, 0.8, 31, 1.0)
    extreme = XGBoostParams(50, 0.05, 3, 10.0, 0.7, 0.8, 32, 1.0)
    cat = CatBoostParams(50, 0.05, 3, 0.7, 0.8, 31, 3.0)
    fraction = {"lightgbm": "feature_fraction", "xgboost": "colsample", "catboost": "rsm"}
    found = []
    for small in (light, extreme, cat):
        name = next(key for key, params in PARAMS.items() if isinstance(small, params))
        few = {fraction[name]: 0.3}
        coarse = {"border_count": 15} if name == "catboost" else {"max_bin": 16 if name == "xgboost" else 15}
        fast = {"learning_rate": 0.1}
        shallow = {"depth": 2} if name == "catboost" else {"max_depth": 2}
        mid: dict[str, int] = {"depth": 4, "border_count": 63} if name == "catboost" else {"max_depth": 4}
        if name == "lightgbm":
            shallow, mid = shallow | {"num_leaves": 4}, mid | {"num_leaves": 15}
        if name != "catboost":
            mid |= {"max_bin": 64 if name == "xgboost" else 63}
        found += [
            Shape(name, "small", small, (20, 30, 50, 100)),
            Shape(name, "fast", replace(small, **fast), (15, 25, 50)),
            Shape(name, "coarse", replace(small, **coarse), (30, 50)),
            Shape(name, "narrow", replace(small, **few), (30, 50)),
            Shape(name, "shallow", replace(small, **shallow, **fast), (30, 50)),
            Shape(name, "lean", replace(small, **few, **coarse, **fast), (15, 25, 50)),
            Shape(name, "mid", replace(small, **mid), (50, 100, 300)),
        ]
    return [
        *found,
        # The original trainer's, in our words: its subsample did nothing in LightGBM, and depth had no limit there.
        Shape("lightgbm", ORIGINAL, LightGBMParams(400, 0.05, 63, 64, 20, 0.8, 1.0, 255, 0.0), (400,)),
        Shape("xgboost", ORIGINAL, XGBoostParams(300, 0.05, 5, 1.0, 0.8, 0.8, 256, 1.0), (300,)),
        Shape("catboost", ORIGINAL, CatBoostParams(300, 0.05, 6, 1.0, 0.8, 254, 3.0), (300,)),
    ]


SHAPES = _shapes()
FAMILIES = tuple(dict.fromkeys(shape.family for shape in SHAPES))


def fitted(shape: Shape, x: Any, y: Any, names: list[str], seed: int) -> Any:
    """Fit the most rounds of a shape by the project's own call."""
    model = shape.model
    return family(model.family).fit(x, y, model.params, seed, names, model.device)
