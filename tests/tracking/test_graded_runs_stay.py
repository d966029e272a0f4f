"""What the gate counts stays as it was graded, and no alias is left without a model behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.exc import IntegrityError

from src.tracking.registry_gate import GATED
from tests.tracking import postgresql_case
from tests.tracking.test_registry_store import fresh_run, model_of, run_of
from tests.tracking.tracking_case import GOOD, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
KEPT = "stay as they were graded"
BEHIND = "remove the alias first"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    with postgresql_case.cluster() as folder:
        yield folder


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    uri = None
    if request.param == "postgresql":
        uri = postgresql_case.make(request.getfixturevalue("cluster"), "stays")
    with pytest.MonkeyPatch.context() as patch:
        made = case(tmp_path_factory.mktemp("stays"), patch, uri)
        for symbol in ("BTC-USD", "ETH-USD"):
            made.add("crypto", symbol)
        made.ids = made.project()  # type: ignore[attr-defined]
        made.client().set_registered_model_alias("crypto.BTC-USD", "champion", "1")
        yield made


@pytest.mark.parametrize("metric", GATED)
def test_a_second_value_of_a_counted_metric_is_refused(base: Case, metric: str) -> None:
    run = run_of(base, "BTC-USD")
    for value in (99.0, GOOD[metric]):
        with pytest.raises(MlflowException, match=KEPT):
            base.client().log_metric(run, metric, value)
    assert [each.value for each in base.client().get_metric_history(run, metric)] == [GOOD[metric]]
    assert base.client().get_run(run).data.metrics[metric] == GOOD[metric]


def test_other_metrics_params_and_tags_are_still_written(base: Case) -> None:
    client, run = base.client(), run_of(base, "BTC-USD")
    client.log_metric(run, "z", 2.5)
    client.log_metric(run, "z", 2.6)
    client.set_tag(run, "note", "looked at")
    client.log_param(run, "comment", "fine")


def test_the_same_value_written_again_changes_nothing(base: Case) -> None:
    run = run_of(base, "BTC-USD")
    with base.sql() as execute:
        ((stamp,),) = execute("SELECT timestamp FROM metrics WHERE run_uuid = ? AND key = 'auc'", (run,))
    base.client().log_metric(run, "auc", GOOD["auc"], int(stamp), 0)


def test_a_run_without_a_model_takes_any_values(base: Case) -> None:
    client = base.client()
    run = client.create_run("0").info.run_id
    client.log_param(run, "model_id", "of another kind")
    for step in range(3):
        client.log_metric(run, "auc", 0.5 + step / 10, step=step)
    assert len(client.get_metric_history(run, "auc")) == 3


STATEMENTS = [
    *(f"UPDATE {table} SET value = 0.99 WHERE run_uuid = '{{run}}' AND key = '{key}'"
      for table in ("metrics", "latest_metrics") for key in GATED),
    *(f"DELETE FROM {table} WHERE run_uuid = '{{run}}' AND key = 'auc'" for table in ("metrics", "latest_metrics")),
    *(f"UPDATE {table} SET key = 'auc' WHERE run_uuid = '{{run}}' AND key = 'z'"
      for table in ("metrics", "latest_metrics")),
    "UPDATE metrics SET is_nan = {true} WHERE run_uuid = '{run}' AND key = 'auc'",
    "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES ('auc', 0.99, 1, 1, {false}, '{run}')",
    "UPDATE params SET value = 'stock.AAPL' WHERE run_uuid = '{run}' AND key = 'registered_name'",
    "UPDATE params SET key = 'gone' WHERE run_uuid = '{run}' AND key = 'model_sha256'",
    "DELETE FROM params WHERE run_uuid = '{run}' AND key = 'model_digest'",
    "UPDATE logged_models SET artifact_location = 'file:///evil' WHERE model_id = '{model}'",
    "UPDATE logged_models SET status = 1 WHERE model_id = '{model}'",
    "UPDATE logged_models SET source_run_id = '{other}' WHERE model_id = '{model}'",
    "UPDATE runs SET artifact_uri = 'file:///evil' WHERE run_uuid = '{run}'",
]  # fmt: skip


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("symbol", ["BTC-USD", "ETH-USD"])
def test_plain_sql_changes_nothing_that_the_gate_counts(base: Case, statement: str, symbol: str) -> None:
    names = {
        "run": run_of(base, symbol),
        "model": model_of(base, symbol),
        "other": base.client().create_run("0").info.run_id,
    }
    with base.sql() as execute, pytest.raises(IntegrityError, match=KEPT):
        execute(statement.format(**names, true="true", false="false"))


@pytest.mark.parametrize(
    "statement",
    ["REPLACE INTO metrics SELECT key, 0.99, timestamp, run_uuid, step, is_nan FROM metrics "
     "WHERE run_uuid = '{run}' AND key = 'auc'",
     "INSERT OR IGNORE INTO metrics SELECT key, 0.99, timestamp, run_uuid, step, is_nan FROM metrics "
     "WHERE run_uuid = '{run}' AND key = 'auc'",
     "REPLACE INTO latest_metrics SELECT key, 0.99, timestamp, step, is_nan, run_uuid FROM latest_metrics "
     "WHERE run_uuid = '{run}' AND key = 'auc'",
     "REPLACE INTO params SELECT key, 'stock.AAPL', run_uuid FROM params WHERE run_uuid = '{run}' AND key = 'model_id'",
     "REPLACE INTO runs SELECT * FROM runs WHERE run_uuid = '{run}'",
     "REPLACE INTO logged_models SELECT * FROM logged_models WHERE model_id = '{model}'"],
)  # fmt: skip
def test_replacing_a_row_is_changing_it(base: Case, statement: str) -> None:
    if base.uri.startswith("postgresql"):
        pytest.skip("PostgreSQL has no REPLACE")
    names = {"run": run_of(base, "BTC-USD"), "model": model_of(base, "BTC-USD")}
    with base.sql() as execute, pytest.raises(IntegrityError, match=KEPT):
        execute(statement.format(**names))


def aliases(base: Case) -> list[Any]:
    with base.sql() as execute:
        return execute("SELECT name, alias, version FROM registered_model_aliases ORDER BY name, alias")


def test_a_run_or_model_behind_an_alias_can_not_be_deleted_or_reopened(base: Case) -> None:
    client, run, model = base.client(), run_of(base, "BTC-USD"), model_of(base, "BTC-USD")
    experiment = client.get_run(run).info.experiment_id
    for act in (
        lambda: client.delete_run(run),
        lambda: client.update_run(run, status="FAILED"),
        lambda: client.delete_logged_model(model),
        lambda: client.delete_experiment(experiment),
    ):
        with pytest.raises(MlflowException, match=BEHIND):
            act()
    with pytest.raises(MlflowException, match=KEPT):
        client.finalize_logged_model(model, "FAILED")
    assert client.get_run(run).info.lifecycle_stage == "active"
    assert aliases(base) == [("crypto.BTC-USD", "champion", 1)]
    run = run_of(base, "ETH-USD")
    client.delete_run(run)
    client.restore_run(run)


@pytest.fixture(params=["plugin", "mlflow's own"])
def registry(request: pytest.FixtureRequest, base: Case) -> Any:
    base.client()
    if request.param == "plugin":
        from mlflow.tracking._model_registry.utils import _get_store

        return _get_store(base.uri, base.uri)
    return SqlAlchemyStore(base.uri)


@pytest.mark.parametrize("what", ["version", "model", "row"])
def test_deleting_a_version_or_registered_model_leaves_no_alias(base: Case, registry: Any, what: str) -> None:
    _, model = fresh_run(base, GOOD)
    before = aliases(base)
    registry.create_registered_model("to-delete")
    registry.create_model_version("to-delete", f"models:/{model}")
    for alias in ("any", "champion"):
        registry.set_registered_model_alias("to-delete", alias, "1")
    if what == "version":
        registry.delete_model_version("to-delete", "1")
    elif what == "model":
        registry.delete_registered_model("to-delete")
    else:
        with base.sql() as execute:
            execute("DELETE FROM model_versions WHERE name = 'to-delete'")
            execute("COMMIT")
    assert aliases(base) == before
    if what != "model":
        registry.delete_registered_model("to-delete")
    assert aliases(base) == before


def test_mlflow_erases_deleted_runs_for_good(base: Case) -> None:
    """``mlflow gc`` as it works on a store: of a run without a model, and of one whose model has no alias."""
    from mlflow.tracking._tracking_service.utils import _get_store

    client, store = base.client(), _get_store(base.uri)
    plain = client.create_run("0").info.run_id
    for step in range(2):
        client.log_metric(plain, "auc", 0.5, step=step)
    client.log_param(plain, "a", "b")
    graded, _ = fresh_run(base, GOOD)
    for run in (plain, graded):
        client.delete_run(run)
        store._hard_delete_run(run)
    for run in (plain, graded):
        with pytest.raises(MlflowException, match="not found"):
            client.get_run(run)
