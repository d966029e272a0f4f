"""Stored features for tests: written from a table, and read without the store's own code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.features.store import FeatureStore


def write(store: FeatureStore, b: int, table: pl.DataFrame) -> None:
    """Store a table of asset_class, symbol, date and features as a bucket."""
    place, names = ["asset_class", "symbol", "date"], table.columns[3:]
    assert table.columns[:3] == place
    columns = [table[name].cast(pl.Float32).fill_null(float("nan")).to_numpy() for name in names]
    store.write_bucket(b, names, table.select(place), np.array(columns, dtype=np.float32).reshape(len(names), -1))


def read(path: Path) -> pl.DataFrame:
    """Rows of one file, by NumPy alone."""
    with path.open("rb") as stream:
        names, instruments, dates, values = (np.load(stream, allow_pickle=False) for _ in range(4))
        assert not stream.read()
    rows = [(kind, symbol) for kind, symbol, count in instruments.tolist() for _ in range(count)]
    keys = pl.DataFrame(rows, schema={"asset_class": pl.String, "symbol": pl.String}, orient="row")
    times = pl.Series("date", dates)
    times = times if times.dtype == pl.Date else times.dt.replace_time_zone("UTC")
    features = [pl.Series(name, values[:, at], nan_to_null=True) for at, name in enumerate(names.tolist())]
    return keys.with_columns(times, *features)
