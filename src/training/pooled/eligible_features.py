"""The rows of a cross-section that are eligible, and the stored features of a year's rows."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from src.core.arrays import BoolArray, DateArray, IntArray, Matrix
from src.features.feature_rows import FeatureRows
from src.features.store import FeatureStore
from src.market.cross_section import CrossSection
from src.training.pooled.day_ranks import Codes, codes


@dataclass(frozen=True)
class EligibleRows:
    """The eligible pairs of a day and a name, day by day and, within a day, in the order of the names.

    Attributes
    ----------
    asset_class : str
    dates : datetime64[D], shape (T,)
    symbols : tuple of str, length N
    codes : uint64, shape (N,)
        Hashes of the symbols.
    eligible : bool, shape (T, N)
    offsets : int64, shape (T + 1,)
        The rows of day t are ``offsets[t]:offsets[t + 1]``.
    names : int32, shape (R,)
        Column of each row's name.
    """

    asset_class: str
    dates: DateArray
    symbols: tuple[str, ...]
    codes: Codes
    eligible: BoolArray
    offsets: IntArray
    names: npt.NDArray[np.int32]

    @classmethod
    def of(cls, section: CrossSection, eligible: BoolArray) -> EligibleRows:
        """List the rows of a cross-section.

        Parameters
        ----------
        section : CrossSection
            Days and names.
        eligible : bool, shape (T, N)
        """
        offsets = np.concatenate([[0], np.cumsum(eligible.sum(axis=1))]).astype(np.int64)
        names = np.concatenate([np.flatnonzero(day).astype(np.int32) for day in eligible] or [np.empty(0, np.int32)])
        dates = section.dates.astype("datetime64[D]")
        return cls(section.asset_class, dates, section.symbols, codes(section.symbols), eligible, offsets, names)

    @property
    def size(self) -> int:
        """Number of rows."""
        return int(self.offsets[-1])

    @property
    def digest(self) -> str:
        """Hash of the pairs: other names of the class, and days without a row, change nothing."""
        counts = np.diff(self.offsets)
        digest = hashlib.blake2b(self.asset_class.encode(), digest_size=16)
        digest.update(self.dates[counts > 0].astype(np.int64).astype("<i8").tobytes())
        digest.update(counts[counts > 0].astype("<i8").tobytes())
        for t in self.filled(slice(0, len(self.dates))):
            digest.update(self.codes[self.names[self.span(t)]].astype("<u8").tobytes())
        return digest.hexdigest()

    def span(self, t: int) -> slice:
        """Return the rows of a day."""
        return slice(int(self.offsets[t]), int(self.offsets[t + 1]))

    def filled(self, days: slice) -> list[int]:
        """Return those of some days that have rows."""
        return [t for t in range(days.start, days.stop) if self.offsets[t] < self.offsets[t + 1]]

    def years(self) -> Iterator[slice]:
        """Yield the days of each calendar year that has rows."""
        years = self.dates.astype("datetime64[Y]")
        bounds = [0, *(np.flatnonzero(years[1:] != years[:-1]) + 1).tolist(), years.size]
        for start, stop in itertools.pairwise(bounds):
            if self.offsets[start] < self.offsets[stop]:
                yield slice(start, stop)

    def save(self, path: Path) -> None:
        """Write dates, offsets and names as arrays, without pickle."""
        np.savez(path, allow_pickle=False, dates=self.dates, offsets=self.offsets, names=self.names)


def values_of_year(store: FeatureStore, rows: EligibleRows, days: slice, columns: Sequence[str]) -> Matrix:
    """Read features of the rows of one calendar year.

    Parameters
    ----------
    store : FeatureStore
        With all its buckets.
    rows : EligibleRows
    days : slice
        One of `EligibleRows.years`.
    columns : sequence of str
        Features.

    Returns
    -------
    float32, shape (columns, rows of the year)
        NaN where a feature is not defined, or its bucket has no such row.
    """
    first = int(rows.offsets[days.start])
    values = np.full((len(columns), int(rows.offsets[days.stop]) - first), np.nan, dtype=np.float32)
    places = _places(rows.eligible[days])
    number = {symbol: n for n, symbol in enumerate(rows.symbols)}
    for b in store.buckets():
        part = store.read_year(b, rows.dates[days.start].item().year, list(columns))
        if part is None:
            continue
        source, target = _matched(part, rows, days, number, places)
        values[:, target] = part.values[source].T
    return values


def _places(eligible: BoolArray) -> npt.NDArray[np.int32]:
    """Position of each pair among the eligible ones, -1 for the others."""
    places = np.cumsum(eligible.ravel(), dtype=np.int32).reshape(eligible.shape) - 1
    return np.where(eligible, places, np.int32(-1))


def _matched(
    part: FeatureRows, rows: EligibleRows, days: slice, number: dict[str, int], places: npt.NDArray[np.int32]
) -> tuple[IntArray, IntArray]:
    """Positions of a shard's eligible rows, in the shard and in the year."""
    names = [number.get(symbol, -1) if kind == rows.asset_class else -1 for (kind, symbol), _ in part.instruments]
    name = np.repeat(np.array(names, dtype=np.int64), [own.stop - own.start for _, own in part.instruments])
    dates = part.dates.astype("datetime64[D]")
    day = np.minimum(np.searchsorted(rows.dates[days], dates), len(places) - 1)
    ours = (name >= 0) & (rows.dates[days][day] == dates)
    place = np.where(ours, places[day, name], -1)
    source = np.flatnonzero(place >= 0)
    return source, place[source].astype(np.int64)
