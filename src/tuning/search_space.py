"""What may be searched, by family: bounded, so that no trial costs many times the default settings.

The default settings belong to every space: a bound that they lie beyond moves to them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Proposes(Protocol):
    """The part of an Optuna trial that proposes values."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = ...) -> int:
        """Propose a whole number."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = ...) -> float:
        """Propose a number."""


@dataclass(frozen=True)
class Bounds:
    """A setting's lowest and highest value; whole numbers where both are; on a logarithmic scale where `log`."""

    low: float
    high: float
    log: bool = False

    def propose(self, trial: Proposes, name: str, default: float) -> float:
        """Ask for a value, the default's among those possible."""
        low, high = min(self.low, default), max(self.high, default)
        if isinstance(default, int):
            return trial.suggest_int(name, int(low), int(high), log=self.log and low > 0)
        value = trial.suggest_float(name, low, high, log=self.log and low > 0)
        return value if value == default else float(f"{value:.4g}")  # tried as the winner's file will say it


_SHAPE = {
    "lightgbm": ("max_depth", "feature_fraction", "max_bin"),
    "xgboost": ("max_depth", "colsample", "max_bin"),
    "catboost": ("depth", "rsm", "border_count"),
}
_WORK = {  # of a fit; of each round: itself, by depth, and features, by leaves and features, and bins
    "lightgbm": (26.7, 0.0125, 0.0, 0.135, 0.0, 0.001),
    "xgboost": (23.8, 0.114, 0.070, 0.025, 0.0, 0.00016),
    "catboost": (13.1, 0.291, 0.0, 0.161, 0.0, 0.00136),
}
SPACES: dict[str, dict[str, Bounds]] = {
    "lightgbm": {
        "rounds": Bounds(10, 150, log=True),
        "learning_rate": Bounds(0.01, 0.2, log=True),
        "num_leaves": Bounds(3, 31, log=True),
        "max_depth": Bounds(1, 6),
        "min_child_samples": Bounds(10, 150, log=True),
        "feature_fraction": Bounds(0.2, 1.0),
        "bagging_fraction": Bounds(0.4, 1.0),
        "max_bin": Bounds(15, 63, log=True),
        "l2": Bounds(0.1, 100.0, log=True),
    },
    "xgboost": {
        "rounds": Bounds(10, 150, log=True),
        "learning_rate": Bounds(0.01, 0.2, log=True),
        "max_depth": Bounds(1, 5),
        "min_child_weight": Bounds(2.0, 40.0, log=True),
        "colsample": Bounds(0.2, 1.0),
        "subsample": Bounds(0.4, 1.0),
        "max_bin": Bounds(16, 64, log=True),
        "l2": Bounds(0.1, 100.0, log=True),
    },
    "catboost": {
        "rounds": Bounds(10, 150, log=True),
        "learning_rate": Bounds(0.01, 0.2, log=True),
        "depth": Bounds(1, 5),
        "rsm": Bounds(0.2, 1.0),
        "subsample": Bounds(0.4, 1.0),
        "border_count": Bounds(15, 63, log=True),
        "l2": Bounds(0.5, 100.0, log=True),
    },
}


def proposal(trial: Proposes, family: str, defaults: dict[str, Any], max_cost: float) -> dict[str, Any]:
    """Settings of one trial: each of the space's proposed, the others as they are.

    Where they would cost more than `max_cost` times the default settings, they get as many rounds as that allows.
    """
    chosen = dict(defaults)
    for name, bounds in SPACES[family].items():
        if isinstance(defaults.get(name), int | float) and not isinstance(defaults[name], bool):
            chosen[name] = bounds.propose(trial, name, defaults[name])
    limit = max_cost * work(family, defaults)
    if chosen != defaults and work(family, chosen) > limit:
        fixed = work(family, {**chosen, "rounds": 0})
        a_round = work(family, {**chosen, "rounds": 1}) - fixed
        chosen["rounds"] = max(1, int((limit - fixed) / a_round))
    return chosen


def work(family: str, params: Mapping[str, Any]) -> float:
    """Estimate the milliseconds of CPU of one fit: a limit on cost by the clock would not be the same twice.

    Within a quarter of the clock for 1,500 bars and 110 features on one core, over the whole of each space: a part for
    the binning and, for each round, parts that grow with the tree's depth and leaves, its features and their bins.
    """
    size_of, share_of, bins_of = _SHAPE[family]
    size = 2.0 ** params[size_of]
    if family == "lightgbm":
        size = min(size, params["num_leaves"])
    share, bins, depth = params[share_of], params[bins_of], math.log2(size)
    parts = (1.0, depth, depth * share, size * share, size * share * bins)
    fixed, *each = _WORK[family]
    return float(fixed + params["rounds"] * sum(a * b for a, b in zip(each, parts, strict=True)))
