"""Runs that did not pass are left out of a projection only while neither the stores nor MLflow changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from src.tracking import projection, settled_runs
from tests.tracking.tracking_case import BAD, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    return case(tmp_path, monkeypatch)


@pytest.fixture
def compared(made: Case, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[dict[str, str], list[str]]]:
    """Projects the whole session; returns MLflow's ids, and which records were compared with MLflow's."""
    reconcile = projection.reconcile

    def whole() -> tuple[dict[str, str], list[str]]:
        seen: list[str] = []

        def noted(target: Any, store: Any, grades: Any, *others: Any) -> Any:
            seen.extend(grades["record_id"])
            return reconcile(target, store, grades, *others)

        monkeypatch.setattr(projection, "reconcile", noted)
        ids = projection.project(made.tracked, made.store, made.grades(), made.session, whole=True)
        return dict(ids.iter_rows()), sorted(seen)

    return whole


def execute(made: Case, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(made.database)) as connection, connection:
        connection.execute(statement, values)


def add_run(made: Case, _failed: str) -> None:
    made.add("etf", "QQQ", metrics=BAD)


def regrade(made: Case, _failed: str) -> None:
    made.graded[1]["luck_rate"] = 0.5
    made.save()


def change_runs(made: Case, _failed: str) -> None:
    made.trained[1]["n_train"] = 901
    made.save()


CHANGES: dict[str, Callable[[Case, str], object]] = {
    "a deleted run": lambda made, run_id: made.client().delete_run(run_id),
    "a removed run": lambda made, run_id: execute(made, "DELETE FROM tags WHERE run_uuid = ?", run_id),
    "a tag": lambda made, run_id: made.client().set_tag(run_id, "alpha.passed", "true"),
    "a note": lambda made, run_id: made.client().set_tag(run_id, "mlflow.note.content", "mine"),
    "a metric": lambda made, run_id: made.client().log_metric(run_id, "luck_rate", 0.9),
    "a further run": add_run,
    "a grade": regrade,
    "a stored run": change_runs,
    "the costs": lambda made, _: made.config.strategy.cost_bps.update(stock=50.0),
    "a lost mark": lambda made, _: next((made.root / "data" / "cache").rglob("mlflow-*.json")).unlink(),
}


def test_passes_alone_are_compared_where_nothing_changed(made: Case, compared: Callable[[], Any]) -> None:
    passed, failed = made.add("stock", "AAPL"), made.add("stock", "MSFT", metrics=BAD)
    (made.store.root / "pending" / "b000-ffffffff" / ".tmp-1-x").mkdir(parents=True)  # as a kill of former code left it
    ids, first = compared()
    assert first == sorted([passed, failed])
    assert compared() == (ids, [passed])
    made.client().delete_registered_model("stock.AAPL")
    assert compared() == (ids, [passed])
    assert [each.name for each in made.client().search_registered_models()] == ["stock.AAPL"]


@pytest.mark.parametrize("name", CHANGES)
def test_after_a_change_every_run_is_compared(made: Case, compared: Callable[[], Any], name: str) -> None:
    passed, failed = made.add("stock", "AAPL"), made.add("stock", "MSFT", metrics=BAD)
    ids, _ = compared()
    assert compared()[1] == [passed]
    CHANGES[name](made, ids[failed])
    again, seen = compared()
    assert {passed, failed} <= set(seen)
    assert made.client().get_run(again[failed]).data.tags["alpha.passed"] == "false"
    assert compared()[1] == [passed]


def test_another_store_and_other_code_are_compared_with_every_run(
    made: Case, compared: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = sorted([made.add("stock", "AAPL"), made.add("stock", "MSFT", metrics=BAD)])
    compared()
    monkeypatch.setattr(settled_runs, "source_digest", lambda: "other")
    assert compared()[1] == both
    made.config.tracking.uri = f"sqlite:///{(made.root / 'other.db').as_posix()}"
    assert compared()[1] == both
