"""Styles of the names of a cross-section: what explains returns without skill."""

from __future__ import annotations

from dataclasses import dataclass

from src.core.arrays import Matrix


@dataclass(frozen=True)
class Styles:
    """What is known of each name at the close of each day, shape (T, N); NaN where it is not known.

    Attributes
    ----------
    beta : float32, shape (T, N)
        Slope of the name's daily returns on the equal-weight mean of the day's eligible names, 252 sessions.
    volatility : float32, shape (T, N)
        Standard deviation of its daily close-to-close returns, 63 sessions.
    dollar_volume : float32, shape (T, N)
        Median traded value a day, over the window of the eligibility.
    """

    beta: Matrix
    volatility: Matrix
    dollar_volume: Matrix
