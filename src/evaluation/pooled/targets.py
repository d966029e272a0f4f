"""What a pooled model predicts of each name and day: a value to fit, and its sign to grade."""

from __future__ import annotations

from dataclasses import dataclass

from src.core.arrays import Matrix


@dataclass(frozen=True)
class Targets:
    """Outcomes of each day's decisions, shape (T, N); NaN where a name is not eligible or the outcome is not known.

    Attributes
    ----------
    horizon : int
        Sessions from entry to exit: the open of day t+1 to the open of day t+1+horizon.
    value : float32, shape (T, N)
        What a regression is fitted to: of mean 0 and standard deviation 1 on each day.
    up : float32, shape (T, N), in {0, 1, NaN}
        Whether the outcome is above the median of the names of its volatility decile that day: what a classification
        is fitted to, and what AUC and accuracy are graded on.
    forward : float32, shape (T, N)
        The raw return from the open of day t+1 to the open of day t+1+horizon, with the delisting return.
    """

    horizon: int
    value: Matrix
    up: Matrix
    forward: Matrix
