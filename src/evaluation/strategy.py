"""From probabilities to net returns: direction, size, position, costs.

A position is exposure times size. The exposure (a mean of directions, in [-1, 1]) comes from the model; the size comes
from volatility alone. Keeping them apart lets the evidence shift the one against the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import FloatArray, IntArray
from src.core.code_hash import declaration
from src.evaluation.label_kinds.declaration import Hedge
from src.evaluation.labels import Decisions, HedgedDecisions
from src.market.spread import spread

if TYPE_CHECKING:
    from src.config.schema import StrategyConfig

ON_EXCHANGE = ("stock", "etf")  # quoted in cents; coins are not


@dataclass(frozen=True)
class TradingConditions:
    """What the strategy meets on its consecutive out-of-sample decisions, whatever it predicts.

    Attributes
    ----------
    size : float64, shape (m,), in [0, max_leverage]
        Position of a full exposure, from volatility up to the decision.
    cost : float64, shape (m,)
        Cost per unit of turnover, as a fraction.
    change : float64, shape (m,)
        Return of the one bar that the position is held, O[k+1] to O[k+2].
    """

    size: FloatArray
    cost: FloatArray
    change: FloatArray


@dataclass(frozen=True)
class Performance:
    """What a strategy earned, one row a decision, booked on the stamp of each.

    Attributes
    ----------
    position, gross, cost, net : float64, shape (m,)
        Fractions of the capital.
    turnover : float64, shape (m,)
        Change of position at entry to each bar; the last also holds the exit.
    """

    position: FloatArray
    gross: FloatArray
    cost: FloatArray
    net: FloatArray
    turnover: FloatArray


def returns(
    probability: FloatArray, positions: IntArray, decisions: Decisions, strategy: StrategyConfig
) -> Performance:
    """Trade the predictions of consecutive decisions.

    Parameters
    ----------
    probability : float64, shape (m,), in [0, 1]
        P(up) for each position.
    positions : int64, shape (m,)
        Consecutive out-of-sample decisions.
    decisions : Decisions
    strategy : StrategyConfig

    Returns
    -------
    Performance
        One row a decision.
    """
    exposure = exposures(directions(probability, strategy), decisions.horizon)
    return performance(exposure, trading_conditions(positions, decisions, strategy))


def directions(probability: FloatArray, strategy: StrategyConfig) -> FloatArray:
    """Long (1) above the threshold; short (-1) below one minus it where shorting is on; else in cash (0).

    Parameters
    ----------
    probability : float64, shape (m,), in [0, 1]
    strategy : StrategyConfig
        Its `threshold` and `short`.

    Returns
    -------
    float64, shape (m,), in {-1, 0, 1}
    """
    long = (probability > strategy.threshold).astype(np.float64)
    if not strategy.short:
        return long
    return long - (probability < 1.0 - strategy.threshold)


def exposures(direction: FloatArray, horizon: int) -> FloatArray:
    """Mean of the last ``horizon`` directions; those before the first count as zero.

    Parameters
    ----------
    direction : float64, shape (m,), in {-1, 0, 1}
    horizon : int
        Bars that a label looks ahead, over which a decision is held.

    Returns
    -------
    float64, shape (m,), in [-1, 1]

    Examples
    --------
    >>> exposures(np.array([1.0, 1.0, 0.0, 0.0]), 2).tolist()
    [0.5, 1.0, 0.5, 0.0]
    """
    if horizon == 1:
        return direction
    sums: FloatArray = np.cumsum(direction)
    sums[horizon:] = sums[horizon:] - sums[:-horizon]
    return sums / float(horizon)


def hedged_conditions(
    own: TradingConditions, positions: IntArray, hedge: Hedge, strategy: StrategyConfig
) -> TradingConditions:
    """Add what trading the hedge costs to what trading the instrument does.

    A unit of the hedge pays the basis points of its class and the mean half-spread of what is in it. A change of the
    position by one changes the hedge by its ratio. A change of the ratio under a position that is held is paid out of
    the bar's return, for strategies that don't go short: out of a short position's it would be a gain.

    Parameters
    ----------
    own : TradingConditions
        Of the instrument alone, at hedged returns.
    positions : int64, shape (m,)
        Decisions.
    hedge : Hedge
    strategy : StrategyConfig

    Returns
    -------
    TradingConditions
    """
    ratio, rate = np.abs(hedge.ratio), strategy.cost_bps[hedge.asset_class] / 1e4 + hedge.half_spread[positions]
    drift = np.abs(np.diff(hedge.ratio, prepend=hedge.ratio[:1]))[positions]
    change = own.change if strategy.short else own.change - drift * rate
    return replace(own, cost=own.cost + ratio[positions] * rate, change=change)


@declaration
def _on_both_legs(
    conditions: Callable[[IntArray, Decisions, StrategyConfig], TradingConditions],
) -> Callable[[IntArray, Decisions, StrategyConfig], TradingConditions]:
    """Add the costs of the hedge where decisions have one.

    Others get what the function returns, and their grades' keys hash that function alone; `hedged_conditions` is in the
    keys of the labels that hedge (`src.training.code_keys.fit_code`).
    """

    @wraps(conditions)
    def on_both_legs(positions: IntArray, decisions: Decisions, strategy: StrategyConfig) -> TradingConditions:
        own = conditions(positions, decisions, strategy)
        if not isinstance(decisions, HedgedDecisions):
            return own
        return hedged_conditions(own, positions, decisions.hedge, strategy)

    return on_both_legs


@_on_both_legs
def trading_conditions(positions: IntArray, decisions: Decisions, strategy: StrategyConfig) -> TradingConditions:
    """Look up size, cost and return at the positions.

    Parameters
    ----------
    positions : int64, shape (m,)
        Decisions.
    decisions : Decisions
    strategy : StrategyConfig

    Returns
    -------
    TradingConditions
        Size is 0 where volatility is unknown or below 1e-9 a year. Costs are those of both legs where decisions are
        hedged.
    """
    volatility = trailing_volatility(decisions.close_return, positions, strategy.volatility_window)
    annual = volatility * np.sqrt(decisions.bars_per_year)
    size = np.zeros(positions.size)
    known = annual > 1e-9  # a frozen or unknown price says nothing of its risk: no position
    size[known] = np.minimum(strategy.target_volatility / annual[known], strategy.max_leverage)
    return TradingConditions(
        size=size, cost=costs(positions, decisions, strategy), change=decisions.bar_return[positions]
    )


def trailing_volatility(close_return: FloatArray, positions: IntArray, window: int) -> FloatArray:
    """Compute the standard deviation (n - 1) of the last ``window`` close-to-close returns up to each position.

    Parameters
    ----------
    close_return : float64, shape (n,)
        Of all tradable bars. Never open-to-open returns: the last of those holds the entry price.
    positions : int64, shape (m,)
        Decisions.
    window : int
        Bars.

    Returns
    -------
    float64, shape (m,)
        Per bar; NaN until ``window`` returns are known.
    """
    out = np.full(positions.size, np.nan)
    ready = positions >= window
    if ready.any():
        windows = np.lib.stride_tricks.sliding_window_view(close_return, window)
        out[ready] = np.std(windows[positions[ready] - window + 1], axis=1, ddof=1)
    return out


def costs(positions: IntArray, decisions: Decisions, strategy: StrategyConfig) -> FloatArray:
    """Cost per unit of turnover: the largest of the class's basis points, half a cent and half the spread.

    Parameters
    ----------
    positions : int64, shape (m,)
        Decisions.
    decisions : Decisions
    strategy : StrategyConfig

    Returns
    -------
    float64, shape (m,)
        A fraction. Half a cent is taken over the as-traded price (a split-adjusted one would invent costs), and not for
        coins.
    """
    cost = np.full(positions.size, strategy.cost_bps[decisions.asset_class] / 1e4)
    if decisions.asset_class in ON_EXCHANGE:
        cost = np.maximum(cost, strategy.half_cent / decisions.traded_price[positions])
    width = spread(decisions.high, decisions.low, decisions.close, strategy.spread_window)
    total: FloatArray = np.maximum(cost, width[positions] / 2.0)
    return total


def turnovers(position: FloatArray) -> FloatArray:
    """Change of position at each bar, from cash before the first and back into cash after the last.

    Parameters
    ----------
    position : float64, shape (..., m)
        Fractions of the capital.

    Returns
    -------
    float64, shape (..., m), at least 0
        The drift of a position's weight within its bar is not rebalanced, and does not count.
    """
    change = np.empty(position.shape)  # filled in place: shift tests call it with thousands of rows
    change[..., :1] = position[..., :1]
    np.subtract(position[..., 1:], position[..., :-1], out=change[..., 1:])
    np.abs(change, out=change)
    change[..., -1:] += np.abs(position[..., -1:])
    return change


def net_returns(position: FloatArray, conditions: TradingConditions) -> FloatArray:
    """Hold each position over its bar: entry, resizing, changes of fold and the last exit pay.

    Parameters
    ----------
    position : float64, shape (..., m)
        Fractions of the capital.
    conditions : TradingConditions

    Returns
    -------
    float64, shape (..., m)
        Simple returns. The exit pays the rate of the last decision and is booked with its return.
    """
    paid = turnovers(position)
    paid *= conditions.cost
    net: FloatArray = position * conditions.change
    net -= paid
    return net


def performance(exposure: FloatArray, conditions: TradingConditions) -> Performance:
    """Trade an exposure for each bar.

    Parameters
    ----------
    exposure : float64, shape (m,), in [-1, 1]
    conditions : TradingConditions
        Of the same decisions.

    Returns
    -------
    Performance
    """
    position = exposure * conditions.size
    turnover = turnovers(position)
    gross, cost = position * conditions.change, turnover * conditions.cost
    return Performance(position=position, gross=gross, cost=cost, net=gross - cost, turnover=turnover)
