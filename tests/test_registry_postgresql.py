"""The gate on PostgreSQL: what holds on a file holds there, by the plugin and by the triggers behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from src import postgresql
from src.grade import Thresholds
from src.mlflow_home import TrackingError, Unreachable
from tests import postgresql_case
from tests.test_registry_store import (  # noqa: F401 (tests that are collected here, on another database)
    fresh_run,
    model_of,
    registry,
    run_of,
    stocked,
    test_a_better_value_logged_later_is_refused,
    test_a_good_runs_id_in_the_request_helps_no_bad_model,
    test_a_metric_that_is_undefined_is_refused,
    test_a_model_below_a_threshold_is_refused_naming_it,
    test_a_model_can_not_take_another_instruments_name,
    test_a_registered_model_can_not_be_renamed_to_another_instrument,
    test_a_run_that_clears_was_registered_and_may_be_registered_again,
    test_a_source_that_is_no_logged_model_is_refused,
    test_a_suspicious_run_is_refused_until_a_person_clears_it,
    test_a_suspicious_run_that_a_person_cleared_is_let_in,
    test_a_value_that_is_no_number_or_impossible_is_refused,
    test_after_raised_thresholds_no_alias_stage_or_copy_is_given,
    test_another_model_hung_on_a_good_run_is_refused,
    test_files_changed_after_the_grade_are_refused_and_not_handed_out,
    test_plain_sql_meets_the_triggers,
    test_the_champion_needs_the_bars_of_promotion,
    test_too_few_out_of_sample_bars_are_refused,
    test_triggers_and_function_agree_on_the_borders,
)
from tests.tracking_case import BAD, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    with postgresql_case.cluster() as folder:
        yield folder


@pytest.fixture(scope="module")
def base(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with pytest.MonkeyPatch.context() as patch:
        yield stocked(case(tmp_path_factory.mktemp("gate"), patch, postgresql_case.make(cluster, "gate")))


def test_a_database_that_is_not_ours_passes_through(cluster: Path, base: Case) -> None:
    import mlflow

    uri = postgresql_case.make(cluster, "theirs").replace("postgresql:", "postgresql+psycopg2:")
    mlflow.set_tracking_uri(uri)
    try:
        client = MlflowClient(uri, uri)
        client.create_registered_model("anything")
        assert int(client.create_model_version("anything", "s3://bucket/model").version) == 1
    finally:
        base.client()


def test_a_table_of_ones_own_does_not_stand_in_for_mlflows(base: Case) -> None:
    """A temporary table comes first in PostgreSQL's search: the triggers look past it."""
    from sqlalchemy.exc import IntegrityError

    run, bad = fresh_run(base, BAD)
    with base.sql() as execute:
        execute("CREATE TEMPORARY TABLE metrics AS SELECT * FROM metrics")
        execute("UPDATE pg_temp.metrics SET value = 2.0 WHERE run_uuid = ? AND key = 'sharpe'", (run,))
        columns = "(name, version, source, storage_location, run_id, current_stage, workspace)"
        with pytest.raises(IntegrityError, match="alpha-loop gate"):
            execute(
                f"INSERT INTO model_versions {columns} SELECT 'of-nobody', 99, 'models:/' || model_id, "
                "artifact_location, source_run_id, 'None', 'default' FROM logged_models WHERE model_id = ?",
                (bad,),
            )


def test_marking_again_writes_nothing_and_a_trigger_that_was_taken_away_comes_back(base: Case) -> None:
    limits = Thresholds.of(base.config.grade)
    tables = {"alpha_loop_gate": "xmin", "pg_trigger": "oid", "pg_proc": "xmin"}
    state = " UNION ALL ".join(f"SELECT {column}::text FROM {table}" for table, column in tables.items())
    with base.sql() as execute:
        before = execute(state)
    assert postgresql.mark(base.uri, limits) == []
    with base.sql() as execute:
        assert execute(state) == before
    _for_good(base, "DROP TRIGGER alpha_loop_gate_insert ON model_versions")
    _for_good(base, "ALTER TABLE model_versions DISABLE TRIGGER alpha_loop_gate_update")
    assert postgresql.mark(base.uri, limits) == []
    with base.sql() as execute:
        found = dict(execute("SELECT tgname, tgenabled FROM pg_trigger WHERE tgname LIKE 'alpha_loop_gate_%'"))
    assert found == {f"alpha_loop_gate_{name}": "O" for name in ("insert", "update", "stage", "alias", "alias_moved")}
    assert postgresql.mark(base.uri, Thresholds(**{**vars(limits), "min_sharpe": 0.75})) == ["min_sharpe 0.5 -> 0.75"]
    assert postgresql.mark(base.uri, limits) == ["min_sharpe 0.75 -> 0.5"]


def _for_good(base: Case, statement: str) -> None:
    with base.sql() as execute:
        execute(statement)
        execute("COMMIT")


def test_a_role_that_may_not_change_the_schema_works_behind_the_same_gate(base: Case) -> None:
    _for_good(
        base,
        "CREATE ROLE analyst LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO analyst; "
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO analyst",
    )
    uri = base.uri.replace("postgres@", "analyst@")
    assert postgresql.mark(uri, Thresholds.of(base.config.grade)) == []
    _, bad = fresh_run(base, BAD)
    with pytest.raises(MlflowException, match=r"sharpe 0\.31 is below 0\.50"):
        MlflowClient(uri, uri).create_model_version("crypto.BTC-USD", f"models:/{bad}")


def test_a_server_that_is_not_there_is_said_without_the_password(tmp_path: Path) -> None:
    uri = f"postgresql://ann:s3cret@/mlflow?host={tmp_path}&password=s3cret"
    with pytest.raises(Unreachable, match=r"PostgreSQL can't be used at postgresql://\*\*\*@/mlflow") as caught:
        postgresql.mark(uri, Thresholds.of(Case(tmp_path).config.grade))
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_is_no_address_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="is no address of a database"):
        postgresql.mark("postgresql+psycopg2://host:port:more/db", Thresholds.of(Case(tmp_path).config.grade))
