"""One verdict: what a client logs ranks nothing, forged runs are never crowned, and one refusal stops no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.config.schema import Config
from src.core.errors import Incomplete, StageError
from src.evaluation.grade import Thresholds
from src.inspection.crowned import crowned
from src.promote import promote
from src.tracking import verdict
from src.tracking.records import Records
from src.tracking.verdict import Standing, Use
from src.training.regrading import GradeCheck, Regrader
from tests.tracking.tracking_case import BAD, GOOD, Case, case, local

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    made = case(tmp_path, monkeypatch)
    made.add("stock", "AAA", "lightgbm", {**GOOD, "z": 4.0})
    made.add("stock", "AAA", "xgboost", {**GOOD, "z": 2.0})
    made.add("stock", "BBB", "lightgbm", {**GOOD, "z": 3.0})
    made.project()
    return made


def champions(made: Case) -> dict[str, str]:
    """Family of each champion."""
    client = made.client()
    found = {}
    for model in client.search_registered_models():
        if "champion" in model.aliases:
            run = client.get_model_version(model.name, model.aliases["champion"]).run_id
            found[model.name] = client.get_run(run).data.params["family"]
    return found


def version_of(made: Case, name: str, family: str) -> Any:
    client = made.client()
    return next(
        each
        for each in client.search_model_versions(f"name = '{name}'")
        if client.get_run(each.run_id).data.params["family"] == family
    )


def folder_of(made: Case, version: Any) -> Path:
    return local(made.client().get_logged_model(version.source.rpartition("/")[2]).artifact_location)


def test_a_logged_z_crowns_no_weaker_version(made: Case) -> None:
    weak = version_of(made, "stock.AAA", "xgboost")
    made.client().log_metric(weak.run_id, "z", 99.0)
    made.client().log_metric(weak.run_id, "q_value", 0.0)
    promote(made.config, {})
    assert champions(made) == {"stock.AAA": "lightgbm", "stock.BBB": "lightgbm"}
    promote(made.config, {"min_z": "50"})
    assert champions(made) == {"stock.AAA": "lightgbm", "stock.BBB": "lightgbm"}


def test_a_changed_file_costs_its_version_alone_and_the_next_best_is_crowned(made: Case, capsys: Any) -> None:
    best = version_of(made, "stock.AAA", "lightgbm")
    (folder_of(made, best) / "requirements.txt").write_text("evil==1\n", encoding="utf-8")
    with pytest.raises(Incomplete) as ended:
        promote(made.config, {})
    assert str(ended.value) == (
        "promote: 2 instruments with versions, 2 champions, 2 changed, 0 no longer clear, 1 refused"
    )
    assert champions(made) == {"stock.AAA": "xgboost", "stock.BBB": "lightgbm"}
    _warning, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"stock.AAA: version {best.version} is refused: ")
    assert f"; version {version_of(made, 'stock.AAA', 'xgboost').version} (xgboost; auc 0.560" in first
    assert first.endswith(" is champion")
    assert second.startswith("stock.BBB: version 1 (lightgbm; ")


def test_a_champion_whose_files_were_changed_later_is_noticed_and_replaced(made: Case, capsys: Any) -> None:
    promote(made.config, {})
    best = version_of(made, "stock.AAA", "lightgbm")
    (folder_of(made, best) / "model" / "added.txt").write_text("x", encoding="utf-8")
    shown = crowned(made.tracked)
    assert shown is not None
    assert shown["count"] == 2
    assert [each["name"] for each in shown["objections"]] == ["stock.AAA"]
    with pytest.raises(Incomplete, match="2 champions, 1 changed, 0 no longer clear"):
        promote(made.config, {})
    assert champions(made)["stock.AAA"] == "xgboost"
    lone = version_of(made, "stock.BBB", "lightgbm")
    (folder_of(made, lone) / "MLmodel").unlink()
    with pytest.raises(Incomplete, match="1 no longer clear, "):
        promote(made.config, {})
    assert "stock.BBB: champion version 1 (lightgbm; auc 0.560" in capsys.readouterr().out


def test_a_run_that_training_did_not_store_is_never_crowned(made: Case, capsys: Any) -> None:
    promote(made.config, {})
    made.trained = [row for row in made.trained if row["symbol"] != "BBB"]
    made.graded = [row for row in made.graded if row["symbol"] != "BBB"]
    made.save()
    made.client().delete_registered_model_alias("stock.BBB", "champion")
    with pytest.raises(Incomplete, match="1 refused"):
        promote(made.config, {})
    assert champions(made) == {"stock.AAA": "lightgbm"}
    assert "stock.BBB: version 1 is refused: training stored no such run" in capsys.readouterr().out
    with pytest.raises(StageError, match="training stored no such run"):
        promote(made.config, {"name": "stock.BBB", "version": "1"})


def test_a_grade_that_its_predictions_do_not_give_is_refused_and_removed(
    made: Case, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    edited = next(row["record_id"] for row in made.graded if (row["symbol"], row["family"]) == ("AAA", "lightgbm"))

    def check(_self: Regrader, graded: pl.DataFrame) -> Iterator[GradeCheck]:
        for record_id, strategy in graded.select("record_id", "strategy_key").iter_rows():
            differing = ("z 4 is stored, and its predictions give 0.1",) if record_id == edited else ()
            yield GradeCheck(record_id, strategy, differing=differing, is_current=True)

    monkeypatch.setattr(Regrader, "check", check)
    with pytest.raises(Incomplete, match="1 refused"):
        promote(made.config, {})
    assert champions(made) == {"stock.AAA": "xgboost", "stock.BBB": "lightgbm"}
    out = capsys.readouterr().out
    assert "is refused: the stored grade differs from what its predictions give (z 4 is stored" in out
    assert "run `python -m src.train`, which grades again" in out
    assert edited not in made.store.grades(made.session["key"])["record_id"].to_list()


def test_bars_that_were_restated_are_no_damage(made: Case, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def gone(_self: Regrader, graded: pl.DataFrame) -> Iterator[GradeCheck]:
        for key in graded.select("record_id", "strategy_key").iter_rows():
            yield GradeCheck(*key, missing="its bars are gone")

    monkeypatch.setattr(Regrader, "check", gone)
    assert promote(made.config, {}).endswith("0 champions, 0 changed, 0 no longer clear")
    assert "stock.AAA: version 2 is refused: its bars are gone; " in capsys.readouterr().out


def test_withdraw_works_when_the_run_or_the_model_is_gone(made: Case) -> None:
    import sqlite3
    from contextlib import closing

    promote(made.config, {})
    run = version_of(made, "stock.AAA", "lightgbm").run_id
    with closing(sqlite3.connect(made.database)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", (run,))
        connection.execute("DELETE FROM model_versions WHERE name = 'stock.BBB'")
        connection.commit()
    for name in ("stock.AAA", "stock.BBB"):
        assert "1 changed" in promote(made.config, {"withdraw": name})
    assert champions(made) == {}
    with pytest.raises(StageError, match=r"stock\.AAA has no champion to withdraw"):
        promote(made.config, {"withdraw": "stock.AAA"})


def test_each_objection_is_said(made: Case) -> None:
    records, limits = Records.at(made.store.root), Thresholds.of(Config().grade)
    row = next(row for row in made.graded if row["symbol"] == "BBB")
    sha256 = made.store.model_sha256(row["record_id"])

    def against(use: Use = Use.PROMOTE, **changed: Any) -> list[tuple[str, bool]]:
        facts = {"name": "stock.BBB", "run_id": "r", "record_id": row["record_id"], "own_name": "stock.BBB"}
        facts |= {"metrics": GOOD, "model_sha256": sha256} | changed
        return [(each.message, each.is_damage) for each in verdict.objections(Standing(**facts), limits, records, use)]

    assert against() == against(Use.REGISTER) == against(Use.LOAD) == []
    assert against(metrics={**GOOD, "auc": 0.9}) == [("auc 0.9 is not the 0.56 that training stored", True)]
    assert ("sharpe is undefined", False) in against(metrics={**GOOD, "sharpe": None})
    assert against(suspicious="too good") == [("suspicious: too good", False)]
    assert against(is_superseded=True) == [("superseded by a later run of the same model", False)]
    assert against(Use.KEEP, is_superseded=True) == []
    assert against(arm="placebo")[0][1]
    assert against(name="stock.AAA") == [("run r is of stock.BBB, not of stock.AAA", True)]
    assert against(broken="run r is unfinished or deleted") == [("run r is unfinished or deleted", True)]
    assert "the native model" in against(model_sha256="0" * 64)[0][0]
    assert "training stored no such run" in against(record_id="f" * 24 + ".0")[0][0]
    assert "training stored no such run" in against(record_id=None)[0][0]
    short = {**BAD, "n_oos": 700}
    assert [message for message, damage in against(Use.REGISTER, metrics=short) if not damage] == [
        "sharpe 0.31 is below 0.50"
    ]


def test_a_suspicion_that_training_found_later_counts(made: Case) -> None:
    row = next(row for row in made.graded if row["symbol"] == "BBB")
    row["suspicious"] = "an open that is the last close"
    made.save()
    promote(made.config, {})
    assert "stock.BBB" not in champions(made)
