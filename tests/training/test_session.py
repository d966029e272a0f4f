"""What a session takes and what it leaves: unfinished stages before it, other commands beside it, and parts of it."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.config.schema import Config, GradeConfig, ModelConfig
from src.core.end_state import EndState
from src.core.errors import StageError
from src.core.failure import Failure
from src.engine.outcome import Outcome
from src.evaluation.grade import Thresholds
from src.features.catalog import code_hash
from src.features.registry import Feature
from src.features.store import FeatureStore
from src.featurize import featurize
from src.inspection import dossier_view, status_view
from src.inspection.instrument import dossier
from src.inspection.overview import overview
from src.market.bars import BarStore
from src.models.lightgbm import LightGBMParams
from src.models.xgboost import XGBoostParams
from src.storage.ledger import WAITING
from src.training.inputs import Inputs
from src.training.session import Session
from src.training.settings import TrainingSettings
from src.training.walk_forward import InstrumentTask, TrainedInstrument, train_instrument
from tests.pipeline_case import Project
from tests.test_featurize import identity

QUICK = ("model=lightgbm", "tracking.enabled=false")


class Brief(Project):
    """Five instruments with bars of eight years: what a session takes and leaves is the same for more."""

    def arguments(self, verb: str, *overrides: str) -> list[str]:
        few = ("source.simulated.first=2018-01-02", "source.simulated.stock=3", "source.simulated.etf=1")
        return super().arguments(verb, *few, *overrides)

    def copy(self, to: Path) -> Brief:
        return Brief(super().copy(to).root, self.code)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Brief(tmp_path_factory.mktemp("session") / "p")
    for verb in ("hydrate", "featurize"):
        project.alone(verb)
    project.alone("train", *QUICK)
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    return trained.copy(tmp_path / "p")


def keys(table: pl.DataFrame) -> set[tuple[str, str]]:
    return set(table.select("asset_class", "symbol").rows())


def configured(project: Project, *names: str) -> Config:
    """Configuration of the project with these features, which are computed."""
    config = Config()
    config.data.root, config.universe.name = str(project.root / "data"), "demo"
    config.features.names = list(names)
    featurize(config)
    return config


def session(config: Config, *families: str) -> Session:
    """A session whose tasks are done in this process."""
    return Session(TrainingSettings.of(config, models(*families or ("lightgbm",))))


def bars_of(project: Project) -> BarStore:
    return BarStore(project.root / "data" / "bars" / "demo")


def test_an_instrument_without_bars_before_the_last_training_date_has_its_state(project: Project) -> None:
    everything = keys(project.states("train"))
    line = project.alone("train", *QUICK, "split.until=2013-12-31")
    states = project.states("train")
    assert keys(states) == everything
    assert states["state"].unique().to_list() == ["skipped"]
    assert set(states["reason"]) == {"no bars up to split.until=2013-12-31"}
    assert f"{len(everything)} skipped" in line


def test_what_has_no_features_yet_waits_and_the_rest_is_trained(project: Project) -> None:
    waiting = keys(bars_of(project).ledger.states(0))
    (project.root / "data" / "features" / "demo" / "b000.json").unlink()
    everything = keys(project.states("train"))
    project.alone("train", *QUICK)
    states = project.states("train")
    assert keys(states) == everything
    assert keys(states.filter(pl.col("state") == "done")) == everything - waiting == keys(project.grades())
    assert states.filter(pl.col("state") == "skipped")["reason"].str.contains("run featurize").all()


def test_a_bucket_with_only_quarantined_instruments_does_not_stop_the_others(project: Project) -> None:
    store = bars_of(project)
    states = store.ledger.states(0).with_columns(state=pl.lit("quarantined"), reason=pl.lit("a frozen series"))
    empty = store.read_bucket(0).clear()
    store.ledger.record(0, str(store.ledger.fact(0)), states, digest=store.write_bucket(0, empty))
    project.alone("featurize")
    project.alone("train", *QUICK)
    left = project.states("train").filter(pl.col("state") == "skipped")
    assert keys(left) == keys(states)
    assert left["reason"].str.contains("a frozen series").all()
    assert not keys(project.grades()) & keys(states)


def test_fresh_for_one_symbol_keeps_the_grades_of_the_others(project: Project) -> None:
    before = project.grades()
    symbol = before["symbol"][0]
    project.alone("train", *QUICK, "fresh=true", f"only=[{symbol}]")
    after = project.grades()
    assert keys(after) == keys(before)
    again = after.filter(pl.col("record_id").str.ends_with(".1"))
    assert again["symbol"].to_list() == [symbol]


def test_bars_that_change_under_training_are_never_paired_with_the_features_of_others(project: Project) -> None:
    shard = sorted(bars_of(project).root.glob("b000-*.parquet"))[0]
    pl.read_parquet(shard)[1:].write_parquet(shard)  # the ledger still says what it said when training began
    done = project.run("train", *QUICK, "seed=9")
    assert done.returncode == 1
    assert "changed while training read them" in done.stderr


def worked(project: Project, *families: str) -> Session:
    return session(configured(project, "rsi_14", "return_5"), *families)


def models(*families: str) -> list[ModelConfig]:
    params = {"lightgbm": LightGBMParams(rounds=3), "xgboost": XGBoostParams(rounds=3)}
    return [ModelConfig(name, params=params[name]) for name in families]


Result = TrainedInstrument | EndState | Failure


def finish(found: Session, spoil: Callable[[InstrumentTask, Any], Result]) -> dict[tuple[str, str], Any]:
    for task in found.tasks():
        found.take(Outcome(task, spoil(task, train_instrument(task))))
    found.write_grades(found.finish().grades, None)
    table = pl.read_parquet(found.settings.paths.states("train"))
    return {(row["asset_class"], row["symbol"]): row for row in table.iter_rows(named=True)}


def test_an_instrument_that_fails_keeps_its_traceback_and_is_tried_again_by_the_next_run(project: Project) -> None:
    config = configured(project, "rsi_14", "return_5")
    first = session(config, "lightgbm")
    chosen: list[tuple[str, str]] = []

    def spoil(task: InstrumentTask, trained: TrainedInstrument) -> TrainedInstrument | Failure:
        chosen[:] = chosen or [task.key]
        return Failure("OSError: no disk", "Traceback: here", final=True) if [task.key] == chosen else trained

    states = finish(first, spoil)
    (key,) = chosen
    assert (states[key]["state"], states[key]["reason"]) == ("failed", "OSError: no disk")
    assert "1 failed (1 run: see" in first.summary.sentence(first.finish())
    shown = "\n".join(dossier_view.lines(dossier(config.paths, key, 0)))
    assert "lightgbm    could not be trained at" in shown and "Traceback: here" in shown
    assert first.states.facts()["reasons"][0]["reason"] == "OSError: no disk"
    tried: list[tuple[str, str]] = []
    states = finish(worked(project, "lightgbm"), lambda task, trained: tried.append(task.key) or trained)
    assert tried == [key]
    assert states[key]["state"] == "done" and states[key]["reason"] == ""
    assert dossier(config.paths, key, 0)["failures"] == []


def test_a_family_that_fails_costs_its_run_alone_and_is_named(project: Project) -> None:
    def spoil(_task: InstrumentTask, trained: TrainedInstrument) -> TrainedInstrument:
        lost = [row["record_id"] for row in trained.runs if row["family"] == "xgboost"]
        runs = [row for row in trained.runs if row["record_id"] not in lost]
        grades = [row for row in trained.grades if row["record_id"] not in lost]
        return replace(trained, runs=runs, grades=grades, failures={"xgboost": Failure("ValueError: odd", "there")})

    found = worked(project, "lightgbm", "xgboost")
    states = finish(found, spoil)
    done = [row for row in states.values() if row["state"] == "done"]
    assert done and {row["reason"] for row in done} == {"xgboost failed: ValueError: odd"}
    assert project.grades()["family"].unique().to_list() == ["lightgbm"]
    assert found.states.facts()["runs"]["xgboost"] == {"failed": len(done)}
    config = configured(project, "rsi_14", "return_5")
    shown = status_view.text(overview(config.paths, config.universe, config.source, dt.datetime.now(dt.UTC)))
    assert f"train: {len(done)} done, xgboost failed: ValueError: odd" in shown
    states = finish(
        worked(project, "lightgbm", "xgboost"), lambda _task, _trained: Failure("OSError: odder", final=True)
    )
    assert {row["reason"] for row in states.values() if row["state"] == "done"} == {"xgboost failed: OSError: odder"}
    again = worked(project, "lightgbm", "xgboost")
    tried: set[str] = set()

    def note(task: InstrumentTask, trained: TrainedInstrument) -> TrainedInstrument:
        tried.update(plan.model.family for plan in task.plans)
        return trained

    states = finish(again, note)
    assert tried == {"xgboost"}
    assert {row["reason"] for row in states.values() if row["state"] == "done"} == {""}
    assert not list((project.runs / "failures").glob("*"))


def planned(found: Session) -> tuple[set[str], set[str]]:
    """What the session would fit and what it would grade again, as ``symbol family``."""
    fits: set[str] = set()
    grades: set[str] = set()
    for task in found.tasks():
        for plan in task.plans:
            (fits if plan.is_new else grades).add(f"{task.symbol} {plan.model.family}")
    return fits, grades


def test_a_change_fits_exactly_what_it_touches(project: Project) -> None:
    both = ("lightgbm", "xgboost")
    usual = configured(project, "rsi_14", "return_5")
    finish(session(usual, *both), lambda _task, trained: trained)
    every = {f"{symbol} {name}" for symbol in project.grades()["symbol"].unique() for name in both}
    of = {name: {each for each in every if each.endswith(name)} for name in both}

    def changed(change: Callable[[Config], object]) -> tuple[set[str], set[str]]:
        config = copy.deepcopy(usual)
        change(config)
        return planned(session(config, *both))

    assert planned(session(usual, *both)) == (set(), set())
    assert changed(lambda config: setattr(config.label, "horizon", 2)) == (every, set())
    assert changed(lambda config: setattr(config.split, "embargo", 9)) == (every, set())
    assert changed(lambda config: setattr(config.features, "names", ["rsi_14"])) == (every, set())
    assert changed(lambda config: setattr(config.grade, "min_auc", 0.9)) == (set(), every)
    assert changed(lambda config: config.strategy.cost_bps.update(stock=50.0)) == (set(), every)
    other = [
        ModelConfig("lightgbm", params=LightGBMParams(rounds=3)),
        ModelConfig("xgboost", params=XGBoostParams(rounds=4)),
    ]
    assert planned(Session(TrainingSettings.of(usual, other))) == (of["xgboost"], of["lightgbm"])
    store = bars_of(project)
    bars = store.read_bucket(0)
    symbol = str(bars["symbol"][0])
    mine = pl.col("symbol") == symbol
    bars = bars.with_columns(high=pl.when(mine).then(pl.col("high") * 1.01).otherwise("high"))
    store.ledger.record(0, str(store.ledger.fact(0)), store.ledger.states(0), digest=store.write_bucket(0, bars))
    featurize(usual)
    assert planned(session(usual, *both)) == ({each for each in every if each.startswith(symbol)}, set())


def test_a_models_file_is_recorded_and_one_that_was_changed_is_made_again(project: Project) -> None:
    config = configured(project, "rsi_14", "return_5")
    config.grade.min_auc, config.grade.min_accuracy, config.grade.min_sharpe = 0.0, 0.0, -99.0
    config.grade.max_drawdown = 1.0

    def trained() -> pl.DataFrame:
        found = session(config)
        finish(found, lambda _task, trained: trained)
        return found.store.grades(found.key).sort("record_id")

    before, store = trained(), session(config).store
    recorded = dict(before.select("record_id", "model_sha256").iter_rows())
    assert recorded == {record_id: store.model_sha256(record_id) for record_id in recorded}
    assert None not in recorded.values()
    changed, lost = sorted(recorded)[:2]
    path, gone = store.model_path(changed), store.model_path(lost)
    assert path is not None and gone is not None
    content = path.read_bytes()
    path.write_bytes(content + b" ")
    gone.unlink()
    assert trained().equals(before)
    assert path.read_bytes() == content
    assert store.model_sha256(lost) == recorded[lost]


def test_passes_by_looser_thresholds_than_the_registrys_are_counted(project: Project) -> None:
    config = configured(project)
    figures = {"accuracy": 0.6, "sharpe": 0.6, "max_drawdown": 0.1, "passed": True}
    grades = pl.DataFrame([{"auc": auc, **figures} for auc in (0.51, 0.519, 0.52)])
    demanded = Thresholds.of(GradeConfig())
    assert session(config).summary.unregistrable_passes(grades, demanded) == 0
    config.grade.min_auc = 0.51
    made = session(config).summary
    assert made.unregistrable_passes(grades, demanded) == 2
    assert made.unregistrable_passes(grades.with_columns(passed=False), demanded) == 0


def test_an_instrument_is_finished_with_its_last_family(project: Project) -> None:
    def without_xgboost(_task: InstrumentTask, trained: TrainedInstrument) -> TrainedInstrument:
        kept = {run["record_id"] for run in trained.runs if run["family"] == "lightgbm"}
        runs, grades = ([row for row in rows if row["record_id"] in kept] for rows in (trained.runs, trained.grades))
        return replace(trained, runs=runs, grades=grades, failures={"xgboost": Failure("ValueError: odd", "")})

    finish(worked(project, "lightgbm", "xgboost"), without_xgboost)
    again = worked(project, "lightgbm", "xgboost")
    finished = []
    for task in again.tasks():
        assert [plan.model.family for plan in task.plans] == ["xgboost"]
        assert task.key in again.states
        finished.append(again.finished())
        again.take(Outcome(task, train_instrument(task)))
    assert finished == list(range(finished[0], finished[0] + len(finished)))
    again.finish()
    assert again.finished() == len(again.states) == again.total()


def test_an_instrument_that_is_skipped_keeps_no_failure_of_before(project: Project) -> None:
    finish(worked(project, "lightgbm"), lambda _task, _trained: Failure("OSError: no disk", "", final=True))
    assert list((project.runs / "failures").glob("*"))
    finish(worked(project, "lightgbm"), lambda task, _trained: EndState(*task.key, "skipped", "too thin"))
    assert not list((project.runs / "failures").glob("*"))


def test_a_features_code_that_changed_fits_again_what_uses_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = configured(project, "rsi_14", "return_5")
    narrow = copy.deepcopy(wide)
    narrow.features.names = ["rsi_14"]
    finish(session(wide), lambda _task, trained: trained)
    finish(session(narrow), lambda _task, trained: trained)
    every = {f"{symbol} lightgbm" for symbol in project.grades()["symbol"].unique()}
    assert planned(session(narrow)) == (set(), set())

    def edited(item: Feature) -> str:
        return code_hash(item) + "edited" * (item.name == "return_5")

    for module in ("build", "catalog"):
        monkeypatch.setattr(f"src.features.{module}.code_hash", edited)
    monkeypatch.setattr("src.training.inputs.code_hash", edited)
    with pytest.raises(StageError, match="lack return_5 as it is declared now"):
        session(wide)
    featurize(wide)
    assert planned(session(wide)) == (every, set())
    assert planned(session(narrow)) == (set(), set())


def test_a_bucket_that_is_published_again_during_training_waits_for_the_next_run(project: Project) -> None:
    found = worked(project, "lightgbm")
    store = bars_of(project)
    bucket = store.buckets()[-1]
    waiting = keys(store.ledger.states(bucket))
    tasks = found.tasks()
    first = next(tasks)
    record = store.ledger.read(bucket)
    assert record is not None
    store.ledger.forget(bucket)  # as hydrate does before it writes
    for task in (first, *tasks):
        found.take(Outcome(task, train_instrument(task)))
    evidence = found.finish()
    states = pl.read_parquet(found.settings.paths.states("train"))
    assert keys(states.filter(pl.col("reason") == WAITING)) == waiting
    assert keys(states.filter(state="done")) and not keys(states.filter(state="done")) & waiting
    assert keys(evidence.grades) == keys(states.filter(state="done"))
    store.ledger.record(bucket, record.key, record.states, **record.facts)
    states_after = finish(worked(project, "lightgbm"), lambda _task, trained: trained)
    assert all(states_after[key]["reason"] != WAITING for key in waiting)
    assert any(states_after[key]["state"] == "done" for key in waiting)


def test_bars_that_are_newer_than_their_features_wait_and_the_rest_is_trained(project: Project) -> None:
    store = bars_of(project)
    bucket = store.buckets()[-1]
    rows = store.read_bucket(bucket)[:-1]
    store.ledger.record(bucket, str(store.ledger.fact(bucket)), store.ledger.states(bucket),
                        digest=store.write_bucket(bucket, rows))  # fmt: skip
    project.alone("train", *QUICK)
    states = project.states("train")
    assert keys(states.filter(pl.col("reason") == WAITING)) == keys(store.ledger.states(bucket))
    project.alone("featurize")
    project.alone("train", *QUICK)
    assert not (project.states("train")["reason"] == WAITING).any()


def test_a_matrix_read_year_by_year_is_the_bucket_in_the_order_of_its_bars(project: Project) -> None:
    store, names = FeatureStore(project.root / "data" / "features" / "demo"), ["rsi_14", "return_5"]
    bars = bars_of(project).read_bucket(0).filter(pl.col("date") <= pl.date(2021, 3, 3))
    expected = store.read_bucket(0, names).filter(pl.col("date") <= pl.date(2021, 3, 3)).select(names).to_numpy()
    found = store.read_matrices(0, names, bars)
    assert found is not None and all(block.flags.c_contiguous for block in found.values())
    np.testing.assert_array_equal(np.concatenate(list(found.values())), expected)
    assert np.isnan(expected).any() and [*found] == bars.select("asset_class", "symbol").unique().sort(pl.all()).rows()
    assert store.read_matrices(0, names, bars[1:]) is None
    key = list(found)[-1]
    alone = store.read_matrices(0, names, bars, [key])
    assert alone is not None and [*alone] == [key] and np.array_equal(alone[key], found[key], equal_nan=True)


def test_nothing_to_do_reads_no_features(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = finish(worked(project, "lightgbm"), lambda _task, trained: trained)

    def read(*_: object) -> None:
        pytest.fail("features were read")

    monkeypatch.setattr(Inputs, "read_features", read)
    assert finish(worked(project, "lightgbm"), lambda _task, trained: trained) == before


def test_too_little_to_train_on_is_not_tried_again_until_the_bars_change(project: Project) -> None:
    config = configured(project, "rsi_14", "return_5")
    config.split.first_train_bars = 1_000_000
    first = finish(session(config), lambda _task, trained: trained)
    assert {row["state"] for row in first.values()} == {"skipped"}
    again = session(config)
    assert not list(again.tasks())
    assert finish(again, lambda _task, trained: trained) == first
    store = bars_of(project)
    shorter = store.read_bucket(0)
    symbol = shorter["symbol"][-1]
    digest = store.write_bucket(0, shorter[:-1])
    store.ledger.record(0, str(store.ledger.fact(0)), store.ledger.states(0), digest=digest)
    featurize(config)
    assert [task.symbol for task in session(config).tasks()] == [symbol]


def test_features_of_another_panel_are_refused(project: Project) -> None:
    config = Config()
    config.data.root, config.universe.name = str(project.root / "data"), "demo"
    config.features.families = ["crowd", "calendar"]
    featurize(config)
    store = FeatureStore(project.root / "data" / "features" / "demo")
    identity(store, config)
    bars_of(project).write_panel(bars_of(project).panel()[:-1])
    store.pin_panel(bars_of(project))  # and then the process is killed
    with pytest.raises(StageError, match="another panel: run `python -m src.featurize"):
        identity(store, config)
    config.features.families = ["calendar"]
    identity(store, config)  # looks at no panel


def test_the_split_history_counts_where_a_feature_looks_at_it(project: Project) -> None:
    bars = bars_of(project).read_bucket(0)
    other = bars.with_columns(split=pl.lit(2.0))
    blind, seeing = (session(configured(project, name)) for name in ("rsi_14", "round_number_distance"))
    assert blind.inputs.bars_hash(bars) == blind.inputs.bars_hash(other)
    assert seeing.inputs.bars_hash(bars) != seeing.inputs.bars_hash(other)


def test_another_split_history_grades_again_without_fitting(project: Project) -> None:
    store, before = bars_of(project), project.grades()
    for b in store.buckets():
        rows = store.read_bucket(b).with_columns(split=pl.lit(0.01))  # half a cent over a hundredth of the price
        store.ledger.record(b, str(store.ledger.fact(b)), store.ledger.states(b), digest=store.write_bucket(b, rows))
    project.alone("featurize")
    line = project.alone("train", *QUICK)
    after = project.grades()
    assert f"of {after.height} runs passed (" in line and f"; {after.height} runs reused, " in line
    both = before.join(after, on="record_id", suffix="_dear").filter(pl.col("asset_class") != "crypto")
    traded = both.filter(pl.col("turnover") > 0)
    assert traded.height and (traded["sharpe_dear"] < traded["sharpe"]).all()
