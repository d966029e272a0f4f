"""The bars of an instrument that a session plans, as the ledger of trials looks at them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.core.arrays import DateArray
from src.core.instruments import Key
from src.evaluation.label_kinds.declaration import forward_return
from src.training.series_match import Fingerprint, fingerprint
from src.training.walk_forward import RunPlan


@dataclass(frozen=True)
class PlannedInstrument:
    """An instrument that a session is about to grade.

    Attributes
    ----------
    key : (asset_class, symbol)
    bars : DataFrame
        Its bars up to ``split.until``.
    bars_hash : str
        Hash of what a fit takes from them.
    plans : list of RunPlan
        Plans of its runs.
    """

    key: Key
    bars: pl.DataFrame
    bars_hash: str
    plans: list[RunPlan]


class Beginnings:
    """Which bars that were tried before the present ones begin with; each is hashed once."""

    def __init__(self, each: PlannedInstrument, hash_bars: Callable[[pl.DataFrame], str]) -> None:
        self._bars, self._hash_bars = each.bars, hash_bars
        self._dates = each.bars["date"].to_numpy()
        self.last: dt.datetime | None = self._dates[-1].astype("datetime64[us]").item() if self._dates.size else None
        self.known = {each.bars_hash: True}

    def has(self, bars: str, last: dt.datetime | None) -> bool:
        """Whether the bars up to this date have this hash."""
        if bars not in self.known:
            size = 0 if last is None else int(np.searchsorted(self._dates, np.datetime64(last, "us"), "right"))
            whole = size == self._bars.height  # their hash is known, and another
            self.known[bars] = size > 0 and not whole and self._hash_bars(self._bars.head(size)) == bars
        return self.known[bars]


class Days:
    """The tradable days of an instrument, by NumPy alone: thousands of instruments are asked in a second."""

    def __init__(self, bars: pl.DataFrame) -> None:
        self._bars = bars
        opens, close, volume = (bars[name].to_numpy() for name in ("open", "close", "volume"))
        self._traded = (opens > 0) & (close > 0) & (volume > 0)
        self.dates: DateArray = bars["date"].to_numpy()[self._traded]

    def fingerprint(self) -> Fingerprint:
        """Sample of the returns."""
        opens = (self._bars["open"].to_numpy() * self._bars["factor"].to_numpy())[self._traded]
        return fingerprint(self.dates, forward_return(opens, 1))
