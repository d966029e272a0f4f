"""Recipes of the pooled scope on real stocks: chosen on the days before a date, confirmed on the days after it.

Each recipe is a session of ``src.train`` with other settings; what is fitted already is reused. Printed are, before and
after the date, the mean IC of the neutral label with its t, and the net Sharpe ratio with its t and 90% interval. Each
recipe is a trial, and the ledger of the data folder counts it.

    python -m tests.benchmarks.study_pooled --data data --universe full
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.config.compose import compose
from src.core.arrays import FloatArray
from src.core.project import ROOT
from src.evaluation.pooled.inference import newey_west
from src.evaluation.pooled.information import OVERLAPS

HELD_OUT = "2021-01-01"
RECIPES = {
    "recipe": [],
    "average of 40 days": ["portfolio.smoothing=40"],
    "label neutral_5": ["label=neutral_5"],
    "label relative_20": ["label=relative_20"],
    "LightGBM alone": ["model=lightgbm"],
    "CatBoost alone": ["model=catboost"],
    "XGBoost alone": ["model=xgboost"],
    "ridge alone": ["model=ridge"],
    "every day trained on": ["scope.train_every=1"],
    "classification": ["scope.objective=classification"],
    "quintiles": ["portfolio=quantiles"],
    "best fifth against all": ["portfolio=long_excess"],
}


@dataclass(frozen=True)
class Period:
    """Figures of some days."""

    ic: float
    ic_t: float
    sharpe: float
    t: float
    low: float
    high: float
    mean_bps: float

    def __str__(self) -> str:
        ratio = f"{self.sharpe:6.2f} ({self.low:5.2f} to {self.high:5.2f}, t {self.t:4.1f})"
        return f"IC {self.ic:7.4f} (t {self.ic_t:4.1f})  net Sharpe {ratio} {self.mean_bps:6.2f} bp a day"


def show(what: object) -> None:
    print(what, flush=True)  # noqa: T201 (a study prints its result)


def period(daily: pl.DataFrame, horizon: int) -> Period:
    """Figures of the days of a table of a portfolio."""
    net = daily["net"].to_numpy()
    years = net.size / 252.0
    ratio = float(net.mean() / net.std(ddof=1) * math.sqrt(252.0))
    error = math.sqrt((1.0 + ratio**2 / 2.0) / years)  # Lo (2002), equation 9, of independent returns
    ic = known(daily["ic"])
    mean, t = float(ic.mean()), newey_west(ic, OVERLAPS * horizon).t
    low, high = ratio - 1.645 * error, ratio + 1.645 * error
    return Period(mean, float(t or np.nan), ratio, ratio / error, low, high, float(net.mean() * 1e4))


def known(values: pl.Series) -> FloatArray:
    """Values of a column without its missing ones."""
    return values.fill_nan(None).drop_nulls().to_numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data")
    parser.add_argument("--universe", default="full")
    parser.add_argument("--asset-class", default="stock")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("words", nargs="*", help="further settings of every session, such as data.logs=...")
    given = parser.parse_args()
    from src.train import train

    shared = ["universe=full", f"universe.name={given.universe}", f"data.root={given.data}", "experiment=pooled"]
    sys.argv[1:] = []
    show(f"{given.universe}, {given.asset_class}; chosen before {HELD_OUT}, confirmed from then on; in {ROOT.name}")
    for name in given.recipes:
        config = compose([*shared, "tracking.enabled=false", *RECIPES[name], *given.words])
        train(config)
        grades = pl.read_parquet(config.paths.portfolio_grades, glob=False)
        row = grades.filter(pl.col("symbol").str.starts_with(f"{given.asset_class}.")).row(0, named=True)
        daily = pl.read_parquet(config.paths.portfolios / row["record_id"] / "daily.parquet", glob=False)
        held_out = pl.lit(HELD_OUT).str.to_date()
        for label, part in (("before", pl.col("date") < held_out), ("after", pl.col("date") >= held_out)):
            show(f"{name:24s} {label:6s} {period(daily.filter(part), config.label.horizon)}")
        whole = f"AUC {row['auc']:.4f}, accuracy {row['accuracy']:.4f}, Sharpe {row['sharpe']:.2f}"
        whole += f", drawdown {row['max_drawdown']:.3f}, break-even {row['break_even_bps']:.1f} bp"
        show(f"{name:24s} whole  {whole}, t after {row['n_trials']} trials {row['adjusted_t']:.2f}")


if __name__ == "__main__":
    main()
