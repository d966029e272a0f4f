"""Right series with named splits, and the ways in which a source gets them wrong."""

import numpy as np
import polars as pl

from tests.market_case import series

PRICES = ("open", "high", "low", "close")
DAY = 500  # bar of the named split


def right(ratio: float = 2.0, n: int = 800, **columns) -> pl.DataFrame:
    """Split-adjusted bars, without adj_close, and a column of split events."""
    frame = series(n=n).drop("adj_close")
    events = pl.when(pl.int_range(pl.len()) == DAY).then(ratio).otherwise(0.0).alias("split")
    return frame.with_columns(events, **columns)


def bent(frame: pl.DataFrame, first: int, last: int, price: float, volume: float | None = None) -> pl.DataFrame:
    """The frame with the prices of some rows times a factor, and their volume divided by it unless it is given."""
    here = pl.int_range(pl.len()).is_between(first, last - 1)
    by = {name: price for name in PRICES} | {"volume": 1 / price if volume is None else volume}
    return frame.with_columns(pl.when(here).then(pl.col(name) * each).otherwise(name) for name, each in by.items())


def as_traded(frame: pl.DataFrame, ratio: float, day: int = DAY) -> pl.DataFrame:
    return bent(frame, 0, day, ratio)


def returns(bars: pl.DataFrame) -> np.ndarray:
    return np.diff(np.log((bars["close"] * bars["factor"]).to_numpy()))
