"""Which names a model ranks on a day: from the bars up to that day, and never from their price.

A rule on the price would know the future: files state prices after later splits, so a stock that fell to a dollar and
was then consolidated one to fifty stands there at fifty. Traded value is the same before and after a split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import BoolArray, Matrix
from src.evaluation.pooled.rolling import column_blocks, window_medians, window_sums
from src.market.cross_section import CrossSection

if TYPE_CHECKING:
    from src.config.schema import EligibilityConfig


def eligible(section: CrossSection, choice: EligibilityConfig) -> BoolArray:
    """Decide for each day which names are in the cross-section.

    A name is eligible at the close of a day if its median traded value over the last ``choice.window`` sessions is at
    least ``choice.min_dollar_volume``, it has ``choice.history`` bars, and it traded on each of the last
    ``choice.untraded_window`` sessions, this one included. A name that was delisted later is eligible until its last
    bar. A day with fewer than ``choice.min_names`` such names has none.

    Parameters
    ----------
    section : CrossSection
    choice : EligibilityConfig

    Returns
    -------
    bool, shape (T, N)
    """
    traded = section.traded
    wanted = choice.min_dollar_volume[section.asset_class]
    out = np.zeros(section.shape, dtype=np.bool_)
    for columns in column_blocks(section.shape[1]):
        here = traded[:, columns]
        recent = window_sums(here, choice.untraded_window) == choice.untraded_window
        enough = np.cumsum(here, axis=0) >= choice.history
        value = median_dollar_volume(section.dollar_volume[:, columns], choice.window)
        out[:, columns] = recent & enough & (value >= wanted)
    out[np.count_nonzero(out, axis=1) < choice.min_names] = False
    return out


def median_dollar_volume(dollar_volume: Matrix, window: int) -> Matrix:
    """Median of the traded value of the last sessions; a session without a trade counts as zero.

    Parameters
    ----------
    dollar_volume : float32, shape (T, n)
        NaN where a name did not trade.
    window : int
        Sessions.

    Returns
    -------
    float32, shape (T, n)
        NaN until that many sessions have passed since the first bar.
    """
    traded = np.isfinite(dollar_volume)
    medians = window_medians(np.where(traded, dollar_volume, np.float32(0.0)), window)
    known = np.zeros_like(traded)
    known[window - 1 :] = np.logical_or.accumulate(traded, axis=0)[: max(traded.shape[0] - window + 1, 0)]
    return np.where(known, medians, np.float32(np.nan))
