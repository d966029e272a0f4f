"""Curves and tables of a series of returns: days, drawdowns, months, years, and the distribution."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray, IntArray
from src.evaluation import metrics
from src.reporting.tear_sheets.rolling import rolling_auc, rolling_sharpe

WORST = 5
"""Drawdowns of a sheet."""
_BINS = 40
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
DRAWDOWN_SCHEMA = {"start": pl.Date, "bottom": pl.Date, "end": pl.Date, "depth": pl.Float64, "days": pl.Int64}


@dataclass(frozen=True)
class BookedReturns:
    """What a run held and earned, one row a decision.

    Attributes
    ----------
    begin : date
        Day of the first decision, on which equities are 1.
    stamps : datetime64, shape (n,)
        When each return is booked, ascending.
    net, gross, cost, turnover, position : float64, shape (n,)
        Fractions of the capital.
    bars_per_year : float
    always_long, benchmark : float64, shape (n,), or None
        Returns of holding always, and of the benchmark, on the same days.
    label, score : float64, shape (n,), or None
        Outcomes in {0, 1, NaN} and scores, where the run predicts one instrument.
    """

    begin: dt.date
    stamps: DateArray
    net: FloatArray
    gross: FloatArray
    cost: FloatArray
    turnover: FloatArray
    position: FloatArray
    bars_per_year: float
    always_long: FloatArray | None = None
    benchmark: FloatArray | None = None
    label: FloatArray | None = None
    score: FloatArray | None = None

    @property
    def day_ends(self) -> IntArray:
        """Row of the last return of each day."""
        days = self.stamps.astype("datetime64[D]")
        ends: IntArray = np.flatnonzero(np.append(days[1:] != days[:-1], True)).astype(np.int64)
        return ends

    @property
    def year(self) -> int:
        """Returns of one year."""
        return max(2, round(self.bars_per_year))


def day_table(booked: BookedReturns) -> pl.DataFrame:
    """Make the table of days, see `src.reporting.tear_sheets.sheet.TearSheet.days`.

    Parameters
    ----------
    booked : BookedReturns

    Returns
    -------
    DataFrame
        One row for each day with a return. Of several returns a day, net and gross are compounded, cost and turnover
        added up, positions averaged; the drawdown is the day's deepest.
    """
    ends = booked.day_ends
    starts = np.append(0, ends[:-1] + 1)
    equity = metrics.equity(booked.net)
    sums = {name: np.add.reduceat(getattr(booked, name), starts) for name in ("turnover", "cost", "position")}
    columns = {
        "date": booked.stamps[ends].astype("datetime64[D]"),
        "net": _compounded(booked.net, starts, ends),
        "gross": _compounded(booked.gross, starts, ends),
        "position": sums["position"] / (ends - starts + 1),
        "turnover": sums["turnover"],
        "cost": sums["cost"],
        "equity": equity[ends],
        "always_long": _curve(booked.always_long, ends),
        "benchmark": _curve(booked.benchmark, ends),
        "drawdown": np.minimum.reduceat(drawdowns(equity), starts),
        "rolling_sharpe": rolling_sharpe(booked.net, booked.year, booked.bars_per_year, ends),
        "rolling_auc": np.full(ends.size, np.nan),
    }
    if booked.label is not None and booked.score is not None:
        columns["rolling_auc"] = rolling_auc(booked.label, booked.score, booked.year)[ends]
    return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))


def _compounded(returns: FloatArray, starts: IntArray, ends: IntArray) -> FloatArray:
    if ends.size == returns.size:
        return returns
    grown: FloatArray = np.multiply.reduceat(np.maximum(1.0 + returns, 0.0), starts) - 1.0
    return grown


def _curve(returns: FloatArray | None, ends: IntArray) -> FloatArray:
    return np.full(ends.size, np.nan) if returns is None else metrics.equity(returns)[ends]


def drawdowns(equity: FloatArray) -> FloatArray:
    """Fall below the highest equity so far, the starting capital of 1 included.

    Parameters
    ----------
    equity : float64, shape (n,)

    Returns
    -------
    float64, shape (n,), in [-1, 0]
    """
    fall: FloatArray = equity / np.maximum(np.maximum.accumulate(equity), 1.0) - 1.0
    return fall


def drawdown_table(booked: BookedReturns, most: int | None = WORST) -> pl.DataFrame:
    """List the deepest drawdowns, each from its peak until the peak is reached again.

    Parameters
    ----------
    booked : BookedReturns
    most : int or None
        How many; None for all, in their order.

    Returns
    -------
    DataFrame
        Columns of `DRAWDOWN_SCHEMA`, the deepest first. One that is not made good has no end, and its days are counted
        up to the last.
    """
    fall = drawdowns(metrics.equity(booked.net))
    under = np.concatenate(([False], fall < 0.0, [False]))
    starts, ends = np.flatnonzero(~under[:-1] & under[1:]), np.flatnonzero(under[:-1] & ~under[1:])
    days = [booked.begin, *booked.stamps.astype("datetime64[D]").tolist()]  # day 0 has the capital of 1
    rows = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        bottom = start + int(np.argmin(fall[start:end]))
        done = end < fall.size
        last = days[end + 1] if done else days[-1]
        rows.append((days[start], days[bottom + 1], last if done else None, -fall[bottom], (last - days[start]).days))
    table = pl.DataFrame(rows, schema=DRAWDOWN_SCHEMA, orient="row")
    return table if most is None else table.sort("depth", "start", descending=[True, False]).head(most)


def month_table(days: pl.DataFrame) -> pl.DataFrame:
    """Compound the net returns of each month.

    Parameters
    ----------
    days : DataFrame
        From `day_table`.

    Returns
    -------
    DataFrame
        year, month, net: one row for each month with a day.
    """
    dates = days.select(year=pl.col("date").dt.year(), month=pl.col("date").dt.month().cast(pl.Int32), net="net")
    return dates.group_by("year", "month", maintain_order=True).agg(net=_growth("net"))


def year_table(days: pl.DataFrame) -> pl.DataFrame:
    """Compound the returns of each year: net, of holding always and of the benchmark.

    Parameters
    ----------
    days : DataFrame
        From `day_table`.

    Returns
    -------
    DataFrame
        year, net, always_long, benchmark (null where there is none), days.
    """
    others = ("always_long", "benchmark")
    levels = [pl.col(name).last().alias(name) for name in others]
    ends = days.group_by(pl.col("date").dt.year().alias("year"), maintain_order=True)
    table = ends.agg(_growth("net").alias("net"), *levels, days=pl.len().cast(pl.Int64))
    before = [pl.col(name).shift(1, fill_value=1.0) for name in others]
    return table.with_columns(
        [pl.when(old > 0).then(pl.col(name) / old - 1.0).alias(name) for name, old in zip(others, before, strict=True)]
    )


def _growth(name: str) -> pl.Expr:
    return (1.0 + pl.col(name)).clip(lower_bound=0.0).product() - 1.0


def distribution_table(returns: FloatArray) -> pl.DataFrame:
    """Count returns in bins of an even width, beside a normal law of the same mean and variance.

    Parameters
    ----------
    returns : float64, shape (n,)

    Returns
    -------
    DataFrame
        from, to, days, normal (the days that the law gives a bin; its tails beyond the last bins are not shown).
        Edges are multiples of a round width, zero among them. Empty where all returns are equal.
    """
    from scipy.special import ndtr

    schema = {"from": pl.Float64, "to": pl.Float64, "days": pl.Int64, "normal": pl.Float64}
    if returns.size < 2 or not np.ptp(returns) > 0.0:
        return pl.DataFrame(schema=schema)
    width = _round_width(float(np.ptp(returns)) / _BINS)
    first, last = np.floor(returns.min() / width), np.floor(returns.max() / width) + 1
    bins = np.clip(np.floor(returns / width) - first, 0, last - first - 1).astype(np.int64)
    edges = np.arange(first, last + 1) * width
    share = np.diff(ndtr((edges - returns.mean()) / returns.std(ddof=1)))
    counts = np.bincount(bins, minlength=edges.size - 1)
    columns = {"from": edges[:-1], "to": edges[1:], "days": counts, "normal": share * returns.size}
    return pl.DataFrame(columns).cast(schema)  # type: ignore[arg-type]


def _round_width(width: float) -> float:
    power = 10.0 ** np.floor(np.log10(width))
    return float(next(step for step in _STEPS if step * power >= width * (1 - 1e-12)) * power)
