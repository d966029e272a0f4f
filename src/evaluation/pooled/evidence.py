"""How likely a pooled run's figures are luck: among draws of displaced scores, over time, and after all trials.

Draws know how scores like these are graded by chance, costs and thresholds included, but they spread over all names
what is a bet on an industry: the AUCs of such scores vary more than those of their draws, and their portfolios risk
more for the same costs, so that draws have the lower Sharpe ratios. Time series of the daily AUC, of the IC and of
returns hold such bets as they were. The p-values of the AUC and of the Sharpe ratio are the larger of both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import FloatArray
from src.evaluation import significance
from src.evaluation.assessment import Figures
from src.evaluation.pooled.displacement import Displacement, displacements
from src.evaluation.pooled.graded_days import GradedDays
from src.evaluation.pooled.inference import WEAK, after_trials, newey_west, stationary_bootstrap
from src.evaluation.pooled.information import OVERLAPS
from src.evaluation.pooled.luck import Draws

if TYPE_CHECKING:
    from src.config.schema import GradeConfig


def displaced(days: GradedDays, gate: GradeConfig, seed: int) -> list[Displacement]:
    """Draw the displacements that a run is compared with.

    Parameters
    ----------
    days : GradedDays
    gate : GradeConfig
        Its `common_shifts` and `exclude_lags`.
    seed : int

    Returns
    -------
    list of Displacement
    """
    return displacements(
        gate.common_shifts,
        days.styles.volatility,
        days.scored,
        horizon=block_days(days),
        exclude=gate.exclude_lags,
        bars_per_year=days.run.section.bars_per_year,
        seed=seed,
    )


def among_draws(
    figures: Figures, drawn: Draws, days: GradedDays, gross: FloatArray, gate: GradeConfig, seed: int
) -> Figures:
    """Luck rate, z-score of the AUC, and p-values of AUC and Sharpe ratio.

    Parameters
    ----------
    figures : dict
        auc, sharpe and n_oos of the run.
    drawn : Draws
    days : GradedDays
    gross : float64, shape (D,)
        Returns of the portfolio before costs: without skill, their mean is zero.
    gate : GradeConfig
        Both p-values are 1 below its `min_oos` days.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        Columns of the grades. ``p_value`` is the larger of the AUC's tail among the draws and of the tail of the mean
        daily AUC over a half, by Newey and West. ``sharpe_p_value`` is the larger of the Sharpe ratio's tail among the
        draws and of the tail of the mean gross return over zero, by the block bootstrap.
    """
    z = significance.z_score(figures["auc"], drawn.auc)
    ratio_z = significance.z_score(figures["sharpe"], drawn.sharpe)
    in_time = newey_west(days.daily_excess(days.codes, days.scored), OVERLAPS * days.run.targets.horizon)
    earned = stationary_bootstrap(gross, block_days(days), days.run.section.bars_per_year, seed)
    enough = (figures["n_oos"] or 0) >= gate.min_oos
    return {
        "luck_rate": drawn.luck_rate,
        "luck_turnover": float(drawn.turnover.mean()) if drawn.turnover.size else None,
        "z": z,
        "p_value": max(significance.p_value(z, drawn.auc), in_time.p) if enough else 1.0,
        "sharpe_p_value": max(significance.p_value(ratio_z, drawn.sharpe), earned.p) if enough else 1.0,
        "q_value": None,
    }


def over_time(
    days: GradedDays, net: FloatArray, information: pl.Series, gate: GradeConfig, trials: int, seed: int
) -> dict[str, Any]:
    """How sure the mean IC and the mean net return are, and what is left of the latter after the trials.

    Parameters
    ----------
    days : GradedDays
    net : float64, shape (D,)
    information : Series, length D
        IC of each day; null where undefined.
    gate : GradeConfig
        P-values are 1 below its `min_oos` days.
    trials, seed : int

    Returns
    -------
    dict
        Columns of the grades.
    """
    horizon, year = days.run.targets.horizon, days.run.section.bars_per_year
    coefficient = newey_west(information.fill_null(np.nan).to_numpy(), OVERLAPS * horizon)
    returns = stationary_bootstrap(net, block_days(days), year, seed)
    enough = net.size >= gate.min_oos
    net_p = returns.p if enough else 1.0
    adjusted_p, adjusted_t = after_trials(net_p, trials)
    return {
        "ic": coefficient.mean,
        "ic_t": coefficient.t,
        "ic_p": coefficient.p if enough else 1.0,
        "net_t": returns.t,
        "net_p": net_p,
        "sharpe_low": returns.sharpe_low,
        "sharpe_high": returns.sharpe_high,
        "adjusted_p": adjusted_p,
        "adjusted_t": adjusted_t,
        "weak": adjusted_t < WEAK,
    }


def block_days(days: GradedDays) -> int:
    """Days that a resampled block has on average: the horizon, or the days of a position's signals where longer."""
    return max(days.run.targets.horizon, days.choice.smoothing)
