"""A small cross-section with stored features, for tests of the pooled scope's data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.features.store import FeatureStore
from src.market.bars import bucket
from src.market.cross_section import CrossSection
from tests.features import stored_case

COLUMNS = [f"f{j:02d}" for j in range(20)]


def section(symbols: list[str], days: int = 300, first: str = "2019-11-01") -> CrossSection:
    """Weekdays from a date on; prices are all 1."""
    dates = np.busday_offset(np.datetime64(first, "D"), np.arange(days), roll="forward")
    table = np.ones((days, len(symbols)))
    small = table.astype(np.float32)
    last = np.full(len(symbols), days - 1)
    return CrossSection("stock", dates, tuple(symbols), 252.0, table, table, small, small, small, last)


def values(symbol: str, days: int, columns: list[str]) -> np.ndarray:
    """Features of a name on the first days, with ties and gaps; those of a day do not depend on how many there are."""
    random = np.random.default_rng([*symbol.encode()])
    table = np.round(random.normal(size=(days, 80)), 1).astype(np.float32)
    table[:, :40][table[:, 40:] > 1.3] = np.nan
    return table[:, [int(name[1:]) for name in columns]]


def eligible(found: CrossSection) -> np.ndarray:
    """About two thirds of the pairs, by symbol and day alone; none on the first ten days."""
    days = len(found.dates)
    chosen = [np.random.default_rng([1, *name.encode()]).random(days) < 0.67 for name in found.symbols]
    return np.array(chosen).T & (np.arange(days) >= 10)[:, np.newaxis]


def store(root: Path, found: CrossSection, buckets: int, columns: list[str] | None = None) -> FeatureStore:
    """The features of all names and days, and those of ETFs of the same names, in so many buckets."""
    columns = columns or COLUMNS
    made = FeatureStore(root)
    parts: dict[int, list[pl.DataFrame]] = {b: [] for b in range(buckets)}
    for kind, symbol in [(kind, symbol) for kind in ("stock", "etf") for symbol in found.symbols]:
        days = found.dates.tolist()
        table = values(symbol, len(days), columns) + np.float32(kind == "etf")
        keys = {"asset_class": [kind] * len(days), "symbol": [symbol] * len(days), "date": days}
        frame = pl.DataFrame(keys | dict(zip(columns, table.T, strict=True)))
        parts[bucket(kind, symbol, buckets)].append(frame.with_columns(pl.col(columns).fill_nan(None)))
    for b, frames in parts.items():
        if frames:
            stored_case.write(made, b, pl.concat(frames).sort("asset_class", "symbol", "date"))
        made.ledger.record(b, "", [], bars=f"bars of {b}", panel="", columns={}, checked={})
    return made
