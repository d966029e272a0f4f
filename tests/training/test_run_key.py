"""A run's key changes with what its fit used, and with nothing else."""

import dataclasses
import inspect
from typing import Any

import polars as pl
import pytest

from src.config.schema import Config, GradeConfig, LabelConfig, ModelConfig, SplitConfig, StrategyConfig
from src.core.hashing import json_digest, table_digest
from src.models.lightgbm import LightGBMParams
from src.training import run_key
from src.training.run_key import SessionParts

MODEL = ModelConfig("lightgbm", params=LightGBMParams())
FEATURES = {"rsi_14": "aa", "roc_5": "bb"}


def key(
    config: Config,
    model: ModelConfig = MODEL,
    bars: str = "bars",
    features: dict[str, str] = FEATURES,
    code: str = "code",
) -> str:
    shared = SessionParts.of(config.label, config.split, config.seed, features, {})
    parts = run_key.run_parts(shared, "stock", json_digest(features), model, bars, "lightgbm 4.7.0", code)
    return run_key.run_key("stock", "AAA", parts)


BASE = key(Config())


def shared(panel: dict[str, str]) -> SessionParts:
    return SessionParts.of(LabelConfig(), SplitConfig(), 7, FEATURES, panel)


@pytest.mark.parametrize(
    "config",
    [
        Config(label=LabelConfig(horizon=5)),
        Config(label=LabelConfig(kind="relative")),
        Config(split=SplitConfig(embargo=9)),
        Config(split=SplitConfig(first_train_bars=600)),
        Config(seed=8),
    ],
)
def test_what_a_fit_uses_changes_its_key(config: Config) -> None:
    assert key(config) != BASE


@pytest.mark.parametrize("change", [{"rounds": 51}, {"learning_rate": 0.06}, {"max_bin": 63}])
def test_every_model_setting_changes_the_key(change: dict[str, Any]) -> None:
    model = ModelConfig("lightgbm", params=dataclasses.replace(LightGBMParams(), **change))
    assert key(Config(), model) != BASE


def test_other_bars_or_feature_code_change_the_key() -> None:
    assert key(Config(), bars="others") != BASE
    assert key(Config(), code="corrected") != BASE
    assert key(Config(), features={**FEATURES, "rsi_14": "cc"}) != BASE


@pytest.mark.parametrize(
    "config",
    [
        Config(strategy=StrategyConfig(short=True, target_volatility=0.2)),
        Config(label=LabelConfig(name="the same under another name")),
        Config(split=SplitConfig(until="2024-01-01")),
    ],
)
def test_strategy_names_and_dates_stand_outside_the_key(config: Config) -> None:
    assert key(config) == BASE  # split.until acts through the bars, whose hash is in the key


def test_thresholds_change_the_grade_and_not_the_session() -> None:
    usual, strict = GradeConfig(), GradeConfig(min_auc=0.55)
    assert run_key.grade_key(StrategyConfig(), strict) != run_key.grade_key(StrategyConfig(), usual)
    assert "grade" not in inspect.signature(run_key.session_key).parameters
    assert "grade" not in inspect.signature(run_key.strategy_key).parameters


def test_a_strategy_makes_a_session_of_its_own() -> None:
    keys = {run_key.session_key("demo", [MODEL], StrategyConfig(short=short), shared({})) for short in (False, True)}
    assert len(keys) == 2


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert json_digest({"a": 1, "b": [1, 2]}) == json_digest({"b": [1, 2], "a": 1})
    assert json_digest({"a": [1, 2]}) != json_digest({"a": [2, 1]})


def test_a_table_digest_sees_values_and_not_chunks() -> None:
    table = pl.DataFrame({"day": [1, 2, 3], "name": ["x", "y", "z"]})
    chunked = pl.concat([table[:1], table[1:]], rechunk=False)
    assert table_digest(chunked) == table_digest(table)
    assert table_digest(table.with_columns(day=pl.Series([1, 2, 4]))) != table_digest(table)


def test_an_instrument_depends_on_the_panel_of_its_own_class_alone() -> None:
    def of(stock: str, crypto: str) -> dict[str, Any]:
        panel = {"stock": stock, "crypto": crypto}
        return run_key.run_parts(shared(panel), "stock", "features", MODEL, "bars", "lightgbm 4.7.0", "code")

    assert of("a", "b") == of("a", "c")
    assert of("a", "b") != of("b", "b")


def test_facts_are_a_part_only_where_a_feature_looks_at_them() -> None:
    def of(facts: str | None) -> dict[str, Any]:
        return run_key.run_parts(shared({}), "stock", "features", MODEL, "bars", "lightgbm 4.7.0", "code", facts)

    before = run_key.run_parts(shared({}), "stock", "features", MODEL, "bars", "lightgbm 4.7.0", "code")
    assert of(None) == before
    assert of("a") == before | {"facts": "a"}
    assert run_key.settings_key(of("a")) == run_key.settings_key(of("b")) == run_key.settings_key(before)
