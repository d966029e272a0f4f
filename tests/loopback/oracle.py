"""Expected bars and end state of each symbol, computed from the world alone and independent of src."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from tests.loopback import exchanges
from tests.loopback.faults import LASTING, Faults
from tests.loopback.names import Instrument
from tests.loopback.world import Event, World, single

PRICES = ("open", "high", "low", "close", "adj_close", "volume")


@dataclass(frozen=True)
class Expected:
    """State, fault if any, and the rows (date, open, high, low, close, adj_close, volume) in the order served."""

    state: str  # fetched | unknown | unfit | failed
    fault: str = ""
    days: np.ndarray | None = None  # datetime64[D]
    values: np.ndarray | None = None  # (n, 6) float64; NaN where nothing was served
    events: tuple[Event, ...] = ()


def expected(world: World, faults: Faults, instrument: Instrument, start: dt.date, venue: str = "yahoo") -> Expected:
    """What a client that requested all daily bars since `start` must have at the end."""
    if venue != "yahoo":
        return _coin(world, instrument, venue, start)
    plan = faults.plans.get(instrument.yahoo) if faults.on else None
    kind = plan.kind if plan else ""
    if kind in LASTING:
        return Expected(LASTING[kind], kind)
    if world.named_now(instrument) != instrument:
        return Expected("unknown", "delisted or renamed")
    series = faults.series(instrument.yahoo, world.series(instrument))
    kept = series.days >= np.datetime64(start)
    if not kept.any():
        return Expected("unknown", "no bars since the start")
    values = np.column_stack([getattr(series, name)[kept] for name in PRICES])
    events = tuple(each for each in series.events if each.day >= series.days[kept].min())
    return Expected("fetched", kind, series.days[kept], values, events)


def _coin(world: World, coin: Instrument, venue: str, start: dt.date) -> Expected:
    """Complete days only: neither the running one nor one that has just ended may be stored."""
    rows = exchanges.candles(world, coin, venue, 86400)
    days = rows[:, 0].astype("datetime64[s]").astype("datetime64[D]")
    kept = (days >= np.datetime64(start)) & (days <= np.datetime64(world.day("crypto")))
    if venue == "kraken":
        kept &= np.arange(len(rows)) >= len(rows) - exchanges.PAGE[venue]
    if not kept.any():
        return Expected("unknown", "no candles since the start")
    none = np.full(kept.sum(), np.nan)
    return Expected("fetched", "", days[kept], np.column_stack([rows[kept, 1:5], none, rows[kept, 5]]))


def as_float32(values: np.ndarray) -> bool:
    """Whether all values fit into 32 bits, as a check of the world itself."""
    finite = values[np.isfinite(values)]
    return bool((single(finite) == finite).all())
