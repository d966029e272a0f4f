"""Try settings of a pooled model: its walk-forward inside the window, and the net return of the portfolio it makes."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src.evaluation import metrics
from src.evaluation.pooled.portfolio import trade
from src.evaluation.pooled.prepared import Prepared
from src.models.registry import pooled_family
from src.tuning.pooled_market import PooledMarket

if TYPE_CHECKING:
    from src.config.schema import ModelConfig, ScopeConfig
    from src.core.arrays import FloatArray, IntArray, Matrix


@dataclass(frozen=True)
class Traded:
    """What the portfolio of one half of the names earned.

    Attributes
    ----------
    net : float64, shape (D,)
        Simple returns a day, net of costs.
    sharpe : float
        Annualised; 0 where nothing was traded.
    cpu_seconds : float
        CPU seconds of fits and scores.
    """

    net: FloatArray
    sharpe: float
    cpu_seconds: float


def pooled_settings(model: ModelConfig) -> Any:
    """Return a family's settings for the pooled scope."""
    return model.params if model.pooled is None else model.pooled


def pooled_trial(
    market: PooledMarket, half: Prepared, model: ModelConfig, params: dict[str, Any], scope: ScopeConfig, seed: int
) -> Traded:
    """Fit each fold to all names, and trade the scores of one half of them.

    Parameters
    ----------
    market : PooledMarket
        What may be read.
    half : Prepared
        Its half that searches, or the one that confirms.
    model : ModelConfig
        Family and device.
    params : dict
        Settings by name.
    scope : ScopeConfig
        What the model is fitted to.
    seed : int
        Seed of the fits.

    Returns
    -------
    Traded
    """
    library, started = pooled_family(model.family), time.process_time()
    settings = dataclasses.replace(pooled_settings(model), **params)
    outcome = market.targets.value if scope.objective == "regression" else market.targets.up
    columns, categories = list(market.ranks.columns), market.ranks.categories
    scores = np.full(market.shape, np.nan, dtype=np.float32)
    needed = _signal_days(half)
    for fold in market.folds:
        rows = market.ranks.days(fold.train)
        y = _of_rows(market, outcome, rows, fold.train)
        known = np.isfinite(y)
        x = market.ranks.read(rows[known])
        fitted = library.fit_pooled(
            x, y[known], settings, seed, columns, objective=scope.objective, categories=categories, device=model.device
        )
        scored = needed[(needed >= fold.score.start) & (needed < fold.score.stop)]
        rows = market.ranks.days(scored)
        scores[_day_of(market, scored), market.ranks.names[rows]] = library.score(fitted, market.ranks.read(rows))
    cpu_seconds = time.process_time() - started
    net = trade(half, scores[market.days]).net
    return Traded(net, metrics.sharpe(net, half.bars_per_year) or 0.0, cpu_seconds)


def _signal_days(half: Prepared) -> IntArray:
    """Rows of the cross-section whose scores the portfolio looks at."""
    rows: IntArray = np.array(sorted(day.row for day in half.signal_days), dtype=np.int64) + half.days.start
    return rows


def _of_rows(market: PooledMarket, table: Matrix, rows: IntArray, days: IntArray) -> Matrix:
    """Values of a table of days by names in the rows of the ranks."""
    values: Matrix = table[_day_of(market, days), market.ranks.names[rows]]
    return values


def _day_of(market: PooledMarket, days: IntArray) -> IntArray:
    """The day of each of the rows of some days."""
    of_rows: IntArray = np.repeat(days, np.diff(market.ranks.offsets)[days])
    return of_rows
