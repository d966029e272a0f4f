"""Deterministic facts of research on which a user's own features are tried before they see any data."""

from __future__ import annotations

import numpy as np

from src.documents.facts import FACTS
from src.features.facts import Facts
from src.features.windows import Array

COUNT = 900  # facts of each kind
BEFORE, AFTER = 900.0, 30.0  # days before the first bar and after the last in which facts become known
_DATES = {"period": 40.0, "accepted": 0.0, "traded": 2.0, "published": 0.0}  # days before a fact is known
_CODES = ("form", "channel", "owner", "items")
_FLAGS = (
    "amended", "earnings", "departure", "distress", "officer", "director", "owner_of_ten_percent", "planned", "routine",
    "annual", "correction",
)  # fmt: skip
_SIGNED = ("shares", "value", "tone", "skew", "term_slope", "net_income", "operating_cash", "late")


def trial_facts(day: Array, covered_from: int = 0) -> dict[str, Facts]:
    """Invented facts of every kind.

    Parameters
    ----------
    day : float64, shape (bars,)
        Days of the bars, ascending.
    covered_from : int
        First bar at which the absence of a fact says that there was none.

    Returns
    -------
    dict of str to Facts
    """
    random, found = np.random.default_rng(23), {}
    close = day + 21 / 24
    covered = np.arange(len(close)) >= covered_from
    since = np.where(covered, close[covered_from] - (0 if covered_from else BEFORE), np.nan)
    for kind, fields in FACTS.items():
        known = np.sort(random.uniform(close[0] - BEFORE, close[-1] + AFTER, COUNT))
        values = {name: _values(random, kind, name, known) for name in fields}
        found[kind] = Facts(np.searchsorted(known, close, side="right"), covered, known, values, close, since)
    return found


def _values(random: np.random.Generator, kind: str, name: str, known: Array) -> Array:
    if name in _DATES:
        return np.floor(known) - _DATES[name]
    if name in _CODES:
        return random.integers(1, 6, len(known)).astype(np.float64)
    if name in _FLAGS:
        return random.integers(0, 2, len(known)).astype(np.float64)
    sizes = np.exp(0.3 * random.standard_normal(len(known)))
    is_signed = name in _SIGNED and (kind, name) != ("statements", "shares")
    return sizes * np.where(random.random(len(known)) < 0.5, -1, 1) if is_signed else sizes
