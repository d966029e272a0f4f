"""Training as a person meets it: it goes on after any interruption, trains nothing twice, and says what is wrong."""

from __future__ import annotations

import random
import signal
import sqlite3
import sys
from pathlib import Path

import polars as pl
import pytest

from src.training.run_store import RunStore
from tests import pipeline_case
from tests.pipeline_case import Project, differences, kill
from tests.process_case import HANG, pause, until

NO_MLFLOW = "tracking.enabled=false"


@pytest.fixture(scope="module")
def featurized(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = pipeline_case.featurized(tmp_path_factory, tmp_path_factory.mktemp("featurized") / "a project")
    project.alone("sync")  # makes MLflow's tables, once for all
    return project


@pytest.fixture(scope="module")
def trained(featurized: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = featurized.copy(tmp_path_factory.mktemp("trained") / "a project")
    project.must("train")
    return project


def test_every_instrument_ends_in_one_state_and_the_counts_add_up(trained: Project) -> None:
    states = trained.states("train")
    assert not states.select("asset_class", "symbol").is_duplicated().any()
    assert set(states.select("asset_class", "symbol").rows()) == set(
        trained.states("hydrate").select("asset_class", "symbol").rows()
    )
    assert set(states["state"]) <= {"done", "skipped", "failed", "quarantined"}
    assert (states.filter(pl.col("state") != "done")["reason"].str.len_chars() > 0).all()
    graded = trained.grades().select("asset_class", "symbol").unique()
    assert graded.height == states.filter(pl.col("state") == "done").height


def test_mlflow_has_each_graded_run_once_and_finished(trained: Project) -> None:
    expected = sorted(trained.grades()["record_id"].to_list())
    assert trained.tracked() == [(record, "FINISHED") for record in expected]
    assert trained.grades()["mlflow_run_id"].null_count() == 0


def test_only_passing_runs_carry_a_model(trained: Project) -> None:
    store = RunStore(trained.runs)
    for row in trained.grades().iter_rows(named=True):
        assert (store.model_path(row["record_id"]) is not None) == row["passed"]


def test_a_second_run_of_the_same_command_trains_nothing(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "p")
    before = {path: path.stat().st_mtime_ns for path in project.runs.rglob("*.parquet")}
    line = project.alone("train")
    runs = project.grades().height
    assert f"of {runs} runs passed (" in line and f"; {runs} runs reused, " in line
    assert {path: path.stat().st_mtime_ns for path in project.runs.rglob("*.parquet")} == before
    assert project.stable_grades().equals(trained.stable_grades())
    assert len(project.tracked()) == runs


def test_one_worker_gives_the_same_metrics_to_the_last_bit(
    trained: Project, featurized: Project, tmp_path: Path
) -> None:
    project = featurized.copy(tmp_path / "p")
    project.must("train", "engine.workers=1", NO_MLFLOW)
    assert project.stable_grades().equals(trained.stable_grades())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_killed_at_random_moments_it_ends_as_if_undisturbed(
    trained: Project, featurized: Project, tmp_path: Path
) -> None:
    project = featurized.copy(tmp_path / "p")
    moments = random.Random(5)
    killed, process = [], None
    for victim in ("worker", "command"):
        process = process or project.start("train")
        finished = RunStore(project.runs).runs().height
        until(lambda finished=finished: RunStore(project.runs).runs().height > finished, process)
        pause(moments.uniform(0.0, 0.3))
        if kill(process, victim, moments):
            killed.append(victim)
        if victim == "command":
            process.communicate()
            process = None
    project.alone("train")
    assert {"worker", "command"} <= set(killed), killed
    assert differences(project, trained) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_keeps_what_is_finished_and_exits_with_130(featurized: Project, tmp_path: Path) -> None:
    project = featurized.copy(tmp_path / "p")
    process = project.start("train", NO_MLFLOW)
    until(lambda: RunStore(project.runs).runs().height, process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert "run the same command to continue" in error
    assert RunStore(project.runs).runs().height > 0


def test_other_costs_grade_again_without_fitting(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "p")
    line = project.alone("train", "strategy.cost_bps={stock: 50, etf: 50, crypto: 50}", NO_MLFLOW)
    grades = project.grades()
    assert f"of {grades.height} runs passed (" in line and f"; {grades.height} runs reused, " in line
    both = trained.grades().join(grades, on="record_id", suffix="_dear")
    assert both.height == grades.height
    assert (both["auc"] == both["auc_dear"]).all()
    traded = both.filter(pl.col("turnover") > 0)
    assert (traded["sharpe_dear"] < traded["sharpe"]).all()
    assert (grades["n_trials"].unique().to_list(), "Session 2 on these bars;" in line) == ([6], True)


def test_a_stricter_threshold_fails_runs_with_its_reason(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "p")
    project.alone("train", "grade.min_auc=0.99", NO_MLFLOW)
    grades = project.grades()
    assert not grades["passed"].any()
    assert all(any("below 0.99" in reason for reason in reasons) for reasons in grades["reasons"])
    assert (grades["n_trials"].unique().to_list(), grades["session_number"].unique().to_list()) == ([3], [1])


def test_fresh_trains_a_further_attempt_and_counts_as_no_further_trial(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "p")
    project.alone("train", "fresh=true", "model=lightgbm", NO_MLFLOW)
    runs = RunStore(project.runs).runs()
    assert runs.filter(pl.col("superseded"))["family"].unique().to_list() == ["lightgbm"]
    again = project.grades()
    assert again["record_id"].str.ends_with(".1").all()
    before = trained.grades().filter(pl.col("family") == "lightgbm")
    both = before.join(again, on=["asset_class", "symbol"], suffix="_again")
    assert (both["auc"] == both["auc_again"]).all()
    assert (both["n_trials"] == both["n_trials_again"]).all()
    assert not list(project.runs.glob("fresh-*.json"))


def test_more_settings_count_as_more_trials(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "p")
    project.alone("train", "model=lightgbm", "seed=8", NO_MLFLOW)
    assert project.grades()["n_trials"].unique().to_list() == [4]  # three families before, one more seed now


def test_only_narrows_the_work_and_says_so(featurized: Project, tmp_path: Path) -> None:
    project = featurized.copy(tmp_path / "p")
    symbol = project.states("featurize").filter(pl.col("state") == "done")["symbol"][0]
    project.alone("train", f"only=[{symbol}]", "model=lightgbm", NO_MLFLOW)
    assert project.grades()["symbol"].unique().to_list() == [symbol]
    left = project.states("train").filter(pl.col("reason").str.contains("left out by only"))
    assert left.height >= 4


def test_only_a_symbol_that_there_is_not_is_refused_and_changes_nothing(trained: Project) -> None:
    before = trained.states("train")
    done = trained.run("train", "only=[SIM1]", NO_MLFLOW)
    assert done.returncode == 2
    assert "only=SIM1 is no instrument of universe=demo: did you mean SIM01" in done.stderr
    assert trained.states("train").equals(before)


def test_a_locked_mlflow_database_loses_nothing(featurized: Project, tmp_path: Path) -> None:
    project = featurized.copy(tmp_path / "p")
    with sqlite3.connect(project.database, isolation_level=None) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        done = project.impatient("train", "model=lightgbm")
        lock.execute("ROLLBACK")
    assert done.returncode == 1
    assert "locked" in done.stderr
    assert project.grades().height > 0
    project.alone("train", "model=lightgbm")
    assert len(project.tracked()) == project.grades().height


def test_training_before_featurizing_names_the_missing_command(tmp_path: Path) -> None:
    done = Project(tmp_path).run("train")
    assert done.returncode == 1
    assert "python -m src.featurize universe=demo" in done.stderr
    assert "Traceback" not in done.stderr
