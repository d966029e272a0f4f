"""Weights of a portfolio up to the last bar: each decision from what was known at its close.

The same code that grades a portfolio trades it here: `signals`, `smoothed`, `target_weights`, `scales`, `filled`. Two
things differ from a grade, because a grade looks back on days that are over:

- The last two sessions take part, although their returns are not known yet.
- That a name has left is known six sessions after its last bar, not on it. Until then its position stays, since it
  can't be sold; a grade, whose table goes on, takes it away on the last bar. Weights of other names differ by what its
  last return does to the estimate of volatility, until the delisting is known; then both agree again.

Sums run over the names that are held alone, so that a name listed later changes no bit of an earlier weight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import BoolArray, DateArray, FloatArray, IntArray, Matrix
from src.evaluation.pooled.portfolio import KNOWN_AFTER, earned, filled, scales
from src.evaluation.pooled.prepared import Prepared, prepare
from src.evaluation.pooled.signals import signals, smoothed
from src.evaluation.pooled.weights import target_weights
from src.market.calendar import next_session
from src.market.cross_section import STILL_LISTED, CrossSection

if TYPE_CHECKING:
    from src.config.schema import PortfolioConfig
    from src.evaluation.pooled.styles import Styles

_NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class LiveWeights:
    """What a portfolio decided on each of D consecutive days, the last one included, of M names.

    Attributes
    ----------
    prepared : Prepared
        Of the days; its returns and delistings are those that are known at the end.
    targets : float32, shape (K, legs, M)
        Of each trade day, at the scale of the day.
    held : float32, shape (K, M)
        Weights from each trade day to the next, all legs together.
    """

    prepared: Prepared
    targets: Matrix
    held: Matrix

    @property
    def columns(self) -> IntArray:
        """Columns of the cross-section, shape (M,)."""
        return self.prepared.columns

    def is_trade_day(self, day: int) -> bool:
        """Whether orders are given at the close of a day, counted from the first."""
        return bool(self.prepared.trades[self._block(day)] == day)

    def before(self, day: int) -> Matrix:
        """Weights held at the close of a day, as the orders before it were filled, shape (M,)."""
        block = self._block(day) - self.is_trade_day(day)
        return self.held[block] if block >= 0 else np.zeros(self.held.shape[1], dtype=np.float32)

    def decided(self, day: int, tradable: BoolArray) -> Matrix:
        """Weights that the portfolio aims at from the close of a day on.

        Parameters
        ----------
        day : int
            Counted from the first.
        tradable : bool, shape (M,)
            Names that can be ordered; the others keep their weight.

        Returns
        -------
        float32, shape (M,)
            On a day without trades what is held.
        """
        block = self._block(day)
        decided: Matrix = self.held[block]
        if not self.is_trade_day(day):
            return decided
        fills = self.prepared.fills[: block + 1].copy()
        fills[block] = tradable
        decided = filled(replace(self.prepared, fills=fills), self.targets[: block + 1])[-1].sum(axis=0)
        return decided

    def _block(self, day: int) -> int:
        return int(np.searchsorted(self.prepared.trades, day, side="right")) - 1


def live_weights(
    scores: Matrix,
    first: int,
    section: CrossSection,
    eligible: BoolArray,
    styles: Styles,
    choice: PortfolioConfig,
    delisting_return: float,
) -> LiveWeights:
    """Trade scores up to the last day of a cross-section.

    Parameters
    ----------
    scores : float32, shape (D, N)
        Of the days from the first on, to the last; NaN where a name has none.
    first : int
        Row of the first day in the cross-section: that of the first graded day, so that trades fall on the same days.
    section : CrossSection
    eligible : bool, shape (T, N)
    styles : Styles
    choice : PortfolioConfig
    delisting_return : float, at most 0

    Returns
    -------
    LiveWeights
    """
    days = slice(first, len(section.dates))
    prepared = prepare(days, _with_next_sessions(section), eligible, styles, choice, delisting_return)
    last = _last_bars(section, prepared)
    rows = prepared.trades + first
    prepared = replace(prepared, gone=last < (rows - STILL_LISTED)[:, None])
    targets = target_weights(prepared, smoothed(prepared, signals(prepared, scores)))
    scale = _Paper(section, prepared, targets, last).scales()
    targets *= scale[:, None, None].astype(np.float32)
    return LiveWeights(prepared, targets, filled(prepared, targets).sum(axis=1))


@dataclass(frozen=True)
class _Ahead(CrossSection):
    """A cross-section with further sessions, on which nothing is known: of its tables, `open` alone has their rows."""

    @property
    def delisted(self) -> BoolArray:
        """Whether each name's last bar is more than five sessions before the last one that is known, shape (N,)."""
        delisted: BoolArray = self.last < len(self.dates) - KNOWN_AFTER - 1 - STILL_LISTED
        return delisted


def _with_next_sessions(section: CrossSection) -> _Ahead:
    """Append the two sessions over which the last decision's return would be earned."""
    dates: list[DateArray] = [section.dates.astype("datetime64[D]")]
    for _ in range(KNOWN_AFTER):
        dates.append(np.array([next_session(section.asset_class, dates[-1][-1].item())], dtype="datetime64[D]"))
    unknown = np.full((KNOWN_AFTER, section.shape[1]), np.nan)
    tables = {name: value for name, value in vars(section).items() if name not in ("dates", "open")}
    return _Ahead(dates=np.concatenate(dates), open=np.concatenate((section.open, unknown)), **tables)


def _last_bars(section: CrossSection, prepared: Prepared) -> IntArray:
    """Row of each name's last bar up to each trade day, shape (K, M); -1 before the first."""
    traded = section.traded[:, prepared.columns]
    rows = np.where(traded, np.arange(traded.shape[0], dtype=np.int32)[:, None], np.int32(-1))
    last: IntArray = np.maximum.accumulate(rows, axis=0)[prepared.trades + prepared.days.start]
    return last


@dataclass(frozen=True)
class _Paper:
    """Gross returns of the unscaled portfolio, as they were known on each trade day.

    Attributes
    ----------
    section : CrossSection
    prepared : Prepared
    targets : float32, shape (K, legs, M)
        Of gross exposure 1 or 0.
    last : int, shape (K, M)
        Row of each name's last bar up to each trade day.
    """

    section: CrossSection
    prepared: Prepared
    targets: Matrix
    last: IntArray

    def scales(self) -> FloatArray:
        """Compute what each trade day's weights are multiplied by, shape (K,); see `portfolio.scales`."""
        invested, trades = np.flatnonzero(np.abs(self.targets).any(axis=(1, 2))), self.prepared.trades
        out = np.zeros(len(trades))
        for each in range(int(invested[0]) if invested.size else len(trades), len(trades)):
            both = np.unique([invested[0], each])
            paper = self._known(each)
            out[each] = scales(paper, self.targets[both], replace(self.prepared, trades=trades[both]))[-1]
        return out

    def _known(self, each: int) -> FloatArray:
        """Returns as they are known on a trade day, shape (D,): with those of the names that seem to have left."""
        day, first = int(self.prepared.trades[each]), self.prepared.days.start
        ending = self.last[each] - 1 - first
        oldest = day - KNOWN_AFTER + 1 - self.prepared.choice.volatility_window
        names = np.flatnonzero(self.prepared.gone[each] & (ending >= max(oldest, 0)))
        if not names.size:
            return self._without_endings
        out = self._without_endings.copy()
        for row in np.unique(ending[names]):
            out[row] = self._return_with(int(row), names[ending[names] == row])
        return out

    @cached_property
    def _net(self) -> Matrix:
        """All legs together, shape (K, M)."""
        net: Matrix = self.targets.sum(axis=1)
        return net

    @cached_property
    def _without_endings(self) -> FloatArray:
        """Returns as if no name ever left: it carries its last price, shape (D,)."""
        returns = self.prepared.returns.copy()
        returns[self.prepared.ending_days, self.prepared.ending_names] = 0.0
        out = np.empty(len(self.prepared.dates))
        for weight, start, length in zip(self._net, self.prepared.trades, self.prepared.lengths, strict=True):
            rows = slice(start, start + length)
            out[rows] = self._earned(weight, rows, returns[rows], _NOTHING)
        return out

    def _return_with(self, row: int, names: IntArray) -> float:
        """Return of one decision where some names were left at their last close on the day after it."""
        block = int(np.searchsorted(self.prepared.trades, row, side="right")) - 1
        bar, columns = self.prepared.days.start + row + 1, self.prepared.columns[names]
        returns = self.prepared.returns[row].copy()
        returns[self.prepared.ending_names[self.prepared.ending_days == row]] = 0.0
        returns[names] = self.section.close[bar, columns] / self.section.open[bar, columns] - 1.0
        return float(self._earned(self._net[block], slice(row, row + 1), returns[None], names)[0])

    def _earned(self, weight: Matrix, rows: slice, returns: Matrix, endings: IntArray) -> FloatArray:
        """Let `portfolio.earned` sum the names that are held, on days that share their weights."""
        held = np.flatnonzero(weight)
        ending = np.flatnonzero(np.isin(held, endings))
        alone = replace(
            self.prepared,
            dates=self.prepared.dates[rows],
            trades=np.zeros(1, dtype=np.int64),
            returns=np.ascontiguousarray(returns[:, held]),
            ending_days=np.zeros(ending.size, dtype=np.int64),
            ending_names=ending,
        )
        return earned(alone, weight[None, held])
