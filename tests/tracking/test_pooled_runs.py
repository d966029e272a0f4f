"""Pooled runs beside those of instruments: shown, registered where they clear, refused, crowned and rebuilt."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from src.core.errors import ConfigError, Incomplete, StageError
from src.evaluation.grade import Thresholds
from src.inspection import cleanup, invariants
from src.inspection.crowned import crowned
from src.promote import promote
from src.sync import sync
from src.tracking.run_record import registered_name
from src.training.pooled.regrading import PooledRegrader
from src.training.regrading import GradeCheck
from tests.tracking.pooled_case import NAME, PORTFOLIO_KEY, SESSION, PooledCase, pooled_case
from tests.tracking.routes_case import look_anew
from tests.tracking.test_store import children, dump
from tests.tracking.tracking_case import BAD, GOOD, local

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def pooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PooledCase:
    look_anew()
    return pooled_case(tmp_path, monkeypatch)


def champion(pooled: PooledCase, name: str = NAME) -> int | None:
    found = {each.name: each.aliases for each in pooled.made.client().search_registered_models()}
    return int(found[name]["champion"]) if "champion" in found.get(name, {}) else None


def versions(pooled: PooledCase) -> list[str]:
    return sorted(each.name for each in pooled.made.client().search_model_versions())


# shown ----------------------------------------------------------------------------------------------------------------


def test_a_portfolios_model_has_a_name_of_its_own() -> None:
    assert registered_name("pooled", "stock.neutral", "1d") == NAME
    assert registered_name("pooled", "crypto.quantiles", "1h") == "pooled.crypto.quantiles-1h"


def test_a_run_shows_universe_families_eligibility_and_portfolio(pooled: PooledCase) -> None:
    record = pooled.add(metrics={**BAD, "names": 411.6})
    run = pooled.made.client().get_run(pooled.project()[record])
    params, metrics, tags = run.data.params, run.data.metrics, run.data.tags
    assert run.info.run_name == "pooled.stock.neutral ensemble"
    assert {name: params[name] for name in ("universe_class", "portfolio", "families", "n_names")} == {
        "universe_class": "stock", "portfolio": "neutral", "families": "lightgbm, ridge", "n_names": "412",
    }  # fmt: skip
    assert params["registered_name"] == NAME
    assert (params["label.kind"], params["label.horizon"], params["scope.train_every"]) == ("neutral", "20", "10")
    assert params["eligibility.min_dollar_volume.stock"] == "1000000.0"
    assert (params["portfolio.kind"], params["portfolio.trade_every"]) == ("neutral", "5")
    assert (params["model.lightgbm.rounds"], params["n_features"]) == ("5", "4")
    assert "strategy" not in params
    assert {name: metrics[name] for name in ("sharpe", "ic", "z", "names", "n_trials")} == {
        "sharpe": 0.31, "ic": 0.021, "z": 3.1, "names": 411.6, "n_trials": 66,
    }  # fmt: skip
    assert (tags["asset_class"], tags["symbol"], tags["alpha.passed"]) == ("pooled", "stock.neutral", "false")
    parent = pooled.made.client().get_run(tags["mlflow.parentRunId"])
    assert (parent.data.tags["alpha.session"], parent.info.run_name) == (SESSION, pooled.session["name"])


def test_a_pass_has_its_equity_curve_and_a_version(pooled: PooledCase) -> None:
    run = pooled.project_of(pooled.add())
    assert len(pooled.made.client().get_metric_history(run, "net_equity")) == 4
    assert versions(pooled) == [NAME]
    assert pooled.made.client().get_model_version(NAME, "1").run_id == run


def test_a_session_of_its_own_configuration_is_shown_with_it(pooled: PooledCase) -> None:
    pooled.session["config_yaml"] = "portfolio:\n  kind: quantiles\n  trade_every: 10\n"
    record = pooled.add(portfolio="tenths")
    sync(pooled.made.config)
    (run,) = children(pooled.made)
    assert run.data.tags["alpha.record_id"] == record
    assert (run.data.params["portfolio"], run.data.params["portfolio.kind"]) == ("tenths", "quantiles")
    assert run.data.params["portfolio.trade_every"] == "10"


def test_runs_of_instruments_beside_it_are_shown_as_before(pooled: PooledCase) -> None:
    record = pooled.made.add("stock", "AAPL")
    alone = pooled.made.client().get_run(pooled.made.project()[record])
    pooled.add()
    pooled.project()
    sync(pooled.made.config)
    after = pooled.made.client().get_run(alone.info.run_id)
    assert (after.data.params, after.data.metrics) == (alone.data.params, alone.data.metrics)
    assert after.data.params["strategy"] == "long_flat"
    assert not {key for key in after.data.params if key.startswith(("portfolio", "eligibility", "scope"))}


# refused --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PooledCase]:
    """A pooled run that clears, and ones that do not."""
    with pytest.MonkeyPatch.context() as patch:
        look_anew()
        made = pooled_case(tmp_path_factory.mktemp("pooled"), patch)
        made.add()
        made.add("etf", metrics={**GOOD, "auc": 0.514})
        made.add("crypto", metrics={**GOOD, "n_oos": 499})
        made.add("stock", portfolio="doubtful", suspicious="sharpe 4.10 at or above 3.00")
        made.made.add("stock", "AAPL")
        made.made.project()
        made.project()
        yield made


@pytest.fixture(params=["plugin", "triggers"])
def registry(request: pytest.FixtureRequest, base: PooledCase) -> Any:
    """The registry as a client meets it: with the plugin, or MLflow's own store with the triggers behind it."""
    base.made.client()
    if request.param == "plugin":
        from mlflow.tracking._model_registry.utils import _get_store

        return _get_store(base.made.uri, base.made.uri)
    return SqlAlchemyStore(base.made.uri)


@pytest.mark.parametrize(
    ("metric", "value", "message"),
    [("auc", 0.519, "auc 0.519 is below 0.520"), ("accuracy", 0.509, "accuracy 0.509 is below 0.510"),
     ("sharpe", 0.49, "sharpe 0.49 is below 0.50"), ("max_drawdown", 0.21, "max_drawdown 0.21 is above 0.20"),
     ("n_oos", 499, "n_oos 499 is below 500")],
)  # fmt: skip
def test_a_pooled_model_below_a_threshold_is_refused_by_plugin_and_triggers(
    base: PooledCase, registry: Any, metric: str, value: float, message: str
) -> None:
    before = sorted((each.name, each.version) for each in registry.search_model_versions())
    _, model = base.forged(**{metric: value})
    with pytest.raises(MlflowException) as caught:
        registry.create_model_version(NAME, f"models:/{model}")
    assert sorted((each.name, each.version) for each in registry.search_model_versions()) == before
    if hasattr(registry, "_admit"):
        assert caught.value.error_code == "PERMISSION_DENIED"
        assert message in caught.value.message


def test_a_model_with_the_stored_figures_is_admitted(base: PooledCase, registry: Any) -> None:
    _, model = base.forged()
    made = registry.create_model_version(NAME, f"models:/{model}")
    registry.delete_model_version(NAME, str(made.version))


def test_the_name_of_a_portfolio_is_kept_for_its_own_models(base: PooledCase, registry: Any) -> None:
    instrument = base.made.client().get_model_version("stock.AAPL", "1")
    with pytest.raises(MlflowException):
        registry.create_model_version(NAME, instrument.source)
    portfolio = base.made.client().get_model_version(NAME, "1")
    with pytest.raises(MlflowException):
        registry.create_model_version("stock.AAPL", portfolio.source)


def test_only_what_clears_is_registered(base: PooledCase) -> None:
    assert versions(base) == [NAME, "stock.AAPL"]


def test_a_run_made_by_hand_is_refused_where_the_records_are(base: PooledCase) -> None:
    from mlflow.tracking._model_registry.utils import _get_store

    run, model = base.forged()
    base.made.client().set_tag(run, "alpha.record_id", "f" * 24 + ".0")
    with pytest.raises(MlflowException, match=r"training stored no such run \(f+\.0\)"):
        _get_store(base.made.uri, base.made.uri).create_model_version(NAME, f"models:/{model}")


def test_figures_that_training_did_not_store_are_refused_by_the_portfolios_record(base: PooledCase) -> None:
    from mlflow.tracking._model_registry.utils import _get_store

    _, model = base.forged(sharpe=2.0)
    with pytest.raises(MlflowException, match=r"sharpe 2 is not the 0\.9 that training stored"):
        _get_store(base.made.uri, base.made.uri).create_model_version(NAME, f"models:/{model}")


def test_a_run_of_the_placebo_arm_is_refused(base: PooledCase, registry: Any) -> None:
    run, model = base.forged()
    base.made.client().set_tag(run, "arm", "placebo")
    with pytest.raises(MlflowException):
        registry.create_model_version(NAME, f"models:/{model}")


def test_a_changed_file_is_neither_served_nor_crowned(pooled: PooledCase) -> None:
    run = pooled.project_of(pooled.add())
    client = pooled.made.client()
    folder = local(client.get_logged_model(client.get_run(run).data.params["model_id"]).artifact_location)
    (ranks,) = (folder / "code").glob("alpha_loop_day_ranks_*.py")
    for path in (folder / "model" / "model.json", folder / "requirements.txt", ranks, folder / "model" / "pooled.zip"):
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        with pytest.raises(MlflowException, match="are not those that run"):
            client.get_model_version_download_uri(NAME, "1")
        path.write_bytes(content)
    assert client.get_model_version_download_uri(NAME, "1")
    path.write_bytes(content + b"\n")
    with pytest.raises(Incomplete, match="1 refused"):
        promote(pooled.made.config, {})
    assert champion(pooled) is None


def test_a_native_file_that_was_changed_since_it_was_recorded_is_not_registered(
    pooled: PooledCase, capsys: Any
) -> None:
    record = pooled.add()
    path = pooled.store.model_path(record)
    assert path is not None and path.name == "pooled.zip"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(Incomplete, match="1 refused"):
        sync(pooled.made.config)
    assert versions(pooled) == []
    said = "its native model in data/portfolios was changed (SHA-256): run `python -m src.train experiment=pooled`"
    assert said in capsys.readouterr().out


# crowned --------------------------------------------------------------------------------------------------------------


def test_portfolios_are_crowned_beside_instruments(pooled: PooledCase, capsys: Any) -> None:
    pooled.add(metrics={**GOOD, "z": 2.0})
    pooled.add(families=("lightgbm",), metrics={**GOOD, "z": 4.0})
    pooled.made.add("stock", "AAPL", metrics={**GOOD, "z": 1.0})
    sync(pooled.made.config)
    line = promote(pooled.made.config, {})
    assert line == "promote: 1 instruments and 1 portfolio with versions, 2 champions, 2 changed, 0 no longer clear"
    said = capsys.readouterr().out
    number = champion(pooled)
    assert f"pooled.stock.neutral: version {number} (lightgbm; auc 0.560, sharpe 0.900, z 4.000) is champion" in said
    assert "stock.AAPL: version 1 (lightgbm; auc 0.560, sharpe 0.900, z 1.000) is champion" in said
    assert crowned(pooled.made.tracked) == {"count": 2, "objections": []}
    assert invariants.check(pooled.made.config) == []
    pooled.made.config.grade.min_sharpe = 1.0
    pooled.made.mark(Thresholds.of(pooled.made.config.grade))
    assert promote(pooled.made.config, {"withdraw": "stock.AAPL"}).endswith("1 no longer clear")
    assert f"{NAME}: champion version {number}" in capsys.readouterr().out
    found = crowned(pooled.made.tracked)
    assert found is not None and [each["name"] for each in found["objections"]] == [NAME]
    promote(pooled.made.config, {"withdraw": NAME})
    assert champion(pooled) is None
    with pytest.raises(ConfigError, match=r"such as stock\.AAPL, or pooled\.<class>\.<portfolio>, got favourite"):
        promote(pooled.made.config, {"withdraw": "favourite"})


def test_a_grade_that_its_scores_do_not_give_is_not_crowned(
    pooled: PooledCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    pooled.add()
    pooled.made.add("stock", "AAPL")
    sync(pooled.made.config)

    def differs(_self: PooledRegrader, graded: pl.DataFrame) -> Iterator[GradeCheck]:
        for key in graded.select("record_id", "strategy_key").iter_rows():
            yield GradeCheck(*key, differing=("auc 0.56 is stored",), is_current=True)

    monkeypatch.setattr(PooledRegrader, "check", differs)
    with pytest.raises(Incomplete, match="1 refused"):
        promote(pooled.made.config, {})
    assert champion(pooled) is None
    assert champion(pooled, "stock.AAPL") == 1
    assert pooled.store.grades(SESSION).height == 0  # the next training grades again
    assert pooled.made.store.grades("5" * 24).height == 1


def test_a_suspicious_portfolio_is_registered_once_a_person_clears_it(pooled: PooledCase, capsys: Any) -> None:
    record = pooled.add(suspicious="sharpe 4.10 at or above 3.00")
    sync(pooled.made.config)
    assert versions(pooled) == []
    assert promote(pooled.made.config, {}).endswith("1 pass is flagged as suspicious and not registered")
    said = capsys.readouterr().out
    assert "look at its portfolio in the report (python -m src.report universe=demo), then" in said
    promote(pooled.made.config, {"clear": record, "why": "the bars were looked at"})
    promote(pooled.made.config, {})
    assert champion(pooled) == 1


def test_too_few_days_register_and_do_not_promote_and_near_misses_are_counted(pooled: PooledCase) -> None:
    pooled.add(metrics={**GOOD, "n_oos": 700})
    pooled.add("etf", metrics={**GOOD, "auc": 0.514})
    sync(pooled.made.config)
    assert versions(pooled) == [NAME]
    assert promote(pooled.made.config, {}).endswith("1 run missed by one threshold alone")
    assert champion(pooled) is None
    with pytest.raises(StageError, match="n_oos 700 is below 1000"):
        promote(pooled.made.config, {"name": NAME, "version": "1"})


# rebuilt --------------------------------------------------------------------------------------------------------------


def test_a_lost_store_is_rebuilt_with_both_scopes_and_nothing_twice(pooled: PooledCase) -> None:
    pooled.add()
    pooled.add("etf", metrics=BAD)
    pooled.made.add("stock", "AAPL")
    pooled.project()
    assert sync(pooled.made.config).startswith("sync: 3 runs of 2 sessions of demo are in sqlite:///")
    rows = dump(pooled.made)
    look_anew()
    assert "mended" not in sync(pooled.made.config)
    assert dump(pooled.made) == rows
    pooled.made.config.tracking.uri = "sqlite:///mlruns/another.db"
    sync(pooled.made.config)
    import mlflow

    address = f"sqlite:///{(pooled.made.root / 'mlruns' / 'another.db').as_posix()}"
    other = mlflow.MlflowClient(address, address)
    assert sorted(each.name for each in other.search_model_versions()) == [NAME, "stock.AAPL"]


def test_a_lost_folder_is_written_again_byte_for_byte(pooled: PooledCase) -> None:
    run = pooled.project_of(pooled.add())
    client = pooled.made.client()
    folder = local(client.get_logged_model(client.get_run(run).data.params["model_id"]).artifact_location)
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shutil.rmtree(folder)
    look_anew()
    assert "; 1 mended" in sync(pooled.made.config)
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_portfolio_that_was_graded_by_corrected_code_supersedes_its_former_run(pooled: PooledCase) -> None:
    record = pooled.add()
    pooled.project()
    pooled.graded[0] = pooled.graded[0] | {"strategy_key": "9" * 24, "sharpe": 0.7}
    pooled.save()
    pooled.project()
    found = {run.data.tags["alpha.strategy_key"]: run for run in children(pooled.made)}
    assert set(found) == {PORTFOLIO_KEY, "9" * 24}
    assert {run.data.tags["alpha.record_id"] for run in found.values()} == {record}
    assert found[PORTFOLIO_KEY].data.tags.get("alpha.superseded") == "true"
    assert "alpha.superseded" not in found["9" * 24].data.tags
    rows = dump(pooled.made)
    look_anew()
    sync(pooled.made.config)
    assert dump(pooled.made) == rows


def test_a_run_that_was_trained_again_supersedes_the_former_and_clean_removes_its_model(pooled: PooledCase) -> None:
    old = pooled.add()
    pooled.project()
    pooled.graded.clear()
    new = pooled.add(attempt=1)
    pooled.project()
    promote(pooled.made.config, {})
    paths = pooled.made.config.paths
    found = cleanup.find_leftovers(paths, pooled.made.root / "logs", pooled.made.tracked, removes=True)
    assert [each.message for each in found] == [
        f"version 1 of {NAME}: its run was superseded", "models of 1 superseded pooled run of demo",
    ]  # fmt: skip
    for each in found:
        each.remove()
    assert pooled.store.model_path(old) is None and pooled.store.model_path(new) is not None
    assert [int(each.version) for each in pooled.made.client().search_model_versions()] == [2]
