"""What came of each day's decisions: the return from the next open to a later one."""

from __future__ import annotations

import numpy as np

from src.core.arrays import FloatArray, Matrix
from src.evaluation.pooled.rolling import column_blocks
from src.market.cross_section import STILL_LISTED, CrossSection


def forward_returns(section: CrossSection, horizon: int, delisting_return: float) -> Matrix:
    """Return from the open of day t+1 to the open of day t+1+horizon, of every name on every day t.

    Parameters
    ----------
    section : CrossSection
    horizon : int
        Sessions from entry to exit.
    delisting_return : float
        What a holder gets on top of the last close of a name that has stopped trading before the exit.

    Returns
    -------
    float32, shape (T, N)
        NaN where a name does not trade on day t+1. Where it does not trade on the day of the exit, its last close
        before stands for the price; where it does not trade for more than five sessions, its holder has the delisting
        return too. That is known five sessions after the exit at the latest: whether the name trades again one day
        changes nothing. Where these sessions have not passed yet, the return is NaN. So are the returns of the last
        horizon + 1 days.
    """
    days, names = section.shape
    out = np.full((days, names), np.nan, dtype=np.float32)
    if days <= horizon + 1:
        return out
    for columns in column_blocks(names):
        price = _exit_prices(section.open[:, columns], section.close[:, columns], 1.0 + delisting_return)
        out[: -1 - horizon, columns] = price[1 + horizon :] / section.open[1 : days - horizon, columns] - 1.0
    return out


def _exit_prices(opens: FloatArray, close: FloatArray, leaving: float) -> FloatArray:
    """Open of each day, or what stands for it where a name does not trade."""
    rows, end = np.arange(close.shape[0])[:, None], close.shape[0]
    traded = np.isfinite(close)
    before = np.maximum.accumulate(np.where(traded, rows, 0), axis=0)
    after = np.minimum.accumulate(np.where(traded, rows, end)[::-1], axis=0)[::-1]
    carried = np.take_along_axis(close, before, axis=0)
    gone = after - before - 1 > STILL_LISTED
    carried[gone] *= leaving
    carried[(after == end) & ~gone] = np.nan
    return np.where(traded, opens, carried)
