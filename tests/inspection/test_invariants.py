"""The invariants: a whole project holds them all, and each way to break one is found and named."""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.inspection import invariants
from src.storage.atomic import write_parquet
from tests.tracking.tracking_case import BAD, GOOD, Case, case, local

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A project with a champion, a run that fails, and one that was trained again."""
    made = case(tmp_path, monkeypatch)
    made.add("crypto", "BTC-USD")
    made.add("stock", "AAPL", metrics={**BAD, "accuracy": None})
    made.add("stock", "MSFT")
    made.project()
    made.client().set_registered_model_alias("crypto.BTC-USD", "champion", "1")
    return made


def found(made: Case) -> list[tuple[str, str]]:
    return [(each.kind, f"{each.subject}: {each.message}") for each in invariants.check(made.config)]


def execute(made: Case, statement: str) -> None:
    with closing(sqlite3.connect(made.database)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        connection.commit()


def test_a_whole_project_holds_them_all(made: Case) -> None:
    assert invariants.check(made.config) == []


def test_a_dataset_that_was_never_trained_holds_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invariants.check(case(tmp_path, monkeypatch).config) == []


def folder(made: Case, name: str = "crypto.BTC-USD") -> Path:
    return local(made.client().get_model_version_download_uri(name, "1"))


def _changed_file(made: Case) -> None:
    (folder(made) / "requirements.txt").write_text("evil\n")


def _other_figure(made: Case) -> None:
    run = made.client().get_model_version("crypto.BTC-USD", "1").run_id
    for table in ("metrics", "latest_metrics"):
        execute(made, f"UPDATE {table} SET value = 0.9 WHERE key = 'auc' AND run_uuid = '{run}'")


def _no_version(made: Case) -> None:
    made.client().delete_model_version("stock.MSFT", "1")


def _no_run(made: Case) -> None:
    run = made.client().get_model_version("crypto.BTC-USD", "1").run_id
    execute(made, f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = '{run}'")


def _lost_record(made: Case) -> None:
    made.trained = [row for row in made.trained if row["symbol"] != "BTC-USD"]
    made.graded = [row for row in made.graded if row["symbol"] != "BTC-USD"]
    made.save()


def _other_model(made: Case) -> None:
    record = next(row["record_id"] for row in made.trained if row["symbol"] == "BTC-USD")
    (made.store.root / "models" / record / "model.txt").write_text("other")


def _orphaned_alias(made: Case) -> None:
    execute(made, "DELETE FROM model_versions WHERE name = 'crypto.BTC-USD'")


def _placebo(made: Case) -> None:
    run = made.client().get_model_version("crypto.BTC-USD", "1").run_id
    execute(made, f"INSERT INTO tags (key, value, run_uuid) VALUES ('arm', 'placebo', '{run}')")


def _doubled_version(made: Case) -> None:
    model = made.client().get_model_version("crypto.BTC-USD", "1")
    made.client().create_model_version("crypto.BTC-USD", model.source, model.run_id)


def _strange_folder(made: Case) -> None:
    shutil.copytree(folder(made).parent, folder(made).parent.with_name("m-" + "0" * 32))


def _stray_model(made: Case) -> None:
    made.store.write_model("f" * 24 + ".0", "model.txt", b"model")


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (_changed_file, {"version": "are not those that run", "alias": "are not those that run"}),
        (_other_figure, {"run": "auc 0.9 is not the 0.56 that training stored", "version": "auc"}),
        (_no_version, {"missing version": "clears and has no version"}),
        (_no_run, {"run": "MLflow has no run of it", "version": "unfinished or deleted"}),
        (_lost_record, {"run": "no record", "version": "training stored no such run"}),
        (_other_model, {"version": "was changed (SHA-256)"}),
        (_orphaned_alias, {"alias": "there is no version 1"}),
        (_placebo, {"placebo": "a placebo run is registered", "version": "placebo arm"}),
        (_doubled_version, {"doubled": "has 2 versions of run"}),
        (_strange_folder, {"file": "no logged model has its files there"}),
        (_stray_model, {"file": "a model without a record"}),
    ],
)
def test_each_way_to_break_one_is_found(made: Case, fault: Callable[[Case], Any], named: dict[str, str]) -> None:
    fault(made)
    seen = found(made)
    for kind, message in named.items():
        assert [text for each, text in seen if each == kind and message in text], (kind, seen)


def test_a_record_that_stands_twice_is_found(made: Case) -> None:
    shard = next(made.store.root.glob("b*.runs.parquet"))
    shutil.copy(shard, shard.with_name("b001-55555555.runs.parquet"))
    assert {kind for kind, _ in found(made)} == {"doubled"}


def test_a_version_below_a_threshold_of_the_mark_is_found(made: Case) -> None:
    from src.evaluation.grade import Thresholds

    made.mark(Thresholds.of({**Thresholds.of(made.config.grade).by_name(), "min_auc": GOOD["auc"] + 0.01}))
    assert [kind for kind, text in found(made) if "auc 0.56 is below 0.57" in text] == ["version", "version", "alias"]


def test_the_doctor_names_each_with_its_remedy_and_status_shows_the_champion(made: Case) -> None:
    from src.inspection import connections, overview, status_view

    assert connections.invariants(made.config).state == "ok"
    _changed_file(made)
    finding = connections.invariants(made.config)
    assert finding.state == "bad"
    lines = finding.message.splitlines()
    assert lines[0] == "2 of what must hold between registry, runs and data/runs does not:"
    assert lines[1].startswith("      version 1 of crypto.BTC-USD: ") and lines[1].endswith(
        f"({made.tracked.sync_command})"
    )
    config, now = made.config, dt.datetime.now(dt.UTC)
    picture = overview.overview(config.paths, config.universe, config.source, now, made.tracked)
    assert picture["champions"]["count"] == 1
    shown = status_view.text(picture)
    assert "champions: 1, 1 no longer clear" in shown
    assert "crypto.BTC-USD version 1: " in shown


def test_each_instrument_has_one_known_state_in_the_pooled_scope_and_a_reason(made: Case) -> None:
    rows = [
        ("stock", "A", "done", ""),
        ("stock", "A", "done", ""),
        ("stock", "B", "lost", "x"),
        ("stock", "C", "skipped", ""),
    ]
    table = pl.DataFrame(rows, schema=["asset_class", "symbol", "state", "reason"], orient="row")
    write_parquet(table.filter(pl.col("symbol") == "none"), made.config.paths.portfolio_states)
    assert found(made) == []
    write_parquet(table, made.config.paths.portfolio_states)
    messages = [message.partition(" in ")[0] for kind, message in found(made) if kind == "state"]
    assert messages == [
        "stock:A: has several states", "stock:B: has an unknown state", "stock:C: was not ranked, without a reason",
    ]  # fmt: skip
