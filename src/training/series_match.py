"""Recognise a series of bars by its returns, whatever the names of universe and symbol, and whatever bar was restated.

A fingerprint is a sample of an instrument's tradable one-bar returns: those on the dates whose hash is smallest, so
that two series are sampled on the same dates. Two fingerprints are of one series where most returns on common dates
agree. Candidates come from an index on pairs of neighbouring anchor dates with rounded returns, which two unrelated
series share by chance in one of some thousand cases: ten thousand series are compared in about a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.core.arrays import BoolArray, DateArray, FloatArray

SAMPLE = 160
"""Returns of a fingerprint."""
INFORMATIVE = 1e-3
"""A return of this magnitude tells series apart; smaller ones are alike in all that resembles cash."""
TOLERANCE = 1e-4
"""Returns that differ by less agree."""
AGREEMENT = 0.85
"""Share of the sampled returns that must agree: a sample of 160 reaches it in 98 of 100 cases where 90% of all do."""
LEAST = 16
"""Common dates below which nothing is said."""
_ANCHORS = np.uint64((1 << 64) // 20)  # one date of twenty
_BIN = 5e-4  # width of the bins to which anchors' returns are rounded
_SHARED = 3  # pairs of anchors that make a candidate
Minutes = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Fingerprint:
    """Sample of a series' returns.

    Attributes
    ----------
    minutes : int32, shape (k,)
        Dates of the decisions, in minutes since 1970, ascending.
    returns : float32, shape (k,)
        O[k+2]/O[k+1] - 1 of the decision at bar k, in total-return prices.
    """

    minutes: Minutes
    returns: npt.NDArray[np.float32]

    @cached_property
    def key(self) -> str:
        """Hash of the content: 24 hexadecimal digits."""
        content = self.minutes.astype("<i4").tobytes() + self.returns.astype("<f4").tobytes()
        return hashlib.blake2b(content, digest_size=12).hexdigest()

    def agrees(self, other: Fingerprint, *, informative: bool = True) -> bool:
        """Whether both are of one series.

        Parameters
        ----------
        other : Fingerprint
        informative : bool
            Whether only days count on which either return is `INFORMATIVE`. Without, series that resemble cash are
            alike: for series that bear the same name.

        Returns
        -------
        bool
            False where fewer than `LEAST` days can be compared.
        """
        at = np.searchsorted(other.minutes, self.minutes)
        at[at == other.minutes.size] = 0
        common = other.minutes[at] == self.minutes if other.minutes.size else np.zeros(at.size, dtype=np.bool_)
        mine, theirs = self.returns[common], other.returns[at[common]]
        if informative:
            counted = np.maximum(np.abs(mine), np.abs(theirs)) > INFORMATIVE
            mine, theirs = mine[counted], theirs[counted]
        return bool(mine.size >= LEAST and np.mean(np.abs(mine - theirs) < TOLERANCE) >= AGREEMENT)


def fingerprint(dates: DateArray, returns: FloatArray) -> Fingerprint:
    """Sample a series.

    Parameters
    ----------
    dates : datetime64, shape (n,)
        Dates of the decisions, ascending, UTC where they are times.
    returns : float64, shape (n,)
        One-bar return of each decision; those that are not finite are left out.

    Returns
    -------
    Fingerprint
        Of the `SAMPLE` dates with the smallest hash, or of all where there are fewer.
    """
    known = np.isfinite(returns)
    minutes = dates[known].astype("datetime64[m]").astype(np.int64)
    chosen = np.sort(np.argsort(_mixed(minutes.astype(np.uint64)), kind="stable")[:SAMPLE])
    return Fingerprint(minutes[chosen].astype(np.int32), returns[known][chosen].astype(np.float32))


class SeriesIndex:
    """Fingerprints of many series, and which of them are of the series that is asked for.

    Parameters
    ----------
    series : DataFrame
        minutes, returns: one fingerprint a row. The number of the row names it in answers.
    """

    def __init__(self, series: pl.DataFrame) -> None:
        sizes = series["minutes"].list.len().to_numpy().astype(np.int64)
        self._ends = np.cumsum(sizes)
        self._minutes: Minutes = series["minutes"].explode(empty_as_null=False).cast(pl.Int32).to_numpy()
        self._returns = series["returns"].explode(empty_as_null=False).cast(pl.Float32).to_numpy()
        owners = np.repeat(np.arange(sizes.size, dtype=np.int32), sizes)
        keys, first = _anchor_keys(self._minutes, self._returns, owners)
        order = np.argsort(keys, kind="stable")
        self._keys, self._owners = keys[order], owners[first][order]

    def at(self, number: int) -> Fingerprint:
        """Return a fingerprint by its number."""
        start = int(self._ends[number - 1]) if number else 0
        rows = slice(start, int(self._ends[number]))
        return Fingerprint(self._minutes[rows], self._returns[rows])

    def matches(self, asked: Sequence[Fingerprint], named: Sequence[Iterable[int]]) -> list[list[int]]:
        """Find the fingerprints that are of the same series.

        Parameters
        ----------
        asked : sequence of Fingerprint
        named : sequence of iterable of int
            For each, the numbers of fingerprints under the same symbol: they are compared in any case, on all days.

        Returns
        -------
        list of list of int
            For each, their numbers, ascending.
        """
        found = [{n for n in same if self._same(n, one, False)} for one, same in zip(asked, named, strict=True)]
        for which, number in self._candidates(asked):
            if number not in found[which] and self._same(number, asked[which], True):
                found[which].add(number)
        return [sorted(numbers) for numbers in found]

    def _same(self, number: int, asked: Fingerprint, informative: bool) -> bool:
        own = self.at(number)
        if np.array_equal(own.minutes, asked.minutes) and np.array_equal(own.returns, asked.returns):
            return True
        return own.agrees(asked, informative=informative)

    def _candidates(self, asked: Sequence[Fingerprint]) -> list[tuple[int, int]]:
        """Pairs of one that is asked for and a number that share enough pairs of anchors."""
        if not asked or not self._keys.size:
            return []
        owners = np.repeat(np.arange(len(asked), dtype=np.int32), [one.minutes.size for one in asked])
        minutes, returns = (np.concatenate([getattr(one, name) for one in asked]) for name in ("minutes", "returns"))
        keys, first = _anchor_keys(minutes, returns, owners)
        order = np.argsort(keys)
        keys, askers = keys[order], owners[first][order]
        low, high = np.searchsorted(self._keys, keys, "left"), np.searchsorted(self._keys, keys, "right")
        hits = high - low
        steps = np.arange(hits.sum()) - np.repeat(np.cumsum(hits) - hits, hits)
        pairs = np.repeat(askers, hits).astype(np.int64) * self._ends.size + self._owners[np.repeat(low, hits) + steps]
        pairs, counts = np.unique(pairs, return_counts=True)
        chosen = pairs[counts >= _SHARED]
        return list(zip((chosen // self._ends.size).tolist(), (chosen % self._ends.size).tolist(), strict=True))


def _anchor_keys(minutes: Minutes, returns: Any, owners: npt.NDArray[np.int32]) -> tuple[Words, npt.NDArray[np.int64]]:
    """Hash each pair of neighbouring anchors of a series, dates and rounded returns; with the row of the first."""
    dates = minutes.astype(np.int64).astype(np.uint64)
    anchor: BoolArray = (_mixed(dates) < _ANCHORS) & (np.abs(returns) > INFORMATIVE)
    rows = np.flatnonzero(anchor).astype(np.int64)
    bins = np.floor(returns[rows].astype(np.float64) / _BIN).astype(np.int64).astype(np.uint64)
    single = _mixed(dates[rows] ^ _mixed(bins))
    paired = owners[rows][1:] == owners[rows][:-1]
    return _mixed(single[:-1] + np.uint64(3) * single[1:])[paired], rows[:-1][paired]


def _mixed(words: Words) -> Words:
    """Mix the bits of each word (the finaliser of SplitMix64).

    Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA (2014), p. 459.
    """
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Words = words ^ (words >> np.uint64(31))
    return mixed
