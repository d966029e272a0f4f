"""A stored dataset of eight instruments, one for each outcome and some with nasty texts."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl

from src.core.finding import BarFinding
from src.market.bar_findings import COLUMN, FACT, values
from src.market.bars import STATE_COLUMNS, BarStore, Manifest, schema
from src.storage.ledger import SCHEMA

NASTY = "<b>a;b.csv</b> can't be read: 'x; y', \"z\" & line 3, try; later"
DAY = dt.date(2024, 2, 29)
STATES: dict[str, Any] = SCHEMA | STATE_COLUMNS | {FACT: COLUMN}
_BARS = 200


def state(symbol: str, name: str, *findings: BarFinding, kind: str = "stock", **more: Any) -> dict[str, Any]:
    """A state as hydration records it."""
    texts = [f.text for f in findings if name != "quarantined" or f.effect == "quarantined"]
    rows = _BARS if name == "done" else 0
    return {
        **dict.fromkeys(STATES), "asset_class": kind, "symbol": symbol, "state": name, "reason": "; ".join(texts),
        "rows": rows, "repaired": 0, "first": DAY, "last": DAY, "origin": "folder", "dollar_volume": 1e6,
        FACT: values(findings), **more,
    }  # fmt: skip


def bars(symbol: str, kind: str = "stock", repaired: int = 0) -> pl.DataFrame:
    """Bars of an instrument, the first ones repaired."""
    days = pl.Series("date", [DAY + dt.timedelta(days=k) for k in range(_BARS)])
    closes = [10.0 + k % 7 for k in range(_BARS)]
    prices = dict.fromkeys(("open", "high", "low", "close"), closes)
    frame = pl.DataFrame({"date": days, **prices, "volume": 1e5, "factor": 1.0, "split": 1.0})
    marked = pl.Series("repaired", [k < repaired for k in range(_BARS)])
    return frame.select(pl.lit(kind).alias("asset_class"), pl.lit(symbol).alias("symbol"), pl.all(), marked)


def stored_dataset(root: Path, name: str = "nasty") -> BarStore:
    """A store of one bucket in `root`."""
    store = BarStore(root)
    root.mkdir(parents=True, exist_ok=True)
    store.write_manifest(Manifest(name, "1d", "folder", "x", "auto", 1, None, "f", "j", True))
    open_, repeat = (
        BarFinding("no_open", "repaired", "4 bars without a possible open (no trade)", 4, 200, DAY, DAY),
        BarFinding("repeat", "repaired", "3 bars repeating the last ones in every field (no trade)", 3, 200, DAY, DAY),
    )
    cut = BarFinding("leading", "dropped", "2 rows before the first valid close dropped", 2, 202, DAY, DAY)
    scales = BarFinding("price_scales", "quarantined", "x; y", 4, 200, DAY, DAY, closes=(1.0, None, 50.0, 51.0), at=2)
    rows = [
        state("CLEAN", "done"),
        state("NOTED", "done", BarFinding("stale", "noted", NASTY)),
        state("FIXED", "done", open_, repeat, repaired=7),
        state("CUT", "done", cut),
        state("BAD", "quarantined", scales, BarFinding("range", "repaired", "9 bars", 9, 200, DAY, DAY)),
        state("A;B", "failed", BarFinding("unreadable", "failed", NASTY), dollar_volume=None),
        state("GONE", "skipped", BarFinding("no_bars", "skipped", "the source has no bars"), dollar_volume=None),
        state("COIN-USD", "done", kind="crypto", origin="binance"),
    ]
    kept = [bars(row["symbol"], row["asset_class"], row["repaired"]) for row in rows if row["state"] == "done"]
    digest = store.write_bucket(0, pl.concat(kept).cast(schema("1d")))
    store.record(0, "job", pl.DataFrame(rows, schema=STATES, orient="row"), digest)
    return store
