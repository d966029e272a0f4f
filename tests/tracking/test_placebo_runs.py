"""Placebo runs in MLflow: shown under their name, param and tag, never as passed, and never registered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from src.evaluation import placebo
from src.sync import sync
from src.tracking import verdict
from src.tracking.projection import project
from src.training.run_store import RunStore
from tests.tracking.test_store import children, dump
from tests.tracking.tracking_case import BAD, SESSION, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
OFFSET = 900


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    made = case(tmp_path, monkeypatch)
    made.add("stock", "AAPL")
    return made


@pytest.fixture
def rotated(real: Case) -> Case:
    """The placebo arm of the same project and session: a run that clears everything, and one that does not."""
    made = Case(real.root, real.config)
    made.store = RunStore(real.config.paths.placebo)
    made.add("stock", "AAPL")
    made.add("stock", "MSFT", metrics=BAD)
    for row in (*made.trained, *made.graded):
        row["record_id"], row["run_key"] = f"ff{row['record_id'][2:]}", f"ff{row['run_key'][2:]}"
    for row in made.trained:
        row["parts"] = json.dumps({**json.loads(row["parts"]), "arm": "placebo", "offset": OFFSET})
    shutil.rmtree(made.store.root)
    made.save()
    return made


def figures(rotated: Case) -> dict[str, Any]:
    return {"key": SESSION, "name": "demo lightgbm", "placebo_runs": 2, "placebo_passed": 1, "placebo_expected": 0.02}


def test_a_placebo_run_has_its_name_param_and_tag_and_is_not_shown_as_passed(real: Case, rotated: Case) -> None:
    real.project()
    project(rotated.tracked, rotated.store, rotated.grades(), figures(rotated))
    runs = {run.info.run_name: run for run in children(real)}
    assert set(runs) == {"stock.AAPL lightgbm", "placebo stock.AAPL lightgbm", "placebo stock.MSFT lightgbm"}
    cleared = runs["placebo stock.AAPL lightgbm"]
    assert cleared.data.params["arm"] == cleared.data.tags["arm"] == "placebo"
    assert cleared.data.params["offset"] == str(OFFSET)
    assert cleared.data.metrics["auc"] == 0.56
    assert cleared.data.tags["alpha.passed"] == "false"
    assert cleared.data.tags["alpha.placebo_passed"] == "true"
    assert runs["placebo stock.MSFT lightgbm"].data.tags["alpha.placebo_passed"] == "false"
    assert "rotated by 900 bars" in cleared.data.tags["alpha.reasons"]
    own = runs["stock.AAPL lightgbm"].data
    assert "arm" not in own.params and "arm" not in own.tags and own.tags["alpha.passed"] == "true"


def test_only_the_real_run_has_a_model_and_a_version(real: Case, rotated: Case) -> None:
    real.project()
    project(rotated.tracked, rotated.store, rotated.grades(), figures(rotated))
    client = real.client()
    assert [version.version for version in client.search_model_versions("name='stock.AAPL'")] in ([1], ["1"])
    assert [run.info.run_name for run in children(real) if "model_id" in run.data.params] == ["stock.AAPL lightgbm"]
    assert [each.name for each in client.search_registered_models()] == ["stock.AAPL"]


def test_the_session_shows_the_counts_of_its_placebo_arm(real: Case, rotated: Case) -> None:
    real.project()
    project(rotated.tracked, rotated.store, rotated.grades(), figures(rotated))
    client = real.client()
    (parent,) = {run.data.tags["mlflow.parentRunId"] for run in children(real)}
    session = client.get_run(parent)
    assert session.data.metrics["placebo_passed"] == 1.0
    assert session.data.metrics["instruments"] == 3.0
    assert "arm" not in session.data.tags and "alpha.arm" not in session.data.tags


def test_sync_brings_placebo_runs_to_a_new_store_and_doubles_nothing(real: Case, rotated: Case) -> None:
    line = sync(real.config)
    assert line.startswith("sync: 3 runs of 1 session of demo are in ")
    assert sorted(run.data.tags.get("arm", "real") for run in children(real)) == ["placebo", "placebo", "real"]
    rows = dump(real)
    sync(real.config)
    assert dump(real) == rows


def test_the_gate_refuses_what_training_marks() -> None:
    assert placebo.ARM == verdict.PLACEBO
