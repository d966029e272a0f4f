"""Views of a dataset's runs that are saved where MLflow's page looks for them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from src.tracking.links import VIEW, runs_address
from src.tracking.location import StoreLocation
from src.tracking.view_state import PASSES, lacking_tags, show_views, view_tags
from tests.tracking.tracking_case import make_store

KEY = f"mlflow.sharedViewState.{VIEW}"


def _view(key: str) -> dict[str, Any]:
    return json.loads(json.loads(view_tags()[f"mlflow.sharedViewState.{key}"])["state"])


def test_the_view_of_the_link_sorts_by_evidence_and_shows_the_figures() -> None:
    assert runs_address("1").endswith(f"?viewStateShareKey={VIEW}")
    view = _view(VIEW)
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`z`", False)
    shown = {"z", "q_value", "auc", "accuracy", "sharpe", "max_drawdown"}
    assert {f"metrics.`{name}`" for name in shown} | {"params.`family`"} <= set(view["selectedColumns"])
    first = view["columnOrder"][: view["columnOrder"].index("params.`family`") + 1]
    assert sum(view["columnWidths"][name] for name in first) < 1400 - 360  # the rest is MLflow's own frame
    assert set(view["selectedColumns"]) <= set(view["columnOrder"])


def test_the_other_view_has_passes_alone() -> None:
    assert _view(PASSES)["searchFilter"] == "tags.`alpha.passed` = 'true'"


def test_a_view_that_a_person_saved_stays_and_one_of_an_earlier_release_does_not() -> None:
    written = view_tags()
    assert lacking_tags(written) == {}
    assert lacking_tags({}) == written
    earlier = json.dumps({**json.loads(written[KEY]), "state": "{}"})
    assert lacking_tags({**written, KEY: earlier}) == {KEY: written[KEY]}
    saved = json.dumps({**json.loads(earlier), "updatedAt": 1_900_000_000_000})
    assert lacking_tags({**written, KEY: saved}) == {}
    assert lacking_tags({**written, KEY: "not JSON"}) == {}


def test_mlflow_keeps_every_tag_whole() -> None:
    from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH

    assert max(map(len, view_tags().values())) < MAX_EXPERIMENT_TAG_VAL_LENGTH


def test_an_older_store_gets_its_views_and_experiments_of_others_get_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "mlflow.db"
    make_store(database)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for number, name in ((7, "alpha-loop/demo"), (8, "somebody's")):
            values = "VALUES (?, ?, '', 'active', 0, 0, 'default')"
            columns = "(experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time"
            connection.execute(f"INSERT INTO experiments {columns}, workspace) {values}", (number, name))
        connection.execute(
            "INSERT INTO experiment_tags (key, value, experiment_id) VALUES ('alpha.dataset', 'demo', 7)"
        )
        show_views(StoreLocation(f"sqlite:///{database}", database, tmp_path.as_uri()))
        rows = connection.execute("SELECT experiment_id, key, value FROM experiment_tags WHERE key LIKE 'mlflow.%'")
        assert {(number, key, value) for number, key, value in rows} == {(7, *tag) for tag in view_tags().items()}
