"""The gate on PostgreSQL: what holds on a file holds there, by the plugin and by the triggers behind it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import DBAPIError

from src.config.schema import Config, GradeConfig, TrackingConfig
from src.core.project import ROOT
from src.evaluation.grade import Thresholds
from src.promote import promote
from src.sync import sync
from src.tracking import crowned_versions, gate_mark, postgresql, store
from src.tracking.client_runs import ClientRuns
from src.tracking.errors import StoreUnreachable, TrackingError
from src.tracking.gate_mark import Loosening, MarkUpdate
from src.tracking.recorder import Recorder
from tests.tracking import postgresql_case
from tests.tracking.routes_case import look_anew, project_at, rows, written_by_bulk
from tests.tracking.test_registry_store import (  # noqa: F401 (tests that are collected here, on another database)
    fresh_run,
    model_of,
    registry,
    run_of,
    stocked,
    test_a_good_runs_id_in_the_request_registers_no_bad_model,
    test_a_metric_that_is_undefined_is_refused,
    test_a_metric_with_two_values_is_refused,
    test_a_model_below_a_threshold_is_refused_naming_it,
    test_a_model_can_not_take_another_instruments_name,
    test_a_registered_model_can_not_be_renamed_to_another_instrument,
    test_a_run_of_the_placebo_arm_is_refused_whatever_it_clears,
    test_a_run_that_clears_was_registered_and_may_be_registered_again,
    test_a_source_that_is_not_a_logged_model_is_refused,
    test_a_suspicious_run_is_refused_until_a_person_clears_it,
    test_a_suspicious_run_that_a_person_cleared_is_registered,
    test_after_raised_thresholds_no_alias_stage_or_copy_is_given,
    test_an_impossible_value_or_nan_is_refused,
    test_another_model_attached_to_a_good_run_is_refused,
    test_files_changed_after_the_grade_are_refused_and_not_served,
    test_plain_sql_meets_the_triggers,
    test_the_champion_needs_the_bars_of_promotion,
    test_too_few_out_of_sample_bars_are_refused,
    test_triggers_and_function_agree_on_the_borders,
)
from tests.tracking.tracking_case import BAD, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

UNCHANGED = MarkUpdate((), ())


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    with postgresql_case.cluster() as folder:
        yield folder


@pytest.fixture(scope="module")
def base(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with pytest.MonkeyPatch.context() as patch:
        yield stocked(case(tmp_path_factory.mktemp("gate"), patch, postgresql_case.make(cluster, "gate")))


@pytest.fixture(scope="module")
def by_bulk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return written_by_bulk(tmp_path_factory.mktemp("bulk"))


def test_the_route_gives_what_bulk_inserts_give_and_a_second_sync_nothing_more(
    cluster: Path, by_bulk: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project_at(tmp_path, monkeypatch, postgresql_case.make(cluster, "routes"))
    with store.open_store(made.tracked) as target:
        assert isinstance(target.runs, ClientRuns)
    sync(made.config)
    assert rows(made.uri, "alpha-loop/demo") == by_bulk
    look_anew()
    sync(made.config)
    assert rows(made.uri, "alpha-loop/demo") == by_bulk


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


def test_a_table_of_the_same_name_does_not_replace_one_of_mlflows(base: Case) -> None:
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


def test_marking_again_writes_nothing_and_a_dropped_trigger_is_restored(base: Case) -> None:
    limits = Thresholds.of(base.config.grade)
    tables = {"alpha_loop_gate": "xmin", "pg_trigger": "oid", "pg_proc": "xmin"}
    state = " UNION ALL ".join(f"SELECT {column}::text FROM {table}" for table, column in tables.items())
    with base.sql() as execute:
        before = execute(state)
    assert postgresql.mark(base.uri, limits) == UNCHANGED
    with base.sql() as execute:
        assert execute(state) == before
    _for_good(base, "DROP TRIGGER alpha_loop_gate_insert ON model_versions")
    _for_good(base, "ALTER TABLE model_versions DISABLE TRIGGER alpha_loop_gate_update")
    assert postgresql.mark(base.uri, limits) == UNCHANGED
    with base.sql() as execute:
        found = dict(execute("SELECT tgname, tgenabled FROM pg_trigger WHERE tgname LIKE 'alpha_loop_gate_%'"))
    names = {trigger.name for trigger in gate_mark._triggers("postgresql")}
    names |= {"alpha_loop_gate_owners", "alpha_loop_gate_history_owners"}
    assert found == dict.fromkeys(names, "O")
    tighter = Thresholds.of({**limits.by_name(), "min_sharpe": 0.75})
    assert postgresql.mark(base.uri, tighter) == MarkUpdate(("min_sharpe 0.5 -> 0.75",), ())
    assert postgresql.mark(base.uri, limits) == MarkUpdate((), ("min_sharpe 0.75 (conf 0.5)",))
    loosened = postgresql.mark(base.uri, limits, Loosening("looked at it", "ann"))
    assert loosened == MarkUpdate(("min_sharpe 0.75 -> 0.5",), ())


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
    assert postgresql.mark(uri, Thresholds.of(base.config.grade)) == UNCHANGED
    _, bad = fresh_run(base, BAD)
    with pytest.raises(MlflowException, match=r"sharpe 0\.31 is below 0\.50"):
        MlflowClient(uri, uri).create_model_version("crypto.BTC-USD", f"models:/{bad}")


def granted() -> str:
    """The statements that docs/tracking.md gives to copy."""
    lines = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith(("    CREATE ROLE", "    GRANT", "    REVOKE")))


def test_a_role_as_documented_trains_and_can_not_change_thresholds_whatever_else_it_is_granted(
    base: Case, tmp_path: Path
) -> None:
    from psycopg2.errors import InsufficientPrivilege

    assert "CREATE ROLE training LOGIN" in granted()
    _for_good(base, granted())
    role = Case(tmp_path, Config(tracking=TrackingConfig(uri=base.uri.replace("postgres@", "training@"))))
    role.config.tracking.experiment = "by-role"
    record = role.add("etf", "SPY")
    look_anew()
    run = role.project()[record]
    assert base.client().search_model_versions(f"run_id = '{run}'")[0].name == "etf.SPY"
    change = "UPDATE alpha_loop_gate SET value = 0"
    _refused(role, change, InsufficientPrivilege, "permission denied for table alpha_loop_gate")
    _for_good(base, "GRANT ALL ON ALL TABLES IN SCHEMA public TO training")
    message = "alpha-loop gate: thresholds are changed by the owner of the tables alone"
    for statement in (change, "DELETE FROM alpha_loop_gate", "TRUNCATE alpha_loop_gate"):
        _refused(role, statement, InsufficientPrivilege, message)
    limits = Thresholds.of(base.config.grade)
    with pytest.raises(TrackingError, match="may not change it .*run python -m src.sync as the owner"):
        postgresql.mark(role.uri, Thresholds.of({**limits.by_name(), "min_sharpe": 0.9}))
    looser = Thresholds.of({**limits.by_name(), "min_sharpe": 0.1})
    assert postgresql.mark(role.uri, looser).kept == ("min_sharpe 0.5 (conf 0.1)",)
    with pytest.raises(TrackingError, match="may not change it"):
        postgresql.mark(role.uri, looser, Loosening("I would like to", "bob"))
    assert postgresql.mark(role.uri, limits) == UNCHANGED


def _refused(role: Case, statement: str, kind: type[Exception], message: str) -> None:
    with role.sql() as execute, pytest.raises(DBAPIError, match=message) as caught:
        execute(statement)
    assert isinstance(caught.value.orig, kind)


def test_a_mark_in_another_schema_does_not_replace_the_databases(base: Case) -> None:
    """PostgreSQL looks into the schema of a role's own name first."""
    _for_good(
        base,
        "CREATE ROLE trader LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO trader; "
        "CREATE SCHEMA trader AUTHORIZATION trader; CREATE TABLE trader.alpha_loop_gate AS SELECT name, "
        "CASE WHEN name LIKE 'max%' OR name LIKE 'suspicious%' THEN 1e9 ELSE 0 END AS value "
        "FROM public.alpha_loop_gate; ALTER TABLE trader.alpha_loop_gate OWNER TO trader",
    )
    uri = base.uri.replace("postgres@", "trader@")
    _, bad = fresh_run(base, BAD)
    with pytest.raises(MlflowException, match=r"sharpe 0\.31 is below 0\.50"):
        MlflowClient(uri, uri).create_model_version("of-a-trader", f"models:/{bad}")
    assert postgresql.mark(uri, Thresholds.of(base.config.grade)) == UNCHANGED
    with base.sql() as execute:
        assert execute("SELECT value FROM trader.alpha_loop_gate WHERE name = 'min_sharpe'") == [(0,)]


def test_one_command_at_a_time_writes_a_dataset(
    cluster: Path, base: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine is another connection: here one that this process no longer counts as its own."""
    uri = postgresql_case.make(cluster, "claimed")
    made = case(tmp_path, monkeypatch, uri)
    record = made.add("stock", "AAPL", metrics=BAD)
    look_anew()
    run = made.project()[record]
    claims = postgresql._CLAIMS
    held, claim = next((key, value) for key, value in claims.items() if "/claimed" in key[0])
    assert made.project() == {record: run}  # again, in the same command
    del claims[held]
    message = rf"another command \({platform.node()}:{os.getpid()}\) writes alpha-loop/demo at postgresql.*only one"
    with pytest.raises(TrackingError, match=message):
        made.project()
    with pytest.raises(TrackingError, match=message):
        Recorder(made.tracked)  # training says so before any work
    promote(made.config, {})  # chooses among what is there, and writes no run
    made.config.universe.name = "another"
    made.project()
    made.config.universe.name = "demo"
    claim[1].close()
    assert made.project() == {record: run}
    with made.sql() as execute:
        execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'alpha-loop%'")
    assert made.project() == {record: run}  # the server was started again: the claim is made again
    for _, closing in claims.values():
        closing.close()
    claims.clear()


@pytest.mark.parametrize("host", ["ss@db", "h:port:more"])
def test_an_invalid_address_is_shown_without_the_password(host: str) -> None:
    with pytest.raises(
        TrackingError, match="not the address of a database: write postgresql://.*an @ .* as %40"
    ) as said:
        postgresql.mark(f"postgresql+psycopg2://ann:pa@{host}/db", Thresholds.of(GradeConfig()))
    assert "pa@" not in str(said.value)
    assert "ss@" not in str(said.value)


def test_an_unreachable_server_is_shown_without_the_password(tmp_path: Path) -> None:
    uri = f"postgresql://ann:s3cret@/mlflow?host={tmp_path}&password=s3cret"
    with pytest.raises(StoreUnreachable, match=r"PostgreSQL can't be used at postgresql://\*\*\*@/mlflow") as caught:
        postgresql.mark(uri, Thresholds.of(Case(tmp_path).config.grade))
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_champions_are_those_that_mlflows_client_names(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = case(tmp_path, monkeypatch, postgresql_case.make(cluster, "crowned"))
    for symbol in ("AAA", "BBB"):
        made.add("stock", symbol)
    made.project()
    for symbol in ("AAA", "BBB"):
        made.client().set_registered_model_alias(f"stock.{symbol}", "champion", "1")
    made.trained.pop()
    made.graded.pop()
    made.save()
    found = crowned_versions.crowned_versions(made.tracked)
    assert found == crowned_versions._through_client(made.tracked)
    assert [bool(each.objections) for each in found] == [False, True]
