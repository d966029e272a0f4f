"""The caps of a book, as a function of arrays: a day's wanted weights, cut to what the configuration allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from src.config.schema import BookConfig

CAPS = ("instrument", "class", "gross", "turnover")
"""Their names, in the order in which they cut."""
_ROWS = 64  # days in work at once


@dataclass(frozen=True)
class Caps:
    """Limits of the absolute weights of a book, as fractions of its capital.

    Attributes
    ----------
    instrument : float
        Of one instrument.
    classes : float64, shape (c,)
        Of the sum over an asset class, by its code; infinite where there is no limit.
    gross : float
        Of the sum over all.
    turnover : float
        Of the sum of absolute changes of a day.
    """

    instrument: float
    classes: FloatArray
    gross: float
    turnover: float

    @classmethod
    def of(cls, choice: BookConfig, asset_classes: Sequence[str]) -> Caps:
        """Take the limits from the configuration, for asset classes in the order of their codes."""
        limits = [choice.max_class_weight.get(each, np.inf) for each in asset_classes]
        return cls(choice.max_weight, np.array(limits, dtype=np.float64), choice.max_gross, choice.max_turnover)


def capped(
    wanted: FloatArray, before: FloatArray, classes: IntArray, held: BoolArray, caps: Caps
) -> tuple[FloatArray, BoolArray]:
    """Cut the wanted weights of a day in the order instrument, class, gross, turnover.

    An instrument's weight is clipped; the weights of a class that is over its limit, and then all weights, are scaled
    by one factor; the turnover is cut by going a part of the way only. Weights and changes between two books that are
    within the caps are convex combinations, hence within them. Where the book before is not (a limit was lowered), it
    is first reduced to them by the same rules, and what turnover is left goes towards the wanted weights.

    Parameters
    ----------
    wanted, before : float64, shape (n,)
        Fractions of the capital.
    classes : int64, shape (n,)
        Code of the asset class of each instrument.
    held : bool, shape (n,)
        Instruments that can't be traded: their weight stays at that before. They count towards the limits, and the
        others make room for them.
    caps : Caps

    Returns
    -------
    weight : float64, shape (n,)
        Every cap holds to rounding, unless what is held exceeds it alone.
    cut_by : bool, shape (n, 4)
        Whether each of `CAPS` changed the weight that an instrument was to have or, for the last, its change.
    """
    cut_by = np.zeros((wanted.size, len(CAPS)), dtype=np.bool_)
    aim, cut_by[:, :3] = _reduced(np.where(held, before, wanted), classes, held, caps)
    if np.abs(aim - before).sum() <= caps.turnover:
        return aim, cut_by
    base, _ = _reduced(before, classes, held, caps)
    reducing, going = np.abs(base - before).sum(), np.abs(aim - base).sum()
    if reducing >= caps.turnover:
        weight = before + caps.turnover / reducing * (base - before)
    else:
        weight = base + min((caps.turnover - reducing) / going, 1.0) * (aim - base)
    cut_by[:, 3] = (weight != aim) & ~held
    return np.where(held, before, weight), cut_by


def cap_days(weights: FloatArray, classes: IntArray, caps: Caps) -> None:
    """Cut the wanted weights of consecutive days, in place, as `capped` does day after day, from none before the first.

    Parameters
    ----------
    weights : float64, shape (d, n)
        Wanted; what is left of them afterwards. All instruments can be traded on all days.
    classes : int64, shape (n,)
    caps : Caps
    """
    before = np.zeros(weights.shape[1])
    nothing = np.zeros(weights.shape[1], dtype=np.bool_)
    for first in range(0, weights.shape[0], _ROWS):
        wanted = np.ascontiguousarray(weights[first : first + _ROWS])
        out = _reduced_days(wanted, classes, caps)
        for day in range(out.shape[0]):
            if np.abs(out[day] - before).sum() > caps.turnover:
                out[day] = capped(wanted[day], before, classes, nothing, caps)[0]
            before = out[day]
        weights[first : first + _ROWS] = out


def _reduced_days(weight: FloatArray, classes: IntArray, caps: Caps) -> FloatArray:
    """Apply all caps but turnover to each row."""
    out = np.clip(weight, -caps.instrument, caps.instrument)
    size = np.abs(out)
    for code, limit in enumerate(caps.classes):
        columns = classes == code
        total = size[:, columns].sum(axis=1)
        over = total > limit
        if over.any():
            out[np.ix_(over, columns)] *= (limit / total[over])[:, None]
    total = np.abs(out).sum(axis=1)
    over = total > caps.gross
    out[over] *= (caps.gross / total[over])[:, None]
    return out


def _reduced(weight: FloatArray, classes: IntArray, held: BoolArray, caps: Caps) -> tuple[FloatArray, BoolArray]:
    """Apply all caps but turnover to the weights that can be traded."""
    cut_by = np.zeros((weight.size, 3), dtype=np.bool_)
    cut_by[:, 0] = (np.abs(weight) > caps.instrument) & ~held
    out = np.where(held, weight, np.clip(weight, -caps.instrument, caps.instrument))
    fixed = _by_class(np.abs(out) * held, classes, caps)
    moving = _by_class(np.abs(out) * ~held, classes, caps)
    scale = np.where(fixed + moving > caps.classes, _share(caps.classes - fixed, moving), 1.0).take(classes)
    cut_by[:, 1] = (scale < 1.0) & (out != 0.0) & ~held
    out = np.where(held, out, out * scale)
    fixed_gross, moving_gross = np.abs(out[held]).sum(), np.abs(out[~held]).sum()
    if fixed_gross + moving_gross > caps.gross:
        cut_by[:, 2] = (out != 0.0) & ~held
        out = np.where(held, out, out * _share(np.array(caps.gross - fixed_gross), np.array(moving_gross)))
    return out, cut_by


def _by_class(size: FloatArray, classes: IntArray, caps: Caps) -> FloatArray:
    return np.bincount(classes, size, minlength=caps.classes.size).astype(np.float64)


def _share(room: FloatArray, needed: FloatArray) -> FloatArray:
    """Part of what is needed that there is room for, in [0, 1]."""
    out: FloatArray = np.maximum(room, 0.0) / np.where(needed > 0.0, needed, 1.0)
    return np.minimum(out, 1.0)
