"""Runs whose settings a tuning chose: per class, with the number of trials, which stands outside the run's key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from src.config.compose import families
from src.config.schema import Config, ModelConfig
from src.core.errors import ConfigError
from src.engine import dispatch
from src.featurize import featurize
from src.hydrate import hydrate
from src.models.lightgbm import LightGBMParams
from src.tracking.run_record import run_contents
from src.tracking.settings import TrackedDataset
from src.train import train
from src.training.run_store import RunStore
from src.training.session import Session
from src.training.settings import TrainingSettings
from tests.tuning.tuning_case import FEATURES, copied_conf, serial

TUNED = """
defaults: [/schema/model/lightgbm@_here_, _self_]
family: lightgbm
classes: [stock]
trials: {trials}
tuned_before: "{before}"
params: {{rounds: 5}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Two stocks and an ETF, and a model that has settings of its own for stocks."""
    monkeypatch.setattr(dispatch, "run", serial)
    conf = copied_conf(tmp_path, monkeypatch)
    made = Config(model=ModelConfig("all", ["lightgbm_stocks", "lightgbm"]))
    made.universe.name, made.universe.allow_simulated, made.universe.buckets = "small", True, 1
    made.source.simulated.stock, made.source.simulated.etf, made.source.simulated.crypto = 2, 1, 0
    made.data.root, made.data.until = str(tmp_path / "data"), "2018-12-31"
    made.features.names, made.tracking.enabled = list(FEATURES), False
    write(conf, 40)
    hydrate(made)
    featurize(made)
    return made


def write(conf: Path, trials: int, before: str = "2017-01-01") -> None:
    (conf / "model" / "lightgbm_stocks.yaml").write_text(TUNED.format(trials=trials, before=before), encoding="utf-8")


def conf_of(project: Config) -> Path:
    return Path(project.data.root).parent / "conf"


def grades(project: Config) -> pl.DataFrame:
    return pl.read_parquet(Path(project.data.root) / "grades" / "small.parquet").sort("asset_class", "symbol")


def store(project: Config) -> RunStore:
    return RunStore(Path(project.data.root) / "runs" / "small")


def test_each_class_is_trained_with_its_settings_and_the_trials_are_recorded(project: Config) -> None:
    train(project)
    runs = store(project).runs().sort("asset_class", "symbol")
    assert runs["tuning_trials"].to_list() == [0, 40, 40]
    assert ['"rounds": 5}' in params or '"rounds": 5,' in params for params in runs["params"]] == [False, True, True]
    assert grades(project)["tuning_trials"].to_list() == [0, 40, 40]
    recorded = list(run_contents(TrackedDataset.of(project), store(project).runs(), grades(project)))
    assert [each.metrics.get("tuning_trials") for each in sorted(recorded, key=lambda each: each.name)] == [
        None,
        40.0,
        40.0,
    ]


def test_the_number_of_trials_is_no_part_of_a_run_and_the_largest_known_stands(project: Config) -> None:
    train(project)
    first, keys = grades(project), store(project).runs()["record_id"]
    write(conf_of(project), 90)
    assert "0 failed" in train(project)
    assert store(project).runs()["record_id"].equals(keys), "nothing is trained for a number"
    assert grades(project)["tuning_trials"].to_list() == [0, 90, 90]
    write(conf_of(project), 3)
    train(project)
    assert grades(project)["tuning_trials"].to_list() == [0, 90, 90]
    same = grades(project).drop("tuning_trials", "mlflow_run_id")
    assert same.equals(first.drop("tuning_trials", "mlflow_run_id")), "trials outside the grade's time change no grade"


def test_trials_that_looked_at_the_days_of_a_grade_count_in_its_evidence(project: Config) -> None:
    train(project)
    assert grades(project)["n_trials"].to_list() == [1, 1, 1]
    write(conf_of(project), 40, before="2017-01-02")
    train(project)
    assert grades(project)["n_trials"].to_list() == [1, 41, 41]


def test_a_store_from_before_the_column_is_read_and_goes_on(project: Config) -> None:
    train(project)
    for path in store(project).root.glob("b*.parquet"):
        pl.read_parquet(path).drop("tuning_trials").write_parquet(path)
    old = store(project).runs()
    assert old["tuning_trials"].null_count() == old.height == 3
    train(project)
    assert grades(project)["tuning_trials"].to_list() == [0, 40, 40]
    assert store(project).runs().height == 3
    train(replace(project, seed=8))
    assert store(project).runs()["tuning_trials"].null_count() == 3


def test_an_instrument_that_no_model_is_for_is_skipped_with_the_reason(project: Config) -> None:
    project.model = ModelConfig(
        "lightgbm", params=LightGBMParams(), classes=["stock"], trials=7, tuned_before="2017-01-01"
    )
    train(project)
    states = pl.read_parquet(Path(project.data.root) / "states" / "small" / "train.parquet")
    assert states.filter(asset_class="etf")["state"].to_list() == ["skipped"]
    assert "the chosen model is for class stock" in states.filter(asset_class="etf")["reason"][0]
    assert states.filter(asset_class="stock")["state"].to_list() == ["done", "done"]


def session_key(config: Config, models: list[ModelConfig]) -> str:
    return Session(TrainingSettings.of(config, models)).key


def test_settings_for_one_class_make_another_session(project: Config) -> None:
    models = families(project)
    wide = [replace(model, classes=[]) for model in models[:1]]
    assert session_key(project, models) != session_key(project, wide)
    more = [replace(model, trials=model.trials + 1) for model in models]
    assert session_key(project, models) == session_key(project, more)


def test_members_must_divide_the_classes_among_themselves(project: Config) -> None:
    for members, words in (
        (["lightgbm_stocks", "lightgbm_stocks"], "has lightgbm twice for stock"),
        (["lightgbm", "lightgbm"], "has lightgbm twice for every class"),
        (["lightgbm", "linear"], "names linear, but conf/model/linear.yaml does not exist"),
        (["all"], "conf/model/all.yaml is of family all"),
    ):
        with pytest.raises(ConfigError, match=words):
            families(replace(project, model=ModelConfig("all", members)))
