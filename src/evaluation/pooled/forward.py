"""What came of each day's decisions: the return from the next open to a later one."""

from __future__ import annotations

import numpy as np

from src.core.arrays import FloatArray, IntArray, Matrix
from src.evaluation.pooled.rolling import column_blocks
from src.market.cross_section import CrossSection


def forward_returns(section: CrossSection, horizon: int, delisting_return: float) -> Matrix:
    """Return from the open of day t+1 to the open of day t+1+horizon, of every name on every day t.

    Parameters
    ----------
    section : CrossSection
    horizon : int
        Sessions from entry to exit.
    delisting_return : float
        What a holder gets on top of the last close of a name that was delisted before the exit.

    Returns
    -------
    float32, shape (T, N)
        NaN where a name does not trade on day t+1. Where it does not trade on the day of the exit, its last close
        before stands for the price. A name that never trades again is delisted, and its holder has the delisting
        return too; where its last bar is one of the last sessions of all, this is not known yet, and the return is NaN.
        So are the returns of the last horizon + 1 days.
    """
    days, names = section.shape
    out = np.full((days, names), np.nan, dtype=np.float32)
    if days <= horizon + 1:
        return out
    for columns in column_blocks(names):
        last, gone = section.last[columns], section.delisted[columns]
        leaving = np.where(gone, 1.0 + delisting_return, np.nan)
        price = _exit_prices(section.open[:, columns], section.close[:, columns], last, leaving)
        out[: -1 - horizon, columns] = price[1 + horizon :] / section.open[1 : days - horizon, columns] - 1.0
    return out


def _exit_prices(opens: FloatArray, close: FloatArray, last: IntArray, leaving: FloatArray) -> FloatArray:
    """Open of each day, or what stands for it where a name does not trade."""
    rows = np.arange(close.shape[0])[:, None]
    traded = np.isfinite(close)
    before = np.maximum.accumulate(np.where(traded, rows, 0), axis=0)
    carried = np.take_along_axis(close, before, axis=0)
    carried = np.where(rows > last, carried * leaving, carried)
    return np.where(traded, opens, carried)
