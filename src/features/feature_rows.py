"""Rows of features as arrays: of some instruments as they are read, and by calendar year as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.core.instruments import KEY, Key
from src.features.compute import instruments

if TYPE_CHECKING:
    from src.core.arrays import DateArray, Matrix


@dataclass(frozen=True)
class FeatureRows:
    """Features of some instruments, sorted by key and date.

    Attributes
    ----------
    names : list of str
        The columns.
    instruments : list of (key, slice)
        Rows of each instrument.
    dates : datetime64, shape (rows,)
        Of days, or of microseconds in UTC.
    blocks : list of float32 arrays, shape (rows of the instrument, columns)
        For each instrument; NaN where undefined.
    """

    names: list[str]
    instruments: list[tuple[Key, slice]]
    dates: DateArray
    blocks: list[Matrix]

    @property
    def values(self) -> Matrix:
        """Values of all rows, shape (rows, columns)."""
        return np.concatenate([np.empty((0, len(self.names)), dtype=np.float32), *self.blocks])

    def keys(self) -> pl.DataFrame:
        """Return asset_class, symbol and date of the rows."""
        keys = pl.DataFrame([key for key, _ in self.instruments], schema=dict.fromkeys(KEY, pl.String), orient="row")
        dates = pl.Series("date", self.dates)
        if dates.dtype != pl.Date:
            dates = dates.dt.replace_time_zone("UTC")
        lengths = [rows.stop - rows.start for _, rows in self.instruments]
        return keys[np.repeat(np.arange(len(lengths)), lengths)].with_columns(dates)

    def table(self) -> pl.DataFrame:
        """Return asset_class, symbol, date and a Float32 column for each feature, null where undefined."""
        columns = np.empty((len(self.names), len(self.dates)), dtype=np.float32)
        for (_, rows), block in zip(self.instruments, self.blocks, strict=True):
            columns[:, rows] = block.T
        named = zip(self.names, columns, strict=True)
        return self.keys().with_columns(pl.Series(name, column, nan_to_null=True) for name, column in named)


@dataclass(frozen=True)
class YearOfRows:
    """The rows of one calendar year of a bucket.

    Attributes
    ----------
    year : int
    instruments : list of (key, int)
        Number of rows of each instrument.
    dates : datetime64, shape (rows,)
    values : float32, shape (rows, columns), C-contiguous
    """

    year: int
    instruments: list[tuple[Key, int]]
    dates: DateArray
    values: Matrix


def by_year(rows: pl.DataFrame, block: Matrix) -> Iterator[YearOfRows]:
    """Turn the columns of a bucket into rows, one calendar year after the other.

    Parameters
    ----------
    rows : DataFrame
        asset_class, symbol and date, sorted.
    block : float32, shape (columns, rows)
    """
    dates = rows["date"].to_numpy()
    years = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    found: dict[int, list[tuple[Key, slice]]] = {}
    for key, own in instruments(rows):
        ends = [*(np.flatnonzero(np.diff(years[own])) + 1 + own.start).tolist(), own.stop]
        for start, stop in zip([own.start, *ends], ends, strict=False):
            found.setdefault(int(years[start]), []).append((key, slice(start, stop)))
    for year, pieces in sorted(found.items()):
        sizes = [piece.stop - piece.start for _, piece in pieces]
        values = np.empty((sum(sizes), len(block)), dtype=np.float32)
        for (_, piece), here in zip(pieces, slices(sizes), strict=True):
            values[here] = block[:, piece].T
        own_dates = np.concatenate([dates[piece] for _, piece in pieces])
        yield YearOfRows(year, [(key, size) for (key, _), size in zip(pieces, sizes, strict=True)], own_dates, values)


def slices(sizes: list[int]) -> list[slice]:
    """Pieces of these sizes, one after the other."""
    return [slice(stop - size, stop) for size, stop in zip(sizes, accumulate(sizes), strict=True)]
