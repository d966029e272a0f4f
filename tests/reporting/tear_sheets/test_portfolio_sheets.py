"""The sheet of a portfolio of two families, against its stored days and loops over names."""

from __future__ import annotations

import logging
import math
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.evaluation.pooled.assessment import assess_pooled
from src.evaluation.pooled.graded_days import GradedDays
from src.reporting.tear_sheets.figures import figure
from src.reporting.tear_sheets.pooled_detail import portfolio_detail
from src.reporting.tear_sheets.reading import read_sheets, runs_with_sheets
from src.reporting.tear_sheets.sheet import TearSheet
from src.storage import atomic
from src.training.pooled.regrading import PooledChoices, PooledRegrader
from tests.evaluation.pooled.universe_case import CHOICE
from tests.training.pooled.test_pooled_regrading import FITS, GRADE, Project, pooled_settings, stored


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The run of the grading tests, with the days and the table of grades that a session writes beside it."""
    project = stored(tmp_path_factory.mktemp("portfolio") / "p")
    row = project.row()
    days = graded(project)
    choice = pooled_settings(project).portfolio
    daily = assess_pooled(days.run, choice, CHOICE, GRADE, trials=66, seed=7).daily
    atomic.write_parquet(daily, project.paths.portfolios / row["record_id"][0] / "daily.parquet")
    atomic.write_parquet(row, project.paths.portfolio_grades)
    return project


def graded(project: Project) -> GradedDays:
    return PooledRegrader(project.paths, PooledChoices.of({})).graded_days(project.row().to_dicts()[0])


def sheet_of(paths: DatasetPaths) -> TearSheet:
    (sheet,) = read_sheets(paths, runs_with_sheets(paths)["record_id"].to_list())
    return sheet


@pytest.fixture(scope="module")
def sheet(project: Project) -> TearSheet:
    return sheet_of(project.paths)


def test_its_days_are_those_that_training_stored(project: Project, sheet: TearSheet) -> None:
    row = project.row().to_dicts()[0]
    daily = pl.read_parquet(project.paths.portfolios / row["record_id"] / "daily.parquet")
    assert sheet.days["net"].to_list() == pytest.approx(daily["net"].to_list(), abs=1e-15)
    assert sheet.days["equity"].to_list() == pytest.approx(daily["equity"].to_list())
    assert sheet.days["date"].equals(daily["stamp"].alias("date"))
    assert sheet.days["names"].equals(daily["names"]) and sheet.days["always_long"].null_count() == daily.height
    gap = daily["gross"] - daily["net"] - sheet.days["cost"]
    assert gap.abs().max() == pytest.approx(0.0, abs=1e-15)  # borrowing counts as a cost
    assert figure(sheet, "sharpe").benchmark == pytest.approx(row["buy_hold_sharpe"])
    assert figure(sheet, "auc").value == row["auc"] and figure(sheet, "trades") is None
    assert figure(sheet, "time_in_market").value == pytest.approx((daily["gross_exposure"] > 0).mean())
    assert sheet.benchmark_name == "equal weight of the day's stocks" and sheet.luck is None
    assert not any(isinstance(each.value, float) and not math.isfinite(each.value) for each in sheet.figures)


def test_what_its_names_earned_adds_up(project: Project, sheet: TearSheet) -> None:
    days = graded(project)
    held = days.trade(days.run.scores)
    assert sheet.trades["gross"].is_sorted(descending=True) and sheet.trades["symbol"].n_unique() == sheet.trades.height
    section, first = days.run.section, days.run.days.start
    whole = [name for name, opens in zip(section.symbols, section.open.T, strict=True) if np.isfinite(opens).all()]
    best = sheet.trades.filter(pl.col("symbol").is_in(whole)).row(0, named=True)
    column = section.symbols.index(best["symbol"])
    weights, opens = held.weights[:, column].astype(np.float64), section.open[:, column]
    earned = sum(
        weight * (opens[first + k + 2] / opens[first + k + 1] - 1) for k, weight in enumerate(weights) if weight
    )
    assert best["gross"] == pytest.approx(earned, abs=1e-6)
    assert best["days"] == np.count_nonzero(weights)
    assert best["weight"] == pytest.approx(weights[weights != 0].mean())
    detail = portfolio_detail(days)
    assert detail.figures == pytest.approx({name: project.row()[name][0] for name in detail.figures}, abs=1e-12)


def test_each_fold_is_graded_by_itself(sheet: TearSheet) -> None:
    folds, days = sheet.folds, sheet.days
    assert folds["n_oos"].sum() == days.height and set(folds["n_train"]) == {100}
    start = 0
    for row in folds.iter_rows(named=True):
        own = days["net"][start : start + row["n_oos"]]
        assert row["net"] == pytest.approx(math.prod(1 + value for value in own) - 1)
        start += row["n_oos"]
    assert folds["auc"].mean() == pytest.approx(figure(sheet, "auc").value, abs=0.02)


@pytest.mark.parametrize("lost", ["scores", "days", "record_id", "strategy_key", "bars"])
def test_a_portfolio_that_cannot_be_graded_again_is_left_out(
    project: Project, tmp_path: Path, caplog: pytest.LogCaptureFixture, lost: str
) -> None:
    own = project.copy(tmp_path / "p")
    record_id = own.row()["record_id"][0]
    if lost == "scores":
        shutil.rmtree(own.paths.portfolios / "scores" / FITS["ridge"])
    elif lost == "days":
        (own.paths.portfolios / record_id / "daily.parquet").unlink()
    elif lost == "bars":
        shutil.rmtree(own.paths.bars)
    else:
        grades = pl.read_parquet(own.paths.portfolio_grades).with_columns(pl.lit("gone.0").alias(lost))
        atomic.write_parquet(grades, own.paths.portfolio_grades)
    ids = runs_with_sheets(own.paths)["record_id"].to_list()
    with caplog.at_level(logging.WARNING):
        assert list(read_sheets(own.paths, ids)) == [] and len(ids) == 1
    assert "no tear sheet of pooled stock.neutral" in caplog.text
