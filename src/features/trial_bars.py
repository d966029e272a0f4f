"""Deterministic bars, and a market around them, on which a user's own features are tried before they see any data."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from src.features.compute import PanelLookup
from src.features.fact_units import in_other_units
from src.features.graph import Arrays
from src.features.look_ahead import cut_off, later_facts
from src.features.panel_lookup import Members
from src.features.panel_members import POINTS
from src.features.registry import KINDS, MARKET, MEMBERS
from src.features.trial_facts import trial_facts

BARS = 1500
SESSION = 7  # bars of a day, where they are intraday
UNCHANGED, UNTRADED = 0.12, 0.06  # shares of the thin bars: closes that stay, and bars without a trade
STRETCH = slice(1100, 1140)  # thin bars in a row without a trade
GAP, GAP_DAYS = 500, 45.0  # bar of the thin ones before which the exchange was closed
SPLIT, RATIO = 700, 4.0  # bar of the thin ones at which shares were split, and into how many


@cache
def trial(intraday: bool = False) -> Arrays:
    """Ordinary bars of one stock, by input name: fat tails, clustering, gaps, dividends; all move and trade."""
    random = np.random.default_rng(20_240_601)
    sigma = 0.012 * np.exp(0.5 * np.convolve(random.standard_normal(BARS + 29), np.ones(30) / np.sqrt(30), "valid"))
    close = 37 * np.exp(np.cumsum(sigma * random.standard_t(5, BARS) + 0.0003))
    start = np.r_[close[0], close[:-1]] * np.exp(0.4 * sigma * random.standard_normal(BARS))
    reach = np.exp(0.6 * sigma * (0.05 + np.abs(random.standard_normal((2, BARS)))))
    moved = np.abs(np.diff(np.log(close), prepend=np.log(close[0])))
    factor = np.where(np.arange(BARS) % 63 == 62, 1.005, 1.0)
    day = np.busday_offset("2016-01-04", np.arange(BARS), roll="forward").astype("datetime64[D]").astype(np.float64)
    if intraday:
        day = np.repeat(day, SESSION)[:BARS] + (14.5 + np.arange(BARS) % SESSION) / 24
    bars = {
        "raw_open": start,
        "raw_high": np.maximum(start, close) * reach[0],
        "raw_low": np.minimum(start, close) / reach[1],
        "raw_close": close,
        "volume": np.floor(1e5 * np.exp(0.5 * random.standard_normal(BARS)) * (1 + 20 * moved)),
        "factor": np.cumprod(factor),
        "split": np.ones(BARS),
        "day": day,
        "always_open": np.zeros(BARS),
    }
    return bars | PanelLookup(_panel(day)).at("stock", day) | trial_facts(day)


@cache
def thin(intraday: bool = False) -> Arrays:
    """The same stock as a thinly traded one, by input name: what real bars hold and ordinary ones don't.

    Prices of two decimals that tie, unchanged closes, flat bars without volume, 40 of these in a row, a long gap in the
    dates, a split.
    """
    random, arrays, bars = np.random.default_rng(11), trial(intraday), np.arange(BARS)
    untraded = (random.random(BARS) < UNTRADED) | ((bars >= STRETCH.start) & (bars < STRETCH.stop))
    stays = untraded | (random.random(BARS) < UNCHANGED)
    move = np.where(stays, 0.0, np.diff(np.log(arrays["raw_close"]), prepend=np.log(arrays["raw_close"][0])))
    split = np.where(bars < SPLIT, RATIO, 1.0)
    close = np.round(8 * split * np.exp(np.cumsum(move)), 2)  # as traded
    before = np.r_[close[0], close[:-1]] / np.where(bars == SPLIT, RATIO, 1.0)
    close = np.where(stays, before, close)
    gap = np.log(arrays["raw_open"][1:] / arrays["raw_close"][:-1])
    start = np.where(untraded, close, np.round(before * np.exp(np.r_[0.0, gap]), 2))
    top, floor = np.maximum(start, close), np.minimum(start, close)
    reach = [np.log(arrays["raw_high"] / np.maximum(arrays["raw_open"], arrays["raw_close"]))]
    reach.append(np.log(np.minimum(arrays["raw_open"], arrays["raw_close"]) / arrays["raw_low"]))
    high = np.where(untraded, close, np.maximum(np.round(top * np.exp(reach[0]), 2), top))
    low = np.where(untraded, close, np.minimum(np.round(floor * np.exp(-reach[1]), 2), floor))
    traded = {"raw_open": start, "raw_high": high, "raw_low": low, "raw_close": close}
    day = arrays["day"] + GAP_DAYS * (bars >= GAP)
    others = {name: values / split for name, values in traded.items()}
    others |= {"volume": np.where(untraded, 0.0, np.round(arrays["volume"], -2)), "split": split, "day": day}
    return arrays | others | PanelLookup(_panel(day)).at("stock", day) | trial_facts(day, covered_from=BARS // 8)


def part(arrays: Arrays, rows: slice) -> Arrays:
    """Some of the bars, and what was known of the panel at the last of them."""
    known = cut_off(arrays, len(arrays["day"]) if rows.stop is None else rows.stop)
    return {name: values[rows] for name, values in known.items()}


def times(arrays: Arrays, by: float, names: tuple[str, ...]) -> Arrays:
    """Bars with some columns multiplied, and with prices or volumes the facts that are stated in their units."""
    money = by if {"raw_close", "volume"} & {*names} else 1.0
    shares = by if "volume" in names else 1.0
    facts = {kind: in_other_units(kind, arrays[kind], money, shares) for kind in KINDS}
    return arrays | {name: arrays[name] * by for name in names} | facts


def with_later_split(arrays: Arrays, by: float) -> Arrays:
    """Bars as they look once shares were split after the last of them; what documents said stays as it was."""
    prices = {name: values / by for name, values in arrays.items() if name.startswith("raw_")}
    return arrays | prices | {"volume": arrays["volume"] * by, "split": arrays["split"] * by}


def rewritten(arrays: Arrays, cut: int) -> Arrays:
    """Bars that are others from `cut` on, half a year later: prices, volume, the market and facts."""
    late = np.arange(len(arrays["day"])) >= cut
    others: Arrays = {
        name: np.where(late, values * 3.7 + 5, values)
        for name, values in arrays.items()
        if name in (*MARKET, "volume") or name.startswith("raw_")
    }
    known = {name: int(arrays[name].row[:cut].max(initial=-1)) + 1 for name in MEMBERS}
    for name in MEMBERS:
        values = arrays[name].values.copy()
        values[known[name] :] = values[:1]
        others[name] = Members(np.where(late, 0, arrays[name].row), values)
    others |= {kind: later_facts(arrays[kind], cut, lambda x: x * 3.7 + 5, 200.0) for kind in KINDS}
    return arrays | others | {"day": arrays["day"] + 200.0 * late}


def _panel(day: np.ndarray) -> pl.DataFrame:  # type: ignore[type-arg]
    """Daily table of an invented market over the bars' days."""
    random = np.random.default_rng(7)
    days = np.unique(np.floor(day))
    move = 0.009 * random.standard_t(5, len(days))
    dispersion = 0.015 * np.exp(0.3 * random.standard_normal(len(days))) + 0.2 * np.abs(move)
    return pl.DataFrame(
        {
            "asset_class": ["stock"] * len(days),
            "date": days.astype("datetime64[D]"),
            "market_return": move,
            "dispersion": dispersion,
            "csad": 0.7 * dispersion * np.exp(0.1 * random.standard_normal(len(days))),
            "breadth": 1 / (1 + np.exp(-200 * move)),
        }
    ).with_columns(
        pl.Series(name, np.sort(_members(random, name, len(days)), axis=1), dtype=pl.Array(pl.Float32, POINTS))
        for name in MEMBERS
    )


def _members(random: np.random.Generator, name: str, days: int) -> np.ndarray:  # type: ignore[type-arg]
    """Invented measures of 60 members a day, NaN for the rest."""
    spread = np.full((days, POINTS), np.nan, dtype=np.float32)
    drawn = random.standard_normal((days, 60))
    spread[:, :60] = 0.015 * np.exp(0.4 * drawn) if "volatility" in name else 0.1 * drawn
    return spread
