"""What may be searched, by family: bounded, so that no trial costs many times the default settings.

The default settings belong to every space: a bound that they lie beyond moves to them.
"""

from __future__ import annotations

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


SPACES: dict[str, dict[str, Bounds]] = {
    "lightgbm": {
        "rounds": Bounds(20, 150, log=True),
        "learning_rate": Bounds(0.01, 0.2, log=True),
        "num_leaves": Bounds(3, 31, log=True),
        "max_depth": Bounds(2, 6),
        "min_child_samples": Bounds(10, 150, log=True),
        "feature_fraction": Bounds(0.2, 1.0),
        "bagging_fraction": Bounds(0.4, 1.0),
        "max_bin": Bounds(15, 63, log=True),
        "l2": Bounds(0.1, 100.0, log=True),
    },
    "xgboost": {
        "rounds": Bounds(20, 150, log=True),
        "learning_rate": Bounds(0.01, 0.2, log=True),
        "max_depth": Bounds(2, 5),
        "min_child_weight": Bounds(2.0, 40.0, log=True),
        "colsample": Bounds(0.2, 1.0),
        "subsample": Bounds(0.4, 1.0),
        "max_bin": Bounds(16, 64, log=True),
        "l2": Bounds(0.1, 100.0, log=True),
    },
    "catboost": {
        "rounds": Bounds(20, 150, log=True),
        "learning_rate": Bounds(0.01, 0.2, log=True),
        "depth": Bounds(2, 5),
        "rsm": Bounds(0.2, 1.0),
        "subsample": Bounds(0.4, 1.0),
        "border_count": Bounds(15, 63, log=True),
        "l2": Bounds(0.5, 100.0, log=True),
    },
}


def proposal(trial: Proposes, family: str, defaults: dict[str, Any]) -> dict[str, Any]:
    """Settings of one trial: each of the space's proposed, the others as they are."""
    chosen = dict(defaults)
    for name, bounds in SPACES[family].items():
        if isinstance(defaults.get(name), int | float) and not isinstance(defaults[name], bool):
            chosen[name] = bounds.propose(trial, name, defaults[name])
    return chosen
