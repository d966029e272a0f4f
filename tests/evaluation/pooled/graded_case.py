"""A small cross-section of random walks with a common factor, and pooled runs on it with as much skill as asked for."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.signal import lfilter

from src.config.schema import EligibilityConfig, GradeConfig, LabelConfig, PortfolioConfig
from src.evaluation.pooled.graded_days import PooledRun
from src.evaluation.pooled.styles import Styles
from src.evaluation.pooled.targets import Targets, targets
from src.market.cross_section import CrossSection

ELIGIBILITY = EligibilityConfig(min_dollar_volume={"stock": 0.0}, history=20, window=5, untraded_window=1, min_names=20)
GATE = GradeConfig(common_shifts=8, min_oos=100)
HORIZON = 5


def portfolio(**settings: object) -> PortfolioConfig:
    return PortfolioConfig(**{"smoothing": 5, "volatility_window": 21, "half_cent": 0.0, **settings})


@cache
def market(days: int = 340, names: int = 40, seed: int = 0) -> tuple[CrossSection, np.ndarray, Styles, Targets]:
    """Random walks of several betas and volatilities; one name is listed late and one ends early."""
    rng = np.random.default_rng(seed)
    beta, sigma = rng.uniform(0.5, 1.5, names), rng.uniform(0.008, 0.03, names)
    moves = rng.normal(0.0003, 0.008, (days, 1)) * beta + rng.standard_t(5, (days, names)) * sigma * 0.77
    close = 50.0 * np.exp(np.cumsum(moves, axis=0))
    opens = np.concatenate([close[:1], close[:-1]]) * np.exp(rng.normal(0.0, 0.002, (days, names)))
    close[:120, 0] = opens[:120, 0] = np.nan
    close[-60:, 1] = opens[-60:, 1] = np.nan
    rows = np.where(np.isfinite(close), np.arange(days)[:, None], -1)
    section = CrossSection(
        asset_class="stock",
        dates=np.datetime64("2015-01-01") + np.arange(days),
        symbols=tuple(f"N{i:03}" for i in range(names)),
        bars_per_year=252.0,
        open=opens,
        close=close,
        dollar_volume=np.where(np.isfinite(close), 1e7, np.nan).astype(np.float32),
        traded_price=close.astype(np.float32),
        half_spread=np.zeros_like(close, dtype=np.float32),
        last=rows.max(axis=0),
    )
    eligible = np.isfinite(close) & (np.arange(days)[:, None] >= 80) & (rows.cumsum(axis=0) > 0)
    known = Styles(
        *(np.where(eligible, value, np.nan).astype(np.float32) for value in (beta, sigma, rng.random(names)))
    )
    label = LabelConfig(name="neutral_5", kind="neutral", horizon=HORIZON, params={"clip": 0.5})
    return section, eligible, known, targets(section, eligible, known, label, ELIGIBILITY)


def pooled_run(skill: float = 0.0, *, persistence: float = 0.9, seed: int = 1, first: int = 100) -> PooledRun:
    """AR(1) scores of unit variance, with `skill` times the value that they predict added."""
    section, eligible, known, outcome = market()
    days = slice(first, len(section.dates) - 2)
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(days.stop - days.start, section.shape[1])) * np.sqrt(1.0 - persistence**2)
    noise[0] /= np.sqrt(1.0 - persistence**2)
    scores = lfilter([1.0], [1.0, -persistence], noise, axis=0) + skill * np.nan_to_num(outcome.value[days])
    return PooledRun(section, eligible, known, outcome, scores.astype(np.float32), days)
