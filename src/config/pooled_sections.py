"""Sections of the schema that the pooled scope has for itself; `src.config.schema` holds them with the others."""

from __future__ import annotations

from dataclasses import dataclass

from src.core.field_rules import named, one_of, ranged


@dataclass
class ScopeConfig:
    """What one model is for: one instrument, or all eligible instruments of an asset class (`pooled`)."""

    name: str = named("instrument")
    kind: str = one_of("instrument", ("instrument", "pooled"))
    # What a pooled model is fitted to: the label's value, or whether it is above the median.
    objective: str = one_of("regression", ("regression", "classification"))
    train_every: int = ranged(10, low=1, high=260, unit="days")  # days between those that become training rows
    # Recipes that were tried on such data before, which the evidence allows for.
    prior_trials: int = ranged(0, low=0, high=10_000_000, unit="trials")


@dataclass
class EligibilityConfig:
    """Which instruments a pooled model ranks on a day, from bars up to that day alone; never from their price."""

    name: str = named("liquid")
    # Least median traded value a day, in the bars' currency.
    min_dollar_volume: dict[str, float] = ranged(
        {"stock": 1e6, "etf": 1e6, "crypto": 1e6}, low=0, high=1e15, unit="a day"
    )
    window: int = ranged(63, low=1, high=1000, unit="bars")  # of that median
    history: int = ranged(252, low=1, high=10_000, unit="bars")  # bars since the first
    untraded_window: int = ranged(21, low=1, high=1000, unit="bars")  # no bar without a trade among the last of them
    min_names: int = ranged(30, low=5, high=1_000_000, unit="instruments")  # a day with fewer has no cross-section
    # After the last bar of an instrument: to what was held long; a short position earns nothing then.
    delisting_return: float = ranged(-0.3, low=-1, high=0)


@dataclass
class PortfolioConfig:
    """How scores of a cross-section become positions, and what holding them costs."""

    name: str = named("neutral")
    # neutral: long and short by rank over volatility; long_excess: the best names against the mean of all eligible
    # ones; quantiles: the highest quantile against the lowest.
    kind: str = one_of("neutral", ("neutral", "long_excess", "quantiles"))
    neutralised: bool = True  # ranks are of scores without what beta, volatility and dollar volume explain of them
    quantiles: int = ranged(5, low=2, high=100, unit="quantiles")  # of long_excess and quantiles
    smoothing: int = ranged(20, low=1, high=260, unit="days")  # a position is the mean of the last days' signals
    signal_every: int = ranged(5, low=1, high=260, unit="days")  # days between those signals
    trade_every: int = ranged(5, low=1, high=260, unit="days")
    beta_hedged: bool = True  # by changes of the weights themselves
    target_volatility: float = ranged(0.10, low=0, high=2, unit="a year", above=True)
    volatility_window: int = ranged(63, low=5, high=1000, unit="bars")  # of the portfolio's own returns
    volatility_floor: float = ranged(0.25, low=0, high=1)  # of a name's volatility, as a share of the day's median
    max_gross: float = ranged(2.0, low=0, high=20, above=True)  # sum of absolute weights
    # Of one name, as a share of the sum of absolute weights; with few names, twice an equal share.
    max_weight: float = ranged(0.02, low=0, high=1, above=True)
    band: float = ranged(0.0, low=0, high=10)  # a change of weight below this share of the mean weight is not traded
    cost_bps: dict[str, float] = ranged(
        {"stock": 5.0, "etf": 5.0, "crypto": 10.0}, low=0, high=1000, unit="basis points"
    )
    # In units of the as-traded price, per unit of turnover (stock and etf).
    half_cent: float = ranged(0.005, low=0, high=1)
    borrow_bps: float = ranged(50.0, low=0, high=10_000, unit="basis points a year")  # of what is short
    max_participation: float = ranged(0.05, low=0, high=1, above=True)  # of a day's traded value, for the capacity
