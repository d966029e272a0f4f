"""Random but sane bars for tests of validation and hydration."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl

from src.config.schema import Config, DataConfig, SourceConfig, UniverseConfig
from src.core.project import ROOT

MARKET = ROOT.parent / "shared" / "market"


def series(symbol: str = "AAA", n: int = 800, asset_class: str = "stock", seed: int = 1, **columns) -> pl.DataFrame:
    """Rows of one instrument as a source gives them, from 2015-01-01 on, without any fault."""
    random = np.random.default_rng([seed, *symbol.encode()])
    days = pl.date_range(dt.date(2015, 1, 1), dt.date(2035, 1, 1), eager=True)
    days = days if asset_class == "crypto" else days.filter(days.dt.weekday() < 6)
    close = 50 * np.exp(np.cumsum(0.015 * random.standard_normal(n)))
    open_ = np.concatenate([[50], close[:-1]]) * np.exp(0.004 * random.standard_normal(n))
    high = np.maximum(open_, close) * np.exp(0.005 * random.uniform(size=n))
    low = np.minimum(open_, close) * np.exp(-0.005 * random.uniform(size=n))
    volume = np.round(1e5 * np.exp(0.4 * random.standard_normal(n)))
    frame = pl.DataFrame(
        {
            "date": days.head(n),
            "open": open_,
            "high": high,
            "low": low,
            "close": close,
            "adj_close": close,
            "volume": volume,
        }
    )
    frame = frame.select(pl.lit(asset_class).alias("asset_class"), pl.lit(symbol).alias("symbol"), pl.all())
    return frame.with_columns(**columns)


def put(frame: pl.DataFrame, row: int, **values) -> pl.DataFrame:
    """The frame with other values in one row."""
    here = pl.int_range(pl.len()) == row
    return frame.with_columns(pl.when(here).then(value).otherwise(name).alias(name) for name, value in values.items())


def scale(frame: pl.DataFrame, rows: slice, by: float) -> pl.DataFrame:
    """The frame with all prices of some rows multiplied."""
    here = pl.int_range(pl.len()).is_between(rows.start, rows.stop - 1)
    prices = [name for name in ("open", "high", "low", "close", "adj_close") if name in frame.columns]
    return frame.with_columns(pl.when(here).then(pl.col(name) * by).otherwise(name).alias(name) for name in prices)


def config(tmp_path: Path, **settings) -> Config:
    """A hydration of `tmp_path / "source"` into `tmp_path / "data"`; settings by dotted name with __ for the dot."""
    made = Config(
        universe=UniverseConfig(name="mine", buckets=4, panel=3),
        source=SourceConfig(kind="folder", path=str(tmp_path / "source")),
        data=DataConfig(root=str(tmp_path / "data"), logs=str(tmp_path / "logs")),
    )
    for name, value in settings.items():
        *path, last = name.split("__")
        part = made
        for each in path:
            part = getattr(part, each)
        setattr(part, last, value)
    return made


def write(frame: pl.DataFrame, path: Path) -> Path:
    """Write a frame as Parquet or CSV by the name's end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)
    return path
