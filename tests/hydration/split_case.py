"""A split put into bars that know of none, as a file with prices as traded has it, and what became of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.market.bars import PRICES
from tests.market_case import series

RATIOS = {
    "2:1": 2.0, "3:2": 1.5, "3:1": 3.0, "4:1": 4.0, "5:1": 5.0, "10:1": 10.0, "20:1": 20.0,
    "1:2": 1 / 2, "1:5": 1 / 5, "1:10": 1 / 10, "1:20": 1 / 20,
}  # fmt: skip
SMALL_RATIOS = {"4:3": 4 / 3, "5:4": 5 / 4}
CENT = 0.01


def with_split(frame: pl.DataFrame, k: int, ratio: float, cents: bool = True, volume: bool = True) -> pl.DataFrame:
    """Bars of one instrument as traded, with new shares for old ones from bar k on; adj_close, if any, knows it not."""
    by = pl.when(pl.int_range(pl.len()) < k).then(ratio).otherwise(1.0)
    prices = [pl.col(name) * by for name in [*PRICES, "adj_close"] if name in frame.columns]
    shares = (pl.col("volume") / by).round() if volume else pl.col("volume")
    return frame.with_columns(*((price / CENT).round() * CENT if cents else price for price in prices), shares)


def restored(bars: pl.DataFrame, clean: pl.DataFrame, k: int, ratio: float) -> bool:
    """Whether repaired bars are the clean ones, but for the rounding of prices and share volume as traded."""
    if bars.height != clean.height or bars["date"].to_list() != clean["date"].to_list():
        return False
    old = np.arange(clean.height) < np.flatnonzero(clean["date"].to_numpy() >= clean["date"][k])[0]
    for name in PRICES:
        was, now = clean[name].to_numpy(), bars[name].to_numpy()
        room = 0.51 * CENT / np.where(old, ratio, 1.0) + 1e-9 * was
        if not (np.abs(now - was) <= room).all():
            return False
    was, now = clean["volume"].to_numpy(), bars["volume"].to_numpy()
    untouched = (clean["repaired"] == bars["repaired"]).to_numpy()  # rounding may make a bar repeat the one before
    was, now, old = was[untouched], now[untouched], old[untouched]
    return bool((np.abs(now - was) <= 0.51 * np.where(old, max(1.0, ratio), 1.0) + 1e-6 * was).all())


@dataclass(frozen=True)
class Market:
    """Bars with the fat tails and the clusters of volatility that real ones have, and days of news.

    Attributes
    ----------
    frame : DataFrame
        Rows as a source gives them.
    news : list of int
        Bars on which news came overnight.
    """

    frame: pl.DataFrame
    news: list[int]


@functools.cache
def market(symbol: str, n: int = 900, seed: int = 1, news: int = 0, **columns: Any) -> Market:
    """Invent one instrument: GARCH volatility, t(4) moves, turnover that follows itself and the volatility."""
    random = np.random.default_rng([seed, *symbol.encode()])
    days = sorted(random.choice(np.arange(150, n - 50), size=news, replace=False).tolist()) if news else []
    moves, gaps = (random.standard_t(4, n) / np.sqrt(2) for _ in range(2))
    level, variance, turnover, surge = np.log(50.0), 1.0, 0.0, 0.0
    rows = []
    for k in range(n):
        variance = 0.05 + 0.1 * variance * moves[k - 1] ** 2 + 0.85 * variance if k else 1.0
        size = float(np.sqrt(min(variance, 9.0)))
        turnover = 0.7 * turnover + 0.3 * random.standard_normal()
        gap, wild = 0.006 * size * gaps[k], 1.0
        if k in days:
            size_of_news = 0.22 * float(random.uniform(0.05, 1.0)) ** (-1 / 2.7)  # a power law, as real gaps follow
            gap, wild = float(random.choice([-1, 1])) * size_of_news, float(random.uniform(2.5, 6))
            surge = float(random.normal(2.0 + 3.0 * max(gap, 0.0), 0.8))
        open_ = level + gap
        close = open_ + 0.011 * size * wild * moves[k]
        high, low = (0.005 * size * wild * random.lognormal(0.0, 0.5) for _ in range(2))
        money = 16.0 + turnover + 0.5 * (size - 1) + surge
        rows.append((open_, max(open_, close) + high, min(open_, close) - low, close, money - close))
        level, surge = close, 0.5 * surge
    values = np.exp(np.array(rows))
    frame = series(symbol, n=n).drop("adj_close")
    made = {name: values[:, i] for i, name in enumerate([*PRICES, "volume"])}
    return Market(frame.with_columns(**made, **columns).with_columns(pl.col("volume").round()), days)
