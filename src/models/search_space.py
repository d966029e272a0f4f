"""What tuning may search: bounds of single settings, and the estimated cost of a fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class Proposes(Protocol):
    """The part of an Optuna trial that proposes values."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = ...) -> int:
        """Propose a whole number."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = ...) -> float:
        """Propose a number."""


@dataclass(frozen=True)
class Bounds:
    """Lowest and highest value of a setting that is searched; on a logarithmic scale where `log`."""

    low: float
    high: float
    log: bool = False

    def propose(self, trial: Proposes, name: str, default: float) -> float:
        """Ask a trial for a value.

        Parameters
        ----------
        trial : Proposes
            The trial that proposes.
        name : str
            Name of the setting.
        default : int or float
            Default value: bounds that exclude it are widened to it, and a whole number asks for whole numbers.

        Returns
        -------
        int or float
            Other than the default, a float is rounded to four digits, as the winner's file states it.
        """
        low, high = min(self.low, default), max(self.high, default)
        if isinstance(default, int):
            return trial.suggest_int(name, int(low), int(high), log=self.log and low > 0)
        value = trial.suggest_float(name, low, high, log=self.log and low > 0)
        return value if value == default else float(f"{value:.4g}")


@dataclass(frozen=True)
class TreeCost:
    """CPU time of a fit of boosted trees, in milliseconds: a part for the binning, and five parts for each round.

    The coefficients were measured for 1,500 rows and 110 features on one core, over the whole of each search space;
    the estimate was within a quarter of the clock. A limit by the clock itself would not be the same twice. Where the
    windows of a walk-forward share their bins, a fit has its share of the one binning.

    Attributes
    ----------
    fit : float
        Of a fit, whatever its rounds.
    tree : float
        Of each round.
    by_depth, by_depth_and_features : float
        Of each level, and of each level times the share of the features.
    by_leaves_and_features, by_leaves_features_and_bins : float
        Of each leaf times the share of the features, and that times the bins.
    """

    fit: float
    tree: float
    by_depth: float
    by_depth_and_features: float
    by_leaves_and_features: float
    by_leaves_features_and_bins: float

    def milliseconds(self, rounds: int, leaves: float, features: float, bins: int) -> float:
        """Estimate the CPU time of one fit.

        Parameters
        ----------
        rounds : int
            Number of trees.
        leaves : float
            Most leaves of a tree, two to the power of its depth.
        features : float
            Share of the features that a tree sees.
        bins : int
            Bins of a feature.

        Returns
        -------
        float
            Milliseconds.
        """
        depth = math.log2(leaves)
        a_round = (
            self.tree
            + self.by_depth * depth
            + self.by_depth_and_features * (depth * features)
            + self.by_leaves_and_features * (leaves * features)
            + self.by_leaves_features_and_bins * (leaves * features * bins)
        )
        return self.fit + rounds * a_round
