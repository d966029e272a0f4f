"""The sheet of a run on bars of an hour, long and short, without a dataset."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from src.config.schema import GradeConfig, LabelConfig, StrategyConfig
from src.evaluation import labels, metrics
from src.evaluation.strategy import trading_conditions
from src.reporting.tear_sheets.explained import FittedRun
from src.reporting.tear_sheets.figures import figure
from src.reporting.tear_sheets.instrument_sheets import SheetIdentity, TradedRun, instrument_sheet
from src.reporting.tear_sheets.sheet import TearSheet
from src.signals.own_decisions import GradedRun
from src.training.walk_forward import bars_per_year

DAYS = 200


@pytest.fixture(scope="module")
def traded() -> TradedRun:
    """A coin with six bars a day, predicted from the 301st on."""
    rng, n = np.random.default_rng(9), 6 * DAYS
    times = np.datetime64("2023-01-01T00", "us") + np.arange(n) * np.timedelta64(4, "h")
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, n)))
    opened = np.concatenate(([100.0], close[:-1]))
    prices = {"open": opened, "high": close.clip(opened) * 1.001, "low": np.minimum(opened, close) * 0.999}
    bars = pl.DataFrame({"date": times, **prices, "close": close}).with_columns(
        pl.col("date").dt.replace_time_zone("UTC"), asset_class=pl.lit("crypto"), symbol=pl.lit("A/b-USD"),
        volume=pl.lit(1e6), factor=pl.lit(1.0), split=pl.lit(1.0), repaired=pl.lit(False),
    )  # fmt: skip
    label, strategy = LabelConfig(horizon=3), StrategyConfig(short=True)
    decisions = labels.decisions(bars, label, None, bars_per_year(bars, "crypto"))
    positions = np.arange(300, n - 2)
    run = GradedRun(
        "run.0", ("crypto", "A/b-USD"), decisions, decisions, positions, rng.random(positions.size), strategy,
        GradeConfig(), label, trading_conditions(positions, decisions, strategy), (positions - 300) // 400,
    )  # fmt: skip
    return TradedRun.of(run, None)


@pytest.fixture(scope="module")
def sheet(traded: TradedRun) -> TearSheet:
    row = {"asset_class": "crypto", "symbol": "A/b-USD", "family": "ridge", "record_id": "run.0", "run_key": "run",
           "first_oos": dt.date(2023, 2, 20), "last_oos": dt.date(2023, 7, 19), "passed": True}  # fmt: skip
    identity = SheetIdentity(row, "crypto.A%2Fb-USD-4h", None)
    fitted = FittedRun("ridge", "run", ["a", "b"], np.array([0.3, 0.7]), {"split": {"embargo": 5}}, None)
    return instrument_sheet(traded, identity, fitted, "", None)


def test_days_of_a_dataset_of_hours_hold_all_their_bars(traded: TradedRun, sheet: TearSheet) -> None:
    net = traded.earned.net
    assert sheet.days["date"].is_sorted() and sheet.days["date"].n_unique() == sheet.days.height == 150
    assert sheet.days["equity"][-1] == pytest.approx(metrics.equity(net)[-1])
    assert sheet.days["drawdown"].min() == pytest.approx(-metrics.max_drawdown(net))
    assert figure(sheet, "annual_volatility").value == pytest.approx(net.std(ddof=1) * np.sqrt(365 * 6))
    assert sheet.conventions[0].startswith("A year has 2,190 returns")
    assert sheet.days["rolling_sharpe"].null_count() == sheet.days.height  # less than a year
    assert sheet.predictions["date"].dtype == pl.Datetime("us") and sheet.predictions.height == net.size


def test_long_and_short_trades_over_several_bars_add_up(traded: TradedRun, sheet: TearSheet) -> None:
    assert set(sheet.trades["side"]) == {"long", "short"}
    assert sheet.trades["net"].sum() == pytest.approx(traded.earned.net.sum(), abs=1e-12)
    assert sheet.trades["cost"].sum() == pytest.approx(traded.earned.cost.sum(), abs=1e-12)
    assert (sheet.trades["exposure"] < 0).to_list() == (sheet.trades["side"] == "short").to_list()


def test_folds_and_importances_are_of_the_run(sheet: TearSheet) -> None:
    assert sheet.folds["n_train"].to_list() == [300 - 3 - 5, 700 - 3 - 5, 1100 - 3 - 5]
    assert sheet.contributions["feature"].to_list() == ["b", "a"]
    assert sheet.verdict == "Passes all four thresholds."
