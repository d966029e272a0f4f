"""The thresholds of a store: where they come from, who may loosen them, and what the verb shows."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from src import gate as verb
from src.core.errors import ConfigError
from src.core.project import ROOT, main_checkout
from src.evaluation.grade import Thresholds
from src.promote import promote
from src.sync import sync
from src.tracking import connection, gate_view, settings
from src.tracking.errors import TrackingError
from src.tracking.location import store_location
from src.tracking.settings import registry_grade
from src.tracking.store import open_store
from tests import warm_case
from tests.tracking import postgresql_case
from tests.tracking.tracking_case import BAD, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    with postgresql_case.cluster() as folder:
        yield folder


@pytest.fixture(params=["sqlite", "postgresql"])
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A store with the mark of the project's own conf."""
    uri = None
    if request.param == "postgresql":
        folder = request.getfixturevalue("cluster")
        uri = postgresql_case.make(folder, f"gate{abs(hash(request.node.name))}")
    connection._warn_once.cache_clear()
    project = case(tmp_path, monkeypatch, uri)
    with open_store(project.tracked):
        return project


def conf(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Let the project's own configuration be this text."""
    file = folder / "own" / "conf" / "grade" / "default.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(settings, "main_checkout", lambda: folder / "own")


def demanded(made: Case) -> dict[str, float]:
    found = connection.demanded_thresholds(store_location(made.config.tracking))
    assert found is not None
    return found.by_name()


def test_thresholds_are_those_of_the_projects_own_file_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "conf" / "grade" / "default.yaml"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text("min_auc: 0.1\n")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert registry_grade().min_auc == 0.52
    assert registry_grade(tmp_path).min_auc == 0.1
    assert registry_grade(tmp_path / "empty") == settings.GradeConfig()


@pytest.mark.parametrize("inside", ["standalone/tmp1", "tmpabc", "a/b/c"])
def test_a_copy_that_dvc_made_belongs_to_the_checkout_around_it(tmp_path: Path, inside: str) -> None:
    assert main_checkout(tmp_path / "loop" / ".dvc" / "tmp" / "exps" / inside) == tmp_path / "loop"
    assert main_checkout(tmp_path / ".dvc" / "tmp" / "other") == tmp_path / ".dvc" / "tmp" / "other"


@pytest.mark.parametrize(
    ("text", "message"),
    [("min_auc: [0.5", "can't be read"), ("min_auc: high", "min_auc .* from 0 to 1, got 'high'"),
     ("min_auc: .nan", "got nan"), ("min_auc: true", "got True"), ("min_oos: 500.5", "min_oos .* got 500.5"),
     ("min_auc: -3", "got -3"), ("- 1", "one setting a line"), ("max_drawdown: null", "got None"),
     ("min_auc: \udc80", "can't be read")],
)  # fmt: skip
def test_a_broken_file_is_a_clear_error(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "conf" / "grade" / "default.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    with pytest.raises(ConfigError, match=message) as caught:
        registry_grade(tmp_path)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("command", ["sync", "train", "promote"])
def test_no_command_loosens_a_store_by_its_folder_or_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    made = case(tmp_path / "real", monkeypatch)
    made.add("stock", "AAPL", metrics=BAD)
    before = registered(made)
    with open_store(made.tracked):
        pass
    empty = tmp_path / "empty"
    empty.mkdir()
    loose = ["grade.min_auc=0.3", "grade.min_sharpe=0.1", "grade.max_drawdown=0.9", "grade.min_oos=10"]
    place = [f"data.root={made.config.data.root}", f"data.logs={tmp_path / 'logs'}", f"tracking.uri={made.uri}"]
    env = {**os.environ, "DVC_ROOT": str(empty), "DVC_STAGE": "test"}
    done = warm_case.run(["-m", f"src.{command}", "universe=demo", *loose, *place], ROOT, env)
    assert done.returncode == 0 or command == "train", done.stderr  # there are no features to train from
    assert demanded(made)["min_auc"] == 0.52
    assert demanded(made)["min_sharpe"] == 0.5
    assert registered(made) == before


def registered(made: Case) -> list[str]:
    return [each.name for each in made.client().search_registered_models()]


def test_commands_tighten_a_store_and_leave_it_where_it_is_tighter(
    made: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    conf(monkeypatch, tmp_path, "min_sharpe: 1.0\nmax_drawdown: 0.1\n")
    with caplog.at_level(logging.WARNING):
        sync(made.config)
    assert (demanded(made)["min_sharpe"], demanded(made)["max_drawdown"]) == (1.0, 0.1)
    assert "min_sharpe 0.5 -> 1" in caplog.text
    conf(monkeypatch, tmp_path, "min_sharpe: 0.2\nmax_drawdown: 0.3\nmin_auc: 0.55\n")
    for command in (sync, lambda config: promote(config, {}), sync):
        caplog.clear()
        command(made.config)
        assert demanded(made)["min_sharpe"] == 1.0
        assert demanded(made)["max_drawdown"] == 0.1
        assert demanded(made)["min_auc"] == 0.55
    with open_store(made.tracked) as store:
        assert store.thresholds.by_name()["min_sharpe"] == 1.0


def test_a_store_that_stays_tighter_is_reported_in_one_line_with_what_to_type(
    made: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    conf(monkeypatch, tmp_path, "min_sharpe: 0.2\n")
    with caplog.at_level(logging.WARNING):
        sync(made.config)
        sync(made.config)
    (line,) = [each for each in caplog.messages if "min_sharpe" in each]
    assert "min_sharpe 0.5 (conf 0.2)" in line
    assert "src.gate" in line and 'loosen why="..."' in line


def test_only_the_verb_loosens_and_keeps_who_when_and_why(
    made: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf(monkeypatch, tmp_path, "min_sharpe: 0.2\n")
    shown = "\n".join(gate_view.shown(made.config.tracking))
    assert "tighter than conf/grade/default.yaml in 1 threshold;" in shown
    with pytest.raises(ConfigError, match='loosen needs why="..."'):
        verb.gate(made.config.tracking, {"why": " "}, loosen=True)
    assert demanded(made)["min_sharpe"] == 0.5
    (line,) = verb.gate(made.config.tracking, {"why": "costs were halved"}, loosen=True)
    assert "min_sharpe 0.5 -> 0.2" in line and "costs were halved" in line
    assert demanded(made)["min_sharpe"] == 0.2
    with made.sql() as execute:
        ((name, earlier, value, who, why, when),) = execute(
            "SELECT name, earlier, value, who, why, changed_at FROM alpha_loop_gate_history"
        )
    assert (name, earlier, value, why) == ("min_sharpe", 0.5, 0.2, "costs were halved")
    assert who and when.startswith("20")
    assert any("costs were halved" in each for each in verb.gate(made.config.tracking, {}, loosen=False))
    (again,) = verb.gate(made.config.tracking, {"why": "once more"}, loosen=True)
    assert "nothing to loosen" in again


@pytest.mark.parametrize(
    "statement", ["UPDATE alpha_loop_gate_history SET who = 'bob'", "DELETE FROM alpha_loop_gate_history"]
)
def test_the_history_is_only_added_to(
    made: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    conf(monkeypatch, tmp_path, "min_sharpe: 0.2\n")
    verb.gate(made.config.tracking, {"why": "so"}, loosen=True)
    with made.sql() as execute, pytest.raises(Exception, match="only added to"):
        execute(statement)


def test_a_missing_or_broken_threshold_is_written_again(made: Case) -> None:
    with made.sql() as execute:
        execute("DELETE FROM alpha_loop_gate WHERE name = 'min_auc'")
        execute("COMMIT")
    with pytest.raises(TrackingError, match="min_auc must be a number"):
        demanded(made)
    sync(made.config)
    assert demanded(made) == Thresholds.of(made.config.grade).by_name()


def test_a_text_in_place_of_a_threshold_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = case(tmp_path, monkeypatch)
    sync(made.config)
    with closing(sqlite3.connect(made.database)) as plain, plain:
        plain.execute("UPDATE alpha_loop_gate SET value = 'low' WHERE name = 'min_auc'")
    sync(made.config)
    assert demanded(made)["min_auc"] == 0.52


def test_the_verb_says_what_it_can_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert verb.command(["tracking.uri=http://127.0.0.1:1", "loosen", "why=so"]) == 1
    assert "run python -m src.gate loosen tracking.uri=<its database> where that is" in capsys.readouterr().err
    assert verb.command(["loosen"]) == 2
    assert verb.command(["why=so"]) == 2
    assert verb.command(["losen", "why=so"]) == 2
    assert verb.command(["--help"]) == 0
    capsys.readouterr()
    assert verb.command([]) == 0
    assert "carries no thresholds yet" in capsys.readouterr().out
    assert verb.command(["loosen", "why=so"]) == 1
    assert "no thresholds that could be loosened" in capsys.readouterr().err
