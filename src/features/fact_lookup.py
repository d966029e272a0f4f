"""Facts of research by instrument, ready to be looked up by its bars: what is known at a bar's close belongs to it.

A daily bar closes with the session of its exchange (half days at 13:00), or with the UTC day for coins; an intraday bar
ends an interval after its start, and no later than the session. What becomes known at that moment or before it counts;
what comes later belongs to the next bar.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.instruments import Key
from src.documents.fact_store import FactStore
from src.documents.facts import COVERAGE, FACTS, schema
from src.features.facts import Facts
from src.features.windows import Array
from src.market.calendar import session_closes

# A stream that was asked counts as complete for so long: the time after which its store begins a new interval, so that
# a later request fills no gap that was one when the bar closed.
COVERED_DAYS = 10.0
DAY_US = 86_400_000_000
_STEPS = {"m": 60_000_000, "h": 3_600_000_000}
Moments = NDArray[np.int64]  # microseconds since 1970-01-01, UTC


@dataclass(frozen=True)
class _Own:
    """Facts of one kind about one instrument: when each became known, its values, and covered intervals."""

    known: Moments
    fields: Mapping[str, Array]
    since: Moments
    until: Moments


class FactLookup:
    """Facts of some kinds and instruments.

    Parameters
    ----------
    tables : mapping of str to DataFrame, optional
        Facts by kind, columns of `src.documents.facts.schema`; without them nothing is known and nothing covered.
    coverage : DataFrame, optional
        Columns of `src.documents.facts.COVERAGE`.
    interval : str
        Of the bars, ``1d`` or ``1h`` and the like.
    """

    def __init__(
        self,
        tables: Mapping[str, pl.DataFrame] | None = None,
        coverage: pl.DataFrame | None = None,
        interval: str = "1d",
    ) -> None:
        self.interval = interval
        intervals = _intervals(pl.DataFrame(schema=COVERAGE) if coverage is None else coverage)
        self._own: dict[str, dict[Key, _Own]] = {}
        for kind, table in (tables or {}).items():
            facts = _by_instrument(table, kind)
            nothing = _nothing(kind)
            self._own[kind] = {
                key: _Own(*facts.get(key, nothing), *intervals.get((*key, kind), (_NEVER, _NEVER)))
                for key in facts.keys() | {(a, b) for a, b, covered in intervals if covered == kind}
            }

    @classmethod
    def of(
        cls, store: FactStore, b: int, kinds: Iterable[str], interval: str = "1d", keys: Iterable[Key] | None = None
    ) -> FactLookup:
        """Read the facts of one bucket.

        Parameters
        ----------
        store : FactStore
        b : int
        kinds : iterable of str
            Those that are needed.
        interval : str
        keys : iterable of (asset_class, symbol), optional
            Instruments that are needed.
        """
        kinds, wanted = list(kinds), None if keys is None else list(keys)
        if not kinds:
            return cls(interval=interval)
        tables = {kind: store.read(b, kind, wanted) for kind in kinds}
        return cls(tables, store.read(b, "coverage", wanted), interval)

    @staticmethod
    def digests(root: Path, b: int, kinds: Iterable[str]) -> dict[str, str]:
        """Hashes of a bucket's facts by kind: what features that look at them were computed from.

        Parameters
        ----------
        root : Path
            `DatasetPaths.facts`.
        b : int
        kinds : iterable of str
        """
        store, kinds = FactStore(root), tuple(kinds)
        return {kind: store.digest(b, [kind]) for kind in kinds}

    def at(self, key: Key, dates: pl.Series, kinds: Iterable[str]) -> dict[str, Facts]:
        """Facts of an instrument as its bars know them, by kind.

        Parameters
        ----------
        key : (asset_class, symbol)
        dates : Series, shape (bars,)
            Of the bars, ascending.
        kinds : iterable of str
        """
        kinds = list(kinds)
        if not kinds:
            return {}
        close = closes(key[0], dates, self.interval)
        return {kind: facts_at(close, self._of(key, kind)) for kind in kinds}

    def digest(self, key: Key, kinds: Iterable[str], last: pl.Series) -> str:
        """Hash what bars up to one of them take from an instrument's facts: nothing that became known after its close.

        Parameters
        ----------
        key : (asset_class, symbol)
        kinds : iterable of str
        last : Series, shape (1,)
            Date of the last bar.
        """
        until = closes(key[0], last, self.interval)[0]
        state = hashlib.blake2b(digest_size=16)
        for kind in sorted(kinds):
            own = self._of(key, kind)
            known, begun = own.known[own.known <= until], own.since <= until
            state.update(f"{kind} {len(known)} {begun.sum()} {','.join(sorted(own.fields))} ".encode())
            for moments in (known, own.since[begun], np.minimum(own.until[begun], until)):
                state.update(np.ascontiguousarray(moments, dtype="<i8").tobytes())
            for _, values in sorted(own.fields.items()):
                state.update(np.ascontiguousarray(values[: len(known)], dtype="<f8").tobytes())
        return state.hexdigest()

    def _of(self, key: Key, kind: str) -> _Own:
        own = self._own.get(kind, {}).get(key)
        return own or _Own(*_nothing(kind), _NEVER, _NEVER)


def facts_at(close: Moments, own: _Own) -> Facts:
    """Facts of an instrument as they are known at each close.

    Parameters
    ----------
    close : int64, shape (bars,)
        Microseconds, ascending.
    own : _Own

    Returns
    -------
    Facts
    """
    row = np.searchsorted(own.since, close, side="right") - 1
    covered = row >= 0
    if len(own.since):
        covered &= close <= own.until[row]
        since = np.where(covered, own.since[row] / DAY_US, np.nan)
    else:
        since = np.full(len(close), np.nan)
    seen = np.searchsorted(own.known, close, side="right")
    return Facts(seen, covered, own.known / DAY_US, own.fields, close / DAY_US, since)


def closes(asset_class: str, dates: pl.Series, interval: str = "1d") -> Moments:
    """When bars end.

    Parameters
    ----------
    asset_class : str
    dates : Series of Date, or of Datetime in UTC (starts of intraday bars), shape (bars,)
    interval : str

    Returns
    -------
    int64, shape (bars,)
        Microseconds since 1970-01-01, UTC. A daily bar on a day without a session counts as of the session before.
    """
    step = _STEPS.get(interval[-1])
    if step is None:
        return _session_ends(asset_class, dates.cast(pl.Date))
    start = dates.dt.epoch("us").to_numpy()
    end = start + int(interval[:-1]) * step
    if asset_class == "crypto":
        return np.asarray(end)
    local = dates.dt.convert_time_zone("America/New_York").dt.date()
    close = _session_ends(asset_class, local)
    return np.where(start < close, np.minimum(end, close), end)


def _session_ends(asset_class: str, days: pl.Series) -> Moments:
    if not len(days):
        return np.empty(0, dtype=np.int64)
    number = days.to_physical().to_numpy().astype(np.int64)
    years = days.dt.year().to_numpy()
    first, last = int(years.min()), int(years.max())
    table = np.concatenate([_year(asset_class, year) for year in range(first, last + 1)])
    begin = int(np.datetime64(f"{first:04d}-01-01").astype(np.int64))
    return np.asarray(table[number - begin])


@functools.cache
def _year(asset_class: str, year: int) -> Moments:
    """Closes by day of the year."""
    days = pl.date_range(pl.date(year, 1, 1), pl.date(year, 12, 31), eager=True)
    return session_closes(asset_class, days).dt.epoch("us").to_numpy().astype(np.int64)


_NEVER = np.empty(0, dtype=np.int64)


def _nothing(kind: str) -> tuple[Moments, dict[str, Array]]:
    return _NEVER, dict.fromkeys(FACTS[kind], np.empty(0))


def _by_instrument(table: pl.DataFrame, kind: str) -> dict[Key, tuple[Moments, dict[str, Array]]]:
    """Known times and values of each instrument, oldest known first."""
    table = table.select(schema(kind).keys()).sort("asset_class", "symbol", "known", "document", maintain_order=True)
    known = table["known"].dt.epoch("us").to_numpy()
    fields = {name: table[name].fill_null(np.nan).to_numpy() for name in FACTS[kind]}
    found, start = {}, 0
    for asset_class, symbol, size in table.group_by("asset_class", "symbol", maintain_order=True).len().iter_rows():
        rows = slice(start, start + size)
        found[asset_class, symbol] = known[rows], {name: values[rows] for name, values in fields.items()}
        start += size
    return found


def _intervals(coverage: pl.DataFrame) -> dict[tuple[str, str, str], tuple[Moments, Moments]]:
    """Covered intervals by instrument and kind, those that touch as one, each prolonged by `COVERED_DAYS`."""
    found = {}
    for (asset_class, symbol, kind), rows in coverage.sort(*COVERAGE).group_by("asset_class", "symbol", "fact"):
        since = rows["since"].dt.epoch("us").to_numpy().astype(np.int64)
        until = rows["until"].dt.epoch("us").to_numpy() + np.int64(COVERED_DAYS * DAY_US)
        reached = np.maximum.accumulate(until)
        begins = np.r_[True, since[1:] > reached[:-1]]
        ends = np.r_[np.flatnonzero(begins)[1:] - 1, len(since) - 1]
        found[str(asset_class), str(symbol), str(kind)] = since[begins], reached[ends]
    return found
