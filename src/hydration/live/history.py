"""Bars and events together, of one instrument or of many, and the order in which they are stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from src.core.instruments import KEY, Key

SERIES = [*KEY, "source"]


@dataclass(frozen=True)
class History:
    """Bars and events, as stored or as served.

    Attributes
    ----------
    bars : DataFrame
        Columns of `src.fetching.provider.raw_schema`.
    events : DataFrame
        Splits and money events: columns of `src.fetching.provider.EVENTS`.
    """

    bars: pl.DataFrame
    events: pl.DataFrame

    def of(self, keys: Iterable[Key]) -> History:
        """The rows of some instruments, in the same order.

        Parameters
        ----------
        keys : iterable of (asset_class, symbol)
            Instruments wanted; those without rows are allowed.

        Returns
        -------
        History
            Both tables, filtered.
        """
        wanted = pl.DataFrame(list(keys), schema=dict.fromkeys(KEY, pl.String()), orient="row")
        return History(
            *(table.join(wanted, on=KEY, how="semi", maintain_order="left") for table in (self.bars, self.events))
        )

    def ordered(self) -> History:
        """Bars and events in the order of the store.

        Returns
        -------
        History
            See `ordered` and `ordered_events`.
        """
        return History(ordered(self.bars), ordered_events(self.events))


def ordered(bars: pl.DataFrame) -> pl.DataFrame:
    """Sort bars by instrument, source and year.

    Parameters
    ----------
    bars : DataFrame
        Within a year the rows keep the order in which they were served, repeated and disordered ones included.

    Returns
    -------
    DataFrame
        The same rows.
    """
    year = pl.col("date").dt.year().fill_null(0).alias("_year")
    return bars.sort(*SERIES, year, maintain_order=True)


def ordered_events(events: pl.DataFrame) -> pl.DataFrame:
    """Sort events by instrument, date, kind, source and value, each event once.

    Parameters
    ----------
    events : DataFrame
        In any order, with repetitions.

    Returns
    -------
    DataFrame
        Distinct rows.
    """
    return events.unique(maintain_order=True).sort(*KEY, "date", "kind", "source", "value", maintain_order=True)
