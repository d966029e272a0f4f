"""What was known of an instrument beside its bars, as arrays that a feature can read and that hold nothing later.

A feature names a kind of fact as an input and gets `Facts`. It reads the facts that were known at each bar's close by
`latest` and `at` (a state: the last report), or by `within`, `flow` and `count` (a flow: what became known in a
window). Each is a function of the facts known at the bar alone, whatever becomes known later::

    @feature(FAMILY, window=1, source="Sloan (1996), p. 293")
    def accruals(statements: Facts) -> Array:
        row = latest(statements, oldest_days=400)
        return at(statements.fields["net_income"] / statements.fields["assets"], row)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.features.windows import Array

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
UNIT = 2.0**-20  # to whose multiples `flow` rounds values, so that sums are exact


@dataclass(frozen=True)
class Facts:
    """Facts of one kind about one instrument, and how many of them are known at each bar's close.

    Attributes
    ----------
    seen : number of facts that are known at a bar's close, shape (bars,), ascending: fact i is known at bar k if
        i < seen[k].
    covered : whether the absence of a fact says at this bar that there was none, shape (bars,).
    known : day on which each fact became known, with a fraction, shape (facts,), ascending.
    fields : values by the names of `src.documents.facts.FACTS`, each of shape (facts,); NaN where not known.
    close : day of each bar's close, with a fraction, shape (bars,), ascending.
    since : day from which on coverage is unbroken up to the bar's close, shape (bars,); NaN where it isn't covered.
    """

    seen: Rows
    covered: Mask
    known: Array
    fields: Mapping[str, Array]
    close: Array
    since: Array

    def __getitem__(self, bars: slice) -> Facts:
        return Facts(self.seen[bars], self.covered[bars], self.known, self.fields, self.close[bars], self.since[bars])

    def first(self, count: int) -> Facts:
        """Return the same bars with the first `count` facts alone."""
        fields = {name: values[:count] for name, values in self.fields.items()}
        return Facts(np.minimum(self.seen, count), self.covered, self.known[:count], fields, self.close, self.since)

    def locked(self) -> Facts:
        """Return the same values, which can't be written to."""
        bars = (_read_only(each) for each in (self.close, self.since))
        fields = {name: _read_only(values) for name, values in self.fields.items()}
        return Facts(_read_only(self.seen), _read_only(self.covered), _read_only(self.known), fields, *bars)


def latest(facts: Facts, chosen: Mask | None = None, oldest_days: float = np.inf) -> Rows:
    """Row of the last fact that is known at each bar.

    Parameters
    ----------
    facts : Facts
    chosen : bool, shape (facts,), optional
        Facts that count.
    oldest_days : float
        Days since a fact became known, beyond which it no longer counts.

    Returns
    -------
    int64, shape (bars,), in [-1, facts - 1]
        -1 where no fact is known, or only an older one.
    """
    return _as_known(facts, _last_chosen(facts, chosen), oldest_days)


def newest(facts: Facts, order: Array, oldest_days: float = np.inf) -> Rows:
    """Row of the fact that is known at each bar and has the largest value of `order`; of equal ones the last known.

    Parameters
    ----------
    facts : Facts
    order : float64, shape (facts,)
        Such as the end of the period; a fact without one doesn't count.
    oldest_days : float
        As in `latest`.

    Returns
    -------
    int64, shape (bars,), in [-1, facts - 1]
        -1 where no fact is known, or the newest is older.
    """
    values = np.where(np.isnan(order), -np.inf, order)
    reached = np.maximum.accumulate(values) if len(values) else values
    return _as_known(facts, _last_chosen(facts, (values == reached) & ~np.isnan(order)), oldest_days)


def at(values: Array, row: Rows) -> Array:
    """Values of the rows that `latest` or `newest` gave.

    Parameters
    ----------
    values : float64, shape (facts,)
    row : int64, shape (bars,)

    Returns
    -------
    float64, shape (bars,)
        NaN where the row is -1.
    """
    return np.where(row >= 0, values[row], np.nan) if len(values) else np.full(len(row), np.nan)


def within(facts: Facts, days: float) -> Rows:
    """Row of the first fact that became known less than `days` before each bar's close.

    Returns
    -------
    int64, shape (bars,), in [0, facts]
        The facts of the window at bar k are those from this row up to ``seen[k]`` (excluded).
    """
    return np.minimum(np.searchsorted(facts.known, facts.close - days, side="right"), facts.seen)


def since_bar(facts: Facts, bars: int) -> Rows:
    """Row of the first fact that became known after the close of `bars` bars before.

    Returns
    -------
    int64, shape (bars,), in [0, facts]
        As `within`; the number of facts known at the bar itself in the first `bars` rows, whose window isn't full.
    """
    start = facts.seen.copy()
    start[bars:] = facts.seen[: max(len(start) - bars, 0)]
    return start


def flow(facts: Facts, values: Array, start: Rows, unit: float = UNIT) -> Array:
    """Sum of the facts' values from `start` up to those known at each bar.

    Values are rounded to multiples of `unit` and summed as integers: what leaves the window leaves nothing behind.

    Parameters
    ----------
    facts : Facts
    values : float64, shape (facts,)
        NaN counts as 0.
    start : int64, shape (bars,)
        What `within` or `since_bar` gave.
    unit : float

    Returns
    -------
    float64, shape (bars,)
        0 where no fact is in the window.
    """
    steps = np.clip(np.rint(np.nan_to_num(values, posinf=0.0, neginf=0.0) / unit), -(2.0**62), 2.0**62)
    so_far = np.r_[0, np.cumsum(steps.astype(np.int64))]
    sums: Array = (so_far[facts.seen] - so_far[start]) * unit
    return sums


def count(facts: Facts, chosen: Mask, start: Rows) -> Array:
    """Count the chosen facts from `start` up to those known at each bar, shape (bars,)."""
    return flow(facts, chosen.astype(np.float64), start, 1.0)


def distinct(facts: Facts, chosen: Mask, who: Array, days: float) -> Array:
    """Count who the chosen facts of the last `days` are of, each once.

    Parameters
    ----------
    facts : Facts
    chosen : bool, shape (facts,)
    who : float64, shape (facts,)
        Whom a fact is of; one that doesn't say counts alone.
    days : float

    Returns
    -------
    float64, shape (bars,)
    """
    rows = np.flatnonzero(chosen)
    person, known = who[rows], facts.known[rows]
    order = np.lexsort((rows, person))
    again = np.full(len(rows), np.inf)  # when the same one acts the next time
    same = person[order][1:] == person[order][:-1]
    again[order[:-1]] = np.where(same, known[order][1:], np.inf)
    left = np.sort(np.minimum(again, known + days))
    return (np.searchsorted(rows, facts.seen) - np.searchsorted(left, facts.close, side="right")).astype(np.float64)


def covered_for(facts: Facts, days: float) -> Mask:
    """Whether coverage is unbroken over the last `days` before each bar's close, shape (bars,)."""
    return facts.covered & (facts.since <= facts.close - days)


def covered_bars(facts: Facts, bars: int) -> Mask:
    """Whether coverage is unbroken since the close of `bars` bars before, shape (bars,); not in the first rows."""
    full = np.zeros(len(facts.close), dtype=bool)
    full[bars:] = facts.since[bars:] <= facts.close[: max(len(full) - bars, 0)]
    return full & facts.covered


def age(facts: Facts, row: Rows) -> Array:
    """Days from when a fact became known to each bar's close, shape (bars,); NaN where the row is -1."""
    return facts.close - at(facts.known, row)


def days_since(facts: Facts, chosen: Mask, most: float) -> Array:
    """Days since the last chosen fact became known, at most `most`.

    Returns
    -------
    float64, shape (bars,), in [0, most]
        `most` where none became known in that time, which has to be covered; NaN where it isn't.
    """
    days = age(facts, latest(facts, chosen, most))
    return np.where(facts.covered, np.where(np.isnan(days) & covered_for(facts, most), most, days), np.nan)


def _last_chosen(facts: Facts, chosen: Mask | None) -> Rows:
    """Row of the last chosen fact up to each fact, shape (facts,); -1 where none is."""
    rows = np.arange(len(facts.known))
    return rows if chosen is None or not len(rows) else np.maximum.accumulate(np.where(chosen, rows, -1))


def _as_known(facts: Facts, last: Rows, oldest_days: float) -> Rows:
    if not len(last):
        return np.full(len(facts.close), -1, dtype=np.int64)
    row = np.where(facts.seen > 0, last[facts.seen - 1], -1)
    return np.where((row >= 0) & (facts.close - facts.known[row] <= oldest_days), row, -1)


def _read_only(values: NDArray[np.generic]) -> NDArray:  # type: ignore[type-arg]
    view = values.view()
    view.flags.writeable = False
    return view
