"""The instruments of one asset class on the class's calendar: dense tables of days by names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.core.arrays import DateArray, FloatArray, IntArray, Matrix
from src.market.bars import BARS_PER_YEAR, tradable
from src.market.calendar import sessions
from src.market.spread import spread

STILL_LISTED = 5  # sessions: a name whose last bar is that close to the end of the table has not left it
_TABLES: dict[str, type[np.floating[Any]]] = {
    "open": np.float64,
    "close": np.float64,
    "dollar_volume": np.float32,
    "traded_price": np.float32,
    "half_spread": np.float32,
}


@dataclass(frozen=True)
class CrossSection:
    """All instruments of an asset class, shape (T, N): a row a session of the class, a column an instrument.

    Row t holds what is known at the close of day t. A day on which an instrument did not trade (no price or no volume)
    is NaN in every table.

    Attributes
    ----------
    asset_class : str
    dates : datetime64[D], shape (T,)
        Sessions of the class, ascending.
    symbols : tuple of str, length N
        Ascending.
    bars_per_year : float
        For annualising.
    open, close : float64, shape (T, N)
        Total-return prices.
    dollar_volume : float32, shape (T, N)
        Traded value of the day: close times volume on one basis, which splits leave alone.
    traded_price : float32, shape (T, N)
        Close as traded, before later splits; the close itself where the split history is unknown.
    half_spread : float32, shape (T, N)
        Half of the trailing estimate of the bid-ask spread, a fraction of the price.
    last : int64, shape (N,)
        Row of each instrument's last traded day; -1 where it has none.
    """

    asset_class: str
    dates: DateArray
    symbols: tuple[str, ...]
    bars_per_year: float
    open: FloatArray
    close: FloatArray
    dollar_volume: Matrix
    traded_price: Matrix
    half_spread: Matrix
    last: IntArray

    @property
    def shape(self) -> tuple[int, int]:
        """Days and names."""
        return len(self.dates), len(self.symbols)

    @property
    def traded(self) -> npt.NDArray[np.bool_]:
        """Whether each instrument traded on each day, shape (T, N)."""
        return np.isfinite(self.close)

    @property
    def delisted(self) -> npt.NDArray[np.bool_]:
        """Whether each name's last bar is more than five sessions before the end of the table, shape (N,)."""
        return self.last < len(self.dates) - 1 - STILL_LISTED


@dataclass(frozen=True)
class _Block:
    """Tables of some names over the sessions from their first bar to their last."""

    dates: DateArray
    symbols: list[str]
    tables: dict[str, npt.NDArray[Any]]


def cross_section(
    parts: Iterable[pl.DataFrame], asset_class: str, until: dt.date | str | None = None, *, spread_window: int = 63
) -> CrossSection:
    """Place the bars of an asset class on its calendar.

    Parameters
    ----------
    parts : iterable of DataFrame with the columns of ``bars.SCHEMA``
        Daily bars, such as the buckets of a store; those of an instrument stand in one part. They are read one at a
        time. Other classes are left out, as are bars that did not trade (`src.market.bars.tradable`) and bars on days
        on which the class has no session.
    asset_class : str
        stock, etf or crypto.
    until : date or str, optional
        Last date; YYYY-MM-DD if text. Default: all.
    spread_window : int
        Bars of an instrument over which the estimate of its spread is averaged.

    Returns
    -------
    CrossSection
        From the first session with a bar to the last; of no days and no names where there is no bar.

    Raises
    ------
    ValueError
        If an instrument stands in two parts.
    """
    last = dt.date.fromisoformat(until) if isinstance(until, str) else until
    made = (_block(part, asset_class, last, spread_window) for part in parts)
    blocks = [block for block in made if block is not None]
    symbols = sorted(symbol for block in blocks for symbol in block.symbols)
    twice = sorted({symbol for symbol, after in pairwise(symbols) if symbol == after})
    if twice:
        raise ValueError(f"bars of one instrument must stand in one part, got {asset_class} {twice[0]} in two")
    dates = _spanned(blocks, asset_class)
    tables = {name: _joined(name, blocks, dates, symbols) for name in _TABLES}
    rows = np.arange(dates.size)[:, None]
    return CrossSection(
        asset_class=asset_class,
        dates=dates,
        symbols=tuple(symbols),
        bars_per_year=float(BARS_PER_YEAR[asset_class]),
        last=np.where(np.isfinite(tables["close"]), rows, -1).max(axis=0, initial=-1).astype(np.int64),
        **tables,
    )


def _block(part: pl.DataFrame, asset_class: str, until: dt.date | None, window: int) -> _Block | None:
    bars = part.filter(pl.col("asset_class") == asset_class, tradable(part)).with_columns(pl.col("date").cast(pl.Date))
    if until is not None:
        bars = bars.filter(pl.col("date") <= until)
    if not bars.height:
        return None
    days = bars["date"].to_numpy().astype("datetime64[D]")
    dates = sessions(asset_class, days.min().item(), days.max().item())
    bars = bars.filter(np.isin(days, dates)).sort("symbol", "date")
    rows = np.searchsorted(dates, bars["date"].to_numpy().astype("datetime64[D]"))
    columns = bars["symbol"].rle_id().to_numpy()
    symbols = bars["symbol"].unique(maintain_order=True).to_list()
    tables = {}
    for name, values in _columns(bars, columns, window).items():
        tables[name] = np.full((dates.size, len(symbols)), np.nan, dtype=_TABLES[name])
        tables[name][rows, columns] = values
    return _Block(dates, symbols, tables) if symbols else None


def _columns(bars: pl.DataFrame, names: npt.NDArray[Any], window: int) -> dict[str, FloatArray]:
    """Values of the bars of some names, in the order of the bars, for each table."""
    high, low, close = (_numbers(bars, name) * _numbers(bars, "factor") for name in ("high", "low", "close"))
    edges = np.flatnonzero(np.diff(names, prepend=-1, append=-1))
    width = np.zeros(bars.height)
    for start, end in pairwise(edges):
        width[start:end] = spread(high[start:end], low[start:end], close[start:end], window)
    price = _numbers(bars, "close")
    split = bars["split"].cast(pl.Float64).fill_null(1.0).fill_nan(1.0).to_numpy()
    return {
        "open": _numbers(bars, "open") * _numbers(bars, "factor"),
        "close": close,
        "dollar_volume": price * _numbers(bars, "volume"),
        "traded_price": price * split,
        "half_spread": width / 2.0,
    }


def _spanned(blocks: list[_Block], asset_class: str) -> DateArray:
    """Sessions from the first of the blocks to the last."""
    if not blocks:
        return np.empty(0, dtype="datetime64[D]")
    first, last = min(block.dates[0] for block in blocks), max(block.dates[-1] for block in blocks)
    return sessions(asset_class, first.item(), last.item())


def _joined(name: str, blocks: list[_Block], dates: DateArray, symbols: list[str]) -> npt.NDArray[Any]:
    """One table of all names. The blocks give theirs up, so that it is never held twice."""
    table = np.full((dates.size, len(symbols)), np.nan, dtype=_TABLES[name])
    columns = {symbol: column for column, symbol in enumerate(symbols)}
    for block in blocks:
        first = int(np.searchsorted(dates, block.dates[0]))
        place = [columns[symbol] for symbol in block.symbols]
        table[first : first + block.dates.size, place] = block.tables.pop(name)
    return table


def _numbers(bars: pl.DataFrame, column: str) -> FloatArray:
    return bars[column].cast(pl.Float64).to_numpy()
