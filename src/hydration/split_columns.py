"""A column of splits read as what it is: events on their days, factors between splits, or nonsense.

Events are the ratio on the day of a split and 0, 1 or nothing on others (yfinance, Alpha Vantage, Tiingo, zipline).
Factors stand on every day and change at a split: price as traded over price, 1 at the end (our own ``split``, CRSP's
cfacpr), or shares held for each one at the beginning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.hydration.moves import Floats

_SAME = 1e-3  # relative: two factors of rounded prices are one
_MOST = 0.02  # share of bars with a split, beyond which a column holds neither events nor factors
_FEW = 3


@dataclass(frozen=True)
class SplitColumn:
    """What a column says.

    Attributes
    ----------
    named
        Shape (n,): ratio of the split on each bar, 1 without one.
    last
        As-traded price over price at the last bar.
    known
        Whether there is a split history at all.
    fault
        Why the column, or a part of it, is not used; empty if it is.
    """

    named: Floats
    last: float = 1.0
    known: bool = True
    fault: str = ""


def read(values: Floats) -> SplitColumn:
    """Read a column of one instrument.

    Parameters
    ----------
    values
        Shape (n,), in order of date, NaN where nothing is given.

    Returns
    -------
    SplitColumn
        Of events where values other than 0 and 1 stand alone, else of factors.

    Examples
    --------
    >>> read(np.array([0.0, 0.0, 4.0, 0.0])).named.tolist()
    [1.0, 1.0, 4.0, 1.0]
    >>> read(np.array([4.0, 4.0, 1.0, 1.0])).named.tolist()
    [1.0, 1.0, 4.0, 1.0]
    """
    nothing = np.ones(len(values))
    given = np.isfinite(values)
    if not given.any():
        return SplitColumn(nothing, known=False)
    plain = ~given | (values == 0) | (values == 1)
    if plain.all():
        return SplitColumn(nothing)
    special = np.flatnonzero(~plain)
    few = len(special) <= max(_FEW, _MOST * len(values)) and (len(special) < plain.sum() or len(special) == 1)
    return _events(values, special) if few and not _stands(values, special) else _factors(values, given)


def _stands(values: Floats, special: npt.NDArray[np.int64]) -> bool:
    """Whether the few values that are not 1 are factors: they begin the series, or end it by more than one bar."""
    first, last = len(values) > 1 and special[0] == 0, len(special) > 1 and special[-1] == len(values) - 1
    together = len(special) == special[-1] - special[0] + 1
    return bool((first or last) and together and not (values == 0).any() and not np.isnan(values).any())


def _events(values: Floats, special: npt.NDArray[np.int64]) -> SplitColumn:
    named = np.ones(len(values))
    good = special[values[special] > 0]
    named[good] = values[good]
    bad = special[~(values[special] > 0)]
    return SplitColumn(named, fault=f"a split of {values[bad[0]]:g} is ignored: a ratio is above 0" if len(bad) else "")


def _factors(values: Floats, given: npt.NDArray[np.bool_]) -> SplitColumn:
    nothing = np.ones(len(values))
    bad = given & ~(values > 0)
    if bad.any():
        return SplitColumn(nothing, known=False, fault=f"a factor of {values[bad][0]:g} is not above 0")
    filled = values[np.maximum.accumulate(np.where(given, np.arange(len(values)), int(np.argmax(given))))]
    steps = filled[1:] / filled[:-1]
    changes = np.flatnonzero(np.abs(np.log(steps)) > _SAME) + 1
    if len(changes) > max(_FEW, _MOST * len(values)):
        return SplitColumn(nothing, known=False, fault=f"it changes on {len(changes):,} of {len(values):,} bars")
    forward = abs(filled[0] - 1) < _SAME and abs(filled[-1] - 1) > _SAME
    named = nothing.copy()
    named[changes] = steps[changes - 1] if forward else 1 / steps[changes - 1]
    return SplitColumn(named, 1.0 if forward else float(filled[-1]))
