"""Series of bars for the tests: lively ones like real bars, and the odd ones that break formulas."""

import datetime as dt

import numpy as np
import polars as pl

from src.features.panel_members import POINTS
from src.features.registry import MEMBERS
from src.market.bars import SCHEMA

DAY = dt.timedelta(days=1)


def lively(n: int = 700, seed: int = 1, symbol: str = "AAA", asset_class: str = "stock") -> pl.DataFrame:
    """Bars with fat tails, volatility clustering, weekends, gaps, flat bars, zero returns, zero volume, dividends."""
    random = np.random.default_rng(seed)
    sigma = 0.012 * np.exp(0.5 * np.convolve(random.standard_normal(n + 30), np.ones(30) / np.sqrt(30), "valid")[:n])
    close = 40 * np.exp(np.cumsum(sigma * random.standard_t(5, n) + 0.0003))
    still = random.random(n) < 0.03
    for at in np.flatnonzero(still):
        close[at] = close[max(at - 1, 0)]
    before = np.r_[close[0], close[:-1]]
    open_ = np.where(still, before, before * np.exp(0.4 * sigma * random.standard_normal(n)))
    spread = np.exp(0.6 * sigma * np.abs(random.standard_normal((2, n))))
    high, low = np.maximum(open_, close) * spread[0], np.minimum(open_, close) / spread[1]
    flat = still & (random.random(n) < 0.5)
    high, low = np.where(flat, close, high), np.where(flat, close, low)
    volume = np.floor(1e5 * np.exp(0.5 * random.standard_normal(n)) * (1 + 20 * np.abs(np.log(close / before))))
    volume[flat & (random.random(n) < 0.5)] = 0
    factor = np.ones(n)
    factor[63::63] = 1.005
    return frame(open_, high, low, close, volume, np.cumprod(factor), symbol, asset_class, business_days(n))


def steady(n: int = 400, price: float = 10.0, volume: float = 1000.0) -> pl.DataFrame:
    """Bars that never move."""
    flat = np.full(n, price)
    return frame(flat, flat, flat, flat, np.full(n, volume), np.ones(n), "FLAT", "stock", business_days(n))


def frame(open_, high, low, close, volume, factor, symbol, asset_class, dates) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "asset_class": [asset_class] * len(close),
            "symbol": [symbol] * len(close),
            "date": dates,
            "open": open_,
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
            "factor": factor,
            "split": np.ones(len(close)),
            "repaired": [False] * len(close),
        },
        schema=SCHEMA,
    )


def business_days(n: int) -> list[dt.date]:
    days = np.busday_offset("2015-01-02", np.arange(n), roll="forward").astype(object)
    return list(days)


def market(n: int = 700, seed: int = 99, asset_class: str = "stock") -> pl.DataFrame:
    """A panel table over the same days."""
    random = np.random.default_rng(seed)
    market_return = 0.009 * random.standard_t(5, n)
    dispersion = 0.015 * np.exp(0.3 * random.standard_normal(n)) + 0.2 * np.abs(market_return)
    return pl.DataFrame(
        {
            "asset_class": [asset_class] * n,
            "date": business_days(n),
            "market_return": market_return,
            "dispersion": dispersion,
            "csad": 0.7 * dispersion * np.exp(0.1 * random.standard_normal(n)),
            "breadth": 1 / (1 + np.exp(-200 * market_return)),
            "n": np.full(n, 50, dtype=np.int32),
        }
    ).with_columns(pl.Series(name, members(random, name, n), dtype=pl.Array(pl.Float32, POINTS)) for name in MEMBERS)


def members(random: np.random.Generator, name: str, days: int, count: int = 50) -> np.ndarray:
    """Sorted measures of that many members a day, whose level wanders."""
    drawn = random.standard_normal((days, count)) + 0.5 * random.standard_normal((days, 1))
    out = np.full((days, POINTS), np.nan, dtype=np.float32)
    out[:, :count] = np.sort(0.015 * np.exp(0.4 * drawn) if "volatility" in name else 0.1 * drawn, axis=1)
    return out


def with_prices(bars: pl.DataFrame, factor: float) -> pl.DataFrame:
    return bars.with_columns(pl.col("open", "high", "low", "close") * factor)
