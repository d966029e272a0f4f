"""A lost or another MLflow store gets what it lacks from data/runs, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.storage import atomic
from src.sync import sync
from src.training.run_store import shard_name
from tests.tracking.test_store import children, dump
from tests.tracking.tracking_case import BAD, SESSION, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    made = case(tmp_path, monkeypatch)
    made.add("crypto", "BTC-USD")
    made.add("stock", "AAPL", metrics=BAD)
    made.add("stock", "MSFT", "xgboost", session="6" * 24)
    return made


def shown(made: Case) -> list[tuple[object, ...]]:
    """What MLflow shows, ids apart."""
    free = ("alpha.registered", "mlflow.parentRunId")
    return sorted(
        (run.info.run_name, tuple(sorted(run.data.metrics.items())), run.data.params.get("model_sha256"),
         tuple(sorted((key, value) for key, value in run.data.tags.items() if key not in free)))
        for run in children(made)
    )  # fmt: skip


def test_a_lost_store_is_rebuilt_and_a_second_sync_changes_nothing(made: Case) -> None:
    line = sync(made.config)
    assert line.startswith("sync: 3 runs of 2 sessions of demo are in sqlite:///")
    before, names = shown(made), {each.name for each in made.client().search_registered_models()}
    rows = dump(made)
    sync(made.config)
    assert dump(made) == rows
    made.config.tracking.uri = "sqlite:///mlruns/another.db"
    sync(made.config)
    other = Case(made.root)
    other.__class__ = type("Other", (Case,), {"database": property(lambda self: self.root / "mlruns" / "another.db")})
    assert shown(other) == before
    assert (
        {each.name for each in other.client().search_registered_models()} == names == {"crypto.BTC-USD", "stock.MSFT"}
    )


def test_runs_that_training_projected_are_not_doubled(made: Case) -> None:
    ids = set(made.project().values())
    sync(made.config)
    found = {run.info.run_id for run in children(made)}
    assert ids < found
    assert len(found) == 3


def test_each_session_has_its_own_runs(made: Case) -> None:
    sync(made.config)
    client = made.client()
    parents = {run.info.run_name: client.get_run(run.data.tags["mlflow.parentRunId"]) for run in children(made)}
    assert parents["stock.MSFT xgboost"].data.tags["alpha.session"] == "6" * 24
    assert parents["stock.AAPL lightgbm"].data.tags["alpha.session"] == "5" * 24


def test_q_values_come_from_the_grades_table(made: Case) -> None:
    import polars as pl

    grades = made.grades().with_columns(q_value=pl.lit(0.25))
    atomic.write_parquet(grades, Path(made.config.data.root) / "grades" / "demo.parquet")
    sync(made.config)
    found = {run.info.run_name: run.data.metrics.get("q_value") for run in children(made)}
    assert found == {"crypto.BTC-USD lightgbm": 0.25, "stock.AAPL lightgbm": 0.25, "stock.MSFT xgboost": None}


def test_a_store_without_runs_is_marked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from src.tracking import registry_gate

    made = case(tmp_path, monkeypatch)
    assert sync(made.config).startswith("sync: 0 runs of 0 sessions")
    made.client()
    import sqlite3

    with sqlite3.connect(made.database) as connection:
        assert (
            registry_gate.stored_thresholds(lambda sql, values: connection.execute(sql, values).fetchall()) is not None
        )


def test_runs_that_two_sessions_graded_stay_as_the_later_one_graded_them(made: Case) -> None:
    both = made.graded[0]
    made.graded.append(both | {"graded_by": "7" * 24, "n_trials": 4, "deflated_sharpe": 0.2})
    both |= {"n_trials": 3, "deflated_sharpe": 0.4}
    made.save()
    made.store.write_grades(shard_name(0, "7" * 24), made.grades("7" * 24))
    sync(made.config)
    rows = dump(made)
    run = next(run for run in children(made) if run.data.tags["alpha.record_id"] == both["record_id"])
    assert (run.data.metrics["n_trials"], run.data.metrics["deflated_sharpe"]) == (4, 0.2)
    sync(made.config)
    assert dump(made) == rows


def test_a_session_is_rebuilt_with_its_recorded_name_and_settings(made: Case) -> None:
    said = {"key": SESSION, "name": "demo long_short", "config_yaml": "strategy:\n  name: long_short\n"}
    atomic.write_json(said, made.store.root / f"session-{SESSION[:8]}.json")
    sync(made.config)
    mine = [run for run in children(made) if run.data.tags["alpha.session_key"] == SESSION]
    assert {run.data.params["strategy"] for run in mine} == {"long_short"}
    parent = made.client().get_run(mine[0].data.tags["mlflow.parentRunId"])
    assert parent.info.run_name == "demo long_short"
    assert {run.data.params["strategy"] for run in children(made) if run not in mine} >= {"long_flat"}
