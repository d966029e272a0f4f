"""All columns of a pooled run's row of grades: its scores, its portfolio, and how likely both are luck.

AUC and accuracy are over all instrument-days out of sample, of the label that is balanced within each volatility
decile of a day. A score counts as its rank among the day's names, in (0, 1); accuracy is the share of instrument-days
on which "above the day's median score" equals "went up". Sharpe ratio and drawdown are those of the net portfolio of
the neutralised scores. The gate is that of every other run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import FloatArray
from src.evaluation import metrics, significance
from src.evaluation.assessment import SCHEMA, Figures
from src.evaluation.grade import GATE_METRICS, Grade, Outcomes, Thresholds, grade
from src.evaluation.pooled.capacity import capacity
from src.evaluation.pooled.day_ranks import day_codes
from src.evaluation.pooled.evidence import among_draws, displaced, over_time
from src.evaluation.pooled.exposures import DAILY_SCHEMA, break_even_bps, by_year, constant_gross, style_exposure
from src.evaluation.pooled.graded_days import GradedDays, PooledRun
from src.evaluation.pooled.information import daily_information, decay
from src.evaluation.pooled.lateness import doubt, one_day_later
from src.evaluation.pooled.luck import Draws, draws
from src.evaluation.pooled.portfolio import TradedPortfolio
from src.evaluation.suspicion import OneBarLater

if TYPE_CHECKING:
    from src.config.schema import EligibilityConfig, GradeConfig, PortfolioConfig

POOLED_SCHEMA: dict[str, Any] = {
    **{
        name: pl.Float64
        for name in (
            "ic", "ic_t", "ic_p", "net_t", "net_p", "sharpe_low", "sharpe_high", "adjusted_p", "adjusted_t",
            "low_volatility_auc", "gross_sharpe", "cost_a_year", "borrow_a_year", "break_even_bps", "capacity", "beta",
            "volatility_exposure", "size_exposure", "gross_exposure", "net_exposure", "names", "luck_turnover",
        )
    },
    "weak": pl.Boolean,
    "instrument_days": pl.Int64,
    "prior_trials": pl.Int64,
}  # fmt: skip
"""Columns that a row of grades of a pooled run has beside those of `src.evaluation.assessment.SCHEMA`."""


@dataclass(frozen=True)
class PooledAssessment:
    """The grade of one pooled run, its portfolio and its evidence.

    Attributes
    ----------
    values : dict
        The columns of `SCHEMA` and `POOLED_SCHEMA`; undefined ones are None.
    verdict : Grade
        The verdict of the gate, with what stands against registration and promotion.
    portfolio : TradedPortfolio
        Dates, weights and returns.
    always_net : float64, shape (D,)
        Mean return of the eligible names, without costs.
    daily, by_year, decay : DataFrame
        Columns of `DAILY_SCHEMA`, `YEAR_SCHEMA` and `DECAY_SCHEMA`.
    """

    values: dict[str, Any]
    verdict: Grade
    portfolio: TradedPortfolio
    always_net: FloatArray
    daily: pl.DataFrame
    by_year: pl.DataFrame
    decay: pl.DataFrame

    def row(self) -> dict[str, Any]:
        """Return the columns of `SCHEMA` and `POOLED_SCHEMA` as plain values."""
        return dict(self.values)


def assess_pooled(
    run: PooledRun,
    portfolio: PortfolioConfig,
    eligibility: EligibilityConfig,
    gate: GradeConfig,
    *,
    trials: int,
    seed: int,
    prior_trials: int = 0,
) -> PooledAssessment:
    """Grade one pooled run's out-of-sample scores, with baselines and evidence, without fitting anything.

    Parameters
    ----------
    run, portfolio, gate : PooledRun, PortfolioConfig, GradeConfig
    eligibility : EligibilityConfig
        For its delisting return.
    trials : int
        Distinct run keys ever graded on this class's out-of-sample days, this one and prior ones included.
    seed : int
        Of the draws and of the bootstrap.
    prior_trials : int
        Those of `trials` that were made before the ledger; a column of the grades.

    Returns
    -------
    PooledAssessment
        Undefined figures are None.

    Raises
    ------
    ValueError
        Where no out-of-sample day has a score.
    """
    days = GradedDays(run, portfolio, eligibility.delisting_return)
    if not days.scored.any():
        raise ValueError(f"{run.section.asset_class}: no eligible name has a score on any out-of-sample day")
    held, neutral, limits = days.trade(run.scores), days.neutral(run.scores), Thresholds.of(gate)
    daily = _daily(days, held, daily_information(neutral, run.targets.value[run.days]))
    figures = _figures(days, held)
    drawn = draws(days, displaced(days, gate, seed), limits)
    evidence = among_draws(figures, drawn, days, held.gross, gate, seed)
    evidence |= over_time(days, held.net, daily["ic"], gate, trials, seed)
    later = one_day_later(days)
    suspicious = doubt(later, figures | evidence, gate)
    verdict = grade(figures, limits, suspicious)
    values = {
        "asset_class": "pooled",
        "symbol": f"{run.section.asset_class}.{portfolio.name}",
        **figures,
        **_portfolio_figures(days, held, daily),
        **evidence,
        "deflated_sharpe": significance.deflated_sharpe_of(active(days, held), trials),
        **_verdict_columns(verdict, later, suspicious),
        **_draw_columns(drawn, trials, gate.common_shifts),
        "prior_trials": prior_trials,
    }
    ordered = {name: values[name] for name in (*SCHEMA, *POOLED_SCHEMA)}
    yearly = by_year(daily, run.section.bars_per_year)
    return PooledAssessment(ordered, verdict, held, days.market, daily, yearly, decay(days, neutral))


def _verdict_columns(verdict: Grade, later: OneBarLater, suspicious: str | None) -> dict[str, Any]:
    return {
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        "registrable": verdict.registrable,
        "late_auc": later.late_area,
        "late_sharpe": later.late_ratio,
        "suspicious": suspicious,
    }


def _draw_columns(drawn: Draws, trials: int, common_shifts: int) -> dict[str, Any]:
    """What the draws without skill say of the run, and how they fared themselves."""
    return {
        "n_trials": trials,
        "deflated_luck_rate": drawn.deflated_luck_rate(trials),
        "shift_passes": drawn.passes(common_shifts),
        "shift_z": drawn.z_bytes(common_shifts),
    }


def _figures(days: GradedDays, held: TradedPortfolio) -> Figures:
    """What the gate reads, by the same objects as for every run."""
    label, score = days.labels_and_scores()
    outcomes = Outcomes(label, score, held.net, days.run.section.bars_per_year)
    figures: Figures = {metric.name: metric.compute(outcomes) for metric in GATE_METRICS}
    volatility = days.styles.volatility
    known = days.eligible & np.isfinite(volatility)
    return {
        **figures,
        "n_oos": held.net.size,
        "instrument_days": label.size,
        "majority_accuracy": metrics.majority_accuracy(label),
        "low_volatility_auc": days.tally(day_codes(-volatility, known), known).auc(),
    }


def _portfolio_figures(days: GradedDays, held: TradedPortfolio, daily: pl.DataFrame) -> dict[str, Any]:
    """What the portfolio was, cost and was exposed to."""
    year, dates = days.run.section.bars_per_year, days.run.section.dates[days.run.days]
    means = {
        name: daily[name].mean()
        for name in ("beta", "volatility_exposure", "size_exposure", "gross_exposure", "net_exposure", "names")
    }
    return {
        "first_oos": dates[0].astype("datetime64[D]").item(),
        "last_oos": dates[-1].astype("datetime64[D]").item(),
        **means,
        "buy_hold_sharpe": metrics.sharpe(days.market, year),
        "unsized_drawdown": metrics.max_drawdown(constant_gross(held)),
        "active_sharpe": metrics.sharpe(active(days, held), year),
        "gross_sharpe": metrics.sharpe(held.gross, year),
        "turnover": float(held.turnover.mean()) * year,
        "cost_a_year": float(held.cost.mean()) * year,
        "borrow_a_year": float(held.borrow.mean()) * year,
        "break_even_bps": break_even_bps(held),
        "capacity": capacity(held, days.run.section, days.choice),
    }


def active(days: GradedDays, held: TradedPortfolio) -> FloatArray:
    """Net returns less what their mean beta earns by holding the eligible names, shape (D,)."""
    return held.net - float(held.beta.mean()) * days.market


def _daily(days: GradedDays, held: TradedPortfolio, information: FloatArray) -> pl.DataFrame:
    """One row a day of decision; an undefined figure is null."""
    styles, eligible = days.styles, days.eligible
    columns: dict[str, Any] = {
        "date": held.dates.astype("datetime64[D]"),
        "stamp": held.stamps.astype("datetime64[D]"),
        "ic": information,
        **{name: getattr(held, name) for name in ("gross", "cost", "borrow", "net")},
        "equity": metrics.equity(held.net),
        **{name: getattr(held, name) for name in ("turnover", "gross_exposure", "net_exposure", "beta", "names")},
        "volatility_exposure": style_exposure(held.weights, styles.volatility, eligible),
        "size_exposure": style_exposure(held.weights, styles.dollar_volume, eligible),
    }
    table = pl.DataFrame({name: pl.Series(columns[name]).cast(kind) for name, kind in DAILY_SCHEMA.items()})
    return table.with_columns(pl.selectors.float().fill_nan(None))
