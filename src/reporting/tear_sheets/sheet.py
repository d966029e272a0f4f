"""What a tear sheet shows of one run: an instrument's, or a portfolio's.

Every figure is of the out-of-sample days that were graded, net of costs where nothing else is said, and recomputed from
the stored predictions: where the recomputed grade is not the stored one there is no sheet (`read_sheets`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SheetFigure:
    """One figure of a sheet.

    Attributes
    ----------
    name : str
        Its column in the grades where it has one, else a name in snake_case that the glossary explains.
    value : float, int, str or None
        None where it is undefined.
    kind : str
        How it is written: ``ratio``, ``percent``, ``probability``, ``count``, ``days``, ``date``, ``text``.
    always_long, benchmark : float, optional
        The same of holding always, with the same sizing and costs, and of the benchmark.
    """

    name: str
    value: float | int | str | None
    kind: str
    always_long: float | None = None
    benchmark: float | None = None


@dataclass(frozen=True)
class LuckPicture:
    """AUC and Sharpe ratio of a run among its own circular shifts (`src.evaluation.shift_test`).

    Attributes
    ----------
    auc, sharpe : array of float
        Of each admissible shift.
    graded_auc, graded_sharpe : float
        Of the run as it was graded.
    """

    auc: FloatArray
    sharpe: FloatArray
    graded_auc: float
    graded_sharpe: float


@dataclass(frozen=True)
class TearSheet:
    """One run's sheet.

    Attributes
    ----------
    asset_class, symbol, family : str
        Of a portfolio: ``pooled``, such as ``stock.neutral``, and its family or ``ensemble``.
    record_id, run_key : str
    mlflow_run_id : str, optional
    registered_name : str
        Such as ``stock.AAPL``.
    verdict : str
        One plain sentence: whether it passes, and what its evidence says.
    champion : str
        A sentence on its version that is champion; empty where none is.
    first, last : date
        First and last out-of-sample decision.
    benchmark_name : str
        Such as ``stock.SPY bought and held`` or ``equal weight of the day's stocks``; empty where there is none.
    figures : tuple of SheetFigure
        The most important first.
    days : DataFrame
        date (a day on which returns are booked, also of a dataset of hours), net, gross, position (exposure of equity,
        -1 to 1; of a portfolio its net exposure), turnover, cost (of a portfolio with what borrowing costs), equity,
        always_long, benchmark (equities starting at 1; null where there is none), drawdown (0 to -1), rolling_sharpe,
        rolling_auc (one year; null before it is full); a portfolio also gross_exposure, net_exposure, names.
    drawdowns : DataFrame
        The five worst: start, bottom, end (null where not yet made good), depth (0 to 1), days (of the calendar, from
        start to end).
    months : DataFrame
        year, month, net (compounded).
    years : DataFrame
        year, net, always_long, benchmark (compounded), days.
    folds : DataFrame
        fold, first, last, n_oos, n_train, auc, accuracy, sharpe, max_drawdown, net.
    distribution : DataFrame
        Of daily net returns: from, to, days, normal (days that a normal law of the same mean and variance would give).
    calibration : DataFrame
        predicted (mean probability of the bin), observed (share that rose), n, low, high (Wilson's 95% interval); empty
        for scores that are no probabilities.
    contributions : DataFrame
        feature, mean_absolute (SHAP, log-odds), direction (rank correlation of value and contribution), gain (share of
        the gain over folds); the largest first. Without a native model, or of a portfolio, the first two are null.
    contribution_points : DataFrame
        feature, value_rank (0 to 1 among the sampled days), contribution: a sample for the summary plot of the features
        that contribute most. Empty where no native model is stored.
    contribution_note : str
        Which model and which days contributions are of; empty where there are none.
    luck : LuckPicture, optional
    trades : DataFrame
        entry, exit (null where the last day still holds it), side (``long``, ``short``), bars, exposure (mean
        position), net, cost: sums of daily fractions of the capital, so that those of all trades add up to those of all
        days. Of a portfolio the contributions of its names instead, the largest first: symbol, days, weight (mean of
        the days held, short ones negative), gross.
    predictions : DataFrame
        date (or time) of the decision, stamp, fold, probability, label (null where the outcome is zero), position;
        empty of a portfolio.
    information : DataFrame
        Of a portfolio: date, ic (rank IC), ic_mean (rolling, one year); else empty.
    score_groups : DataFrame
        Of a portfolio: date, group (1 lowest score), equity of its equal-weight names before costs; else empty.
    conventions : tuple of str
        Where a library's convention differs from that of the grade, one sentence each.
    """

    asset_class: str
    symbol: str
    family: str
    record_id: str
    run_key: str
    mlflow_run_id: str | None
    registered_name: str
    verdict: str
    champion: str
    first: dt.date
    last: dt.date
    benchmark_name: str
    figures: tuple[SheetFigure, ...]
    days: pl.DataFrame
    drawdowns: pl.DataFrame
    months: pl.DataFrame
    years: pl.DataFrame
    folds: pl.DataFrame
    distribution: pl.DataFrame
    calibration: pl.DataFrame
    contributions: pl.DataFrame
    contribution_points: pl.DataFrame
    contribution_note: str
    luck: LuckPicture | None
    trades: pl.DataFrame
    predictions: pl.DataFrame = field(default_factory=pl.DataFrame)
    information: pl.DataFrame = field(default_factory=pl.DataFrame)
    score_groups: pl.DataFrame = field(default_factory=pl.DataFrame)
    conventions: tuple[str, ...] = ()
