"""Direction less beta: did the instrument do better than its beta times the panel's mean, or times an index fund?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray
from src.evaluation.label_kinds.declaration import Hedge, LabelKind, TradedBars, forward_return
from src.evaluation.label_kinds.portfolio import hedge_at, portfolio_table, return_at
from src.market.panel import LIMIT

if TYPE_CHECKING:
    from src.config.schema import LabelConfig

WINDOW = 252  # close-to-close returns that beta is estimated from


def outcome(bars: TradedBars, label: LabelConfig, market: pl.DataFrame | None) -> FloatArray:
    """Return of the instrument over the horizon less beta, as known at the decision, times the portfolio's.

    Parameters
    ----------
    bars : TradedBars
    label : LabelConfig
        ``params.fund``, such as ``etf:SPY``, takes a fund in place of the mean of the pinned panel.
    market : DataFrame
        From `portfolio_table` with the same label.

    Returns
    -------
    float64, shape (n,)
        NaN as for a relative label.
    """
    assert market is not None
    ratio = hedge(bars.asset_class, bars.dates, bars.close, label, market).ratio
    explained = ratio * return_at(market, bars.asset_class, bars.dates, label.horizon)
    return forward_return(bars.open, label.horizon) - explained


def hedge(
    asset_class: str,
    dates: DateArray,
    close: FloatArray,
    label: LabelConfig,  # noqa: ARG001 (the fund is in the table)
    market: pl.DataFrame,
) -> Hedge:
    """Sell beta units of the portfolio for each unit of the instrument.

    Parameters
    ----------
    asset_class : str
    dates : datetime64, shape (n,)
        Of the instrument's tradable bars.
    close : float64, shape (n,)
        Total-return prices.
    label : LabelConfig
        Not looked at.
    market : DataFrame
        From `portfolio_table`.

    Returns
    -------
    Hedge
    """
    one = hedge_at(market, asset_class, dates, np.ones(dates.size))
    own = np.full(close.size, np.nan)
    own[1:] = close[1:] / close[:-1] - 1.0
    return replace(one, ratio=trailing_beta(own, one.close_return))


def trailing_beta(own: FloatArray, market: FloatArray, window: int = WINDOW) -> FloatArray:
    """Slope of the last `window` returns on the market's, by least squares with a constant.

    Parameters
    ----------
    own, market : float64, shape (n,)
        Returns from bar k-1 to bar k; NaN at 0.
    window : int
        Returns, those of bar k included.

    Returns
    -------
    float64, shape (n,)
        Of returns limited to plus or minus one half, since a single bad print is no beta. 1 until `window` returns are
        known, and where the market did not move.

    Examples
    --------
    >>> own, market = np.array([np.nan, 0.02, -0.02, 0.02]), np.array([np.nan, 0.01, -0.01, 0.01])
    >>> trailing_beta(own, market, 3).round(6).tolist()
    [1.0, 1.0, 1.0, 2.0]
    """
    out = np.ones(own.size)
    if own.size > window:
        x = np.lib.stride_tricks.sliding_window_view(np.clip(market[1:], -LIMIT, LIMIT), window)
        y = np.lib.stride_tricks.sliding_window_view(np.clip(own[1:], -LIMIT, LIMIT), window)
        centred = x - x.mean(axis=1, keepdims=True)
        power = np.einsum("kw,kw->k", centred, centred)
        moved = power > 1e-16 * window  # by more than a standard deviation of 1e-8
        out[window:][moved] = np.einsum("kw,kw->k", centred, y)[moved] / power[moved]
    return out


LABEL = LabelKind("beta", outcome, portfolio_table, hedge)
