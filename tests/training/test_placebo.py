"""The placebo arm of a session: its runs have no skill, change nothing of the real ones, and are counted apart."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.config.constraints import check
from src.config.schema import Config, ModelConfig
from src.core.errors import ConfigError
from src.engine import dispatch
from src.engine.outcome import Outcome
from src.evaluation import placebo
from src.featurize import featurize
from src.hydrate import hydrate
from src.inspection.instrument import dossier
from src.models.lightgbm import LightGBMParams
from src.train import train
from src.training import placebo as arm_module
from src.training.placebo import PlaceboArm, stored_evidence
from src.training.run_store import RunStore
from src.training.settings import TrainingSettings
from src.training.walk_forward import InstrumentTask
from tests.tuning.tuning_case import FEATURES, serial

VOLATILE = ("fit_seconds", "mlflow_run_id")
PLANTED = pl.col("symbol").is_in(["SIM01", "SIM04", "SIMF01"])


@pytest.fixture(scope="module")
def hydrated(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Four stocks and an ETF; three of them have an edge that one look at the last ten closes finds."""
    made = Config(model=ModelConfig("lightgbm", params=LightGBMParams(rounds=10)))
    made.universe.name, made.universe.allow_simulated, made.universe.buckets = "small", True, 2
    made.source.simulated.stock, made.source.simulated.etf, made.source.simulated.crypto = 4, 1, 0
    made.source.simulated.edge = 0.5
    made.data.root = str(tmp_path_factory.mktemp("placebo") / "data")
    made.features.names, made.tracking.enabled = list(FEATURES), False
    hydrate(made)
    featurize(made)
    return made


@pytest.fixture
def project(hydrated: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(dispatch, "run", serial)
    made = copy.deepcopy(hydrated)
    made.data.root = str(tmp_path / "data")
    shutil.copytree(hydrated.data.root, made.data.root)
    return made


def changed(config: Config, **settings: Any) -> Config:
    made = copy.deepcopy(config)
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def arm(config: Config) -> PlaceboArm:
    return PlaceboArm(TrainingSettings.of(config, [config.model]), config.placebo or 1.0)


def placebo_grades(config: Config) -> pl.DataFrame:
    return RunStore(config.paths.placebo).grades(arm(config).key).sort("record_id").drop("fit_seconds")


def grades(config: Config) -> pl.DataFrame:
    return pl.read_parquet(config.paths.grades).drop(VOLATILE).sort("record_id")


def counted(monkeypatch: pytest.MonkeyPatch, stop_after: int | None = None) -> list[InstrumentTask]:
    """Note the tasks of a command; with `stop_after` it is interrupted when so many results are stored."""
    done: list[InstrumentTask] = []

    def run(task: Callable[[Any], Any], items: Iterable[Any], _engine: Any) -> Iterator[Outcome[Any, Any]]:
        for item in items:
            if stop_after is not None and len(done) == stop_after:
                raise KeyboardInterrupt
            done.append(item)
            yield Outcome(item, task(item))

    monkeypatch.setattr(dispatch, "run", run)
    return done


def edge_is_lost(config: Config) -> None:
    real = grades(config).filter(PLANTED)["auc"]
    rotated = placebo_grades(config).filter(PLANTED)["auc"]
    assert len(real) == len(rotated) == 3
    assert real.min() > 0.55
    assert (rotated - 0.5).abs().max() < 0.04


def test_rotated_features_lose_a_planted_edge(project: Config) -> None:
    train(changed(project, placebo=1.0))
    edge_is_lost(project)


def test_a_rotation_that_were_left_out_would_be_noticed(project: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placebo, "rotated", lambda features, _offset: features.copy())
    train(changed(project, placebo=1.0))
    with pytest.raises(AssertionError):
        edge_is_lost(project)


def test_the_real_runs_are_the_same_to_the_last_bit_with_and_without_a_placebo_arm(
    project: Config, tmp_path: Path
) -> None:
    without = changed(project)
    without.data.root = str(tmp_path / "without")
    shutil.copytree(project.data.root, without.data.root)
    train(without)
    train(changed(project, placebo=1.0))
    assert grades(project).equals(grades(without), null_equal=True)
    assert (
        pl.read_parquet(project.paths.states("train")).drop("reason").equals(
            pl.read_parquet(without.paths.states("train")).drop("reason")
        )
    )  # fmt: skip
    stores = [RunStore(config.paths.runs) for config in (project, without)]
    left, right = (store.runs().drop("created_at", "fit_seconds") for store in stores)
    assert left.equals(right)
    records = left["record_id"].to_list()
    assert stores[0].oos(records).equals(stores[1].oos(records))
    names = [sorted(path.name for path in config.paths.runs.iterdir()) for config in (project, without)]
    assert set(names[0]) - set(names[1]) == {"placebo"}


def test_no_reader_of_the_real_runs_counts_a_placebo_run(project: Config) -> None:
    train(changed(project, placebo=1.0))
    before = grades(project)
    records = set(placebo_grades(project)["record_id"])
    store = RunStore(project.paths.runs)
    assert len(records) == 5
    assert not records & {*before["record_id"], *store.runs()["record_id"]}
    assert before["n_trials"].to_list() == [1] * 5
    assert len(dossier(project.paths, ("stock", "SIM01"), 0)["runs"]) == 1
    train(changed(project, seed=8))
    assert grades(project)["n_trials"].to_list() == [2] * 5  # the second seed, and no placebo run
    rotated = {record.partition(".")[0] for record in records}
    for path in (Path(project.data.root) / "trials").rglob("*.parquet"):
        table = pl.read_parquet(path)
        assert not rotated & set(table["run_key"] if "run_key" in table.columns else [])


def test_a_placebo_run_that_passes_has_no_model_and_no_final_fit(project: Config) -> None:
    gate = copy.deepcopy(project.grade)
    gate.min_auc = gate.min_accuracy = gate.min_sharpe = 0.0
    gate.max_drawdown, gate.suspicious_auc = 1.0, 1.0
    config = changed(project, placebo=1.0, grade=gate)
    config.grade.min_sharpe = -10.0
    train(config)
    passed = RunStore(config.paths.placebo).grades(arm(config).key)
    assert passed["passed"].all()
    assert not (config.paths.placebo / "models").exists()
    assert len(list((config.paths.runs / "models").iterdir())) == grades(config).filter("passed").height


def test_an_interrupted_arm_goes_on_and_ends_as_if_it_had_not_been(
    project: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = changed(project, placebo=1.0, placebo_only=True)
    whole.data.root = str(tmp_path / "whole")
    shutil.copytree(project.data.root, whole.data.root)
    line = train(whole)
    config = changed(project, placebo=1.0, placebo_only=True)
    counted(monkeypatch, stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        train(config)
    tasks = counted(monkeypatch)
    assert train(config) == line
    fitted = [plan for task in tasks for plan in task.plans if plan.is_new]
    assert len(fitted) == 3  # five, less the two that were stored before
    assert placebo_grades(config).equals(placebo_grades(whole), null_equal=True)
    again = counted(monkeypatch)
    assert train(config) == line
    assert again == []


def test_the_arm_alone_writes_nothing_of_the_session(project: Config) -> None:
    line = train(changed(project, placebo=1.0, placebo_only=True))
    assert line.startswith("train: placebo: ") and "of 5 runs passed with rotated features" in line
    assert not project.paths.grades.exists()
    assert not project.paths.states("train").exists()
    assert [path.name for path in project.paths.runs.iterdir()] == ["placebo"]


def test_the_line_comes_before_the_closing_line(project: Config, capsys: pytest.CaptureFixture[str]) -> None:
    closing = train(changed(project, placebo=1.0))
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 1 and shown[0].startswith("placebo: ")
    assert closing.startswith("train: 5 instruments; ")
    train(project)
    assert capsys.readouterr().out == ""


def test_only_narrows_the_arm_and_a_smaller_share_keeps_what_was_graded(
    project: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = counted(monkeypatch)
    train(changed(project, placebo=1.0, placebo_only=True, only=["SIM02"]))
    assert [task.key for task in tasks] == [("stock", "SIM02")]
    assert "of 5 runs" in train(changed(project, placebo=1.0, placebo_only=True))
    assert len(tasks) == 5
    assert "of 5 runs" in train(changed(project, placebo=0.2, placebo_only=True))
    assert len(tasks) == 5


def test_each_seed_draws_its_own_offset_and_sessions_add_up(project: Config) -> None:
    first, second = changed(project, placebo=1.0, placebo_only=True), changed(
        project, placebo=1.0, placebo_only=True, seed=8
    )  # fmt: skip
    assert arm(first).offset != arm(second).offset
    train(first)
    assert "Over 2 sessions: " in train(second)
    found = stored_evidence(second.paths, arm(second).key)
    assert found is not None
    assert (found.session.runs, found.total.runs, found.sessions) == (5, 10, 2)
    assert stored_evidence(second.paths, "no such session") is None


def test_another_rotation_is_another_run(project: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    config = changed(project, placebo=1.0, placebo_only=True)
    train(config)
    key = arm(config).key
    monkeypatch.setattr(arm_module.placebo, "offset_of", lambda _key: 800)
    tasks = counted(monkeypatch)
    train(config)
    assert len([plan for task in tasks for plan in task.plans if plan.is_new]) == 5
    assert arm(config).key == key


def test_a_universe_of_short_series_says_so_in_one_line(project: Config) -> None:
    config = changed(project, placebo=1.0, placebo_only=True)
    config.split.until = "2017-12-31"
    line = train(config)
    assert line == (
        f"train: placebo: no instrument has the {arm(config).bars_needed:,} bars that an offset of "
        f"{arm(config).offset:,} bars needs."
    )
    assert train(config) == line


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"placebo": 1.5}, r"placebo must be from 0 to 1, got 1.5: placebo=0.05 is usual"),
        ({"placebo": float("nan")}, "placebo must be from 0 to 1"),
        ({"placebo_only": True}, "placebo_only needs a share of instruments, got placebo=0: add placebo=0.2"),
        ({"placebo_only": True, "placebo": 0.1, "follow": True}, "placebo_only and follow=true can't be combined"),
    ],
)
def test_a_share_that_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(changed(Config(model=ModelConfig("lightgbm", params=LightGBMParams())), **settings))
