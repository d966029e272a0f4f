"""Champions as predict sees them: by a few statements, with their grades, and with all that stands against each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.core.errors import StageError
from src.evaluation.grade import Thresholds
from src.tracking import crowned_versions as module
from src.tracking import registry_gate, registry_sql, verdict
from src.tracking.crowned_versions import crowned_versions, in_database
from src.tracking.location import store_location
from src.tracking.records import Records
from src.tracking.verdict import FolderCheck, Use
from tests.tracking.tracking_case import GOOD, Case, case, native

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
NAMES = ["crypto.BTC-USD", "stock.AAA", "stock.BBB"]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    made = case(tmp_path, monkeypatch)
    made.add("stock", "AAA", "lightgbm", {**GOOD, "z": 4.0})
    made.add("stock", "BBB", "xgboost", {**GOOD, "z": 3.0})
    made.add("crypto", "BTC-USD", "catboost", {**GOOD, "z": 3.0})
    made.project()
    for name in NAMES:
        made.client().set_registered_model_alias(name, "champion", "1")
    return made


def objections(made: Case) -> dict[str, tuple[str, ...]]:
    return {each.name: each.objections for each in crowned_versions(made.tracked)}


def by_one(made: Case) -> dict[str, tuple[str, ...]]:
    """The verdict on each champion by the functions that ask for one version at a time."""
    found = {}
    with registry_sql.registry_query(store_location(made.tracked.tracking)) as query:
        assert query is not None
        thresholds = registry_gate.stored_thresholds(query)
        assert thresholds is not None
        for name in NAMES:
            candidate = registry_gate.registered_candidate(query, name, 1)
            assert candidate is not None
            standing = verdict.standing_in_database(query, candidate, name, FolderCheck())
            against = verdict.objections(standing, thresholds, Records.of(made.tracked.paths), Use.KEEP)
            found[name] = tuple(map(str, against))
    return found


def test_champions_come_with_their_record_their_grade_and_their_model(made: Case) -> None:
    found = crowned_versions(made.tracked)
    assert [each.name for each in found] == NAMES
    for each, row in zip(found, sorted(made.trained, key=lambda row: (row["asset_class"], row["symbol"])), strict=True):
        assert (each.version, each.record_id, each.strategy_key) == (1, row["record_id"], "a" * 24)
        assert each.grade["family"] == row["family"]
        assert (each.grade["auc"], each.grade["z"] > 2) == (GOOD["auc"], True)
        assert each.grade["q_value"] == pytest.approx(0.02)
        assert each.model_sha256 == made.store.model_sha256(each.record_id)
        assert made.client().get_run(each.run_id).data.tags["alpha.record_id"] == each.record_id
        assert each.objections == ()


def test_mlflows_client_gives_the_same(made: Case) -> None:
    assert module._through_client(made.tracked) == crowned_versions(made.tracked)


def test_the_verdict_is_that_on_each_version_alone(made: Case) -> None:
    assert objections(made) == by_one(made) == dict.fromkeys(NAMES, ())
    made.mark(Thresholds.of(replace(made.config.grade, min_auc=0.57)))
    made.store.write_model(made.trained[1]["record_id"], "model.ubj", native("xgboost") + b" ")
    found = objections(made)
    assert found == by_one(made)
    assert all("auc" in "".join(reasons) for reasons in found.values())
    assert "was changed (SHA-256)" in found["stock.BBB"][0]


def test_a_placebo_run_is_refused(made: Case) -> None:
    import sqlite3
    from contextlib import closing

    run = crowned_versions(made.tracked)[0].run_id
    with closing(sqlite3.connect(made.database)) as connection, connection:
        connection.execute("INSERT INTO tags (run_uuid, key, value) VALUES (?, 'arm', 'Placebo ')", (run,))
    found = objections(made)
    assert "is of the placebo arm" in found["crypto.BTC-USD"][0]
    assert found["stock.AAA"] == found["stock.BBB"] == ()


def test_a_record_that_training_lost_is_refused(made: Case) -> None:
    lost = made.trained.pop(0)
    made.graded.pop(0)
    made.save()
    (reason,) = objections(made)["stock.AAA"]
    assert reason.startswith(f"training stored no such run ({lost['record_id']})")
    assert next(each for each in crowned_versions(made.tracked) if each.name == "stock.AAA").grade == {}


def test_a_deleted_run_and_a_version_that_is_gone_are_refused(made: Case) -> None:
    import sqlite3
    from contextlib import closing

    run = crowned_versions(made.tracked)[1].run_id
    with closing(sqlite3.connect(made.database)) as connection, connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", (run,))
        connection.execute("UPDATE registered_model_aliases SET version = 9 WHERE name = 'stock.BBB'")
    found = objections(made)
    assert found["stock.AAA"] == (f"run {run} is unfinished or deleted",)
    assert found["stock.BBB"] == ("the version is gone",)
    assert found["crypto.BTC-USD"] == ()
    other = replace(made.tracked, dataset="other")
    assert crowned_versions(other) == [], "a version that is gone counts where its name's other versions are"


def test_champions_of_another_dataset_in_the_same_store_are_left_out(made: Case) -> None:
    assert crowned_versions(replace(made.tracked, dataset="other")) == []
    assert len(crowned_versions(made.tracked)) == 3


def test_the_number_of_statements_does_not_grow_with_the_champions(made: Case) -> None:
    asked: list[str] = []
    with registry_sql.registry_query(store_location(made.tracked.tracking)) as query:
        assert query is not None

        def counting(sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
            asked.append(sql)
            return query(sql, values)

        assert len(in_database(counting, made.tracked, "sqlite")) == 3
    assert len(asked) <= 6


def test_without_tracking_or_a_store_there_is_none(made: Case, tmp_path: Path) -> None:
    off = replace(made.tracked, tracking=replace(made.tracked.tracking, enabled=False))
    assert crowned_versions(off) == []
    nowhere = replace(made.tracked.tracking, uri="sqlite:///nowhere.db")
    assert crowned_versions(replace(made.tracked, tracking=nowhere)) == []


def test_a_broken_mark_is_an_error_that_says_so(made: Case) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(made.database)) as connection, connection:
        connection.execute("DROP TABLE alpha_loop_gate")
        connection.execute("CREATE TABLE alpha_loop_gate (name TEXT, value REAL)")
    with pytest.raises(StageError, match=r"the champions of demo can't be read: the database's own thresholds are br"):
        crowned_versions(made.tracked)
