"""Decisions of one instrument: when it can trade, what came of each bar, and what was known then (contract 3).

k counts the instrument's tradable bars, fixed before any row is dropped. Decision k uses bars up to k and enters at the
open of k+1. Everything is float64, because a total-return factor stored as float32 turns zero returns into classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.core.arrays import BoolArray, FloatArray, IntArray
from src.market.bars import BARS_PER_YEAR, tradable

if TYPE_CHECKING:
    from src.config.schema import LabelConfig

DateArray = npt.NDArray[np.datetime64]
KEY = ("asset_class", "symbol")


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
        Direction of O[k+1+horizon]/O[k+1] - 1; NaN where it is zero or not known yet.
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

        Raises
        ------
        ValueError
            Where a date is none of a tradable bar.
        """
        found = np.searchsorted(self.dates, dates)
        strange = found == self.size
        strange[~strange] = self.dates[found[~strange]] != dates[~strange]
        if strange.any():
            raise ValueError(
                f"{self.asset_class} {self.symbol}: {int(strange.sum())} predictions are dated where no bar is"
                f" tradable, the first {dates[strange][0]}: the bars changed since, train anew"
            )
        return found.astype(np.int64)


def decisions(
    bars: pl.DataFrame,
    label: LabelConfig,
    panel: pl.DataFrame | None = None,
    bars_per_year: float | None = None,
) -> Decisions:
    """Fix the tradable bars of one instrument and look up what followed each.

    Parameters
    ----------
    bars : DataFrame with the columns of ``bars.SCHEMA``
        One instrument, sorted by date, cut at ``split.until``. Rows without a price or without volume are skipped in
        the count: no decision, no entry and no exit happens there.
    label : LabelConfig
    panel : DataFrame, optional
        From `panel_returns` with the same label; needed where ``label.relative``.
    bars_per_year : float, optional
        Default: that of daily bars of the asset class.

    Raises
    ------
    ValueError
        Without a row, or for a relative label without a panel.
    """
    if bars.height == 0:
        raise ValueError("decisions need at least one bar, got an empty table")
    asset_class, symbol = bars.item(0, "asset_class"), bars.item(0, "symbol")
    if label.relative and panel is None:
        raise ValueError(f"label {label.name} compares with the panel, got none for {asset_class} {symbol}")
    mask = bars.select(tradable(bars)).to_series()
    traded = bars.filter(mask)
    dates = traded["date"].to_numpy()
    factor, close = _numbers(traded, "factor"), _numbers(traded, "close")
    opens = _numbers(traded, "open") * factor
    ahead = _forward_return(opens, label.horizon)
    if panel is not None and label.relative:
        ahead = ahead - _panel_at(panel, asset_class, dates, label.horizon)
    split = traded["split"].cast(pl.Float64).fill_null(1.0).fill_nan(1.0).to_numpy()
    return Decisions(
        asset_class=asset_class,
        symbol=symbol,
        horizon=label.horizon,
        bars_per_year=float(bars_per_year or BARS_PER_YEAR[asset_class]),
        rows=np.flatnonzero(mask.to_numpy()).astype(np.int64),
        dates=dates,
        stamps=_later(dates, 2),
        label=_direction(ahead, label.tolerance),
        bar_return=_forward_return(opens, 1),
        close_return=_change(close * factor),
        high=_numbers(traded, "high") * factor,
        low=_numbers(traded, "low") * factor,
        close=close * factor,
        traded_price=close * split,
        repaired=traded["repaired"].fill_null(False).to_numpy(),
        stale=_change(close) == 0.0,
    )


def panel_returns(bars: pl.DataFrame, label: LabelConfig) -> pl.DataFrame:
    """Median return of the pinned panel over the label's horizon, for each class and decision date.

    On each date only the members whose entry and exit fall on the most common entry and exit dates are counted, so
    that a member that did not trade for weeks brings nothing from beyond the horizon.

    Parameters
    ----------
    bars : DataFrame with the columns of ``bars.SCHEMA``
        The panel's instruments; asset classes are kept apart.

    Returns
    -------
    DataFrame with asset_class, date (of the decision), entry, exit, market_return; unique by (asset_class, date).
    """
    ahead = label.horizon + 1
    opens = pl.col("open").cast(pl.Float64) * pl.col("factor").cast(pl.Float64)
    returns = (
        bars.filter(tradable(bars))
        .sort(*KEY, "date")
        .select(
            "asset_class",
            "date",
            entry=pl.col("date").shift(-1).over(KEY),
            exit=pl.col("date").shift(-ahead).over(KEY),
            change=(opens.shift(-ahead) / opens.shift(-1) - 1.0).over(KEY),
        )
        .drop_nulls()
    )
    by_dates = returns.group_by("asset_class", "date", "entry", "exit").agg(
        pl.len().alias("members"), pl.col("change").median().alias("market_return")
    )
    common = by_dates.sort("members", "exit", descending=[True, False]).unique(["asset_class", "date"], keep="first")
    return common.drop("members").sort("asset_class", "date")


def _panel_at(panel: pl.DataFrame, asset_class: str, dates: DateArray, horizon: int) -> FloatArray:
    """Return the panel's return for each decision, NaN where the instrument's own entry or exit is on another date."""
    own = pl.DataFrame({"date": dates, "entry": _later(dates, 1), "exit": _later(dates, 1 + horizon)})
    keys = ["date", "entry", "exit"]
    theirs = panel.filter(pl.col("asset_class") == asset_class).select(*keys, "market_return")
    own = own.cast({key: theirs.schema[key] for key in keys})
    joined = own.join(theirs, on=keys, how="left", maintain_order="left")
    return joined["market_return"].cast(pl.Float64).fill_null(np.nan).to_numpy()


def _direction(change: FloatArray, tolerance: float) -> FloatArray:
    return np.where(np.abs(change) > tolerance, (change > 0.0).astype(np.float64), np.nan)


def _forward_return(opens: FloatArray, horizon: int) -> FloatArray:
    out = np.full(opens.size, np.nan)
    if opens.size > horizon + 1:
        out[: -1 - horizon] = opens[1 + horizon :] / opens[1 : opens.size - horizon] - 1.0
    return out


def _change(prices: FloatArray) -> FloatArray:
    out = np.full(prices.size, np.nan)
    out[1:] = prices[1:] / prices[:-1] - 1.0
    return out


def _later(dates: DateArray, bars: int) -> DateArray:
    out = np.full(dates.size, np.datetime64("NaT"), dtype=dates.dtype)
    if dates.size > bars:
        out[:-bars] = dates[bars:]
    return out


def _numbers(frame: pl.DataFrame, column: str) -> FloatArray:
    values: npt.NDArray[Any] = frame[column].cast(pl.Float64).to_numpy()
    return values
