"""A small universe of bars for tests of the pooled scope: styles that differ, gaps, a late listing and a delisting."""

import numpy as np
import polars as pl

from src.config.schema import EligibilityConfig, LabelConfig
from src.market.bars import SCHEMA
from src.market.calendar import sessions
from src.market.cross_section import CrossSection, cross_section

DAYS = sessions("stock", "2016-01-04", "2017-08-31")
NAMES = 36
CHOICE = EligibilityConfig(
    min_dollar_volume={"stock": 1e6, "etf": 1e6, "crypto": 1e6}, window=20, history=60, untraded_window=5, min_names=10
)
DELISTED, LATE = "N005", "N009"  # the last bar of one is on row 300, the first of the other on row 120


def label(kind: str = "neutral", horizon: int = 20, **params) -> LabelConfig:
    return LabelConfig(name="mine", kind=kind, horizon=horizon, params=params)


def bars(seed: int = 1, names: int = NAMES) -> dict[str, pl.DataFrame]:
    """Bars by symbol: a common factor, betas from 0.3 to 1.8, volatilities of 0.5 to 4% a day, $0.2M to $50M a day."""
    random = np.random.default_rng(seed)
    size = DAYS.size
    market = 0.008 * random.standard_normal(size)
    out = {}
    for k in range(names):
        own = random.uniform(0.005, 0.04) * random.standard_t(5, size) / 1.3
        close = random.uniform(5, 80) * np.exp(np.cumsum(random.uniform(0.3, 1.8) * market + own))
        opens = close * np.exp(0.003 * random.standard_normal(size))
        value = random.lognormal(0, 0.4, size) * 10 ** random.uniform(5.3, 7.7)
        volume = np.where(random.random(size) < 0.004, 0.0, np.floor(value / close))
        factor = np.cumprod(np.where(np.arange(size) % 63 == 62, 1.005, 1.0))
        out[f"N{k:03}"] = frame(f"N{k:03}", opens, close, volume, factor)
    out[DELISTED] = out[DELISTED][:301]
    out[LATE] = out[LATE][120:]
    return out


def frame(symbol: str, opens, close, volume, factor) -> pl.DataFrame:
    high, low = np.maximum(opens, close) * 1.004, np.minimum(opens, close) / 1.004
    columns = {
        "asset_class": ["stock"] * close.size, "symbol": [symbol] * close.size, "date": DAYS[: close.size],
        "open": opens, "high": high, "low": low, "close": close, "volume": volume, "factor": factor,
        "split": np.ones(close.size), "repaired": [False] * close.size,
    }  # fmt: skip
    return pl.DataFrame(columns, schema=SCHEMA)


def section_of(universe: dict[str, pl.DataFrame], until: str | None = None) -> CrossSection:
    return cross_section(universe.values(), "stock", until, spread_window=21)
