"""Bars of a class for the books of a pooled champion: the cross-section, and the closes as they are stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from src.core.arrays import FloatArray, IntArray
from src.market.bars import tradable
from src.market.cross_section import CrossSection
from src.training.pooled.class_data import ClassBars


@dataclass(frozen=True)
class SeenBars(ClassBars):
    """Bars of which the stored closes are kept: those from a day on, and the last before it.

    Attributes
    ----------
    since : date
    seen : list of DataFrame
        symbol, date, close and factor; filled as the parts are read.
    """

    since: dt.date
    seen: list[pl.DataFrame] = field(default_factory=list)

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield the bars of each bucket, sorted by symbol and date."""
        self.seen.clear()
        for bars in super().parts():
            own = bars.filter(pl.col("asset_class") == self.asset_class, tradable(bars))
            own = own.select("symbol", pl.col("date").cast(pl.Date), "close", "factor")
            is_late = pl.col("date") >= self.since
            self.seen.append(pl.concat([own.filter(~is_late).group_by("symbol").last(), own.filter(is_late)]))
            yield bars


@dataclass(frozen=True)
class LatestBars:
    """The latest bar of each name on each of the last days, shape (days, N).

    Attributes
    ----------
    first : int
        Row of the first day in the cross-section.
    rows : int64
        Row of the bar in the cross-section; -1 where the name has none yet.
    close, factor : float64
        As stored; NaN where the name has none yet.
    """

    first: int
    rows: IntArray
    close: FloatArray
    factor: FloatArray

    @classmethod
    def of(cls, section: CrossSection, bars: SeenBars, first: int) -> LatestBars:
        """Look up the bars from a row on.

        Parameters
        ----------
        section : CrossSection
        bars : SeenBars
            From which the cross-section was made; they are kept from that row on, or from an earlier one.
        first : int
        """
        traded = np.isfinite(section.close)
        rows = np.where(traded[first:], np.arange(first, len(section.dates))[:, None], -1)
        before = first - 1 - np.argmax(traded[:first][::-1], axis=0) if first else np.full(section.shape[1], -1)
        rows[0] = np.where(rows[0] < 0, np.where(traded[:first].any(axis=0), before, -1), rows[0])
        rows = np.maximum.accumulate(rows, axis=0).astype(np.int64)
        seen = _placed(pl.concat(bars.seen), section)
        places = np.full((len(section.dates), section.shape[1]), -1, dtype=np.int32)
        places[seen["row"].to_numpy(), seen["column"].to_numpy()] = np.arange(seen.height)
        found = places[np.maximum(rows, 0), np.arange(section.shape[1])]
        known = (rows >= 0) & (found >= 0)
        prices = (seen[name].cast(pl.Float64).to_numpy()[np.where(known, found, 0)] for name in ("close", "factor"))
        close, factor = (np.where(known, price, np.nan) for price in prices)
        return cls(first, rows, close, factor)


def _placed(bars: pl.DataFrame, section: CrossSection) -> pl.DataFrame:
    """Add row and column of the cross-section; bars on days without a session are left out, as there."""
    dates = pl.DataFrame({"date": section.dates.astype("datetime64[D]"), "row": np.arange(len(section.dates))})
    names = pl.DataFrame({"symbol": pl.Series(section.symbols, dtype=pl.String)}).with_row_index("column")
    return bars.join(dates, on="date").join(names, on="symbol")
