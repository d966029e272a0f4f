"""Sentences of a sheet: its verdict, its champion, and where its figures differ from those of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.core.instruments import POOLED
from src.reporting.formatting import counted, joined


def verdict(grade: Mapping[str, Any]) -> str:
    """Say whether a run passes, and what its evidence says.

    Parameters
    ----------
    grade : mapping
        Row of the grades.

    Returns
    -------
    str
    """
    pooled = grade.get("asset_class") == POOLED
    if grade.get("passed"):
        said = "Passes all four thresholds"
    else:
        said = f"Does not pass: {joined(list(grade.get('reasons') or ['a metric is undefined']))}"
    parts = [said]
    if (rate := grade.get("luck_rate")) is not None:
        parts.append(f"{_share(rate)} {'the draws without skill' if pooled else 'its own circular shifts'} would pass")
    if (q := grade.get("q_value")) is not None:
        parts.append(f"its q-value among all graded {'portfolios' if pooled else 'instruments'} is {_small(q)}")
    sentence = "; ".join(parts) + "."
    if grade.get("suspicious"):
        sentence += f" Flagged: {str(grade['suspicious']).rstrip('.')}."
    return sentence


def champion(name: str, version: int | None) -> str:
    """Say which version is champion; empty where none is.

    Parameters
    ----------
    name : str
        Of the registered model.
    version : int or None
    """
    return f"Version {version} of {name}, made from this run, is its champion." if version is not None else ""


def contribution_note(days: int) -> str:
    """Say which model and which days contributions are of.

    Parameters
    ----------
    days : int
        Explained out-of-sample decisions.
    """
    return (
        "Contributions are those of the stored model, which was fitted again on all data, to its scores of "
        f"{counted(days, 'out-of-sample day')} spread evenly. The graded predictions are of the models of the folds."
    )


def conventions(bars_per_year: float, *, pooled: bool) -> tuple[str, ...]:
    """State where figures follow another convention than empyrical or QuantStats.

    Parameters
    ----------
    bars_per_year : float
    pooled : bool

    Returns
    -------
    tuple of str
    """
    year = f"{bars_per_year:,.0f}"
    stated = (
        f"A year has {year} returns here; empyrical and QuantStats take 252 unless asked otherwise.",
        "Returns are simple and net of costs, days without a position included; cash earns nothing, and no risk-free "
        "rate is subtracted.",
        "Volatility and Sharpe ratio divide by n - 1; skewness and kurtosis are those of the sample, where QuantStats "
        "corrects for its size.",
        "Growth and drawdowns compound, and the starting capital counts as a peak; depths are positive, while "
        "empyrical and QuantStats give negative ones.",
        "Value at risk is the 5% quantile of the daily returns and expected shortfall the mean of those at or below "
        "it, both negative for a loss; QuantStats takes the quantile of a normal law.",
        "Alpha compounds the mean daily alpha over a year, as empyrical does; QuantStats multiplies it.",
        "The information ratio is annualised; QuantStats leaves it daily. The recovery factor compounds the total "
        "return; QuantStats adds it up.",
        "A Sharpe ratio without any trade is 0, as in the grade; empyrical and QuantStats leave it undefined.",
    )
    if pooled:
        return (*stated, "Costs include what borrowing is assumed to cost; the benchmark has no costs.")
    return (
        *stated,
        "Trades add up daily returns without compounding, so that all trades sum to all days; profit factor and payoff "
        "ratio are of trades, where QuantStats counts days.",
        "The Kelly share takes the odds of past days for known; it is an upper bound and no advice on size.",
    )


def _share(rate: float) -> str:
    if rate <= 0.0:
        return "none of"
    return f"{rate:.1%} of" if rate >= 0.001 else "fewer than 1 in 1,000 of"


def _small(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"
