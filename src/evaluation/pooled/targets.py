"""What a pooled model predicts of each name and day: a value to fit, and its sign to grade."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import BoolArray, FloatArray, Matrix
from src.core.errors import ConfigError
from src.evaluation.pooled.forward import forward_returns
from src.evaluation.pooled.neutralising import neutralised
from src.evaluation.pooled.styles import Styles
from src.market.cross_section import CrossSection

if TYPE_CHECKING:
    from src.config.schema import EligibilityConfig, LabelConfig

BUCKETS, BUCKET_NAMES = 10, 10  # of volatility on a day, and the fewest names in one


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


@dataclass(frozen=True)
class _Day:
    """What an outcome is made of: forward returns, limited by the label's clip, and the mean of the unlimited ones."""

    returns: Matrix
    mean: Matrix
    eligible: BoolArray
    styles: Styles


def targets(
    section: CrossSection, eligible: BoolArray, styles: Styles, label: LabelConfig, eligibility: EligibilityConfig
) -> Targets:
    """Look up what came of every eligible name on every day.

    Parameters
    ----------
    section : CrossSection
    eligible : bool, shape (T, N)
    styles : Styles
    label : LabelConfig
        Its kind: ``outright``, the return itself; ``relative``, less the equal-weight mean of the day's eligible names;
        ``beta``, less the name's beta times that mean; ``neutral``, the residual on the day's ranks of beta, volatility
        and traded value with their squares, over the name's volatility. ``params.clip`` limits the name's own return to
        plus or minus its value; the mean, which is what a hedge earns, is that of the unlimited returns.
    eligibility : EligibilityConfig
        Its `delisting_return`.

    Returns
    -------
    Targets
        `up` is NaN within ``label.tolerance`` of the median, and where the volatility is not known. Days with fewer
        than 100 names have fewer volatility groups than ten, of at least ten names each.

    Raises
    ------
    ConfigError
        If there is no such kind, or its settings are not valid.
    """
    kind, clip = pooled_kind(label.kind), _clip(label)
    forward = forward_returns(section, label.horizon, eligibility.delisting_return)
    forward[~eligible] = np.nan
    outcome = kind(_Day(np.clip(forward, -clip, clip), _means(forward), eligible, styles))
    value, up = (np.full(section.shape, np.nan, dtype=np.float32) for _ in range(2))
    for day in np.flatnonzero(np.isfinite(outcome).any(axis=1)):
        names = np.flatnonzero(np.isfinite(outcome[day]))
        found = outcome[day, names].astype(np.float64)
        deviation = found.std()
        if deviation > label.tolerance:
            value[day, names] = (found - found.mean()) / deviation
        up[day, names] = _above_median(found, styles.volatility[day, names], label.tolerance)
    return Targets(label.horizon, value, up, forward)


def pooled_kind(name: str) -> Callable[[_Day], Matrix]:
    """Return the function that makes the outcomes of a kind of label.

    Parameters
    ----------
    name : str
        As ``label.kind`` names it.

    Raises
    ------
    ConfigError
        If the pooled scope has no such kind: names the nearest.
    """
    kind = KINDS.get(name)
    if kind is None:
        close = difflib.get_close_matches(name, KINDS, n=1)
        hint = f": did you mean {close[0]}?" if close else ""
        raise ConfigError(f"label.kind of scope=pooled must be one of {', '.join(KINDS)}, got {name}{hint}")
    return kind


def _outright(day: _Day) -> Matrix:
    return day.returns


def _relative(day: _Day) -> Matrix:
    return day.returns - day.mean


def _beta(day: _Day) -> Matrix:
    return day.returns - day.styles.beta * day.mean


def _neutral(day: _Day) -> Matrix:
    return neutralised(day.returns, day.eligible, day.styles) / day.styles.volatility


KINDS: dict[str, Callable[[_Day], Matrix]] = {
    "beta": _beta,
    "neutral": _neutral,
    "outright": _outright,
    "relative": _relative,
}
"""Outcomes by kind of label."""


def _means(forward: Matrix) -> Matrix:
    """Mean of each day's known returns, shape (T, 1). It is summed over those names alone, in their order."""
    out = np.full((forward.shape[0], 1), np.nan, dtype=np.float32)
    for day, row in enumerate(forward):
        known = row[np.isfinite(row)]
        if known.size:
            out[day] = known.mean(dtype=np.float64)
    return out


def _above_median(outcome: FloatArray, volatility: Matrix, tolerance: float) -> FloatArray:
    """Whether each outcome is above the median of its volatility group; NaN at the median."""
    out = np.full(outcome.size, np.nan)
    known = np.flatnonzero(np.isfinite(volatility))
    order = known[np.argsort(volatility[known], kind="stable")]
    for group in np.array_split(order, min(BUCKETS, max(order.size // BUCKET_NAMES, 1))):
        if group.size:
            above = outcome[group] - np.median(outcome[group])
            out[group] = np.where(np.abs(above) > tolerance, above > 0.0, np.nan)
    return out


def _clip(label: LabelConfig) -> float:
    if label.kind == "neutral" and label.params.keys() - {"clip"}:
        unknown = ", ".join(sorted(label.params.keys() - {"clip"}))
        raise ConfigError(f"label.params of kind neutral has clip alone, got {unknown}: leave it out")
    if label.params.get("fund") is not None:
        raise ConfigError(
            f"label.params.fund is for scope=instrument, got {label.params['fund']} with scope=pooled, which subtracts "
            "the mean of the eligible names: leave it out"
        )
    clip = label.params.get("clip", math.inf)
    if isinstance(clip, bool) or not isinstance(clip, int | float) or not clip > 0:
        raise ConfigError(f"label.params.clip must be a return above 0, got {clip}: 0.5 limits returns to half")
    return float(clip)
