"""How many instruments ended before their class did: without those that were delisted, results are biased upwards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

ENDED_DAYS = 7
"""Calendar days before the class's last date: an instrument whose last bar is earlier has ended."""
USUAL_RATE = 0.01
"""Share of its names a year below which a class lacks those that were delisted; exchanges lose several percent."""


@dataclass(frozen=True)
class Survivorship:
    """What share of the names of one asset class ended before its last date.

    Attributes
    ----------
    asset_class : str
        The class.
    names, ended : int
        Names with bars, and those whose last bar is more than `ENDED_DAYS` before the last date of the class.
    yearly : float
        Ended names over the sum of the years that each name has bars of.
    """

    asset_class: str
    names: int
    ended: int
    yearly: float

    @property
    def share(self) -> float:
        """Ended names over all names."""
        return self.ended / self.names if self.names else 0.0

    @property
    def survivors_only(self) -> bool:
        """Whether so few names ended that those that were delisted must be missing."""
        return self.names > 0 and self.yearly < USUAL_RATE

    def sentence(self) -> str:
        """Say how many names ended, and what that means.

        Returns
        -------
        str
            ``Survivors only: 2 of 500 names of class stock ended before the last date ...``.
        """
        counts = f"{self.ended:,} of {self.names:,} names of class {self.asset_class} ended before the last date"
        if self.survivors_only:
            return f"Survivors only: {counts}. Names that were delisted are missing, which biases the result upwards."
        return f"{counts} ({self.share:.1%}): delisted names are among them."


def survivorship(states: pl.DataFrame | None, classes: Iterable[str]) -> dict[str, Survivorship]:
    """Count the instruments of some classes that ended before their class did.

    Parameters
    ----------
    states : DataFrame, optional
        States of hydrate: asset_class, state, first and last (dates of the bars); None where there are none.
    classes : iterable of str
        Asset classes.

    Returns
    -------
    dict of str to Survivorship
        By class, without those that have no bars.
    """
    if states is None:
        return {}
    dated = states.filter(pl.col("first").is_not_null() & pl.col("last").is_not_null() & (pl.col("state") == "done"))
    found = {}
    for asset_class in classes:
        spans = dated.filter(pl.col("asset_class") == asset_class).select("first", "last")
        if spans.height:
            found[asset_class] = _counted(asset_class, spans)
    return found


def _counted(asset_class: str, spans: pl.DataFrame) -> Survivorship:
    rows: list[tuple[dt.date, dt.date]] = spans.rows()
    end = max(last for _, last in rows) - dt.timedelta(days=ENDED_DAYS)
    ended = sum(last < end for _, last in rows)
    years = sum((last - first).days + 1 for first, last in rows) / 365.25
    return Survivorship(asset_class, len(rows), ended, ended / years)
