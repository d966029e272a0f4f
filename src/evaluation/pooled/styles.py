"""Styles of the names of a cross-section: what explains returns without skill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import BoolArray, FloatArray, Matrix
from src.evaluation.pooled.eligibility import median_dollar_volume
from src.evaluation.pooled.rolling import close_returns, column_blocks, window_sums
from src.market.cross_section import CrossSection
from src.market.panel import LIMIT

if TYPE_CHECKING:
    from src.config.schema import EligibilityConfig

BETA_WINDOW, VOLATILITY_WINDOW = 252, 63
LEAST_RETURNS = 42  # of the window, for a beta or a volatility
_FROZEN = 1e-6  # a lower volatility a day is that of a price that stands still, which says nothing of its risk
_UNIT = 2.0**40  # returns are summed over names as whole multiples of its inverse: the order changes no bit


@dataclass(frozen=True)
class Styles:
    """What is known of each name at the close of each day, shape (T, N); NaN where it is not known.

    Attributes
    ----------
    beta : float32, shape (T, N)
        Slope of the name's daily returns on the equal-weight mean of the eligible names, 252 sessions.
    volatility : float32, shape (T, N)
        Standard deviation of its daily close-to-close returns, 63 sessions.
    dollar_volume : float32, shape (T, N)
        Median traded value a day, over the window of the eligibility.
    """

    beta: Matrix
    volatility: Matrix
    dollar_volume: Matrix


def styles(section: CrossSection, eligible: BoolArray, choice: EligibilityConfig) -> Styles:
    """Compute beta, volatility and traded value of all names at the close of each day.

    Parameters
    ----------
    section : CrossSection
    eligible : bool, shape (T, N)
        From `eligibility.eligible`.
    choice : EligibilityConfig
        Its `window`.

    Returns
    -------
    Styles
        Beta and volatility need 42 returns within their window; volatility is NaN where the price stands still. Betas
        come from returns that are limited to plus or minus one half: a single bad print is no beta.
    """
    market = market_returns(section, eligible)
    out = Styles(*(np.full(section.shape, np.nan, dtype=np.float32) for _ in range(3)))
    for columns in column_blocks(section.shape[1]):
        change = close_returns(section.close[:, columns])
        out.beta[:, columns] = _slopes(np.clip(change, -LIMIT, LIMIT), market)
        out.volatility[:, columns] = _deviations(change)
        out.dollar_volume[:, columns] = median_dollar_volume(section.dollar_volume[:, columns], choice.window)
    return out


def market_returns(section: CrossSection, eligible: BoolArray) -> FloatArray:
    """Mean close-to-close return, with equal weights, of the names that were eligible at the close before.

    Parameters
    ----------
    section : CrossSection
    eligible : bool, shape (T, N)

    Returns
    -------
    float64, shape (T,)
        Of returns limited to plus or minus one half; NaN where no name was eligible or none of them traded.
    """
    total, count = np.zeros(section.shape[0], dtype=np.int64), np.zeros(section.shape[0], dtype=np.int64)
    for columns in column_blocks(section.shape[1]):
        change = close_returns(section.close[:, columns])
        held = np.isfinite(change)
        held[:1] = False
        held[1:] &= eligible[:-1, columns]
        whole = np.rint(np.clip(np.where(held, change, 0.0), -LIMIT, LIMIT) * _UNIT).astype(np.int64)
        total += whole.sum(axis=1)
        count += np.count_nonzero(held, axis=1)
    out = np.full(section.shape[0], np.nan)
    np.divide(total / _UNIT, count, out=out, where=count > 0)
    return out


def _slopes(change: FloatArray, market: FloatArray) -> FloatArray:
    """Slope of each column on the market's returns, over the sessions on which both have one."""
    known = np.isfinite(change) & np.isfinite(market)[:, None]
    x, y = np.where(known, market[:, None], 0.0), np.where(known, change, 0.0)
    n, sx, sy, sxx, sxy = (window_sums(each, BETA_WINDOW) for each in (known, x, y, x * x, x * y))
    out = np.full(change.shape, np.nan)
    spread = n * sxx - sx * sx
    np.divide(n * sxy - sx * sy, spread, out=out, where=(n >= LEAST_RETURNS) & (spread > n * n * _FROZEN**2))
    return out


def _deviations(change: FloatArray) -> FloatArray:
    """Sample standard deviation of each column's returns."""
    known = np.isfinite(change)
    x = np.where(known, change, 0.0)
    n, total, squares = (window_sums(each, VOLATILITY_WINDOW) for each in (known, x, x * x))
    enough = n >= LEAST_RETURNS
    n[~enough] = np.nan
    out: FloatArray = np.sqrt(np.maximum(squares - total * total / n, 0.0) / (n - 1.0))
    out[~(out > _FROZEN)] = np.nan
    return out
