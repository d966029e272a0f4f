"""The instruments of one asset class on the class's calendar: dense tables of days by names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.core.arrays import DateArray, FloatArray, IntArray, Matrix


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
