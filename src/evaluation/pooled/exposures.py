"""What a traded portfolio was exposed to, and what its cost allowed: figures of all days, and of each year."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.core.arrays import BoolArray, FloatArray, Matrix
from src.evaluation.metrics import sharpe
from src.evaluation.pooled.portfolio import TradedPortfolio

DAILY_SCHEMA = {
    "date": pl.Date,
    "stamp": pl.Date,
    "ic": pl.Float64,
    **{
        name: pl.Float64
        for name in (
            "gross", "cost", "borrow", "net", "equity", "turnover", "gross_exposure", "net_exposure", "beta",
            "volatility_exposure", "size_exposure",
        )
    },
    "names": pl.Int64,
}  # fmt: skip
YEAR_SCHEMA = {
    "year": pl.Int32,
    "days": pl.Int64,
    **{name: pl.Float64 for name in ("ic", "gross", "net", "sharpe", "turnover")},
}


def style_exposure(weights: Matrix, style: Matrix, eligible: BoolArray) -> FloatArray:
    """Mean rank of what is held long less that of what is held short, in the style of each day.

    Parameters
    ----------
    weights : float32, shape (D, N)
    style : float32, shape (D, N)
        Ranked among the eligible names; NaN where unknown.
    eligible : bool, shape (D, N)

    Returns
    -------
    float64, shape (D,), in [-1, 1]
        Sum of the weights times the rank in [-1, 1], over the sum of absolute weights: 1 where all that is long is the
        highest and all that is short the lowest. 0 on days without a position.
    """
    out = np.zeros(weights.shape[0])
    for day in range(weights.shape[0]):
        names = np.flatnonzero(eligible[day] & np.isfinite(style[day]))
        held = float(np.abs(weights[day]).sum())
        if names.size > 1 and held > 0.0:
            rank = np.empty(names.size)
            rank[np.argsort(style[day, names], kind="stable")] = np.linspace(-1.0, 1.0, names.size)
            out[day] = float((weights[day, names] * rank).sum()) / held
    return out


def break_even_bps(held: TradedPortfolio) -> float | None:
    """Cost of each unit traded, in basis points, at which nothing would be left.

    Parameters
    ----------
    held : TradedPortfolio

    Returns
    -------
    float or None
        (gross - borrow) / turnover; negative where it loses before costs, None where nothing was traded.
    """
    traded = float(held.turnover.sum())
    return float((held.gross - held.borrow).sum()) / traded * 1e4 if traded > 0.0 else None


def constant_gross(held: TradedPortfolio) -> FloatArray:
    """Net returns as if the sum of absolute weights had been its mean on each day that held any.

    Parameters
    ----------
    held : TradedPortfolio

    Returns
    -------
    float64, shape (D,)
    """
    size = held.gross_exposure
    return np.divide(held.net * float(size.mean()), size, out=np.zeros_like(held.net), where=size > 0.0)


def by_year(daily: pl.DataFrame, bars_per_year: float) -> pl.DataFrame:
    """Add up the daily table by the calendar year in which its returns are booked.

    Parameters
    ----------
    daily : DataFrame
        Columns of `DAILY_SCHEMA`.
    bars_per_year : float

    Returns
    -------
    DataFrame
        Columns of `YEAR_SCHEMA`: the mean IC, the sums of gross and net returns and of turnover, and the Sharpe ratio.
    """
    years = daily.with_columns(year=pl.col("stamp").dt.year()).partition_by("year", as_dict=True, maintain_order=True)
    rows = [
        {
            "year": year,
            "days": part.height,
            "ic": part["ic"].mean(),
            "gross": part["gross"].sum(),
            "net": part["net"].sum(),
            "sharpe": sharpe(part["net"].to_numpy(), bars_per_year),
            "turnover": part["turnover"].sum(),
        }
        for (year,), part in years.items()
    ]
    return pl.DataFrame(rows, schema=YEAR_SCHEMA)
