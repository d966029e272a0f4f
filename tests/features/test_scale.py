"""Prices and volumes in another unit change nothing, on prices of two decimals too, which tie all the time.

Times seven rounds each price again: numbers that were equal then differ by rounding, and a plain comparison turns.
"""

from functools import cache

import numpy as np
import polars as pl
import pytest
import talib

from src.features.catalog import declared
from src.features.compute import compute
from src.features.registry import Feature
from src.hydration.validation import validate
from src.market.bars import PRICES
from tests.features.oracles import MARKET
from tests.features.series import business_days, frame, market
from tests.features.sets import ON_BARS

FREE = [item for item in ON_BARS if item.scale == "none" and not item.intraday]
TURNING = (
    "adx_14", "di_spread_14", "mfi_14", "aroon_25", "age_of_high_252", "doji_share_10", "engulfing", "key_reversal_5",
    "inside_share_10", "outside_share_10", "higher_highs_10", "disposition_63", "range_rank_7", "streak_10",
    "up_share_21", "obv_21", "zero_return_share_63", "reversal_share_21", "information_discreteness_126",
)  # fmt: skip
UNITS = {"times 7": 7.0, "a third": 1 / 3, "times 1000": 1000.0, "a millionth": 1e-6}
SERIES = {
    "ordinary": {"price": 40.0, "sigma": 0.015},
    "cheap": {"price": 2.0, "sigma": 0.02},
    "dear": {"price": 900.0, "sigma": 0.008},
    "quiet": {"price": 25.0, "sigma": 0.0008},
    "thin": {"price": 8.0, "sigma": 0.01, "still": 0.5, "untraded": 0.3},
    "frozen": {"price": 12.34, "sigma": 0.02, "stretch": 600},
    "paying": {"price": 10.0, "sigma": 0.012, "still": 0.2, "pays": True},
}


def cents(
    seed: int, price: float, sigma: float, still: float = 0.04, untraded: float = 0.02, stretch: int = 0,
    pays: bool = False, n: int = 1200,
) -> pl.DataFrame:  # fmt: skip
    """Bars of two decimals: unchanged closes, equal highs, flat bars without volume, a frozen stretch, dividends.

    On most ex-days the price falls by exactly the dividend, as that of a fund of bills does: total returns then tie.
    """
    random = np.random.default_rng(seed)
    stays = (random.random(n) < still) | ((np.arange(n) > n // 3) & (np.arange(n) < n // 3 + stretch))
    close = np.round(price * np.exp(np.cumsum(np.where(stays, 0.0, sigma * random.standard_t(4, n)))), 2)
    close = np.maximum(close, 0.05)
    before = np.r_[close[0], close[:-1]]
    opened = np.maximum(np.round(before * np.exp(0.4 * sigma * random.standard_normal(n)), 2), 0.05)
    open_ = np.where(stays, before, opened)
    reach = np.exp(0.6 * sigma * np.abs(random.standard_normal((2, n))))
    high = np.round(np.maximum(open_, close) * reach[0], 2)
    low = np.maximum(np.round(np.minimum(open_, close) / reach[1], 2), 0.05)
    flat = stays & (random.random(n) < 0.7)
    open_, high, low = (np.where(flat, close, part) for part in (open_, high, low))
    volume = 100.0 * np.floor(1000 * np.exp(0.5 * random.standard_normal(n)))
    volume[flat & (random.random(n) < untraded / max(still, untraded))] = 0
    factor = np.ones(n)
    for at in range(20, n, 21) if pays else ():
        fall = 0.04 if random.random() < 0.6 else 0.0
        open_[at] = close[at] = low[at] = before[at] - fall
        high[at], factor[at] = before[at], before[at] / (before[at] - 0.04)
    high, low = np.maximum.reduce([open_, high, close]), np.minimum.reduce([open_, low, close])
    return frame(open_, high, low, close, volume, np.cumprod(factor), "AAA", "stock", business_days(n))


def values(bars: pl.DataFrame, features: list[Feature]) -> dict[str, np.ndarray]:
    table = compute(bars, features, market(bars.height).with_columns(date=bars["date"]))
    return {item.name: table[item.name].to_numpy().astype(np.float64) for item in features}


def changed(a: dict[str, np.ndarray], b: dict[str, np.ndarray], share: float = 1e-6) -> dict[str, int]:
    """Rows of each column that differ by more than a share of the value and its spread, or in being null."""
    found = {}
    for name, x in a.items():
        y, spread = b[name], np.nanstd(x) if np.isfinite(x).any() else 0.0
        apart = (np.isnan(x) != np.isnan(y)) | (np.abs(x - y) > share * (spread + np.abs(x)))
        if apart.any():
            found[name] = int(apart.sum())
    return found


def in_unit(bars: pl.DataFrame, columns: list[str], by: float) -> pl.DataFrame:
    return bars.with_columns(pl.col(columns) * by)


@cache
def drawn(kind: str, seed: int) -> pl.DataFrame:
    return cents(seed, **SERIES[kind])


@pytest.mark.parametrize("kind", SERIES)
@pytest.mark.parametrize("unit", UNITS)
def test_prices_of_two_decimals_in_another_unit_change_nothing(kind, unit):
    for seed in range(3):
        bars = drawn(kind, seed)
        assert changed(values(bars, FREE), values(in_unit(bars, PRICES, UNITS[unit]), FREE)) == {}, seed


@pytest.mark.parametrize("kind", SERIES)
def test_volumes_in_another_unit_change_nothing(kind):
    for seed, by in enumerate(UNITS.values()):
        bars = drawn(kind, seed % 3)
        assert changed(values(bars, FREE), values(in_unit(bars, ["volume"], by), FREE)) == {}, seed


@pytest.mark.parametrize("kind", SERIES)
def test_prices_of_float32_in_another_unit_turn_no_comparison(kind):
    """Each price is rounded to 6e-8 of itself: no tie turns, but of values a millionth apart a few may."""
    bars = drawn(kind, 0).with_columns(pl.col(PRICES).cast(pl.Float32))
    seven = bars.with_columns(pl.col(PRICES) * pl.lit(7.0, pl.Float32))
    turning = [declared()[name] for name in TURNING]
    one, other = (values(each.with_columns(pl.col(PRICES).cast(pl.Float64)), turning) for each in (bars, seven))
    assert max(changed(one, other, 2e-3).values(), default=0) <= 3


REAL = [
    ("stock", "AAON"), ("stock", "AAL"), ("stock", "AG"), ("stock", "ARR"), ("stock", "RLJ"), ("stock", "DX"),
    ("stock", "VBFC"), ("stock", "CLSK"), ("etf", "AAAU"), ("etf", "BNO"), ("etf", "APRD"),
]  # fmt: skip


@pytest.mark.skipif(not MARKET.is_file(), reason="real bars are not at hand")
@pytest.mark.parametrize("key", REAL, ids=":".join)
def test_real_prices_in_another_unit_change_nothing(key):
    raw = pl.scan_parquet(MARKET).filter(pl.col("asset_class") == key[0], pl.col("symbol") == key[1]).collect()
    bars = validate(raw)[0]
    for by in (7.0, 1 / 3, 1000.0):
        assert changed(values(bars, FREE), values(in_unit(bars, PRICES, by), FREE)) == {}


def rising(typical_price):
    change = np.diff(typical_price, prepend=np.nan)
    return np.where(change > 0, 1.0, 0.0)


def directional_index(high, low, close):
    return talib.ADX(high, low, close, 14)


@pytest.mark.parametrize("function", [rising, directional_index])
def test_a_plain_comparison_is_caught(function):
    planted = [Feature("planted", "price", function, None, 30, "none", 0.0, "this test")]
    found = [
        changed(values(bars, planted), values(in_unit(bars, PRICES, by), planted))
        for by in UNITS.values()
        for bars in (drawn("ordinary", 0), drawn("quiet", 0), drawn("thin", 0))
    ]
    assert any("planted" in each for each in found)
