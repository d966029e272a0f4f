"""Figures of a series of returns, computed by empyrical where it computes what its name says.

Empyrical gives volatility, Sortino, Omega and tail ratio, stability, beta, alpha, value at risk and expected shortfall.
Sharpe ratio and drawdown are the grade's own. Compounded growth is computed here: empyrical's is undefined after a loss
of all capital. What is infinite or not a number is None.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import FloatArray
from src.evaluation import metrics
from src.reporting.tear_sheets.curves import BookedReturns, drawdown_table, drawdowns

Figures = dict[str, float | int | str | None]
TAIL = 0.05
LEAST = 20
"""Fewest returns of which tails, moments and slopes are given."""


@cache
def _library() -> Any:
    import empyrical

    return empyrical


def defined(value: Any) -> float | None:
    """Give a number, or None for what is infinite or not a number.

    Parameters
    ----------
    value : float or None

    Returns
    -------
    float or None
    """
    return float(value) if value is not None and np.isfinite(value) else None


def growth_figures(returns: FloatArray, bars_per_year: float) -> Figures:
    """Compute what a series earned a year against its risk.

    Parameters
    ----------
    returns : float64, shape (n,)
        Simple returns, one a bar.
    bars_per_year : float

    Returns
    -------
    dict
        total_return, annual_return, annual_volatility, sharpe, max_drawdown, sortino, calmar, omega, stability,
        ulcer_index, recovery_factor; None where undefined. The stability of a series that earns nothing is undefined.
    """
    library, year = _library(), bars_per_year
    with np.errstate(all="ignore"):
        sortino = library.sortino_ratio(returns, annualization=year)
        omega = library.omega_ratio(returns, annualization=1)
        moves = returns.size > 1 and bool(np.ptp(returns) > 0.0) and bool((returns > -1.0).all())
        stability = library.stability_of_timeseries(returns) if moves else None
        volatility = library.annual_volatility(returns, annualization=year)
    total = float(metrics.equity(returns)[-1]) - 1.0 if returns.size else None
    annual = None if total is None else (1.0 + total) ** (year / returns.size) - 1.0
    deepest = metrics.max_drawdown(returns)
    fall = drawdowns(metrics.equity(returns))
    return {
        "total_return": total,
        "annual_return": defined(annual),
        "annual_volatility": defined(volatility),
        "sharpe": metrics.sharpe(returns, year),
        "max_drawdown": deepest,
        "sortino": defined(sortino) if returns.any() else None,
        "calmar": annual / deepest if annual is not None and deepest else None,
        "omega": defined(omega),
        "stability": defined(stability),
        "ulcer_index": float(np.sqrt(np.mean(fall**2))) if fall.size else None,
        "recovery_factor": total / deepest if total is not None and deepest else None,
    }


def tail_figures(returns: FloatArray) -> Figures:
    """Compute the shape of a distribution of daily returns and its tails.

    Parameters
    ----------
    returns : float64, shape (n,)

    Returns
    -------
    dict
        skew, kurtosis (excess; both of the sample, uncorrected), value_at_risk (the 5% quantile, so negative),
        expected_shortfall (mean of what is at or below it), tail_ratio, best_day, worst_day; None where undefined.
    """
    from scipy import stats

    library, varies = _library(), returns.size >= LEAST and bool(np.ptp(returns) > 0.0)
    shape = {"skew": stats.skew, "kurtosis": stats.kurtosis, "tail_ratio": library.tail_ratio}
    with np.errstate(all="ignore"):
        values: Figures = {name: defined(compute(returns)) if varies else None for name, compute in shape.items()}
        tails: dict[str, Callable[..., Any]] = {
            "value_at_risk": library.value_at_risk,
            "expected_shortfall": library.conditional_value_at_risk,
        }
        enough = returns.size >= LEAST
        values |= {name: defined(tail(returns, TAIL)) if enough else None for name, tail in tails.items()}
    values["best_day"] = float(returns.max()) if returns.size else None
    values["worst_day"] = float(returns.min()) if returns.size else None
    return values


def benchmark_figures(returns: FloatArray, benchmark: FloatArray | None, bars_per_year: float) -> Figures:
    """Compare a series with a benchmark of the same days.

    Parameters
    ----------
    returns, benchmark : float64, shape (n,)
        None without a benchmark.
    bars_per_year : float

    Returns
    -------
    dict
        alpha (a year, compounded from the mean of a day, as empyrical has it), benchmark_beta, benchmark_correlation,
        information_ratio (Sharpe ratio of the difference); None where undefined.
    """
    names = ("alpha", "benchmark_beta", "benchmark_correlation", "information_ratio")
    if benchmark is None or returns.size < LEAST or not np.ptp(benchmark) > 0.0:
        return dict.fromkeys(names)
    library, varies = _library(), bool(np.ptp(returns) > 0.0)
    with np.errstate(all="ignore"):
        slope = library.beta_aligned(returns, benchmark)
        values = (
            library.alpha_aligned(returns, benchmark, annualization=bars_per_year, _beta=slope),
            slope,
            np.corrcoef(returns, benchmark)[0, 1] if varies else None,
            metrics.sharpe(returns - benchmark, bars_per_year),
        )
    return {name: defined(value) for name, value in zip(names, values, strict=True)}


def drawdown_figures(booked: BookedReturns) -> Figures:
    """Compute how long and how often equity stays below its peak.

    Parameters
    ----------
    booked : BookedReturns

    Returns
    -------
    dict
        longest_drawdown (days of the calendar), mean_drawdown (depth), time_under_water (share of the bars).
    """
    every = drawdown_table(booked, most=None)
    under = drawdowns(metrics.equity(booked.net)) < 0.0
    return {
        "longest_drawdown": max(every["days"].to_list(), default=0),
        "mean_drawdown": defined(every["depth"].mean()),
        "time_under_water": float(under.mean()) if under.size else None,
    }


def period_figures(days: pl.DataFrame, months: pl.DataFrame, years: pl.DataFrame) -> Figures:
    """Compute the best and the worst day, month and year, and how many of each earned.

    Parameters
    ----------
    days, months, years : DataFrame
        As `src.reporting.tear_sheets.curves` makes them.

    Returns
    -------
    dict
        Of days the dates, of months and years also the returns; winning_months and winning_years, shares.
    """
    values: Figures = {}
    for end, descending in (("best", True), ("worst", False)):
        day = days.sort("net", "date", descending=[descending, False]).head(1)
        values[f"{end}_day_date"] = _iso(day["date"])
        for name, table in (("month", months), ("year", years)):
            values[f"{end}_{name}"] = defined(table["net"].max() if descending else table["net"].min())
    for name, table in (("months", months), ("years", years)):
        values[f"winning_{name}"] = defined((table["net"] > 0.0).mean())
    return values


def _iso(dates: pl.Series) -> str | None:
    return dates[0].isoformat() if dates.len() and isinstance(dates[0], dt.date) else None


def day_figures(net: FloatArray, position: FloatArray) -> Figures:
    """Compute how often and how much days with a position earn.

    Parameters
    ----------
    net, position : float64, shape (n,)

    Returns
    -------
    dict
        time_in_market, exposure (mean absolute position), mean_position; of the days with a position hit_rate and
        kelly: the share of capital that a bet with this hit rate and these mean gains and losses would call for.
    """
    held = net[position != 0.0]
    gains, losses = held[held > 0.0], held[held < 0.0]
    hit, payoff = (gains.size / held.size if held.size else None), None
    if gains.size and losses.size:
        payoff = float(gains.mean() / -losses.mean())
    return {
        "time_in_market": held.size / net.size if net.size else None,
        "exposure": float(np.abs(position).mean()) if net.size else None,
        "mean_position": float(position.mean()) if net.size else None,
        "hit_rate": hit,
        "kelly": None if payoff is None or hit is None else hit - (1.0 - hit) / payoff,
    }


def trade_figures(trades: pl.DataFrame) -> Figures:
    """Compute how often and how much trades earn, net of their costs.

    Parameters
    ----------
    trades : DataFrame
        As `src.reporting.tear_sheets.trades.trade_table` makes them.

    Returns
    -------
    dict
        trades, trade_win_rate, mean_win, mean_loss (negative), payoff_ratio, profit_factor, mean_trade_bars,
        best_trade, worst_trade, longest_win_streak, longest_loss_streak; None where undefined.
    """
    net = trades["net"].to_numpy() if trades.height else np.zeros(0)
    wins, losses = net[net > 0.0], net[net < 0.0]
    both = bool(wins.size and losses.size)
    return {
        "trades": net.size,
        "trade_win_rate": wins.size / net.size if net.size else None,
        "mean_win": float(wins.mean()) if wins.size else None,
        "mean_loss": float(losses.mean()) if losses.size else None,
        "payoff_ratio": float(wins.mean() / -losses.mean()) if both else None,
        "profit_factor": float(wins.sum() / -losses.sum()) if losses.size else None,
        "mean_trade_bars": defined(trades["bars"].mean()) if net.size else None,
        "best_trade": float(net.max()) if net.size else None,
        "worst_trade": float(net.min()) if net.size else None,
        "longest_win_streak": _streak(net > 0.0),
        "longest_loss_streak": _streak(net < 0.0),
    }


def _streak(flags: Any) -> int:
    ends = np.flatnonzero(np.concatenate(([True], ~flags, [True])))
    return int(np.diff(ends).max() - 1)


def cost_figures(booked: BookedReturns) -> Figures:
    """Compute what trading costs a year, and what is left of the growth.

    Parameters
    ----------
    booked : BookedReturns

    Returns
    -------
    dict
        turnover and cost_a_year (sums of a mean year), gross_annual_return, cost_drag (what costs take from the annual
        return).
    """
    year = booked.bars_per_year
    gross, net = (growth(returns, year) for returns in (booked.gross, booked.net))
    return {
        "turnover": float(booked.turnover.mean()) * year if booked.net.size else None,
        "cost_a_year": float(booked.cost.mean()) * year if booked.net.size else None,
        "gross_annual_return": gross,
        "cost_drag": None if gross is None or net is None else gross - net,
    }


def growth(returns: FloatArray, bars_per_year: float) -> float | None:
    """Compounded growth a year; None without a return.

    Parameters
    ----------
    returns : float64, shape (n,)
    bars_per_year : float
    """
    if not returns.size:
        return None
    return defined(float(metrics.equity(returns)[-1]) ** (bars_per_year / returns.size) - 1.0)
