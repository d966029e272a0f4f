"""Relative direction: did the instrument do better than the mean of its class's pinned panel?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray
from src.evaluation.label_kinds.declaration import Hedge, LabelKind, TradedBars, forward_return
from src.evaluation.label_kinds.portfolio import hedge_at, portfolio_table, return_at

if TYPE_CHECKING:
    from src.config.schema import LabelConfig


def outcome(bars: TradedBars, label: LabelConfig, market: pl.DataFrame | None) -> FloatArray:
    """Return of the instrument over the horizon less the mean of the panel's members over the same bars.

    Parameters
    ----------
    bars : TradedBars
    label : LabelConfig
    market : DataFrame
        From `portfolio_table` with the same label.

    Returns
    -------
    float64, shape (n,)
        NaN for the last h+1 decisions, where the panel has no return, and where the instrument's own entry or exit
        falls on another date than the panel's.
    """
    assert market is not None
    return forward_return(bars.open, label.horizon) - return_at(market, bars.asset_class, bars.dates, label.horizon)


def hedge(
    asset_class: str,
    dates: DateArray,
    close: FloatArray,  # noqa: ARG001 (a ratio of 1 needs no prices)
    label: LabelConfig,  # noqa: ARG001 (nor settings)
    market: pl.DataFrame,
) -> Hedge:
    """Sell one unit of the panel's mean for each unit of the instrument.

    Parameters
    ----------
    asset_class : str
    dates : datetime64, shape (n,)
        Of the instrument's tradable bars.
    close : float64, shape (n,)
        Not looked at.
    label : LabelConfig
        Not looked at.
    market : DataFrame
        From `portfolio_table`.

    Returns
    -------
    Hedge
    """
    return hedge_at(market, asset_class, dates, np.ones(dates.size))


LABEL = LabelKind("relative", outcome, portfolio_table, hedge)
