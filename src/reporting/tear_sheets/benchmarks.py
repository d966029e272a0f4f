"""What one would have held instead: the market's fund or coin where the dataset has it, else the instrument itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.core.arrays import DateArray, FloatArray
from src.core.instruments import KEY, Key
from src.evaluation.labels import unhedged
from src.market.bars import BarStore, bucket
from src.signals.own_decisions import OUTRIGHT, GradedRun

MARKETS: dict[str, tuple[Key, ...]] = {
    "stock": (("etf", "SPY"), ("stock", "SPY")),
    "etf": (("etf", "SPY"), ("stock", "SPY")),
    "crypto": (("crypto", "BTC-USD"), ("crypto", "BTC-USDT"), ("crypto", "BTC")),
}
"""Markets of each asset class, the first that the dataset has; files of one's own name coins as they like."""
_STALE = np.timedelta64(10, "D")


@dataclass(frozen=True)
class MarketLevel:
    """Total-return price of a market at its opens.

    Attributes
    ----------
    key : (asset_class, symbol)
    times : datetime64, shape (n,)
    level : float64, shape (n,)
    """

    key: Key
    times: DateArray
    level: FloatArray

    def returns(self, entries: DateArray, exits: DateArray) -> FloatArray | None:
        """Returns from one open to a later one, by the last open at or before each.

        Parameters
        ----------
        entries, exits : datetime64, shape (m,)

        Returns
        -------
        float64, shape (m,), or None
            None where it has no open within ten days before one of them.
        """
        found = []
        for moments in (entries, exits):
            at = np.searchsorted(self.times, moments, side="right") - 1
            if (at < 0).any() or (moments - self.times[at] > _STALE).any():
                return None
            found.append(self.level[at])
        change: FloatArray = found[1] / found[0] - 1.0
        return change


class Benchmarks:
    """Benchmarks of the runs of one dataset; each market is read once.

    Parameters
    ----------
    bars : BarStore
    """

    def __init__(self, bars: BarStore) -> None:
        self._bars = bars
        self._levels: dict[Key, MarketLevel | None] = {}

    def of(self, run: GradedRun) -> tuple[str, FloatArray | None]:
        """Give the benchmark of a run: its name and its returns on the days of the run.

        Parameters
        ----------
        run : GradedRun

        Returns
        -------
        (str, float64 of shape (m,) or None)
            Held from the first day to the last, of full size and without costs. An empty name and None where a return
            of the instrument itself is unknown.
        """
        dates = run.decisions.dates
        entries, exits = dates[run.positions + 1], dates[run.positions + 2]
        for key in MARKETS[run.key[0]]:
            if key == run.key:
                break
            level = self._level(key)
            returns = level.returns(entries, exits) if level else None
            if returns is not None:
                return _named(key), returns
        own = run.outright.bar_return[run.positions]
        return (_named(run.key), own) if np.isfinite(own).all() else ("", None)

    def _level(self, key: Key) -> MarketLevel | None:
        if key not in self._levels:
            self._levels[key] = self._read(key)
        return self._levels[key]

    def _read(self, key: Key) -> MarketLevel | None:
        number = bucket(*key, self._bars.manifest.buckets)
        if number not in self._bars.buckets():
            return None
        bars = self._bars.read_bucket(number, symbols=[key])
        if bars.height < 3:
            return None
        found = unhedged(bars, OUTRIGHT)
        if found.size < 3:
            return None
        level = np.concatenate(([1.0], np.cumprod(1.0 + found.bar_return[:-2])))
        return MarketLevel(key, found.dates[1:], level)


def stored_markets(bars: BarStore) -> list[Key]:
    """List the markets that a dataset has, without reading their bars.

    Parameters
    ----------
    bars : BarStore

    Returns
    -------
    list of (asset_class, symbol)
        Sorted.
    """
    if not bars.exists():
        return []
    found, complete = [], set(bars.buckets())
    for key in sorted({key for keys in MARKETS.values() for key in keys}):
        number = bucket(*key, bars.manifest.buckets)
        if number in complete and bars.ledger.states(number).filter(state="done").select(*KEY).rows().count(key):
            found.append(key)
    return found


def _named(key: Key) -> str:
    return f"{key[0]}.{key[1]} bought and held"
