"""Runs are left out of a projection only while neither the stores nor MLflow, its registry or its files changed."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.core.project import ROOT
from src.tracking import projection, settled_runs
from src.tracking.errors import TrackingError
from src.tracking.repair import Findings
from src.training.regrading import GradeCheck, Regrader
from tests import process_case
from tests.tracking.tracking_case import BAD, SESSION, Case, case, local

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


PASSES: dict[str, Callable[[Case], object]] = {
    "a registered model": lambda made: made.client().delete_registered_model("stock.AAPL"),
    "a version": lambda made: made.client().delete_model_version("stock.AAPL", "1"),
    "a card": lambda made: made.client().update_model_version("stock.AAPL", "1", "mine"),
    "a tag of a card": lambda made: made.client().set_model_version_tag("stock.AAPL", "1", "sharpe", "9"),
    "a logged model": lambda made: made.client().delete_logged_model(logged(made).model_id),
    "a native model": lambda made: native(made).write_bytes(native(made).read_bytes() + b" "),
    "a lost native model": lambda made: native(made).unlink(),
    "a figure of the session": lambda made: made.session.update(passed=7),
}


def logged(made: Case) -> Any:
    experiment = made.client().get_experiment_by_name("alpha-loop/demo").experiment_id
    return made.client().search_logged_models([experiment])[0]


def native(made: Case) -> Path:
    return next(iter(made.store.root.glob("models/*/*")))


def planted(folder: Path) -> None:
    folder.mkdir()
    (folder / "loader.pyc").write_bytes(b"x")


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


FILES: dict[str, Callable[[Path], object]] = {
    "a changed file": lambda path: path.write_bytes(path.read_bytes().replace(b"0", b"1", 1)),
    "a lost file": Path.unlink,
    "a further file": lambda path: path.with_name("more.pkl").write_bytes(b"x"),
    "compiled code": lambda path: planted(path.parent / "__pycache__"),
    "a link": linked,
}


def test_nothing_is_compared_where_nothing_changed(made: Case, compared: Callable[[], Any]) -> None:
    passed, failed = made.add("stock", "AAPL"), made.add("stock", "MSFT", metrics=BAD)
    (made.store.root / "pending" / "b000-ffffffff" / ".tmp-1-x").mkdir(parents=True)  # as a kill of former code left it
    ids, first = compared()
    assert first == sorted([passed, failed])
    assert compared() == (ids, [])


@pytest.mark.parametrize("name", PASSES)
def test_after_a_change_of_models_or_versions_passes_are_compared(
    made: Case, compared: Callable[[], Any], name: str
) -> None:
    passed = made.add("stock", "AAPL")
    made.add("stock", "MSFT", metrics=BAD)
    ids, _ = compared()
    card = made.client().get_model_version("stock.AAPL", "1")
    PASSES[name](made)
    assert compared() == (ids, [passed])
    versions = made.client().search_model_versions("name = 'stock.AAPL'")
    assert [(each.run_id, each.status) for each in versions] == [(ids[passed], "READY")]
    assert versions[0].tags.get("sharpe") == card.tags.get("sharpe") and versions[0].description != "mine"
    assert compared() == (ids, [])


def mended(made: Case, monkeypatch: pytest.MonkeyPatch) -> tuple[Findings, list[str]]:
    """Sync the session; returns what it found, and which records were compared."""
    seen: list[str] = []
    reconcile = projection.reconcile

    def noted(target: Any, store: Any, grades: Any, *others: Any) -> Any:
        seen.extend(grades["record_id"])
        return reconcile(target, store, grades, *others)

    findings = Findings()
    with monkeypatch.context() as patched:
        patched.setattr(projection, "reconcile", noted)
        projection.project_sessions(made.tracked, made.store, [made.session], pl.DataFrame(), findings)
    return findings, sorted(seen)


@pytest.mark.parametrize("name", FILES)
def test_sync_looks_at_each_file_of_a_logged_model(made: Case, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    passed = made.add("stock", "AAPL")
    made.add("stock", "MSFT", metrics=BAD)
    made.project()
    mended(made, monkeypatch)
    assert mended(made, monkeypatch)[1] == []
    FILES[name](local(logged(made).artifact_location) / "model" / "model.txt")
    findings, seen = mended(made, monkeypatch)
    assert seen == [passed]
    assert name == "compiled code" or "are written again" in findings.lines()[0]
    assert mended(made, monkeypatch)[1] == []


def test_sync_grades_again_what_has_no_version(made: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    flagged = made.add("stock", "TOO", suspicious="too good")
    made.add("stock", "AAPL")
    made.project()
    mended(made, monkeypatch)
    assert mended(made, monkeypatch)[1] == []
    asked: list[str] = []

    def unlike(_self: Any, graded: pl.DataFrame) -> Any:
        asked.extend(graded["record_id"])
        return (
            GradeCheck(*key, missing="its bars are gone") for key in graded.select("record_id", "strategy_key").rows()
        )

    monkeypatch.setattr(Regrader, "check", unlike)
    for _ in range(2):
        findings, seen = mended(made, monkeypatch)
        assert set(asked) == {flagged} and flagged in seen
        assert len(findings.unconfirmed) == 1


@pytest.mark.parametrize("name", CHANGES)
def test_after_a_change_every_run_is_compared(made: Case, compared: Callable[[], Any], name: str) -> None:
    passed, failed = made.add("stock", "AAPL"), made.add("stock", "MSFT", metrics=BAD)
    ids, _ = compared()
    assert compared()[1] == []
    CHANGES[name](made, ids[failed])
    again, seen = compared()
    assert {passed, failed} <= set(seen)
    assert made.client().get_run(again[failed]).data.tags["alpha.passed"] == "false"
    assert compared()[1] == []


def test_another_store_and_other_code_are_compared_with_every_run(
    made: Case, compared: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = sorted([made.add("stock", "AAPL"), made.add("stock", "MSFT", metrics=BAD)])
    compared()
    monkeypatch.setattr(settled_runs, "source_digest", lambda: "other")
    assert compared()[1] == both
    made.config.tracking.uri = f"sqlite:///{(made.root / 'other.db').as_posix()}"
    assert compared()[1] == both


def test_the_plugin_is_asked_for_before_anything_is_written(
    made: Case, compared: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made.add("stock", "AAPL")
    compared()
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._get_store", lambda *_uris: object())
    assert compared()[1] == []
    made.add("etf", "QQQ", metrics=BAD)
    with pytest.raises(TrackingError, match="not active"):
        compared()
    with closing(sqlite3.connect(made.database)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM params WHERE value = 'etf.QQQ'").fetchone() == (0,)


NOTHING_TO_DO = """
import sys
from pathlib import Path
import polars as pl
from src.config.schema import Config
from src.tracking.projection import project, project_sessions
from src.tracking.errors import TrackingError
from src.tracking.repair import Findings
from src.tracking.settings import TrackedDataset
from src.training.run_store import RunStore
config, session = Config(), {session!r}
config.data.root = {root!r}
tracked, store = TrackedDataset.of(config), RunStore(Path({runs!r}))
assert project(tracked, store, store.grades(session["key"]), session | {{"seconds": 5.0}}, whole=True).height == 2
assert project_sessions(tracked, store, [session], pl.DataFrame(), Findings()) == 2
print({{"mlflow", "scipy", "pandas"}} & set(sys.modules))
"""


def test_nothing_to_do_imports_no_mlflow_and_still_says_how_long_it_took(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.add("stock", "AAPL"), made.add("stock", "MSFT", metrics=BAD)
    grades = made.store.grades(SESSION)
    projection.project(made.tracked, made.store, grades, made.session | {"seconds": 9.0}, whole=True)
    mended(made, monkeypatch)
    code = NOTHING_TO_DO.format(session=made.session, root=made.config.data.root, runs=str(made.store.root))
    environment = {**os.environ, "DVC_ROOT": str(made.root)}
    done = process_case.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
    experiment = made.client().get_experiment_by_name("alpha-loop/demo").experiment_id
    (run,) = made.client().search_runs([experiment], f"tags.`alpha.session` = '{SESSION}'")
    assert run.data.metrics["seconds"] == 5.0 and run.data.metrics["instruments"] == 3.0
    history = made.client().get_metric_history(run.info.run_id, "seconds")
    assert [point.value for point in history] == [9.0, 5.0]
