"""What hydration found of an instrument: the value that validation, sources and live publishing hand on."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

EFFECTS = ("failed", "quarantined", "skipped", "repaired", "dropped", "noted")
"""What a finding led to, the gravest first: three states of an instrument, changed bars, lost rows, or a remark."""


@dataclass(frozen=True)
class BarFinding:
    """One thing found of one instrument's bars.

    Attributes
    ----------
    rule : str
        Short stable name by which findings are counted, such as ``no_open``.
    effect : str
        One of `EFFECTS`.
    text : str
        The sentence for people. It is one text whatever it holds: nothing parses it.
    n, of : int
        Bars or rows concerned, and how many there are in all; 0 where that is no count.
    first, last : date, optional
        First and last day concerned, where known.
    source : str
        File or provider that it concerns, where known.
    ratio : float, optional
        Largest price ratio in question, above 1: by how much a price was out of line.
    closes : tuple of float or None
        Closes around the place, for an instrument whose bars are not stored; None is a bar without one.
    at : int, optional
        Index in `closes` of the bar that it is about.
    """

    rule: str
    effect: str
    text: str
    n: int = 0
    of: int = 0
    first: dt.date | None = None
    last: dt.date | None = None
    source: str = ""
    ratio: float | None = None
    closes: tuple[float | None, ...] = field(default=(), repr=False)
    at: int | None = None


def as_finding(given: str | BarFinding, effect: str, rule: str = "other") -> BarFinding:
    """Give a finding as it is; a text alone gets the effect and the rule.

    Parameters
    ----------
    given : str or BarFinding
        What was found.
    effect, rule : str
        Of a text alone.

    Returns
    -------
    BarFinding
    """
    return BarFinding(rule, effect, given) if isinstance(given, str) else given
