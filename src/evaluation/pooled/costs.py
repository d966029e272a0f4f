"""What trading a cross-section costs: spread, tick, class rate and the loan of what is short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import FloatArray, IntArray, Matrix
from src.evaluation.strategy import ON_EXCHANGE

if TYPE_CHECKING:
    from src.config.schema import PortfolioConfig
    from src.market.cross_section import CrossSection


def rates(section: CrossSection, columns: IntArray, rows: IntArray, choice: PortfolioConfig) -> Matrix:
    """Cost per unit of turnover: the largest of the class's basis points, half a cent and half the spread.

    Parameters
    ----------
    section : CrossSection
    columns : int64, shape (M,)
        Names.
    rows : int64, shape (K,)
        Ascending rows of the cross-section on which decisions are taken.
    choice : PortfolioConfig

    Returns
    -------
    float32, shape (K, M), at least 0
        As `src.evaluation.strategy.costs`, of a name's last traded day since ``rows[0]`` where it does not trade on the
        row. Half a cent is taken over the as-traded price (stock and etf alone). An unknown spread or price counts as
        none.
    """
    least = choice.cost_bps[section.asset_class] / 1e4
    cents = choice.half_cent if section.asset_class in ON_EXCHANGE else 0.0
    out = np.empty((rows.size, columns.size), dtype=np.float32)
    price: FloatArray = np.full(columns.size, np.nan)
    width: FloatArray = np.full(columns.size, np.nan)
    wanted = {int(row): list(np.flatnonzero(rows == row)) for row in rows}
    for row in range(int(rows[0]), int(rows[-1]) + 1):
        price = _latest(section.traded_price[row, columns], price)
        width = _latest(section.half_spread[row, columns], width)
        if row in wanted:
            out[wanted[row]] = np.fmax(np.fmax(least, cents / price), width)
    return out


def _latest(values: Matrix, before: FloatArray) -> FloatArray:
    """Take the values, and those before where one is missing."""
    return np.where(np.isfinite(values), values, before)


def borrowed(short: FloatArray, choice: PortfolioConfig, bars_per_year: float) -> FloatArray:
    """Compute what the loan of short positions costs a day.

    Parameters
    ----------
    short : float64, shape (...)
        Sum of short weights, at least 0.
    choice : PortfolioConfig
        Its `borrow_bps` a year.
    bars_per_year : float

    Returns
    -------
    float64, shape (...)
        A fraction of the capital.
    """
    cost: FloatArray = short * (choice.borrow_bps / 1e4 / bars_per_year)
    return cost
