"""A small cross-section with untraded days, delistings, a late listing and changing eligibility."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from src.config.schema import PortfolioConfig
from src.evaluation.pooled.styles import Styles
from src.market.cross_section import CrossSection

DAYS = slice(20, 110)
SMALL = PortfolioConfig(volatility_window=12, max_weight=1.0)
"""A choice whose volatility is known early, without a cap."""


def market(days=125, names=40, seed=0, *, asset_class="stock"):
    """Make a section, eligibility, styles and scores; the last four names are delisted, end, list late, or halt."""
    rng = np.random.default_rng(seed)
    beta = rng.uniform(0.5, 1.5, names)
    volatility = rng.uniform(0.01, 0.04, names)
    change = rng.normal(size=(days, 1)) * 0.01 * beta + rng.normal(size=(days, names)) * volatility
    close = 40.0 * np.exp(np.cumsum(change, axis=0))
    opens = close * np.exp(rng.normal(size=(days, names)) * 0.004)
    traded = rng.random((days, names)) > 0.02
    traded[71:, -1] = False  # delisted in the middle
    traded[days - 4 :, -2] = False  # its file ends
    traded[:55, -3] = False  # listed late
    traded[60:75, -4] = False  # halted
    opens[~traded] = np.nan
    close[~traded] = np.nan
    volume = np.where(traded, rng.uniform(1e6, 5e6, (days, names)), np.nan)
    section = CrossSection(
        asset_class=asset_class,
        dates=np.datetime64("2020-01-01") + np.arange(days),
        symbols=tuple(f"N{each:02d}" for each in range(names)),
        bars_per_year=252.0,
        open=opens,
        close=close,
        dollar_volume=volume.astype(np.float32),
        traded_price=(close / 8.0).astype(np.float32),
        half_spread=np.where(traded, rng.uniform(0, 0.002, (days, names)), np.nan).astype(np.float32),
        last=np.array([np.flatnonzero(each)[-1] for each in traded.T]),
    )
    eligible = traded & (rng.random((days, names)) > 0.05)
    styles = Styles(
        beta=(beta + rng.normal(size=(days, names)) * 0.1).astype(np.float32),
        volatility=(volatility * rng.uniform(0.8, 1.2, (days, names))).astype(np.float32),
        dollar_volume=rng.uniform(1e6, 5e6, (days, names)).astype(np.float32),
    )
    steps = rng.normal(size=(days, names))
    for row in range(1, days):
        steps[row] = 0.9 * steps[row - 1] + 0.4 * steps[row]
    steps[rng.random((days, names)) < 0.03] = np.nan
    return section, eligible, styles, steps.astype(np.float32)


def until(section, eligible, styles, scores, row):
    """Cut all tables after a row."""
    cut = slice(0, row + 1)
    tables = ("open", "close", "dollar_volume", "traded_price", "half_spread", "dates")
    section = replace(section, **{name: getattr(section, name)[cut] for name in tables})
    last = np.array([np.flatnonzero(each)[-1] if each.any() else -1 for each in np.isfinite(section.close).T])
    names = ("beta", "volatility", "dollar_volume")
    styles = replace(styles, **{name: getattr(styles, name)[cut] for name in names})
    return replace(section, last=last), eligible[cut], styles, scores[cut]
