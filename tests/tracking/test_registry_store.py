"""Every way around the gate, against the store: with the plugin, and by MLflow's own store with the triggers behind."""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.exc import IntegrityError

from src.core.project import ROOT
from src.evaluation.grade import Thresholds
from src.tracking import registry_gate
from tests import process_case
from tests.pipeline_case import Project
from tests.tracking.tracking_case import BAD, GOOD, Case, case, folder_of, local

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with pytest.MonkeyPatch.context() as patch:
        yield stocked(case(tmp_path_factory.mktemp("gate"), patch))


def stocked(made: Case) -> Case:
    """A project with one good and one bad run of every kind that the tests need."""
    made.add("crypto", "BTC-USD")
    made.add("stock", "AAPL", metrics=BAD)
    made.add("stock", "SHORT", metrics={**GOOD, "n_oos": 499})
    made.add("stock", "YOUNG", metrics={**GOOD, "n_oos": 700})
    made.add("stock", "TOOGOOD", metrics={**GOOD, "auc": 0.7}, suspicious="AUC 0.70 at or above 0.65")
    made.add("stock", "NODRAWDOWN", metrics={**GOOD, "max_drawdown": None})
    made.ids = made.project()  # type: ignore[attr-defined]
    return made


@pytest.fixture(params=["plugin", "triggers"])
def registry(request: pytest.FixtureRequest, base: Case) -> Any:
    """The registry as a client meets it: with our plugin, or MLflow's own store on the same database."""
    base.client()
    if request.param == "plugin":
        from mlflow.tracking._model_registry.utils import _get_store

        return _get_store(base.uri, base.uri)
    return SqlAlchemyStore(base.uri)


def run_of(made: Case, symbol: str) -> str:
    return next(
        ids
        for row in made.graded
        if row["symbol"] == symbol
        for ids in [made.ids[row["record_id"]]]  # type: ignore[attr-defined]
    )


def model_of(made: Case, symbol: str) -> str:
    return str(made.client().get_run(run_of(made, symbol)).data.params["model_id"])


def fresh_run(made: Case, metrics: dict[str, float], **changes: Any) -> tuple[str, str]:
    """A run and model that look like ours in everything, with these metrics; returns their ids."""
    client = made.client()
    name = changes.pop("experiment", None)
    experiment = (
        client.create_experiment(name) if name else client.get_experiment_by_name("alpha-loop/demo").experiment_id
    )
    tags = {"alpha.passed": "true"} | changes.pop("tags", {})
    if metrics == GOOD and changes.pop("recorded", True):
        tags["alpha.record_id"] = made.add("stock", f"HAND{len(made.trained)}")
    run = client.create_run(experiment, tags=tags)
    model = client.create_logged_model(experiment, "made-by-hand", run.info.run_id)
    params = folder_of("lightgbm").write(local(model.artifact_location), model.model_id, run.info.run_id)
    params |= {"model_id": model.model_id, "registered_name": "stock.HAND"}
    logged = [Metric(key, value, 0, 0) for key, value in metrics.items()]
    logged += [Metric(key, value, 1, 0) for key, value in changes.pop("again", {}).items()]
    client.log_batch(run.info.run_id, logged)
    client.log_batch(run.info.run_id, params=[Param(key, value) for key, value in (params | changes).items()])
    client.finalize_logged_model(model.model_id, "READY")
    client.set_terminated(run.info.run_id)
    return run.info.run_id, model.model_id


def refused(registry: Any, message: str, name: str, source: str, **request: Any) -> None:
    """Asking for a version is refused, and leaves neither version nor empty model behind."""
    before = versions(registry)
    with pytest.raises(MlflowException) as caught:
        ask(registry, name, source, **request)
    assert versions(registry) == before
    if is_plugin(registry):
        assert caught.value.error_code == "PERMISSION_DENIED"
        assert caught.value.message.startswith("alpha-loop gate:")
        assert message in caught.value.message
        left = [each.name for each in registry.search_registered_models() if not each.latest_versions]
        assert name not in left


def ask(registry: Any, name: str, source: str, **request: Any) -> Any:
    try:
        registry.create_registered_model(name)
    except MlflowException as error:
        assert error.error_code == "RESOURCE_ALREADY_EXISTS"
    return registry.create_model_version(name, source, **request)


def versions(registry: Any) -> list[tuple[str, int]]:
    return sorted((each.name, each.version) for each in registry.search_model_versions())


def is_plugin(registry: Any) -> bool:
    return hasattr(registry, "_admit")


def test_a_run_that_clears_was_registered_and_may_be_registered_again(base: Case, registry: Any) -> None:
    assert ("crypto.BTC-USD", 1) in versions(registry)
    made = ask(registry, "my-favourite", f"models:/{model_of(base, 'BTC-USD')}")
    assert made.run_id == run_of(base, "BTC-USD")


def test_only_what_clears_was_registered_by_tracking(base: Case) -> None:
    names = {each.name for each in base.client().search_registered_models()} - {"my-favourite"}
    assert names == {"crypto.BTC-USD", "stock.YOUNG"}


def test_a_model_below_a_threshold_is_refused_naming_it(base: Case, registry: Any) -> None:
    _, model = fresh_run(base, BAD)
    refused(registry, "sharpe 0.31 is below 0.50", "stock.HAND", f"models:/{model}")


def test_a_good_runs_id_in_the_request_registers_no_bad_model(base: Case, registry: Any) -> None:
    _, model = fresh_run(base, BAD)
    good = run_of(base, "BTC-USD")
    refused(registry, "not from run", "stock.HAND", f"models:/{model}", run_id=good)


def test_a_good_models_id_in_the_request_registers_no_bad_model(base: Case, registry: Any) -> None:
    _, model = fresh_run(base, BAD)
    refused(registry, "", "stock.HAND", f"models:/{model}", model_id=model_of(base, "BTC-USD"))


def test_another_model_attached_to_a_good_run_is_refused(base: Case, registry: Any) -> None:
    client, run = base.client(), run_of(base, "BTC-USD")
    forged = client.create_logged_model(client.get_run(run).info.experiment_id, "forged", run)
    client.finalize_logged_model(forged.model_id, "READY")
    refused(registry, "param model_id", "crypto.BTC-USD", f"models:/{forged.model_id}", run_id=run)


@pytest.mark.parametrize(
    "source",
    ["{folder}", "file://{folder}", "runs:/{run}/model", "s3://bucket/model", "models:/crypto.BTC-USD@champion",
     "models:/crypto.BTC-USD/latest", "models:/m-" + "0" * 32, "models://elsewhere/{model}", "models:/{model}/", "",
     "mlflow-artifacts:/1/models/{model}/artifacts", "prompt-template", "models:/no.such/1"],
)  # fmt: skip
def test_a_source_that_is_not_a_logged_model_is_refused(base: Case, registry: Any, source: str) -> None:
    model, run = model_of(base, "BTC-USD"), run_of(base, "BTC-USD")
    folder = local(base.client().get_logged_model(model).artifact_location).as_posix()
    refused(registry, "", "crypto.BTC-USD", source.format(folder=folder, run=run, model=model), run_id=run)


def test_a_model_can_not_be_registered_as_a_prompt(base: Case, registry: Any) -> None:
    from mlflow.entities.model_registry import ModelVersionTag

    _, model = fresh_run(base, BAD)
    tags = [ModelVersionTag("mlflow.prompt.is_prompt", "true")]
    refused(registry, "", "stock.HAND", f"models:/{model}", tags=tags)


def test_a_metric_with_two_values_is_refused(base: Case, registry: Any) -> None:
    _, model = fresh_run(base, BAD, again={"sharpe": 2.0})
    refused(registry, "sharpe is undefined", "stock.HAND", f"models:/{model}")


@pytest.mark.parametrize("place", ["params", "tags"])
def test_a_run_of_the_placebo_arm_is_refused_whatever_it_clears(base: Case, registry: Any, place: str) -> None:
    arm = {"arm": "Placebo "}
    _, model = fresh_run(base, GOOD, **(arm if place == "params" else {"tags": arm}))
    refused(registry, "is of the placebo arm", "stock.HAND", f"models:/{model}")


@pytest.mark.parametrize(
    ("metric", "value"),
    [("max_drawdown", math.nan), ("sharpe", math.inf), ("auc", math.inf), ("max_drawdown", -0.3), ("n_oos", math.nan)],
)
def test_an_impossible_value_or_nan_is_refused(base: Case, registry: Any, metric: str, value: float) -> None:
    _, model = fresh_run(base, {**GOOD, metric: value})
    refused(registry, metric, "stock.HAND", f"models:/{model}")


@pytest.mark.parametrize("metric", ["auc", "accuracy", "sharpe", "max_drawdown", "n_oos"])
def test_a_metric_that_is_undefined_is_refused(base: Case, registry: Any, metric: str) -> None:
    _, model = fresh_run(base, {key: value for key, value in GOOD.items() if key != metric})
    refused(registry, f"{metric} is undefined", "stock.HAND", f"models:/{model}")


def test_too_few_out_of_sample_bars_are_refused(base: Case, registry: Any) -> None:
    refused(registry, "n_oos 499 is below 500", "stock.SHORT", f"models:/{model_of(base, 'SHORT')}")


def test_tags_changed_afterwards_change_nothing(base: Case, registry: Any) -> None:
    run, model = fresh_run(base, BAD)
    for key, value in {
        "alpha.passed": "true",
        "alpha.reasons": "",
        "alpha.cleared": '{"who": "me", "why": "so"}',
    }.items():
        base.client().set_tag(run, key, value)
    refused(registry, "sharpe 0.31", "stock.HAND", f"models:/{model}")


def test_params_can_not_be_changed_afterwards(base: Case) -> None:
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        base.client().log_param(run_of(base, "BTC-USD"), "model_id", "m-" + "0" * 32)


@pytest.mark.parametrize("tag", [None, "yes", '{"why": "I looked"}', '{"who": "", "why": "I looked"}', "[1]"])
def test_a_suspicious_run_is_refused_until_a_person_clears_it(base: Case, registry: Any, tag: str | None) -> None:
    run, model = fresh_run(base, GOOD, suspicious="AUC 0.70")
    if tag is not None:
        base.client().set_tag(run, "alpha.cleared", tag)
    refused(registry, "suspicious: AUC 0.70", "stock.HAND", f"models:/{model}")


def test_a_suspicious_run_that_a_person_cleared_is_registered(base: Case, registry: Any) -> None:
    run, model = fresh_run(base, GOOD, suspicious="AUC 0.70")
    base.client().set_tag(run, "alpha.cleared", json.dumps({"who": "ann", "why": "a real edge", "when": "today"}))
    assert ask(registry, "stock.HAND", f"models:/{model}").run_id == run


def test_a_deleted_run_is_refused(base: Case, registry: Any) -> None:
    run, model = fresh_run(base, GOOD)
    base.client().delete_run(run)
    refused(registry, "unfinished or deleted", "stock.HAND", f"models:/{model}")


def test_an_unfinished_run_is_refused(base: Case, registry: Any) -> None:
    run, model = fresh_run(base, GOOD)
    base.client().update_run(run, status="RUNNING")
    refused(registry, "unfinished or deleted", "stock.HAND", f"models:/{model}")


def test_a_run_of_another_experiment_with_fine_metrics_is_refused(base: Case, registry: Any) -> None:
    name = f"elsewhere-{is_plugin(registry)}"
    _, model = fresh_run(base, GOOD, experiment=name, model_id="m-" + "1" * 32)
    refused(registry, "not graded by Alpha Loop", "my-own", f"models:/{model}")


def test_a_model_can_not_take_another_instruments_name(base: Case, registry: Any) -> None:
    refused(registry, "is of crypto.BTC-USD", "stock.AAPL", f"models:/{model_of(base, 'BTC-USD')}")


def test_a_registered_model_can_not_be_renamed_to_another_instrument(base: Case, registry: Any) -> None:
    _, model = fresh_run(base, GOOD)
    name = f"to-rename-{is_plugin(registry)}"
    ask(registry, name, f"models:/{model}")
    with pytest.raises(MlflowException):
        registry.rename_registered_model(name, "stock.AAPL")
    registry.rename_registered_model(name, f"{name}-again")
    assert (f"{name}-again", 1) in versions(registry)


def test_the_champion_needs_the_bars_of_promotion(base: Case, registry: Any) -> None:
    message = r"run \w+ does not clear: n_oos 700 is below 1000" if is_plugin(registry) else "alpha-loop gate"
    with pytest.raises(MlflowException, match=message):
        registry.set_registered_model_alias("stock.YOUNG", "champion", "1")
    registry.set_registered_model_alias("stock.YOUNG", "candidate", "1")
    with pytest.raises(MlflowException):
        registry.set_registered_model_alias("stock.YOUNG", "Champion", "1")


def test_the_files_of_a_logged_model_elsewhere_do_not_count(base: Case, registry: Any, tmp_path: Path) -> None:
    import mlflow

    other = tmp_path / "evil.db"
    shutil.copy(base.database, other)
    model = model_of(base, "BTC-USD")
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("DROP TRIGGER alpha_loop_gate_model_changed")
        connection.execute("UPDATE logged_models SET artifact_location = 'file:///evil' WHERE model_id = ?", (model,))
    mlflow.set_tracking_uri(f"sqlite:///{other}")
    try:
        refused(registry, "triggers", "crypto.BTC-USD", f"models:/{model}", run_id=run_of(base, "BTC-USD"))
    finally:
        base.client()


def test_after_raised_thresholds_no_alias_stage_or_copy_is_given(base: Case, registry: Any) -> None:
    run, model = fresh_run(base, GOOD)
    name = f"raised-{is_plugin(registry)}"
    ask(registry, name, f"models:/{model}")
    version = registry.get_model_version(name, 1)
    raised(base, min_sharpe=1.5)
    try:
        for act in (
            lambda: registry.set_registered_model_alias(name, "any", "1"),
            lambda: registry.transition_model_version_stage(name, "1", "Production", False),
            lambda: registry.copy_model_version(version, "copy-of-it"),
            lambda: registry.create_model_version(name, f"models:/{name}/1", run),
        ):
            with pytest.raises(MlflowException, match=r"alpha-loop gate|Giving up|sharpe"):
                act()
        registry.transition_model_version_stage(name, "1", "Archived", False)
    finally:
        raised(base)
    copied = registry.copy_model_version(version, f"copy-{is_plugin(registry)}")
    assert copied.run_id == run


def raised(made: Case, **changes: float) -> None:
    made.mark(Thresholds.of({**Thresholds.of(made.config.grade).by_name(), **changes}))


@pytest.mark.parametrize(
    "sql",
    ["INSERT INTO model_versions (name, version, source, storage_location, run_id, current_stage, workspace) "
     "SELECT 'my-favourite', 99, 'models:/' || model_id, artifact_location, source_run_id, 'None', 'default' "
     "FROM logged_models WHERE model_id = '{bad}'",
     "UPDATE model_versions SET source = 'models:/{bad}' WHERE name = 'crypto.BTC-USD'",
     "UPDATE model_versions SET storage_location = 'file:///evil' WHERE name = 'crypto.BTC-USD'"],
)  # fmt: skip
def test_plain_sql_meets_the_triggers(base: Case, sql: str) -> None:
    _, bad = fresh_run(base, BAD)
    with base.sql() as execute, pytest.raises(IntegrityError, match="alpha-loop gate"):
        execute(sql.format(bad=bad))


def test_triggers_and_function_agree_on_the_borders(base: Case) -> None:
    limits = Thresholds.of(base.config.grade)
    _, model = fresh_run(base, {})
    steps = {"auc": 0.52, "accuracy": 0.51, "sharpe": 0.5, "max_drawdown": 0.2, "n_oos": 500.0}
    with base.sql() as query:
        found = registry_gate.candidate_from_source(query, f"models:/{model}")
        insert = "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, 0, 0, ?, ?)"
        answers = set()
        for metric, limit in steps.items():
            near = [(limit, False), (limit + 1e-9, False), (limit - 1e-9, False)]
            for value, is_nan in [*near, (0.0, True), (-1.0, False), (1e308, False)]:
                values = {**GOOD, metric: value}
                rows = [(key, each, is_nan and key == metric, found.run_id) for key, each in values.items()]
                for row in rows:
                    query(insert, row)
                expected = registry_gate.grade_candidate(query, found, limits).registrable
                assert _inserts(query, found) == expected, (metric, value, is_nan)
                answers.add(expected)
                query.rollback()
    assert answers == {True, False}


def _inserts(query: Any, found: registry_gate.CandidateModel) -> bool:
    row = ("my-favourite", 77, f"models:/{found.model_id}", found.location, found.run_id, "None", "default")
    columns = "(name, version, source, storage_location, run_id, current_stage, workspace)"
    try:
        query(f"INSERT INTO model_versions {columns} VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    except IntegrityError:
        return False
    return True


@pytest.mark.parametrize("change", ["native", "loader", "MLmodel", "added", "removed"])
def test_files_changed_after_the_grade_are_refused_and_not_served(base: Case, change: str) -> None:
    import mlflow

    run, model = run_of(base, "BTC-USD"), model_of(base, "BTC-USD")
    client = base.client()
    folder = local(client.get_logged_model(model).artifact_location)
    kept = folder.parent / "kept"
    shutil.copytree(folder, kept)
    try:
        _spoil(folder, change)
        for act in (
            lambda: client.create_model_version("crypto.BTC-USD", f"models:/{model}", run),
            lambda: client.set_registered_model_alias("crypto.BTC-USD", "any", "1"),
            lambda: mlflow.pyfunc.load_model("models:/crypto.BTC-USD/1"),
        ):
            with pytest.raises(MlflowException, match="not those that run"):
                act()
    finally:
        shutil.rmtree(folder)
        kept.rename(folder)
    assert mlflow.pyfunc.load_model("models:/crypto.BTC-USD/1") is not None


def _spoil(folder: Path, change: str) -> None:
    if change == "native":
        with (folder / "model" / "model.txt").open("a") as stream:
            stream.write("\n")
    elif change == "loader":
        next((folder / "code").glob("*.py")).write_text("import os\n")
    elif change == "MLmodel":
        (folder / "MLmodel").write_text((folder / "MLmodel").read_text().replace("code: code", "code: evil"))
    elif change == "added":
        (folder / "code" / "numpy.py").write_text("print('mine')\n")
    else:
        (folder / "requirements.txt").unlink()


def test_compiled_python_planted_beside_the_loader_is_deleted(base: Case) -> None:
    client = base.client()
    folder = local(client.get_logged_model(model_of(base, "BTC-USD")).artifact_location)
    planted = folder / "code" / "__pycache__" / "alpha_loop_loader.cpython-312.pyc"
    planted.parent.mkdir(exist_ok=True)
    planted.write_bytes(b"evil")
    client.get_model_version_download_uri("crypto.BTC-USD", "1")
    assert not planted.exists()


def test_a_database_that_is_not_ours_passes_through(base: Case, tmp_path: Path) -> None:
    import mlflow

    from tests.tracking.tracking_case import _template

    path = tmp_path / "theirs.db"
    shutil.copy(_template(), path)
    uri = f"sqlite:///{path}"
    mlflow.set_tracking_uri(uri)
    try:
        client = MlflowClient(uri, uri)
        client.create_registered_model("anything")
        assert int(client.create_model_version("anything", "s3://bucket/model").version) == 1
    finally:
        base.client()


def test_a_copy_of_the_database_stays_gated(base: Case, tmp_path: Path) -> None:
    _, model = fresh_run(base, BAD)
    with closing(sqlite3.connect(base.database)) as source, closing(sqlite3.connect(tmp_path / "copy.db")) as target:
        source.backup(target)
    uri = f"sqlite:///{tmp_path / 'copy.db'}"
    with pytest.raises(MlflowException, match=r"sharpe 0\.31"):
        MlflowClient(uri, uri).create_model_version("my-favourite", f"models:/{model}")


def test_a_broken_mark_lets_nothing_through(base: Case, tmp_path: Path) -> None:
    with closing(sqlite3.connect(base.database)) as source, closing(sqlite3.connect(tmp_path / "copy.db")) as target:
        source.backup(target)
        target.execute(f"DELETE FROM {registry_gate.MARK} WHERE name = 'min_sharpe'")
        target.commit()
    uri = f"sqlite:///{tmp_path / 'copy.db'}"
    with pytest.raises(MlflowException, match="min_sharpe must be a number"):
        MlflowClient(uri, uri).create_model_version("my-favourite", f"models:/{model_of(base, 'BTC-USD')}")


def test_looser_thresholds_on_the_command_line_register_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = case(tmp_path, monkeypatch)
    file = tmp_path / "conf" / "grade" / "default.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("name: default\nmin_sharpe: 0.5\n")
    made.config.grade.min_sharpe = 0.0
    made.add("stock", "AAPL", metrics=BAD)
    run = made.client().get_run(made.project().popitem()[1])
    assert run.data.tags["alpha.passed"] == "true"
    assert list(made.client().search_registered_models()) == []
    with pytest.raises(MlflowException, match=r"sharpe 0.31 is below 0.50"):
        made.client().create_model_version("stock.AAPL", f"models:/{run.data.params['model_id']}")


def test_tracking_refuses_to_start_without_the_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking._model_registry import utils

    from src.tracking.errors import TrackingError

    made = case(tmp_path, monkeypatch)
    made.add("crypto", "BTC-USD")
    builders: dict[str, Callable[..., Any]] = dict(utils._get_store_registry()._registry)
    monkeypatch.setattr(utils._get_store_registry(), "_registry", {**builders, "sqlite": utils._get_sqlalchemy_store})
    with pytest.raises(TrackingError, match=r"gate .* not active.*run make setup"):
        made.project()


@pytest.mark.parametrize("verb", ["sync", "promote"])
def test_an_environment_of_older_code_is_reported_with_the_command_to_type(verb: str, tmp_path: Path) -> None:
    """Entry points of a module that was moved since: what an old .venv has after an update of the code."""
    stale = tmp_path / "site" / "alpha_loop-0.0.1.dist-info"  # found first, it hides the project's own
    stale.mkdir(parents=True)
    (stale / "METADATA").write_text("Metadata-Version: 2.1\nName: alpha-loop\nVersion: 0.0.1\n")
    lines = [f"{scheme} = src.no_such_place.registry_store:gated_store" for scheme in ("sqlite", "postgresql")]
    (stale / "entry_points.txt").write_text("\n".join(["[mlflow.model_registry_store]", *lines]) + "\n")
    project = Project(tmp_path / "project")
    environment = {**os.environ, "PYTHONPATH": str(stale.parent), "DVC_ROOT": str(project.root)}
    done = process_case.run(
        project.arguments(verb), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "run make setup (on Windows scripts\\launch.bat setup)" in line
    assert "Traceback" not in done.stdout + done.stderr
    assert not project.database.exists()
