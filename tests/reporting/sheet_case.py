"""Invented tear sheets for tests: an instrument's and a portfolio's, of any length, with every table filled."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from src.reporting.tear_sheets.curves import (
    BookedReturns,
    day_table,
    distribution_table,
    drawdown_table,
    month_table,
    year_table,
)
from src.reporting.tear_sheets.sheet import LuckPicture, SheetFigure, TearSheet

FIRST = dt.date(2019, 1, 2)
FEATURES = ("rsi_14", "gap_1", "amihud_ratio_21", "vol_of_vol[20]", "a.b'c<d>")
NAMES = ("AAPL", "BRK/B", "CON", "<b>X</b>")


def instrument_sheet(n: int = 800, symbol: str = "SIM01", seed: int = 1, **changed: Any) -> TearSheet:
    """A sheet of one stock that passes and is champion; named attributes are replaced."""
    rng = np.random.default_rng(seed)
    booked = _booked(n, rng)
    sheet = TearSheet(
        asset_class="stock",
        symbol=symbol,
        family="lightgbm",
        record_id=f"run-{symbol}.0",
        run_key=f"run-{symbol}",
        mlflow_run_id="0123456789abcdef0123456789abcdef",
        registered_name=f"stock.{symbol}",
        verdict="Passes all four thresholds; 1 in 300 of its own circular shifts does.",
        champion=f"Version 2 of stock.{symbol} is its champion.",
        first=FIRST,
        last=booked.stamps[-1].astype("datetime64[D]").item(),
        benchmark_name="etf.SPY bought and held",
        figures=_figures(),
        **_tables(booked),
        folds=_folds(booked),
        calibration=_calibration(),
        contributions=_contributions(),
        contribution_points=_points(rng),
        contribution_note="Of the registered model, fitted again to all data, on 300 out-of-sample days.",
        luck=LuckPicture(rng.normal(0.5, 0.012, 600), rng.normal(0.3, 0.4, 600), 0.561, 1.1),
        trades=_trades(booked),
        predictions=_predictions(booked),
        conventions=("Value at risk is a loss, so positive; empyrical gives the return, which is negative.",),
    )
    return replace(sheet, **changed)


def portfolio_sheet(n: int = 800, seed: int = 2, **changed: Any) -> TearSheet:
    """A sheet of a pooled ensemble's portfolio; named attributes are replaced."""
    rng = np.random.default_rng(seed)
    booked = replace(_booked(n, rng), always_long=None, label=None, score=None)
    tables = _tables(booked)
    exposures = [pl.lit(1.6).alias("gross_exposure"), pl.lit(0.02).alias("net_exposure"), pl.lit(60).alias("names")]
    tables["days"] = tables["days"].with_columns(exposures)
    dates = tables["days"]["date"]
    ic = pl.Series(rng.normal(0.02, 0.1, dates.len()))
    groups = [
        pl.DataFrame({"date": dates, "group": k, "equity": np.cumprod(1 + rng.normal(1e-4 * k, 0.01, dates.len()))})
        for k in range(1, 6)
    ]
    sheet = instrument_sheet(
        n, asset_class="pooled", symbol="stock.neutral", family="ensemble", record_id="pooled.0", run_key="pooled",
        registered_name="pooled.stock.neutral", champion="", benchmark_name="equal weight of the day's stocks",
        calibration=_calibration().clear(), contribution_points=_points(rng).clear(), contribution_note="", luck=None,
        contributions=_contributions().with_columns(mean_absolute=None, direction=None),
        predictions=pl.DataFrame(),
        trades=pl.DataFrame({"symbol": NAMES, "days": [400, 300, 20, 5], "weight": [0.02, -0.01, 0.03, -0.02],
                             "gross": [0.05, 0.01, -0.02, -0.03]}),
        information=pl.DataFrame({"date": dates, "ic": ic, "ic_mean": ic.rolling_mean(252)}),
        score_groups=pl.concat(groups),
        **tables,
    )  # fmt: skip
    return replace(sheet, **changed)


def _booked(n: int, rng: np.random.Generator) -> BookedReturns:
    days = np.array([FIRST + dt.timedelta(days=k) for k in range(2 * n)], dtype="datetime64[D]")
    days = days[np.is_busday(days)][:n]
    change, score = rng.normal(0.0004, 0.01, n), rng.random(n)
    position = (score > 0.5) * 0.6
    turnover = np.abs(np.diff(position, prepend=0.0))
    cost = turnover * 0.0005
    gross = position * (change + 0.0006)
    return BookedReturns(
        FIRST, days, gross - cost, gross, cost, turnover, position, 252.0,
        always_long=0.6 * change, benchmark=change, label=(change > 0).astype(np.float64), score=score,
    )  # fmt: skip


def _tables(booked: BookedReturns) -> dict[str, pl.DataFrame]:
    days = day_table(booked)
    return {
        "days": days,
        "drawdowns": drawdown_table(booked),
        "months": month_table(days),
        "years": year_table(days),
        "distribution": distribution_table(days["net"].to_numpy()),
    }


def _figures() -> tuple[SheetFigure, ...]:
    return (
        SheetFigure("sharpe", 1.1, "ratio", 0.6, 0.7),
        SheetFigure("auc", 0.561, "ratio"),
        SheetFigure("accuracy", 0.534, "percent"),
        SheetFigure("max_drawdown", 0.084, "percent", 0.14, 0.31),
        SheetFigure("q_value", 0.004, "probability"),
        SheetFigure("cagr", 0.061, "percent", 0.04, 0.11),
        SheetFigure("calmar", None, "ratio"),
        SheetFigure("trades", 132, "count"),
        SheetFigure("longest_drawdown", 141, "days", 300, 500),
        SheetFigure("best_day_date", FIRST.isoformat(), "date"),
        SheetFigure("benchmark", "etf.SPY bought and held", "text"),
    )


def _folds(booked: BookedReturns) -> pl.DataFrame:
    parts = np.array_split(booked.stamps.astype("datetime64[D]"), 3)
    rows = {
        "fold": range(3), "first": [part[0].item() for part in parts], "last": [part[-1].item() for part in parts],
        "n_oos": [part.size for part in parts], "n_train": [600, 900, 1200], "auc": [0.57, 0.55, None],
        "accuracy": [0.55, 0.53, 0.52], "sharpe": [1.3, 0.9, 0.4], "max_drawdown": [0.05, 0.08, 0.06],
        "net": [0.09, 0.05, 0.01],
    }  # fmt: skip
    return pl.DataFrame(rows)


def _calibration() -> pl.DataFrame:
    predicted = np.linspace(0.42, 0.6, 10)
    rows = {"predicted": predicted, "observed": predicted + 0.01, "n": [80] * 10}
    return pl.DataFrame(rows).with_columns(low=pl.col("observed") - 0.1, high=pl.col("observed") + 0.1)


def _contributions() -> pl.DataFrame:
    count = len(FEATURES)
    rows = {
        "feature": FEATURES, "mean_absolute": np.linspace(0.2, 0.02, count), "direction": [0.9, -0.6, 0.1, None, -0.2],
        "gain": np.linspace(0.4, 0.05, count),
    }  # fmt: skip
    return pl.DataFrame(rows)


def _points(rng: np.random.Generator) -> pl.DataFrame:
    rank = rng.random(60)
    parts = [
        pl.DataFrame({"feature": name, "value_rank": rank, "contribution": rng.normal(0, 0.1, 60)}) for name in FEATURES
    ]
    return pl.concat(parts)


def _trades(booked: BookedReturns) -> pl.DataFrame:
    days = booked.stamps.astype("datetime64[D]")
    rows = {
        "entry": [days[0].item(), days[30].item(), days[-9].item()],
        "exit": [days[12].item(), days[41].item(), None], "side": ["long", "short", "long"], "bars": [12, 11, 8],
        "exposure": [0.6, -0.4, 0.55], "net": [0.021, -0.012, 0.004], "cost": [0.0006, 0.0005, 0.0003],
    }  # fmt: skip
    return pl.DataFrame(rows)


def _predictions(booked: BookedReturns) -> pl.DataFrame:
    days = booked.stamps.astype("datetime64[D]")
    columns = {
        "date": days, "stamp": days, "fold": np.minimum(np.arange(days.size) // 300, 2), "probability": booked.score,
        "label": booked.label, "position": booked.position,
    }  # fmt: skip
    return pl.DataFrame(columns)
