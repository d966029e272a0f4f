"""What a portfolio's stored scores and the bars give again: its grade, its returns, and those of its names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.evaluation import metrics
from src.evaluation.pooled.graded_days import GradedDays
from src.evaluation.pooled.portfolio import TradedPortfolio

if TYPE_CHECKING:
    from src.core.arrays import DateArray, FloatArray

NAMES = {"symbol": pl.String, "days": pl.Int64, "weight": pl.Float64, "gross": pl.Float64}


@dataclass(frozen=True)
class PortfolioDetail:
    """A portfolio as its scores and the bars give it.

    Attributes
    ----------
    figures : dict
        auc, accuracy, sharpe and max_drawdown, computed again.
    net, market : float64, shape (D,)
        Its net returns, and the mean return of the day's eligible names.
    stamps : datetime64, shape (D,)
        On which each is booked.
    names : DataFrame
        symbol, days, weight, gross, as the trades of `src.reporting.tear_sheets.sheet.TearSheet`.
    """

    figures: dict[str, float | None]
    net: FloatArray
    market: FloatArray
    stamps: DateArray
    names: pl.DataFrame


def portfolio_detail(days: GradedDays) -> PortfolioDetail:
    """Trade and grade the stored scores of a portfolio again.

    Parameters
    ----------
    days : GradedDays

    Returns
    -------
    PortfolioDetail
    """
    held, (label, score) = days.trade(days.run.scores), days.labels_and_scores()
    figures = {
        "auc": metrics.auc(label, score),
        "accuracy": metrics.accuracy(label, score),
        "sharpe": metrics.sharpe(held.net, days.run.section.bars_per_year),
        "max_drawdown": metrics.max_drawdown(held.net),
    }
    return PortfolioDetail(figures, held.net, days.market, held.stamps, _names(days, held))


def _names(days: GradedDays, held: TradedPortfolio) -> pl.DataFrame:
    """Sum up what each name earned before costs, without what its delisting took; the most first."""
    weights = held.weights[:, held.columns].astype(np.float64)
    earned = (weights * np.nan_to_num(days.prepared.returns)).sum(axis=0)
    active = (weights != 0).sum(axis=0)
    symbols = np.array(days.run.section.symbols, dtype=object)[held.columns]
    rows = {"symbol": symbols, "days": active, "weight": weights.sum(axis=0) / np.maximum(active, 1), "gross": earned}
    table = pl.DataFrame(rows, schema_overrides={"symbol": pl.String}).filter(pl.col("days") > 0)
    return table.cast(NAMES).sort("gross", "symbol", descending=[True, False])  # type: ignore[arg-type]
