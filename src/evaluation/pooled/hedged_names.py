"""What holding one name of a cross-section against the mean of the eligible ones earns and costs, day by day."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import BoolArray, FloatArray, IntArray
from src.evaluation.pooled.graded_days import PooledRun
from src.evaluation.pooled.styles import market_returns
from src.evaluation.strategy import ON_EXCHANGE, TradingConditions, trailing_volatility

if TYPE_CHECKING:
    from src.config.schema import StrategyConfig


@dataclass(frozen=True)
class NameDays:
    """Consecutive days of one name, hedged one to one by the mean of the eligible names.

    Attributes
    ----------
    conditions : TradingConditions
        Sizes by the volatility of the hedged returns, costs of both legs, hedged returns.
    ending : int or None
        Day whose return ends at the last close and holds the delisting return; None where there is none.
    delisting_return : float
        Part of that day's return, over the open: for a long position; a short one earns nothing by it.
    """

    conditions: TradingConditions
    ending: int | None
    delisting_return: float

    def net(self, position: FloatArray) -> FloatArray:
        """Net returns of positions, as `src.evaluation.strategy.net_returns` computes them.

        Parameters
        ----------
        position : float64, shape (..., m)

        Returns
        -------
        float64, shape (..., m)
        """
        cost = self.conditions.cost
        net = position * self.conditions.change
        net[..., 0] -= np.abs(position[..., 0]) * cost[0]
        step = position[..., 1:] - position[..., :-1]
        np.abs(step, out=step)
        step *= cost[1:]
        net[..., 1:] -= step
        net[..., -1] -= np.abs(position[..., -1]) * cost[-1]
        if self.ending is not None:
            net[..., self.ending] -= np.minimum(position[..., self.ending], 0.0) * self.delisting_return
        return net


@dataclass(frozen=True)
class HedgedNames:
    """The names of a run, each against the equal-weight mean of the day's eligible names.

    Attributes
    ----------
    run : PooledRun
    strategy : StrategyConfig
        Volatility target, its window, and costs.
    delisting_return : float
    """

    run: PooledRun
    strategy: StrategyConfig
    delisting_return: float

    @cached_property
    def first(self) -> int:
        """Row of the first out-of-sample day in the cross-section."""
        return int(self.run.days.indices(self.run.section.shape[0])[0])

    @cached_property
    def hedge_returns(self) -> FloatArray:
        """Mean return of the eligible names from the next open to the one after, shape (D,); of those that trade."""
        opens, out = self.run.section.open, np.zeros(self.run.scores.shape[0])
        for day in range(out.size):
            row = self.first + day
            with np.errstate(invalid="ignore"):
                change = opens[row + 2] / opens[row + 1] - 1.0
            known = change[self.run.eligible[row] & np.isfinite(change)]
            out[day] = known.mean() if known.size else 0.0
        return out

    @cached_property
    def hedge_rates(self) -> FloatArray:
        """Cost per unit of turnover of the hedge: basis points plus the mean half-spread of its names, shape (D,)."""
        section = self.run.section
        out: FloatArray = np.zeros(self.run.scores.shape[0])
        for day in range(out.size):
            width = section.half_spread[self.first + day, self.run.eligible[self.first + day]]
            known = width[np.isfinite(width)]
            out[day] = float(known.mean(dtype=np.float64)) if known.size else 0.0
        rates: FloatArray = out + self.strategy.cost_bps[section.asset_class] / 1e4
        return rates

    @cached_property
    def _market_level(self) -> FloatArray:
        """Chained close-to-close returns of the eligible names' mean, shape (T,)."""
        changes = market_returns(self.run.section, self.run.eligible)
        level: FloatArray = np.cumprod(1.0 + np.where(np.isfinite(changes), changes, 0.0), dtype=np.float64)
        return level

    @cached_property
    def tradable(self) -> BoolArray:
        """Where a name is eligible, has a score, and has another bar to be entered at, shape (D, N)."""
        run = self.run
        rows = self.first + np.arange(run.scores.shape[0])[:, None]
        ended = run.section.delisted & (rows >= run.section.last)
        found: BoolArray = run.eligible[run.days] & np.isfinite(run.scores) & ~ended
        return found

    def days(self, column: int, first: int, last: int) -> NameDays:
        """Look up the conditions of a name on consecutive out-of-sample days.

        Parameters
        ----------
        column : int
            Of the cross-section.
        first, last : int
            Out-of-sample days; the last one included.

        Returns
        -------
        NameDays
            A name that does not trade carries its price: its own return is 0.
        """
        start, stop = self.first + first, self.first + last + 1
        section, here = self.run.section, slice(first, last + 1)
        opens = section.open[: stop + 2, column]
        traded = np.flatnonzero(np.isfinite(section.close[:stop, column]))
        before = traded[np.searchsorted(traded, np.arange(start, stop), side="right") - 1]
        change = self._own_returns(opens, start, stop) - self.hedge_returns[here]
        ending = int(section.last[column]) - 1 - start
        is_ending = bool(section.delisted[column]) and 0 <= ending < change.size
        lost = 0.0
        if is_ending:  # it is left at its last close, and what the delisting takes comes on top
            left = float(section.close[start + ending + 1, column] / opens[start + ending + 1])
            lost = left * self.delisting_return
            change[ending] += left - 1.0 + lost
        conditions = TradingConditions(
            size=self._sizes(column, traded, np.searchsorted(traded, before)),
            cost=self._costs(column, before) + self.hedge_rates[here],
            change=change,
        )
        return NameDays(conditions, ending if is_ending else None, lost)

    def _own_returns(self, opens: FloatArray, start: int, stop: int) -> FloatArray:
        """Returns from the open after each decision to the next; the price is carried where there is no trade."""
        rows = np.maximum.accumulate(np.where(np.isfinite(opens), np.arange(opens.size), 0))
        carried = opens[rows]
        change: FloatArray = carried[start + 2 : stop + 2] / carried[start + 1 : stop + 1] - 1.0
        return np.where(np.isfinite(change), change, 0.0)

    def _sizes(self, column: int, traded: IntArray, positions: IntArray) -> FloatArray:
        """Position of a full exposure, by the volatility of the last hedged close-to-close returns."""
        close, level = self.run.section.close[traded, column], self._market_level[traded]
        hedged = np.full(traded.size, np.nan)
        hedged[1:] = close[1:] / close[:-1] - level[1:] / level[:-1]
        volatility = trailing_volatility(hedged, positions, self.strategy.volatility_window)
        annual = volatility * np.sqrt(self.run.section.bars_per_year)
        size = np.zeros(positions.size)
        known = annual > 1e-9
        size[known] = np.minimum(self.strategy.target_volatility / annual[known], self.strategy.max_leverage)
        return size

    def _costs(self, column: int, rows: IntArray) -> FloatArray:
        """Cost per unit of turnover of the name itself, as `src.evaluation.strategy.costs`."""
        section = self.run.section
        price = section.traded_price[rows, column].astype(np.float64)
        tick = self.strategy.half_cent / price if section.asset_class in ON_EXCHANGE else np.zeros(rows.size)
        width = section.half_spread[rows, column].astype(np.float64)
        cost: FloatArray = np.fmax(np.fmax(self.strategy.cost_bps[section.asset_class] / 1e4, tick), width)
        return cost
