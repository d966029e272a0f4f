"""What a pooled session does once, what it does again after a change, and how it accounts for every name and family."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from src.config.compose import families
from src.config.schema import Config
from src.core.failure import Failure
from src.training.pooled import class_session
from src.training.pooled.fit_task import FitTask, FoldFit, fit_fold
from src.training.pooled.session import PooledSession
from src.training.pooled.settings import PooledSettings
from src.training.run_store import RunStore
from tests.training.pooled.session_case import Stocks

EACH = ("model=all", "model.members=[lightgbm,ridge]")
FOLDS = ("2016-07-01", "2017-07-01", "2018-07-01")


def reasons(states: pl.DataFrame) -> dict[str, tuple[str, str]]:
    return {row["symbol"]: (row["state"], row["reason"]) for row in states.iter_rows(named=True)}


def without_ridge(task: FitTask) -> FoldFit | Failure:
    return Failure("OSError: no memory", "Traceback: here") if task.model.family == "ridge" else fit_fold(task)


def broken(_task: FitTask) -> Failure:
    return Failure("OSError: no memory", "Traceback: here")


# accounting -----------------------------------------------------------------------------------------------------------


def test_every_instrument_ends_in_one_state_with_a_reason(trained: Stocks) -> None:
    states = trained.states()
    universe = trained.states("featurize")
    assert states.select("asset_class", "symbol").equals(universe.select("asset_class", "symbol").sort(pl.all()))
    found = reasons(states)
    done = states.filter(state="done")
    assert done.height >= 8 and done["reason"].unique().to_list() == [""]
    assert found["SIM16"][0] == "skipped" and found["SIM16"][1].startswith("quarantined by hydrate: ")
    assert found["SIM13"] == ("skipped", "no tradable bars up to split.until=2019-06-28")  # listed in 2023
    few = ("skipped", "no day has eligibility.min_names=8 eligible names (liquid)")
    assert found["SIMF01"] == found["SIMF02"] == found["SIMC01-USD"] == few
    assert all(state in ("done", "skipped") and (state == "done" or reason) for state, reason in found.values())


def test_the_days_of_a_state_are_those_that_have_scores(trained: Stocks) -> None:
    days = pl.read_parquet(trained.portfolios / trained.grades()["record_id"][0] / "daily.parquet")["date"]
    states = trained.states().filter(state="done")
    assert (states["rows"] <= len(days)).all() and states["rows"].max() == len(days)
    assert states["first"].min() == days[0] and states["last"].max() == days[-1]


def test_the_states_of_other_settings_are_not_taken_for_those_of_a_run_that_is_reused(project: Stocks) -> None:
    before = project.states()
    project.train("eligibility.min_names=40")  # no class has that many
    assert project.states()["state"].unique().to_list() == ["skipped"]
    assert project.train().session.summary.reused == 1
    assert project.states().equals(before)


def test_all_families_give_a_run_each_and_the_ensemble_one_on_the_same_fits(project: Stocks) -> None:
    assert project.grades().select("asset_class", "symbol", "family").rows() == [
        ("pooled", "stock.neutral", "ensemble")
    ]
    each = project.train(*EACH)
    assert each.fits == []
    assert project.grades().select("symbol", "family").rows() == [
        ("stock.neutral", "lightgbm"), ("stock.neutral", "ridge"),
    ]  # fmt: skip
    assert project.grades()["n_trials"].to_list() == [68, 68]  # 65 before, the ensemble, and these two


def test_a_family_that_fails_costs_its_run_alone_and_is_tried_again(featurized: Stocks, tmp_path: Path) -> None:
    project = featurized.copy(tmp_path / "p")
    first = project.train(*EACH, fit=without_ridge)
    assert project.grades()["family"].to_list() == ["lightgbm"]
    assert "1 failed (stock ridge)" in first.line
    done = project.states().filter(state="done")
    assert done["reason"].unique().to_list() == ["ridge failed: OSError: no memory"]
    kept = first.session.failures.of(("pooled", "stock.neutral"))
    assert kept["ridge"]["reason"] == "OSError: no memory" and kept["ridge"]["traceback"] == "Traceback: here"
    again = project.train(*EACH)
    assert sorted(again.fits) == [f"stock ridge {fold}" for fold in FOLDS]
    assert project.grades()["family"].to_list() == ["lightgbm", "ridge"]
    assert project.states().filter(state="done")["reason"].unique().to_list() == [""]
    assert not list((project.portfolios / "failures").glob("*.json"))


def test_where_no_run_is_left_the_instruments_failed(featurized: Stocks, tmp_path: Path) -> None:
    project = featurized.copy(tmp_path / "p")
    ended = project.train(fit=without_ridge)
    assert "no portfolio to grade: stock ensemble failed: OSError: no memory" in ended.line
    assert project.grades().is_empty()
    states = project.states()
    failed = states.filter(state="failed")
    assert failed.height >= 8 and failed["reason"].unique().to_list() == ["ensemble failed: OSError: no memory"]
    assert states.filter(state="done").is_empty()


def test_a_refit_that_fails_is_a_failure_of_its_run(project: Stocks) -> None:
    (model,) = (project.portfolios / "models").rglob("pooled.zip")
    content = model.read_bytes()
    model.unlink()
    ended = project.train(fit=broken)
    assert "stock ensemble failed: OSError: no memory" in ended.line
    assert set(project.states()["state"]) == {"failed", "skipped"}
    project.train()
    assert model.read_bytes() == content


# nothing to do --------------------------------------------------------------------------------------------------------


def test_a_second_session_fits_grades_ranks_and_writes_nothing(
    project: Stocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("ranks or grades were made")

    before = {path: path.stat().st_mtime_ns for path in (project.root / "data").rglob("*") if path.is_file()}
    grades, states = project.stable_grades(), project.states()
    monkeypatch.setattr(class_session, "rank_table", refuse)
    monkeypatch.setattr("src.training.pooled.session.assess_pooled", refuse)
    monkeypatch.setattr("src.training.inputs.Inputs.read_features", refuse)
    ended = project.train()
    assert ended.fits == [] and "1 runs reused" in ended.line
    assert project.stable_grades().equals(grades) and project.states().equals(states)
    after = {path: path.stat().st_mtime_ns for path in (project.root / "data").rglob("*") if path.is_file()}
    written = {path.name for path in after if after[path] != before.get(path)}
    assert after.keys() == before.keys()
    assert written <= {"grades.parquet", "states.parquet", "by_instrument.parquet"}  # of the configuration invoked


# keys -----------------------------------------------------------------------------------------------------------------


def planned(config: Config) -> tuple[int, int]:
    """How many fits a session would make and how many runs it would grade."""
    session = PooledSession(PooledSettings.of(config, families(config)))
    parts = list(session.classes())
    return sum(len(part.missing()) for part in parts), sum(len(part.plans) for part in parts)


def test_a_change_fits_or_grades_exactly_what_it_touches(project: Stocks) -> None:
    usual = project.config()

    def changed(change: Callable[[Config], object]) -> tuple[int, int]:
        config = copy.deepcopy(usual)
        change(config)
        return planned(config)

    nothing, graded, fitted = (0, 0), (0, 1), (6, 1)
    assert planned(usual) == nothing
    assert changed(lambda config: setattr(config.portfolio, "trade_every", 10)) == graded
    assert changed(lambda config: config.portfolio.cost_bps.update(stock=50.0)) == graded
    assert changed(lambda config: setattr(config.grade, "min_auc", 0.6)) == graded
    assert changed(lambda config: setattr(config.label, "horizon", 5)) == fitted
    assert changed(lambda config: config.label.params.update(clip=0.3)) == fitted
    assert changed(lambda config: setattr(config.eligibility, "history", 300)) == fitted
    assert changed(lambda config: setattr(config.split, "embargo", 9)) == fitted
    assert changed(lambda config: setattr(config.scope, "train_every", 5)) == fitted
    assert changed(lambda config: setattr(config, "seed", 8)) == fitted
    assert changed(lambda config: setattr(config.features, "exclude", ["rsi_14"])) == fitted
    assert changed(lambda config: setattr(config.model, "members", ["lightgbm"])) == graded


def test_other_costs_grade_the_same_scores_again(project: Stocks) -> None:
    before, scores = project.grades(), project.scores()
    ended = project.train("portfolio.cost_bps={stock: 60, etf: 5, crypto: 10}")
    after = project.grades()
    assert ended.fits == [] and project.scores() == scores
    assert after["record_id"].to_list() == before["record_id"].to_list()
    assert after["auc"].to_list() == before["auc"].to_list()
    assert after["sharpe"][0] < before["sharpe"][0]
    assert (before["n_trials"][0], after["n_trials"][0]) == (66, 67)
    assert planned(project.config()) == (0, 1)  # the first recipe, whose evidence has to allow for the second


def test_bars_after_the_last_training_date_change_nothing(project: Stocks) -> None:
    project.change_bars(lambda bars: bars.filter(pl.col("date") <= pl.date(2023, 12, 29)))
    assert planned(project.config()) == (0, 0)


def test_fresh_trains_a_further_attempt_and_counts_as_no_further_trial(project: Stocks) -> None:
    before, scores = project.grades(), project.scores()
    ended = project.train("fresh=true")
    after = project.grades()
    assert len(ended.fits) == 2 * len(FOLDS)
    assert project.scores() == scores
    assert after["record_id"].to_list() == [before["record_id"][0].removesuffix(".0") + ".1"]
    assert (after["auc"][0], after["n_trials"][0]) == (before["auc"][0], before["n_trials"][0])
    runs = RunStore(project.portfolios).runs()
    assert runs.sort("attempt").select("attempt", "superseded").rows() == [(0, True), (1, False)]
    assert not list(project.portfolios.glob("fresh-*.json"))
    assert planned(project.config()) == (0, 0)
