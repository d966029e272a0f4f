"""Searches by SQL give what MLflow's client gives, and are asked only of tables that they were tested with."""

from __future__ import annotations

import math
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from src.core.project import ROOT
from src.tracking import connection, search
from src.tracking.errors import TrackingError
from src.tracking.late_client import LateClient
from src.tracking.sqlite_searches import SqliteSearches, answers
from src.tracking.store import open_store
from tests import process_case
from tests.tracking.tracking_case import BAD, GOOD, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store with passes, a failure, a flagged pass, a short one, a champion, and a deleted run."""
    with pytest.MonkeyPatch.context() as patch:
        built = case(tmp_path_factory.mktemp("searches"), patch)
        for symbol in ("AAPL", "MSFT", "GONE"):
            built.add("stock", symbol)
        built.add("stock", "BAD", metrics=BAD)
        built.add("stock", "TOO", metrics={**GOOD, "auc": 0.7}, suspicious="AUC 0.70 at or above 0.65")
        built.add("stock", "SHORT", metrics={**GOOD, "n_oos": 300})
        ids = built.project()
        client = built.client()
        client.set_registered_model_alias("stock.AAPL", "champion", "1")
        client.log_metric(ids[built.graded[0]["record_id"]], "undefined", math.nan)
        client.delete_run(ids[built.graded[2]["record_id"]])
        client.set_tag(ids[built.graded[1]["record_id"]], "empty", "")
        yield built


def plain(run: Any) -> Any:
    """What the project reads of a run, with NaN as a text that equals itself."""
    metrics = {key: repr(value) for key, value in run.data.metrics.items()}
    info = run.info.run_id, run.info.status, run.info.lifecycle_stage
    return *info, dict(run.data.params), dict(run.data.tags), metrics


def test_each_search_gives_what_the_client_gives(made: Case) -> None:
    client, late = made.client(), LateClient(SqliteSearches(made.database), pytest.fail)
    name = made.tracked.experiment
    one, other = (search.experiment_by_name(each, name) for each in (client, late))
    same = ("experiment_id", "artifact_location", "lifecycle_stage", "tags")
    assert [getattr(one, key) for key in same] == [getattr(other, key) for key in same]
    assert search.experiment_by_name(late, "absent") is search.experiment_by_name(client, "absent") is None
    listed = [[(v.name, int(v.version), v.run_id) for v in search.all_versions(each)] for each in (client, late)]
    assert listed[0] == listed[1] and {"stock.AAPL", "stock.GONE"} <= {each[0] for each in listed[1]}
    assert search.aliased_versions(late, "champion") == search.aliased_versions(client, "champion") == {"stock.AAPL": 1}
    ids = [run for _, _, run in listed[1]] + ["f" * 32]
    for with_deleted in (False, True):
        found = [
            search.runs_by_id(each, one.experiment_id, ids, with_deleted=with_deleted)  # type: ignore[arg-type]
            for each in (client, late)
        ]
        assert [plain(run) for _, run in sorted(found[0].items())] == [
            plain(run) for _, run in sorted(found[1].items())
        ]
    for ask in (search.flagged_passes, lambda each, number: search.short_passes(each, number, 500)):
        client_runs, sql_runs = (sorted(map(plain, ask(each, one.experiment_id))) for each in (client, late))
        assert client_runs == sql_runs and len(sql_runs) == 1


def test_tables_of_another_revision_and_other_workspaces_are_left_to_the_client(
    made: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answers(made.database) and not answers(tmp_path / "absent.db")
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(made.database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        assert answers(copy)
        target.execute("UPDATE alembic_version SET version_num = 'another'")
        target.commit()
    assert not answers(copy)
    monkeypatch.setenv("MLFLOW_WORKSPACE", "mine")
    assert not answers(made.database)
    monkeypatch.delenv("MLFLOW_WORKSPACE")
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "3.16.2")
    assert not answers(made.database), "the tables would be migrated, or refused, by the MLflow that is installed"


def test_a_reader_is_refused_where_the_plugin_is_missing_and_a_late_client_where_it_is_not_active(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(TrackingError, match="no entry points of the project"):
        connection._require_gate.cache_clear()
        patch.setattr("src.tracking.environment.gated_schemes", lambda *_group: [])
        with open_store(made.tracked):
            pass
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._get_store", lambda *_uris: object())
    with open_store(made.tracked) as store:
        assert search.aliased_versions(store.client, "champion") == {"stock.AAPL": 1}
        with pytest.raises(TrackingError, match="not active"):
            store.client.set_registered_model_alias("stock.MSFT", "champion", "1")
    with pytest.raises(TrackingError, match="not active"), open_store(made.tracked, writes=True):
        pass


def test_a_look_at_champions_and_passes_imports_neither_mlflow_nor_pandas(made: Case) -> None:
    code = (
        "import sys\n"
        "from src.config.schema import Config\n"
        "from src.tracking.champions import Champions\n"
        "from src.tracking.settings import TrackedDataset\n"
        "from src.tracking.store import open_store\n"
        "from src.tracking.withheld import withheld\n"
        "config = Config()\n"
        f"config.data.root = {str(made.root / 'data')!r}\n"
        "with open_store(TrackedDataset.of(config)) as store:\n"
        "    champions, others = Champions(store), withheld(store)\n"
        "    print(champions.names, len(champions.vetting.evidence.table), len(others.flagged), others.short)\n"
        "print({'mlflow', 'sqlalchemy', 'pandas', 'scipy.stats', 'sklearn', 'talib'} & set(sys.modules))\n"
    )
    done = process_case.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={**os.environ, "DVC_ROOT": str(made.root)}, capture_output=True, text=True,
    )  # fmt: skip
    names = ["stock.AAPL", "stock.GONE", "stock.MSFT"]
    assert done.stdout.splitlines() == [f"{names} 6 1 1", "set()"], done.stderr
