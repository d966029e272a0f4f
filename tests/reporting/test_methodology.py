"""How the page describes the selection of instruments, the folds, the costs and the thresholds."""

from dataclasses import replace

import polars as pl
import pytest

from src.reporting.methodology import costs, folds, limits_in_full, made_section, tuning_trials, universe_selection
from tests.reporting.synthetic import report_data


@pytest.mark.parametrize(
    ("settings", "description"),
    [
        ({"universe.stock": 500, "universe.etf": 200, "universe.crypto": 20}, "500 of class stock, 200 of class etf"),
        ({"universe.stock": 500, "universe.symbols": ["AAPL"]}, "selected by hand"),
        ({"universe.stock": None}, "everything that the source lists"),
    ],
)
def test_the_selection_of_instruments_is_described(settings: dict[str, object], description: str) -> None:
    assert description in universe_selection(settings)
    assert description in limits_in_full(report_data(settings=settings))


def test_a_ranked_universe_says_before_which_date_it_was_ranked() -> None:
    assert "before the first possible out-of-sample date" in universe_selection({"universe.stock": 500})


def test_tuned_settings_are_shown_with_their_number_of_trials() -> None:
    grades = report_data().grades
    assert tuning_trials(grades) == ""
    assert "settings selected" not in made_section(report_data())
    stocks = (pl.col("family") == "xgboost") & (pl.col("asset_class") == "stock")
    tuned = replace(report_data(), grades=grades.with_columns(tuning_trials=pl.when(stocks).then(1_200)))
    description = "selected inside the first training window: xgboost for class stock from 1,200 trials"
    assert tuning_trials(tuned.grades).endswith(description)
    assert description in made_section(tuned)


def test_the_method_shows_folds_costs_and_thresholds() -> None:
    settings = {
        "split.first_train_bars": 500, "split.fold_months": 18, "split.embargo": 5, "label.horizon": 1,
        "strategy.cost_bps.stock": 5.0, "strategy.cost_bps.crypto": 10.0,
    }  # fmt: skip
    section = made_section(report_data(settings=settings))
    assert "at least 500 bars to train on, refitted every 18 months, embargo of 5 bars, label over 1 bar<" in section
    assert "basis points (crypto 10, stock 5)" in section
    assert "AUC at least 0.52; Accuracy at least 51%; Sharpe ratio at least 0.5; Max drawdown at most 20%" in section


def test_missing_settings_are_a_dash() -> None:
    assert (folds({}), costs({})) == ("\u2013", "\u2013")
