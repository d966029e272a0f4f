"""Decisions of one instrument: when it can trade, what came of each bar, and what was known then (contract 3).

k counts the instrument's tradable bars, fixed before any row is dropped. Decision k uses bars up to k and enters at the
open of k+1. Everything is float64, because a total-return factor stored as float32 turns zero returns into classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.core.arrays import BoolArray, DateArray, FloatArray, IntArray
from src.evaluation.label_kinds.declaration import Hedge, TradedBars, forward_return, later_dates
from src.evaluation.label_kinds.portfolio import members_of
from src.evaluation.label_kinds.registry import label_kind
from src.market.bars import BARS_PER_YEAR, BarStore, tradable

if TYPE_CHECKING:
    from src.config.schema import LabelConfig


@dataclass(frozen=True)
class Decisions:
    """One instrument's tradable bars k = 0..n-1, with what followed each and what was known at each.

    Attributes
    ----------
    asset_class, symbol : str
    horizon : int
        Bars from entry to exit of the label.
    bars_per_year : float
        For annualising.
    rows : int64, shape (n,)
        Row of bar k in the instrument's table of bars.
    dates, stamps : datetime64, shape (n,)
        Date of bar k; date of bar k+2, on which the profit of decision k is booked (NaT for the last two).
    label : float64, shape (n,), in {0, 1, NaN}
        1 where the outcome of the label's kind is up, 0 where it is down; NaN where it is zero or not known yet.
    bar_return : float64, shape (n,)
        O[k+2]/O[k+1] - 1 in total-return prices, whatever the horizon; NaN for the last two.
    close_return : float64, shape (n,)
        Total return from close k-1 to close k; NaN at 0.
    high, low, close : float64, shape (n,)
        Total-return prices of bar k.
    traded_price : float64, shape (n,)
        Close as traded, before later splits; the close itself where the split history is unknown.
    repaired, stale : bool, shape (n,)
        Whether validation changed bar k; whether its close is that of the bar before.
    """

    asset_class: str
    symbol: str
    horizon: int
    bars_per_year: float
    rows: IntArray
    dates: DateArray
    stamps: DateArray
    label: FloatArray
    bar_return: FloatArray
    close_return: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    traded_price: FloatArray
    repaired: BoolArray
    stale: BoolArray

    @property
    def size(self) -> int:
        """Number of tradable bars."""
        return int(self.rows.size)

    def positions(self, dates: DateArray) -> IntArray:
        """Find the decisions made on these dates, e.g. those of stored predictions.

        Parameters
        ----------
        dates : datetime64, shape (m,)

        Returns
        -------
        int64, shape (m,)
            Index k of each date's tradable bar.

        Raises
        ------
        ValueError
            If there is no tradable bar on one of the dates.
        """
        positions = np.searchsorted(self.dates, dates)
        unknown = positions == self.size
        unknown[~unknown] = self.dates[positions[~unknown]] != dates[~unknown]
        if unknown.any():
            raise ValueError(
                f"{self.asset_class} {self.symbol}: {int(unknown.sum())} predictions are dated where no bar is"
                f" tradable, the first {dates[unknown][0]}: the bars have changed, so train again"
            )
        return positions.astype(np.int64)


@dataclass(frozen=True)
class HedgedDecisions(Decisions):
    """Decisions whose returns are those of the instrument less a portfolio that is sold against it.

    Attributes
    ----------
    hedge : Hedge
        The portfolio. ``bar_return`` and ``close_return`` are without it already; its turnover is paid where positions
        are known (`src.evaluation.strategy.trading_conditions`).
    """

    hedge: Hedge


def decisions(
    bars: pl.DataFrame,
    label: LabelConfig,
    market: pl.DataFrame | None = None,
    bars_per_year: float | None = None,
) -> Decisions:
    """Fix the tradable bars of one instrument and look up what followed each, hedged where the label hedges.

    Parameters
    ----------
    bars : DataFrame with the columns of ``bars.SCHEMA``
        One instrument, sorted by date, cut at ``split.until``. Rows without a price or without volume are skipped in
        the count: no decision, no entry and no exit happens there.
    label : LabelConfig
        Kind, horizon and tolerance.
    market : DataFrame, optional
        What outcomes are compared with: from `market_of` with the same label.
    bars_per_year : float, optional
        Default: that of daily bars of the asset class.

    Returns
    -------
    Decisions
        One for each tradable bar; none where no bar is tradable. `HedgedDecisions` for a kind that has a hedge.

    Raises
    ------
    ValueError
        Without a row, or without a market for a kind of label that compares with one.
    ConfigError
        If no kind of label has the name ``label.kind``.
    """
    outright = unhedged(bars, label, market, bars_per_year)
    hedge = label_kind(label.kind).hedge
    if hedge is None or market is None:
        return outright
    return hedged(outright, hedge(outright.asset_class, outright.dates, outright.close, label, market))


def hedged(outright: Decisions, hedge: Hedge) -> HedgedDecisions:
    """Take the hedge's returns from the instrument's.

    Parameters
    ----------
    outright : Decisions
    hedge : Hedge
        Of the same bars.

    Returns
    -------
    HedgedDecisions
        The return of a bar loses the decision's ratio times the hedge's return over the same bar. The close-to-close
        return of bar k, which sizes later positions, loses the ratio that was known at k-1 times the hedge's.
    """
    values = {each.name: getattr(outright, each.name) for each in fields(Decisions)}
    before = np.concatenate((np.ones(min(outright.size, 1)), hedge.ratio[:-1]))
    values["bar_return"] = outright.bar_return - hedge.ratio * hedge.bar_return
    values["close_return"] = outright.close_return - before * hedge.close_return
    return HedgedDecisions(**values, hedge=hedge)


def unhedged(
    bars: pl.DataFrame,
    label: LabelConfig,
    market: pl.DataFrame | None = None,
    bars_per_year: float | None = None,
) -> Decisions:
    """Look up what followed each tradable bar of one instrument, with its outright returns.

    Parameters
    ----------
    bars, label, market, bars_per_year
        As `decisions` takes them.

    Returns
    -------
    Decisions
    """
    if bars.height == 0:
        raise ValueError("decisions need at least one bar, got an empty table")
    asset_class, symbol = bars.item(0, "asset_class"), bars.item(0, "symbol")
    kind = label_kind(label.kind)
    if kind.market and market is None:
        raise ValueError(f"label {label.name} compares with the panel, got none for {asset_class} {symbol}")
    mask = bars.select(tradable(bars)).to_series()
    traded = bars.filter(mask)
    dates = traded["date"].to_numpy()
    factor, close = _numbers(traded, "factor"), _numbers(traded, "close")
    opens, high, low = (_numbers(traded, column) * factor for column in ("open", "high", "low"))
    outcome = kind.outcome(TradedBars(asset_class, dates, opens, high, low, close * factor), label, market)
    split = traded["split"].cast(pl.Float64).fill_null(1.0).fill_nan(1.0).to_numpy()
    return Decisions(
        asset_class=asset_class,
        symbol=symbol,
        horizon=label.horizon,
        bars_per_year=float(bars_per_year or BARS_PER_YEAR[asset_class]),
        rows=np.flatnonzero(mask.to_numpy()).astype(np.int64),
        dates=dates,
        stamps=later_dates(dates, 2),
        label=_direction(outcome, label.tolerance),
        bar_return=forward_return(opens, 1),
        close_return=_change(close * factor),
        high=high,
        low=low,
        close=close * factor,
        traded_price=close * split,
        repaired=traded["repaired"].fill_null(False).to_numpy(),
        stale=_change(close) == 0.0,
    )


def market_of(bars: pl.DataFrame, label: LabelConfig) -> pl.DataFrame | None:
    """Table that the label's outcomes are compared with; None for a kind that compares with nothing.

    Parameters
    ----------
    bars : DataFrame with the columns of ``bars.SCHEMA``
        The instruments of the pinned panel; asset classes are kept apart.
    label : LabelConfig

    Returns
    -------
    DataFrame or None
        As the kind of label declares it: a row for each asset class and decision date.
    """
    kind = label_kind(label.kind)
    return kind.market(bars, label) if kind.market else None


def read_market(
    store: BarStore, label: LabelConfig, cut: Callable[[pl.DataFrame], pl.DataFrame]
) -> pl.DataFrame | None:
    """Read the bars of what a label compares with, and make its table; None for a kind that compares with nothing.

    Parameters
    ----------
    store : BarStore
        Bars of the dataset, with its pinned panel.
    label : LabelConfig
    cut : callable
        Keeps of a table of bars the rows that may be known.

    Returns
    -------
    DataFrame or None
        As `market_of` makes it.
    """
    if label_kind(label.kind).market is None:
        return None
    members = members_of(store.panel(), label)
    return market_of(pl.concat([cut(store.read_bucket(b, symbols=members)) for b in store.buckets()]), label)


def _direction(change: FloatArray, tolerance: float) -> FloatArray:
    return np.where(np.abs(change) > tolerance, (change > 0.0).astype(np.float64), np.nan)


def _change(prices: FloatArray) -> FloatArray:
    out = np.full(prices.size, np.nan)
    out[1:] = prices[1:] / prices[:-1] - 1.0
    return out


def _numbers(frame: pl.DataFrame, column: str) -> FloatArray:
    values: npt.NDArray[Any] = frame[column].cast(pl.Float64).to_numpy()
    return values
