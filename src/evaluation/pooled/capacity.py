"""How much capital a portfolio's trades leave room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from src.config.schema import PortfolioConfig
    from src.evaluation.pooled.portfolio import TradedPortfolio
    from src.market.cross_section import CrossSection

WITHIN = 0.95
"""Share of the traded value for which the participation holds."""


def capacity(traded: TradedPortfolio, section: CrossSection, choice: PortfolioConfig) -> float | None:
    """Capital at which 95% of the value that is traded takes at most a share of what its name trades that day.

    Parameters
    ----------
    traded : TradedPortfolio
    section : CrossSection
        Its `dollar_volume`, of the day on which each trade is made.
    choice : PortfolioConfig
        Its `max_participation`.

    Returns
    -------
    float or None
        In the currency of the bars; None without a trade. The exit on the last day is not counted.
    """
    change = np.abs(np.diff(traded.held, axis=0, prepend=np.float32(0.0))).astype(np.float64)
    volume = section.dollar_volume[np.ix_(traded.trades + traded.days.start + 1, traded.columns)]
    made = (change > 0) & np.isfinite(volume)  # what a delisting ends is not traded
    if not made.any():
        return None
    size = change[made]
    room = choice.max_participation * volume[made] / size
    order = np.argsort(room)
    share = np.cumsum(size[order]) / size.sum()
    return float(room[order][np.searchsorted(share, 1.0 - WITHIN)])
