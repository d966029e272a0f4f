"""Judge a search's best settings on instruments that did not choose them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from src.core.arrays import FloatArray
    from src.tuning.scheduler import Search


@dataclass(frozen=True)
class Gain:
    """AUC of the best and of the default settings on the confirming instruments, paired.

    Attributes
    ----------
    winner, default : float
        Mean AUC of each.
    mean : float
        Mean difference, winner less default.
    error : float
        Standard error of it: the larger of two, over instruments and over calendar blocks (`standard_error`).
    cost : float
        CPU of the winner in units of the default settings'.
    """

    winner: float
    default: float
    mean: float
    error: float
    cost: float


@dataclass(frozen=True)
class SearchResult:
    """What came of one search.

    Attributes
    ----------
    search : Search
        The search.
    settings : dict, optional
        Settings to be written; None where the default settings stay.
    gain : Gain, optional
        Comparison on the confirming instruments, where there was one.
    number : int
        Number of the best trial; -1 where no trial is complete.
    reason : str
        Why the settings are written, or why the default settings stay.
    """

    search: Search
    settings: dict[str, Any] | None
    gain: Gain | None
    number: int
    reason: str


def standard_error(difference: FloatArray, without: FloatArray) -> float:
    """Return the larger of two standard errors of a mean paired difference.

    The first is over instruments: their differences' sample standard deviation over the root of their number. Since
    instruments move together, days that suit one setting suit it on all of them. The second sees that: it leaves out
    one calendar block after the other for all instruments (a delete-a-block jackknife).

    Parameters
    ----------
    difference : float64, shape (instruments,)
        Paired differences.
    without : float64, shape (instruments, blocks)
        The differences with each block left out; NaN where one is not defined.

    Returns
    -------
    float
        At least 0.

    Source
    ------
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), ch. 11.2 (jackknife standard error, eq. 11.5).

    Examples
    --------
    >>> standard_error(np.array([1.0, 3.0]), np.array([[1.0, 1.0], [3.0, 3.0]]))
    1.0
    """
    over_instruments = float(np.std(difference, ddof=1)) / np.sqrt(difference.size)
    means = np.nanmean(without, axis=0)
    over_blocks = np.sqrt((means.size - 1) / means.size * np.sum((means - means.mean()) ** 2))
    return float(max(over_instruments, over_blocks))


def gain(confirmation: Mapping[str, Mapping[str, Any]]) -> Gain:
    """Compare the best and the default settings on the confirming instruments.

    Parameters
    ----------
    confirmation : mapping
        ``winner`` and ``default``, each with ``auc``, ``without`` and ``cpu_seconds`` by instrument, as a search
        stores them.

    Returns
    -------
    Gain
    """
    winner, default = confirmation["winner"], confirmation["default"]
    difference = np.array(winner["auc"]) - np.array(default["auc"])
    without = np.array(winner["without"], dtype=np.float64) - np.array(default["without"], dtype=np.float64)
    return Gain(
        float(np.mean(winner["auc"])),
        float(np.mean(default["auc"])),
        float(difference.mean()),
        standard_error(difference, without),
        sum(winner["cpu_seconds"]) / max(sum(default["cpu_seconds"]), 1e-9),
    )


def search_result(search: Search) -> SearchResult:
    """Judge whether a search's best settings beat the default ones by more than their noise.

    Parameters
    ----------
    search : Search
        A search that is done.

    Returns
    -------
    SearchResult
        With settings where they do, or where ``tune.force`` says to write them all the same.
    """
    best, tune = search.best(), search.tune
    if search.failure or best is None:
        reason = search.failure.reason if search.failure else "no trial was complete: the default settings stay"
        return SearchResult(search, None, None, -1, reason)
    if best.number == 0:
        reason = f"none of {len(search.study.finished)} trials beat the default settings"
        return SearchResult(search, None, None, 0, reason)
    gained = gain(search.study.remembered(f"confirmed-{best.number}"))
    better = gained.mean > tune.min_gain * gained.error
    figures = (
        f"AUC {gained.mean:+.4f} against the default settings on {len(search.sample.confirm)} other instruments, "
        f"standard error {gained.error:.4f}, at {gained.cost:.1f} times the CPU"
    )
    reason = f"better than its noise: {figures}" if better else f"no better than its noise: {figures}"
    if better or tune.force:
        return SearchResult(search, best.params, gained, best.number, reason)
    return SearchResult(search, None, gained, best.number, f"{reason}; not written")
