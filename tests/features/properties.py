"""The properties that every declared feature has, each as a function that returns the names of those that break it."""

import dataclasses
import datetime as dt

import numpy as np
import polars as pl

from src.features.compute import compute
from src.features.registry import MEMBERS, Feature
from tests.features.series import lively, market

KEY = ["asset_class", "symbol", "date"]
BARS, PANEL = lively(), market()
CUTS = (251, 430, 640)


def columns(bars: pl.DataFrame, features: list[Feature], panel: pl.DataFrame | None = PANEL) -> dict[str, np.ndarray]:
    table = compute(bars, features, panel)
    return {item.name: table[item.name].to_numpy().astype(np.float64) for item in features}


def differing(a: dict[str, np.ndarray], b: dict[str, np.ndarray], rtol: float = 0.0, atol: float = 0.0) -> set[str]:
    return {name for name in a if not np.allclose(a[name], b[name], rtol=rtol, atol=atol, equal_nan=True)}


def seeing_the_future(
    features: list[Feature], whole_bars: pl.DataFrame = BARS, panel: pl.DataFrame = PANEL, cuts: tuple[int, ...] = CUTS
) -> set[str]:
    """Values up to a cut change when later bars (and the later panel) are cut off, rewritten, or a long gap later."""
    whole = columns(whole_bars, features, panel)
    found: set[str] = set()
    for cut in cuts:
        last = whole_bars["date"][cut - 1]
        past = {name: values[:cut] for name, values in whole.items()}
        later = pl.col("date") > last
        prices = pl.col("open", "high", "low", "close")
        wild = [pl.when(later).then(part * 3.7 + 5).otherwise(part) for part in (prices, pl.col("volume"))]
        late = pl.when(later).then(pl.col("date") + dt.timedelta(days=200)).otherwise(pl.col("date"))
        other = panel.with_columns(
            pl.when(later).then(0.5).otherwise(pl.col(pl.Float64)).name.keep(),
            *(pl.when(later).then(pl.col(name).first()).otherwise(pl.col(name)).alias(name) for name in MEMBERS),
        )
        for bars, market_then in (
            (whole_bars[:cut], panel.filter(~later)),
            (whole_bars.with_columns(wild), other),
            (whole_bars.with_columns(late), panel),
        ):
            again = columns(bars, features, market_then)
            found |= differing(past, {name: values[:cut] for name, values in again.items()})
    return found


def needing_more_than_the_window(features: list[Feature]) -> set[str]:
    """The last `window` bars alone don't give the value (to float32, or to the stated tolerance)."""
    whole = columns(BARS, features)
    found: set[str] = set()
    for item in features:
        scale = np.nanstd(whole[item.name])
        for at in (item.window - 1, 500, 699):
            alone = columns(BARS[at - item.window + 1 : at + 1], [item])[item.name][-1]
            margin = (item.tolerance + 2e-6) * scale
            if not np.isclose(alone, whole[item.name][at], rtol=2e-6, atol=margin, equal_nan=True):
                found.add(item.name)
    return found


def with_another_warm_up(features: list[Feature]) -> set[str]:
    """First value isn't that of row `window` - 1, or a windowed formula would have one before: its window is padded."""
    cut = columns(BARS, features)
    bare = columns(BARS, [dataclasses.replace(item, window=1) for item in features])
    return {
        item.name
        for item in features
        if first(cut[item.name]) != item.window - 1
        or first(bare[item.name]) > item.window - 1
        or (not item.tolerance and first(bare[item.name]) != item.window - 1)
    }


def changed_by_scale(features: list[Feature], column: str) -> set[str]:
    """Prices, or volumes, times seven change it."""
    names = ["open", "high", "low", "close"] if column == "price" else ["volume"]
    scaled = columns(BARS.with_columns(pl.col(names) * 7), features)
    return differing(columns(BARS, features), scaled, rtol=1e-5, atol=1e-6)


def leaking_between_instruments(features: list[Feature]) -> set[str]:
    """Values depend on which other instruments stand in the table, or in which order."""
    other = lively(300, seed=5, symbol="BBB")
    crypto = lively(120, seed=6, symbol="AAA", asset_class="crypto")
    together = pl.concat([other, BARS, crypto])
    found: set[str] = set()
    for table in (together, together.sample(fraction=1.0, shuffle=True, seed=3)):
        joint = compute(table, features, PANEL)
        assert joint.select(KEY).equals(table.select(KEY))
        for alone in (BARS, other, crypto):
            own = joint.join(alone.select(KEY), on=KEY).sort(KEY)
            expected = columns(alone, features)
            found |= differing(expected, {item.name: own[item.name].to_numpy() for item in features})
    return found


def first(values: np.ndarray) -> int:
    known = np.flatnonzero(~np.isnan(values))
    return int(known[0]) if len(known) else len(values)
