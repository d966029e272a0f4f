"""What a kind of label declares: what came of each decision, and the market it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray

if TYPE_CHECKING:
    from src.config.schema import LabelConfig


@dataclass(frozen=True)
class TradedBars:
    """The tradable bars k = 0..n-1 of one instrument.

    Attributes
    ----------
    asset_class : str
    dates : datetime64, shape (n,)
        Ascending.
    open, high, low, close : float64, shape (n,)
        Total-return prices, each above zero.
    """

    asset_class: str
    dates: DateArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray


@dataclass(frozen=True)
class Hedge:
    """The portfolio that is sold against the tradable bars k = 0..n-1 of one instrument.

    Attributes
    ----------
    asset_class : str
        Whose basis points its turnover pays.
    ratio : float64, shape (n,)
        Units of the portfolio sold for each unit of the instrument, known at the close of bar k.
    bar_return, close_return : float64, shape (n,)
        Of the portfolio over the instrument's own bars: from the open of k+1 to the open of k+2, NaN for the last two,
        and from the close of k-1 to the close of k, NaN at 0.
    half_spread : float64, shape (n,)
        Half of the mean bid-ask spread of what is in the portfolio, a fraction of the price, known at k.
    """

    asset_class: str
    ratio: FloatArray
    bar_return: FloatArray
    close_return: FloatArray
    half_spread: FloatArray


@dataclass(frozen=True)
class LabelKind:
    """A kind of label.

    Attributes
    ----------
    name : str
        As ``label.kind`` names it.
    outcome : callable
        Takes the instrument's `TradedBars`, the `LabelConfig` and the table of `market` (None without one). Returns
        float64, shape (n,): what came of decision k, up where it is above ``label.tolerance`` and down where it is
        below minus that. It may use prices from the open of bar k+1, where the position is entered, to the open of bar
        k+1+horizon, and nothing later; NaN where those are not known yet, or the outcome is undefined.
    market : callable, optional
        Takes the bars of the pinned panel and the `LabelConfig`, returns the table that outcomes are compared with: a
        row for each asset class and decision date. Only a kind that compares has it.
    hedge : callable, optional
        Takes asset class, dates and total-return closes of an instrument's tradable bars, the `LabelConfig` and the
        table of `market`, returns the `Hedge` that pays what the outcome subtracts: profit and loss of a run is the
        instrument's return less the hedge's. A kind that compares with a portfolio has it; without, P&L is outright.
    """

    name: str
    outcome: Callable[[TradedBars, LabelConfig, pl.DataFrame | None], FloatArray]
    market: Callable[[pl.DataFrame, LabelConfig], pl.DataFrame] | None = None
    hedge: Callable[[str, DateArray, FloatArray, LabelConfig, pl.DataFrame], Hedge] | None = None


def forward_return(opens: FloatArray, horizon: int) -> FloatArray:
    """Return from the entry to the exit of each decision: O[k+1+horizon] / O[k+1] - 1.

    Parameters
    ----------
    opens : float64, shape (n,)
        Total-return opens of the tradable bars.
    horizon : int
        Bars from entry to exit.

    Returns
    -------
    float64, shape (n,)
        NaN for the last ``horizon + 1`` decisions, whose exit is not known yet.

    Examples
    --------
    >>> forward_return(np.array([1.0, 2.0, 3.0, 6.0]), 1).tolist()
    [0.5, 1.0, nan, nan]
    """
    out = np.full(opens.size, np.nan)
    if opens.size > horizon + 1:
        out[: -1 - horizon] = opens[1 + horizon :] / opens[1 : opens.size - horizon] - 1.0
    return out


def later_dates(dates: DateArray, bars: int) -> DateArray:
    """Date of the bar that comes `bars` after each.

    Parameters
    ----------
    dates : datetime64, shape (n,)
    bars : int

    Returns
    -------
    datetime64, shape (n,)
        NaT for the last ones.
    """
    out = np.full(dates.size, np.datetime64("NaT"), dtype=dates.dtype)
    if dates.size > bars:
        out[:-bars] = dates[bars:]
    return out
