"""What MLflow shows of stored runs, that nothing is doubled, and that nothing is left half-written."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import platform
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.config.schema import Config, TrackingConfig
from src.core import process as process_module
from src.core.errors import ConfigError, StageError
from src.core.project import ROOT
from src.promote import promote
from src.tracking import database, location, sqlite_runs
from src.tracking.sweep import forget_swept
from tests import process_case
from tests.tracking.tracking_case import BAD, GOOD, SESSION, Case, case, local, native

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    return case(tmp_path, monkeypatch)


def experiment(made: Case) -> str:
    return str(made.client().get_experiment_by_name("alpha-loop/demo").experiment_id)


def children(made: Case) -> list[Any]:
    return [run for run in made.client().search_runs([experiment(made)]) if "alpha.record_id" in run.data.tags]


def test_a_run_is_shown_with_its_metrics_verdict_and_lineage(made: Case) -> None:
    record = made.add("stock", "AAPL", metrics={**BAD, "accuracy": None})
    run = made.client().get_run(made.project()[record])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "stock.AAPL lightgbm"
    assert {name: run.data.metrics[name] for name in ("auc", "sharpe", "n_oos", "luck_rate", "z", "n_train")} == {
        "auc": 0.56, "sharpe": 0.31, "n_oos": 1500, "luck_rate": 0.01, "z": 2.1, "n_train": 900,
    }  # fmt: skip
    assert not {"accuracy", "q_value", "net_equity"} & run.data.metrics.keys()
    tags = run.data.tags
    assert tags["alpha.passed"] == "false"
    assert tags["alpha.reasons"] == "accuracy is undefined; sharpe 0.31 is below 0.50"
    assert tags["alpha.undefined"] == "accuracy"
    assert (tags["asset_class"], tags["symbol"], tags["family"]) == ("stock", "AAPL", "lightgbm")
    assert (tags["alpha.hash.data"], tags["alpha.hash.feature"]) == ("b" * 24, "f" * 24)
    assert tags["mlflow.source.git.commit"] == "c" * 40
    assert tags["alpha.run_key"] == record.split(".")[0]
    assert run.data.params["model.rounds"] == "5"
    assert run.data.params["label.horizon"] == "1"
    assert "model_id" not in run.data.params
    parent = made.client().get_run(tags["mlflow.parentRunId"])
    assert parent.data.tags["alpha.session"] == SESSION
    assert parent.info.run_name == "demo lightgbm"
    assert parent.data.metrics["instruments"] == 3


def test_each_gate_metric_has_one_value_and_equity_one_a_month(made: Case) -> None:
    record = made.add("crypto", "BTC-USD")
    run = made.project()[record]
    client = made.client()
    for name, value in GOOD.items():
        assert [each.value for each in client.get_metric_history(run, name)] == [value]
    curve = client.get_metric_history(run, "net_equity")
    assert [np.datetime64(each.step, "M").item() for each in curve] == [
        dt.date(2020, month, 1) for month in (1, 2, 3, 4)
    ]
    days = [31, 60, 91, 106]  # bars until the end of January, February (a leap year), March and 15 April
    assert [each.value for each in curve] == pytest.approx([1.001**day for day in days])
    assert [each.timestamp for each in curve][:2] == [1580428800000, 1582934400000]  # 2020-01-31 and 2020-02-29, UTC
    assert client.get_run(run).data.metrics["net_equity"] == pytest.approx(1.001**106)


@pytest.mark.parametrize("route", ["bulk", "client"])
def test_months_before_1970_are_recorded_by_their_step(made: Case, route: str) -> None:
    made.config.tracking.route = route
    old = made.add("stock", "GE", began=dt.date(1969, 11, 1))
    older = made.add("stock", "IBM", began=dt.date(1962, 1, 2))
    recent = made.add("stock", "AAPL")
    runs = made.project()
    history = made.client().get_metric_history
    curve = history(runs[old], "net_equity")
    assert [(each.step, each.timestamp) for each in curve] == [
        (-2, 0), (-1, 0), (0, 30 * 86_400_000), (1, 44 * 86_400_000),
    ]  # fmt: skip
    months = [np.datetime64(each.step, "M").item() for each in history(runs[older], "net_equity")]
    assert months == [dt.date(1962, month, 1) for month in (1, 2, 3, 4)]
    assert made.client().get_run(runs[old]).data.metrics["net_equity"] == pytest.approx(1.001**106)
    assert history(runs[recent], "net_equity")[0].timestamp == 1580428800000


def test_a_second_projection_adds_nothing(made: Case) -> None:
    for symbol, metrics in (("AAPL", GOOD), ("MSFT", BAD)):
        made.add("stock", symbol, metrics=metrics)
    first = made.project()
    before = dump(made)
    assert made.project() == first
    assert dump(made) == before


def dump(made: Case) -> dict[str, list[Any]]:
    tables = ("runs", "params", "metrics", "latest_metrics", "logged_models", "model_versions", "registered_models")
    with closing(sqlite3.connect(made.database)) as connection:
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=str) for table in tables}


def test_the_bulk_route_writes_row_for_row_what_the_client_writes(made: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [made.add("crypto", "BTC-USD"), made.add("stock", "AAPL", metrics=BAD)]
    records.append(made.add("stock", "GE", began=dt.date(1969, 11, 1)))
    bulk = made.project()
    monkeypatch.setattr(sqlite_runs, "REVISIONS", {})
    made.config.tracking.experiment = "by-client"
    client = made.project()
    with closing(sqlite3.connect(made.database)) as connection:
        for record in records:
            assert rows_of(connection, bulk[record]) == rows_of(connection, client[record])


def test_a_store_of_another_mlflow_is_reported_with_its_remedy(made: Case) -> None:
    made.project()
    other = made.database.with_name("other.db")  # MLflow looks once a process and file
    with closing(sqlite3.connect(made.database)) as source, closing(sqlite3.connect(other)) as copy:
        source.backup(copy)
        copy.execute("UPDATE alembic_version SET version_num = 'f00dfacecafe'")
        copy.commit()
    made.config.tracking.uri = f"sqlite:///{other.as_posix()}"
    with pytest.raises(StageError, match=r"other.db have revision f00dfacecafe, and MLflow 3\.\S+ needs \w+: run"):
        made.project()


def rows_of(connection: sqlite3.Connection, run_id: str) -> dict[str, list[Any]]:
    """Everything that MLflow has of a run, but for ids, the parent and who wrote it."""
    found: dict[str, list[Any]] = {}
    for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
        cursor = connection.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", (run_id,))
        names = [each[0] for each in cursor.description]
        own = ("run_uuid", "experiment_id", "artifact_uri")
        rows = [{name: value for name, value in zip(names, row, strict=True) if name not in own} for row in cursor]
        free = ("mlflow.parentRunId", "alpha.writer", "alpha.registered", "model_id", "model_digest")
        found[table] = sorted((row for row in rows if row.get("key") not in free), key=str)
        assert found[table]
    return found


def test_another_strategys_returns_are_another_run_of_mlflow(made: Case) -> None:
    record = made.add("stock", "AAPL", metrics=BAD)
    first = made.project()[record]
    made.graded[0] |= {"strategy_key": "z" * 24, "sharpe": 0.1}
    made.save()
    assert made.project()[record] != first
    assert len(children(made)) == 2


def test_a_run_of_code_that_was_corrected_since_is_superseded_and_not_promoted(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.tracking.champions import Champions
    from src.tracking.store import open_store
    from src.training import run_key

    def graded_by(code: str) -> str:
        monkeypatch.setattr("src.training.code_keys.returns_code", lambda: code)
        made.graded[0] |= {"strategy_key": run_key.strategy_key(made.config.strategy)}
        made.save()
        return made.project()[made.graded[0]["record_id"]]

    made.add("stock", "AAPL")
    old = graded_by("faulty")
    new = graded_by("mended")
    client = made.client()
    assert old != new
    assert client.get_run(old).data.tags["alpha.superseded"] == "true"
    assert "alpha.superseded" not in client.get_run(new).data.tags
    with open_store(made.tracked) as target:
        champions = Champions(target)
        assert champions.best("stock.AAPL") == champions.version("stock.AAPL", 2)
    with pytest.raises(StageError, match="superseded by a later run of the same model"):
        promote(made.config, {"name": "stock.AAPL", "version": "1"})
    made.config.strategy.short = True  # other settings are another run, not a mended one
    other = graded_by("mended")
    assert other not in (old, new)
    assert "alpha.superseded" not in client.get_run(new).data.tags
    made.config.strategy.short = False
    assert graded_by("faulty") == old  # the mending is taken back
    assert not client.get_run(old).data.tags["alpha.superseded"]
    assert client.get_run(new).data.tags["alpha.superseded"] == "true"


def test_a_later_grade_moves_evidence_and_verdict_but_no_gate_metric(made: Case) -> None:
    record = made.add("stock", "AAPL", metrics={**GOOD, "n_oos": 400})
    run = made.project()[record]
    made.graded[0] |= {"p_value": 0.5, "sharpe": 0.95, "passed": False, "reasons": ["auc 0.56 is below 0.60"]}
    made.save()
    assert made.project() == {record: run}
    client = made.client()
    assert [each.value for each in client.get_metric_history(run, "p_value")] == [0.02, 0.5]
    assert client.get_run(run).data.tags["alpha.reasons"] == "auc 0.56 is below 0.60"
    assert [len(client.get_metric_history(run, name)) for name in GOOD] == [1] * 5


def test_a_run_that_passes_only_later_gets_its_model_then(made: Case) -> None:
    made.config.grade.min_sharpe = 1.0
    record = made.add("stock", "AAPL", model=False)
    made.project()
    assert list(made.client().search_registered_models()) == []
    made.config.grade.min_sharpe = 0.5
    made.graded[0] |= {"passed": True, "reasons": []}
    made.store.write_model(record, "model.txt", native("lightgbm"))
    made.save()
    made.project()
    assert [each.name for each in made.client().search_registered_models()] == ["stock.AAPL"]
    assert len(children(made)) == 1


def test_a_fresh_attempt_supersedes_the_former_and_leaves_its_version(made: Case) -> None:
    old = made.add("stock", "AAPL")
    first = made.project()[old]
    made.graded.clear()
    new = made.add("stock", "AAPL", attempt=1)
    made.project()
    client = made.client()
    assert client.get_run(first).data.tags["alpha.superseded"] == "true"
    assert "alpha.superseded" not in client.get_run(made.project()[new]).data.tags
    assert [int(each.version) for each in client.search_model_versions("name = 'stock.AAPL'")] == [2, 1]


def test_a_version_that_was_deleted_is_registered_again(made: Case) -> None:
    record = made.add("stock", "AAPL")
    run = made.project()[record]
    made.client().delete_registered_model("stock.AAPL")
    made.project()
    assert [(each.name, each.run_id) for each in made.client().search_model_versions()] == [("stock.AAPL", run)]


def test_leftovers_of_a_killed_process_are_swept(made: Case) -> None:

    made.add("stock", "AAPL")
    made.project()
    client, where = made.client(), experiment(made)
    parent = f"{os.getppid()}:{process_module.process_start(os.getppid())}"
    dead, living = (f"{platform.node()}:{process}:{int(time.time())}" for process in ("999999:1", parent))
    left = client.create_run(where, tags={"alpha.record_id": "x.0", "alpha.writer": dead})
    alive = client.create_run(where, tags={"alpha.record_id": "y.0", "alpha.writer": living})
    tags = {"alpha.record_id": "x.0", "alpha.writer": dead}
    model = client.create_logged_model(where, "half", left.info.run_id, tags=tags)
    foreign = client.create_logged_model(where, "a-persons-own")
    forget_swept()
    made.project()
    assert client.get_run(left.info.run_id).info.lifecycle_stage == "deleted"
    assert client.get_run(alive.info.run_id).info.lifecycle_stage == "active"
    assert {each.model_id for each in client.search_logged_models([where])} >= {foreign.model_id}
    assert model.model_id not in {each.model_id for each in client.search_logged_models([where])}


@pytest.mark.parametrize("step", ["create_logged_model", "finalize_logged_model", "log_batch", "create_model_version"])
def test_interrupted_at_any_step_the_next_projection_completes_it(
    made: Case, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    import mlflow

    record = made.add("crypto", "BTC-USD")

    def killed(*_arguments: Any, **_named: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, step, killed)
        with pytest.raises(KeyboardInterrupt):
            made.project()
    forget_swept()
    run = made.project()[record]
    client = made.client()
    assert [each.info.run_id for each in children(made)] == [run]
    assert [each.model_id for each in client.search_logged_models([experiment(made)])] == [
        client.get_run(run).data.params["model_id"]
    ]
    assert [each.run_id for each in client.search_model_versions()] == [run]


def test_a_registered_model_loads_by_its_champion_alias_and_says_what_it_is(made: Case) -> None:
    import mlflow
    import numpy as np
    import pandas as pd

    from tests.tracking.tracking_case import FEATURES, training_rows

    made.add("crypto", "BTC-USD", "catboost")
    made.project()
    client = made.client()
    client.set_registered_model_alias("crypto.BTC-USD", "champion", "1")
    model = mlflow.pyfunc.load_model("models:/crypto.BTC-USD@champion")
    rows, label = training_rows()
    chance = model.predict(pd.DataFrame(rows, columns=FEATURES))
    assert np.all((chance > 0) & (chance < 1))
    assert chance[label == 1].mean() > chance[label == 0].mean() + 0.2
    assert [each.name for each in model.metadata.signature.inputs] == FEATURES
    assert "refit on all data" in client.get_model_version("crypto.BTC-USD", "1").description
    folder = local(client.get_model_version_download_uri("crypto.BTC-USD", "1"))
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split("==")[0] for line in lines] == ["catboost", "mlflow", "numpy", "pandas"]


def test_symbols_that_mlflow_can_not_name_are_registered_under_escaped_names(made: Case) -> None:
    import mlflow

    symbols = {"BTC/USD": "BTC%2FUSD", "BTC:USD": "BTC%3AUSD", "BTC%2FUSD": "BTC%252FUSD", "BTC-USD": "BTC-USD",
               "B'\"C": "B%27%22C", "A@B?#1": "A%40B%3F%231", "^X=F": "^X=F", "é Z": "é Z"}  # fmt: skip
    for symbol in symbols:
        made.add("crypto", symbol)
    ids = made.project()
    assert len(ids) == len(symbols)
    client = made.client()
    versions = client.search_model_versions()
    runs = {each.name: client.get_run(each.run_id).data.params["symbol"] for each in versions}
    assert runs == {f"crypto.{name}": symbol for symbol, name in symbols.items()}
    for name, symbol in runs.items():
        client.set_registered_model_alias(name, "champion", "1")
        model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
        assert client.get_run(model.metadata.run_id).data.params["symbol"] == symbol
    made.project()
    assert len(client.search_model_versions()) == len(symbols)


def test_a_name_that_the_registry_refuses_costs_its_run_alone(
    made: Case, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from src.tracking import run_record

    monkeypatch.setattr(run_record, "_ESCAPED_IN_NAMES", "")
    for symbol in ("BTC/USD", "ETH-USD"):
        made.add("crypto", symbol)
    assert len(made.project()) == 2
    assert [each.name for each in made.client().search_registered_models()] == ["crypto.ETH-USD"]
    assert "crypto.BTC/USD" in caplog.text


def test_runs_reused_from_an_earlier_session_keep_their_parent_and_are_listed(made: Case) -> None:
    record = made.add("stock", "AAPL", metrics=BAD)
    run = made.project()[record]
    made.session = {"key": "6" * 24, "name": "later"}
    made.graded[0]["graded_by"] = "6" * 24
    from src.tracking.projection import project

    assert dict(project(made.tracked, made.store, made.grades("6" * 24), made.session).iter_rows()) == {record: run}
    client = made.client()
    later = client.search_runs([experiment(made)], f"tags.`alpha.session` = '{'6' * 24}'")[0]
    listed = json.loads(Path(client.download_artifacts(later.info.run_id, "reused.json")).read_text(encoding="utf-8"))
    assert listed == {record: run}
    parent = client.get_run(client.get_run(run).data.tags["mlflow.parentRunId"])
    assert parent.data.tags["alpha.session"] == SESSION


def test_the_database_counts_its_rows_after_a_load(made: Case) -> None:
    made.add("stock", "AAPL", metrics=BAD)
    made.project()
    with closing(sqlite3.connect(made.database)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'latest_metrics'").fetchone()[0] > 0
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_locked_database_is_reported_and_loses_nothing(made: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    made.add("stock", "AAPL")
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    with closing(sqlite3.connect(made.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StageError, match=r"locked by another program.*python -m src.sync"):
            made.project()
        other.execute("ROLLBACK")
    assert len(made.project()) == 1


def test_a_file_that_is_not_a_database_is_reported(made: Case) -> None:
    made.database.write_bytes(b"not a database at all" * 100)
    made.add("stock", "AAPL")
    with pytest.raises(StageError, match="is not a database"):
        made.project()


@pytest.mark.parametrize(
    "uri", ["mlruns", "file:///tmp/mlruns", "mysql://me:pw@host/db", "postgres://host/db", "databricks", "sqlite://"]
)
def test_a_store_that_can_not_be_gated_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"tracking.uri must be sqlite:///<file>, postgresql://"):
        location.store_location(TrackingConfig(uri=uri))


def test_tracking_that_is_off_writes_nothing(made: Case) -> None:
    made.add("stock", "AAPL")
    made.config.tracking.enabled = False
    assert made.project() == {}


def test_mlflow_is_not_imported_with_tracking() -> None:
    code = "import sys, src.tracking.store, src.sync, src.promote, src.ui; print('mlflow' in sys.modules)"
    done = process_case.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_undefined_values_are_left_out(made: Case) -> None:
    record = made.add("stock", "AAPL", metrics={**BAD, "turnover": math.nan, "z": math.inf})
    run = made.client().get_run(made.project()[record])
    assert not {"turnover", "z"} & run.data.metrics.keys()


def test_looser_limits_of_a_command_register_nothing_suspicious(made: Case) -> None:
    rules = made.root / "conf" / "grade" / "default.yaml"
    rules.parent.mkdir(parents=True)
    rules.write_bytes((ROOT / "conf" / "grade" / "default.yaml").read_bytes())
    made.config.grade.suspicious_auc = 1.0
    record = made.add("etf", "SPY", metrics={**GOOD, "auc": 0.7})
    run = made.client().get_run(made.project()[record])
    assert run.data.tags["alpha.passed"] == "true"
    assert run.data.params["suspicious"].startswith("auc 0.70 is at or above 0.65")
    assert not made.client().search_model_versions(f"run_id = '{run.info.run_id}'")


def test_the_sync_command_names_the_same_store() -> None:
    from src.tracking.settings import sync_command

    config = Config()
    config.universe.name = "full"
    assert sync_command(config.universe, config.tracking, config.data) == "python -m src.sync universe=full"
    config.tracking.uri, config.tracking.artifacts = "sqlite:///my runs/x.db", "mlruns/x"
    config.universe.name = "mine"
    assert sync_command(config.universe, config.tracking, config.data) == (
        "python -m src.sync universe.name=mine \"tracking.uri='sqlite:///my runs/x.db'\" tracking.artifacts=mlruns/x"
    )
    config.tracking.uri = "postgresql://me:secret@host/db"
    assert "secret" not in sync_command(config.universe, config.tracking, config.data)
