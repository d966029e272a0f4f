"""Trials on the portfolios of a class."""

from __future__ import annotations

import datetime as dt

from src.config.schema import ModelConfig
from src.training.pooled.trial_count import PooledTrials, tuning_trials
from src.training.trials_ledger import TrialsLedger

WINDOW = (dt.date(2019, 1, 2), dt.date(2023, 12, 29))


def trials(
    root, dataset: str = "one", session: str = "a" * 32, portfolio: str = "neutral", prior: int = 0
) -> PooledTrials:
    return PooledTrials(TrialsLedger(root, dataset), session, portfolio, prior)


def row(settings: str, *, run_key: str = "run", asset_class: str = "stock", first: dt.date = WINDOW[0]) -> dict:
    return {
        "asset_class": asset_class, "run_key": run_key, "settings": settings, "label": "neutral_20",
        "family": "lightgbm", "first_oos": first, "last_oos": first + dt.timedelta(days=700), "bars": "b",
    }  # fmt: skip


def test_the_session_counts_its_own_runs_and_those_tried_before_the_ledger(tmp_path):
    assert trials(tmp_path, prior=65).count("stock", ["x", "y"], WINDOW) == 67


def test_a_recipe_counts_once_however_often_it_is_graded(tmp_path):
    for session in ("a" * 32, "b" * 32):
        trials(tmp_path, session=session).record([row("x")])
    assert trials(tmp_path).count("stock", ["x"], WINDOW) == 1


def test_longer_bars_make_no_new_trial(tmp_path):
    trials(tmp_path).record([row("x", run_key="short")])
    trials(tmp_path, session="b" * 32).record([row("x", run_key="long")])
    assert trials(tmp_path).count("stock", ["x"], WINDOW) == 1


def test_other_portfolios_settings_and_datasets_of_the_class_count(tmp_path):
    trials(tmp_path, portfolio="quantiles").record([row("x")])
    trials(tmp_path, session="b" * 32).record([row("other", run_key="r2")])
    trials(tmp_path, dataset="two", session="c" * 32).record([row("x", run_key="r3")])
    assert trials(tmp_path).count("stock", ["x"], WINDOW) == 4


def test_another_class_and_other_dates_do_not_count(tmp_path):
    trials(tmp_path).record([row("y", asset_class="etf"), row("z", run_key="r2", first=dt.date(2010, 1, 4))])
    assert trials(tmp_path).count("stock", ["x"], WINDOW) == 1


def test_trials_on_generated_bars_and_on_real_ones_do_not_count_for_each_other(tmp_path):
    PooledTrials(TrialsLedger(tmp_path, "demo"), "b" * 32, "neutral", 0, simulated=True).record([row("y")])
    assert trials(tmp_path).count("stock", ["x"], WINDOW) == 1
    on_demo = PooledTrials(TrialsLedger(tmp_path, "demo"), "c" * 32, "neutral", 0, simulated=True)
    assert on_demo.count("stock", ["x"], WINDOW) == 2


def test_the_number_of_the_session_counts_sessions(tmp_path):
    assert trials(tmp_path).session_number() == 1
    trials(tmp_path).record([row("x")])
    assert trials(tmp_path).session_number() == 1
    assert trials(tmp_path, session="b" * 32).session_number() == 2


def test_trials_of_tuning_count_where_it_read_a_day_that_is_graded():
    known = [ModelConfig("lightgbm", trials=40, tuned_before=day) for day in ("2019-01-02", "2019-01-03")]
    assert tuning_trials(known[:1], WINDOW[0]) == 0
    assert tuning_trials(known, WINDOW[0]) == 40
    assert tuning_trials([ModelConfig("ridge", trials=7), ModelConfig("catboost")], WINDOW[0]) == 7
