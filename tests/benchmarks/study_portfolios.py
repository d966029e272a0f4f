"""What the settings of a portfolio change, with simple scores on real bars: signals averaged, bands, kinds.

The scores are fitted to nothing: momentum over 250 sessions, reversal over 5, momentum less the return over 20, and low
volatility. Their returns say nothing of any model; differences between settings, and costs, are what is looked at.

    python -m tests.benchmarks.study_portfolios bars.parquet
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from src.config.schema import EligibilityConfig, PortfolioConfig
from src.core.arrays import FloatArray, Matrix
from src.evaluation.pooled.capacity import capacity
from src.evaluation.pooled.portfolio import TradedPortfolio, trade
from src.evaluation.pooled.prepared import prepare
from tests.benchmarks.study_pooled_nulls import Bench, bench, from_parquet

NEUTRAL = PortfolioConfig()
UNHEDGED = replace(NEUTRAL, beta_hedged=False)
SETTINGS = {
    "neutral": NEUTRAL,
    "signals of every day": replace(NEUTRAL, signal_every=1),
    "signals of 40 days": replace(NEUTRAL, smoothing=40),
    "traded every day": replace(NEUTRAL, trade_every=1, signal_every=1),
    "band of half a weight": replace(NEUTRAL, band=0.5),
    "band of a weight": replace(NEUTRAL, band=1.0),
    "quantiles": replace(UNHEDGED, kind="quantiles"),
    "quantiles of raw scores": replace(UNHEDGED, kind="quantiles", neutralised=False),
    "long_excess": replace(UNHEDGED, kind="long_excess"),
}


def scores(of: Bench) -> dict[str, Matrix]:
    """Scores that nothing was fitted to, by name."""
    week, month, _, year = of.features[:4]
    volatility = np.where(np.isfinite(of.styles.volatility), of.styles.volatility, np.float32(np.nan))
    return {"momentum": year, "reversal": -week, "momentum less month": year - month, "low volatility": -volatility}


def annual_sharpe(returns: FloatArray) -> float:
    """Mean over standard deviation, a year."""
    spread = float(returns.std(ddof=1))
    return float(returns.mean()) / spread * 252**0.5 if spread > 0 else 0.0


def described(out: TradedPortfolio, of: Bench, choice: PortfolioConfig) -> str:
    """One line of a portfolio's figures."""
    held, room = out.gross_exposure > 0, capacity(out, of.section, choice) or 0.0
    figures = {
        "gross Sharpe": f"{annual_sharpe(out.gross):.2f}",
        "net Sharpe": f"{annual_sharpe(out.net):.2f}",
        "net bp a day": f"{out.net.mean() * 1e4:.2f}",
        "turnover a year": f"{out.turnover.mean() * 252:.1f}",
        "cost in bp": f"{1e4 * out.cost.sum() / out.turnover.sum():.1f}",
        "exposure": f"{out.gross_exposure[held].mean():.2f}",
        "mean beta": f"{np.abs(out.beta).mean():.3f}",
        "capacity": f"{room / 1e6:.0f}M",
    }
    return ", ".join(f"{name} {value}" for name, value in figures.items())


def difference(one: TradedPortfolio, other: TradedPortfolio) -> str:
    """How alike two portfolios are: positions, returns, and the mean difference in bp a day with its standard error."""
    away = (one.net - other.net) * 1e4
    alike = np.corrcoef(one.weights[200::50].ravel(), other.weights[200::50].ravel())[0, 1]
    returns = np.corrcoef(one.net, other.net)[0, 1]
    error = away.std(ddof=1) / away.size**0.5
    return f"positions {alike:.3f}, returns {returns:.3f}, difference {away.mean():.2f} +- {error:.2f} bp a day"


def main() -> None:
    """Print a line a setting for each score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bars", type=Path)
    of = bench(from_parquet(parser.parse_args().bars), EligibilityConfig())
    print(f"{of.shape[1]} stocks, {of.shape[0]} days from {of.section.dates[of.days.start]}")  # noqa: T201
    for name, score in scores(of).items():
        made = {}
        for setting, choice in SETTINGS.items():
            prepared = prepare(of.days, of.section, of.eligible, of.styles, choice, -0.3)
            made[setting] = trade(prepared, score)
            print(f"{name}, {setting}: {described(made[setting], of, choice)}", flush=True)  # noqa: T201
        alike = difference(made["neutral"], made["signals of every day"])
        print(f"{name}, signals of every fifth day against every day: {alike}")  # noqa: T201


if __name__ == "__main__":
    main()
