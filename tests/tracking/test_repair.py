"""What MLflow lost comes back by one sync, and nothing twice; what can't be vouched for stays out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.core.errors import Incomplete
from src.inspection import invariants
from src.promote import promote
from src.sync import sync
from src.training.regrading import GradeCheck, Regrader
from tests.tracking.routes_case import look_anew, store_server
from tests.tracking.tracking_case import BAD, Case, case, local

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(params=["sqlite", "server"])
def made(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    """A project with two champions, in a file and behind a tracking server."""
    if request.param == "server":
        with store_server(tmp_path) as (url, _):
            yield _begun(case(tmp_path, monkeypatch, url))
    else:
        yield _begun(case(tmp_path, monkeypatch))


def _begun(made: Case) -> Case:
    look_anew()
    for symbol, family in (("AAA", "lightgbm"), ("BBB", "catboost")):
        made.add("stock", symbol, family)
    made.add("stock", "CCC", metrics=BAD)
    sync(made.config)
    promote(made.config, {})
    return made


def state(made: Case) -> dict[str, Any]:
    """What has to be the same after a repair: a finished run of each record, a version of each pass, the champions."""
    client = made.client()
    number = client.get_experiment_by_name("alpha-loop/demo").experiment_id
    runs = [run for run in client.search_runs([number]) if "alpha.record_id" in run.data.tags]
    return {
        "records": sorted(run.data.tags["alpha.record_id"] for run in runs),
        "versions": sorted(each.name for each in client.search_model_versions()),
        "champions": sorted(each.name for each in client.search_registered_models() if "champion" in each.aliases),
        "loads": sorted(_loads(client, each) for each in client.search_model_versions()),
    }


def _loads(client: Any, version: Any) -> str:
    client.get_model_version_download_uri(version.name, version.version)
    return str(version.name)


def repaired(made: Case) -> str:
    look_anew()
    line = sync(made.config)
    look_anew()
    return line


def run_of(made: Case, name: str = "stock.AAA") -> str:
    return str(made.client().get_model_version_by_alias(name, "champion").run_id)


def model_of(made: Case, name: str = "stock.AAA") -> str:
    return str(made.client().get_run(run_of(made, name)).data.params["model_id"])


def folder_of(made: Case, name: str = "stock.AAA") -> Path:
    """The folder of a model's files, on disk also where a server passes them on."""
    found = [path for path in made.root.rglob(model_of(made, name)) if (path / "artifacts" / "MLmodel").is_file()]
    return found[0] / "artifacts"


def _changed_file(made: Case) -> None:
    (folder_of(made) / "requirements.txt").write_text("evil==1\n", encoding="utf-8")


def _lost_mlmodel(made: Case) -> None:
    (folder_of(made) / "MLmodel").unlink()


def _added_file(made: Case) -> None:
    (folder_of(made) / "model" / "more.txt").write_text("more", encoding="utf-8")


def _lost_folder(made: Case) -> None:
    shutil.rmtree(folder_of(made).parent)


def _deleted_version(made: Case) -> None:
    version = made.client().get_model_version_by_alias("stock.AAA", "champion").version
    made.client().delete_registered_model_alias("stock.AAA", "champion")
    made.client().delete_model_version("stock.AAA", version)


def _deleted_registered_model(made: Case) -> None:
    made.client().delete_registered_model_alias("stock.AAA", "champion")
    made.client().delete_registered_model("stock.AAA")


def _deleted_run(made: Case) -> None:
    run = run_of(made)
    made.client().delete_registered_model_alias("stock.AAA", "champion")
    made.client().delete_run(run)


def _deleted_model(made: Case) -> None:
    model = model_of(made)
    made.client().delete_registered_model_alias("stock.AAA", "champion")
    made.client().delete_logged_model(model)


def _lost_on_a_server(made: Case) -> None:
    """A loss of the database and one of files: a server passes on what the others are, too."""
    shutil.rmtree(folder_of(made, "stock.BBB").parent)
    _deleted_registered_model(made)


FAULTS = (
    _changed_file, _lost_mlmodel, _added_file, _lost_folder, _deleted_version, _deleted_registered_model, _deleted_run,
    _deleted_model,
)  # fmt: skip


@pytest.mark.parametrize(
    ("made", "fault"),
    [*(("sqlite", fault) for fault in FAULTS), ("server", _lost_on_a_server)],
    indirect=["made"],
)
def test_a_sync_brings_back_what_was_lost_and_a_second_one_changes_nothing(
    made: Case, fault: Callable[[Case], None]
) -> None:
    before = state(made)
    fault(made)
    line = repaired(made)
    assert f"; {2 if fault is _lost_on_a_server else 1} mended" in line, line
    promote(made.config, {})
    assert state(made) == before
    assert "mended" not in repaired(made)
    assert state(made) == before
    assert invariants.check(made.config) == []


def _differs(*keys: str) -> Callable[[Regrader, pl.DataFrame], Iterator[GradeCheck]]:
    """Stored grades that differ from what their predictions give, for these record ids."""

    def check(_self: Regrader, graded: pl.DataFrame) -> Iterator[GradeCheck]:
        for record_id, strategy in graded.select("record_id", "strategy_key").iter_rows():
            yield GradeCheck(record_id, strategy, differing=("auc 0.56 is stored",) if record_id in keys else ())

    return check


def test_a_pass_whose_predictions_give_other_figures_is_not_projected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = case(tmp_path, monkeypatch)
    made.add("stock", "AAA")
    edited = made.add("stock", "EVIL")
    monkeypatch.setattr(Regrader, "check", _differs(edited))
    look_anew()
    with pytest.raises(Incomplete, match=r"^sync: 1 runs of 1 session of demo are in .*; 1 refused$"):
        sync(made.config)
    assert [each.name for each in made.client().search_registered_models()] == ["stock.AAA"]


def test_a_pass_whose_bars_are_gone_is_shown_and_not_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    made = case(tmp_path, monkeypatch)
    made.add("stock", "AAA")

    def gone(_self: Regrader, graded: pl.DataFrame) -> Iterator[GradeCheck]:
        for key in graded.select("record_id", "strategy_key").iter_rows():
            yield GradeCheck(*key, missing="its bars are gone")

    monkeypatch.setattr(Regrader, "check", gone)
    look_anew()
    line = sync(made.config)
    assert line.startswith("sync: 1 runs of 1 session")
    assert "1 not registered, as their bars are gone or were restated: `python -m src.train universe=demo`" in line
    assert "stock.AAA lightgbm: not registered: its bars are gone" in capsys.readouterr().out
    assert list(made.client().search_registered_models()) == []


def test_a_changed_native_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    made = case(tmp_path, monkeypatch)
    record = made.add("stock", "AAA")
    path = made.store.model_path(record)
    assert path is not None
    made.graded[0]["model_sha256"] = made.store.model_sha256(record)
    made.save()
    path.write_bytes(path.read_bytes() + b"\n")
    look_anew()
    with pytest.raises(Incomplete, match="1 refused"):
        sync(made.config)
    assert "its native model in data/runs was changed (SHA-256): run `python -m src.train`" in capsys.readouterr().out


def test_an_orphaned_alias_and_a_version_without_a_run_are_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3
    from contextlib import closing

    made = _begun(case(tmp_path, monkeypatch))
    run = run_of(made, "stock.BBB")
    with closing(sqlite3.connect(made.database)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA foreign_keys = OFF")
        for table in ("model_version_tags", "model_versions"):  # tags go with their version: a foreign key says so
            connection.execute(f"DELETE FROM {table} WHERE name = 'stock.AAA'")
        for table in ("params", "tags", "metrics", "latest_metrics", "runs"):
            connection.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (run,))
        connection.commit()
    repaired(made)
    assert invariants.check(made.config) == []
    assert sorted(each.name for each in made.client().search_model_versions()) == ["stock.AAA", "stock.BBB"]


def test_a_lost_folder_is_written_again_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _begun(case(tmp_path, monkeypatch))
    folder = local(made.client().get_logged_model(model_of(made)).artifact_location)
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shutil.rmtree(folder)
    repaired(made)
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
