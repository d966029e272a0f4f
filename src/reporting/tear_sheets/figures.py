"""Figures of a sheet in their order: those of the grade, then those of returns, risk, trades and costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.core.arrays import FloatArray
from src.reporting.tear_sheets.curves import BookedReturns
from src.reporting.tear_sheets.sheet import SheetFigure, TearSheet
from src.reporting.tear_sheets.statistics import (
    Figures,
    benchmark_figures,
    cost_figures,
    day_figures,
    defined,
    drawdown_figures,
    growth_figures,
    period_figures,
    tail_figures,
    trade_figures,
)

KINDS: dict[str, str] = {
    # the grade and its evidence
    "sharpe": "ratio", "auc": "ratio", "accuracy": "percent", "max_drawdown": "percent", "q_value": "probability",
    "luck_rate": "probability", "z": "ratio", "p_value": "probability", "sharpe_p_value": "probability",
    "deflated_sharpe": "probability", "active_sharpe": "ratio", "majority_accuracy": "percent", "late_auc": "ratio",
    "late_sharpe": "ratio", "stepdown_p": "probability", "n_trials": "count", "n_oos": "count",
    # of portfolios
    "ic": "ratio", "ic_t": "ratio", "net_t": "ratio", "adjusted_t": "ratio", "adjusted_p": "probability",
    "sharpe_low": "ratio", "sharpe_high": "ratio", "low_volatility_auc": "ratio", "break_even_bps": "ratio",
    "capacity": "count", "beta": "ratio", "volatility_exposure": "ratio", "size_exposure": "ratio",
    "gross_exposure": "percent", "net_exposure": "percent", "names": "count", "borrow_a_year": "percent",
    # growth and risk
    "annual_return": "percent", "total_return": "percent", "annual_volatility": "percent", "sortino": "ratio",
    "calmar": "ratio", "omega": "ratio", "stability": "ratio", "recovery_factor": "ratio", "ulcer_index": "percent",
    "longest_drawdown": "days", "mean_drawdown": "percent", "time_under_water": "percent", "value_at_risk": "percent",
    "expected_shortfall": "percent", "tail_ratio": "ratio", "skew": "ratio", "kurtosis": "ratio",
    "alpha": "percent", "benchmark_beta": "ratio", "benchmark_correlation": "ratio", "information_ratio": "ratio",
    "unsized_drawdown": "percent",
    # periods
    "best_day": "percent", "best_day_date": "date", "worst_day": "percent", "worst_day_date": "date",
    "best_month": "percent", "worst_month": "percent", "best_year": "percent", "worst_year": "percent",
    "winning_months": "percent", "winning_years": "percent",
    # positions, trades and costs
    "time_in_market": "percent", "exposure": "percent", "mean_position": "percent", "hit_rate": "percent",
    "trades": "count", "trade_win_rate": "percent", "mean_trade_bars": "ratio", "profit_factor": "ratio",
    "payoff_ratio": "ratio", "mean_win": "percent", "mean_loss": "percent", "best_trade": "percent",
    "worst_trade": "percent", "longest_win_streak": "count", "longest_loss_streak": "count", "kelly": "percent",
    "turnover": "ratio", "cost_a_year": "percent", "cost_drag": "percent", "gross_annual_return": "percent",
    "gross_sharpe": "ratio",
}  # fmt: skip
"""How each figure is written, in the order of a sheet."""
_GRADED = (
    "sharpe", "auc", "accuracy", "max_drawdown", "q_value", "luck_rate", "z", "p_value", "sharpe_p_value",
    "deflated_sharpe", "active_sharpe", "majority_accuracy", "late_auc", "late_sharpe", "stepdown_p", "n_trials",
    "n_oos", "unsized_drawdown",
)  # fmt: skip
_POOLED = (
    "ic", "ic_t", "net_t", "adjusted_t", "adjusted_p", "sharpe_low", "sharpe_high", "low_volatility_auc",
    "break_even_bps", "capacity", "beta", "volatility_exposure", "size_exposure", "gross_exposure", "net_exposure",
    "names", "borrow_a_year", "gross_sharpe", "cost_a_year", "turnover",
)  # fmt: skip
_OF_TRADES = ("trades", "hit_rate", "kelly", "exposure", "mean_position")


def sheet_figures(
    grade: Mapping[str, Any], booked: BookedReturns, sheet_tables: Mapping[str, Any], *, pooled: bool = False
) -> tuple[SheetFigure, ...]:
    """Compute the figures of a sheet.

    Parameters
    ----------
    grade : mapping
        Row of the grades.
    booked : BookedReturns
    sheet_tables : mapping
        days, months, years and, of one instrument, trades: tables of the sheet.
    pooled : bool
        Whether it is a portfolio's: its names are no trades, and its grade has more columns.

    Returns
    -------
    tuple of SheetFigure
        In the order of `KINDS`; undefined ones have no value.
    """
    own = _of_returns(booked.net, booked.bars_per_year)
    own |= benchmark_figures(booked.net, booked.benchmark, booked.bars_per_year)
    own |= drawdown_figures(booked)
    own |= period_figures(sheet_tables["days"], sheet_tables["months"], sheet_tables["years"])
    own |= day_figures(booked.net, booked.position) | cost_figures(booked)
    if pooled:
        own = {name: value for name, value in own.items() if name not in _OF_TRADES}
        own["time_in_market"] = defined((sheet_tables["days"]["gross_exposure"] > 0.0).mean())
    else:
        own |= trade_figures(sheet_tables["trades"])
    own |= {name: _plain(grade.get(name)) for name in (*_GRADED, *(_POOLED if pooled else ()))}
    others = [
        {} if returns is None else _of_returns(returns, booked.bars_per_year)
        for returns in (booked.always_long, booked.benchmark)
    ]
    return tuple(
        SheetFigure(name, own[name], kind, *(_number(other.get(name)) for other in others))
        for name, kind in KINDS.items()
        if name in own
    )


def figure(sheet: TearSheet, name: str) -> SheetFigure | None:
    """Look up a figure of a sheet; None where it has none of that name.

    Parameters
    ----------
    sheet : TearSheet
    name : str
    """
    return next((each for each in sheet.figures if each.name == name), None)


def _of_returns(returns: FloatArray, bars_per_year: float) -> Figures:
    return growth_figures(returns, bars_per_year) | tail_figures(returns)


def _plain(value: Any) -> float | int | str | None:
    return value if value is None or isinstance(value, int | str) else defined(value)


def _number(value: float | int | str | None) -> float | None:
    return None if value is None or isinstance(value, str) else float(value)
