"""What is typed for a stage after training is what the last session was trained with, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from src.core.errors import ConfigError
from src.runtime.redaction import masked_values
from src.training import run_tables
from src.training.session_choices import require_session
from tests.composed_case import composed


def chosen(root: Path, verb: str, *typed: str) -> None:
    words = ["universe=full", f"data.root={root}", *typed]
    require_session(verb, composed(*words), words)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("trained")
    runs = tmp_path / "runs" / "full"
    runs.mkdir(parents=True)
    config = composed("universe=full", f"data.root={tmp_path}", "model=xgboost")
    session = {"key": "5" * 24, "config_yaml": yaml.safe_dump(masked_values(config))}
    (runs / "session-55555555.json").write_text(json.dumps(session), encoding="utf-8")
    row = dict.fromkeys(run_tables.GRADE_SCHEMA) | {"graded_by": "5" * 24}
    pl.DataFrame([row], schema=run_tables.GRADE_SCHEMA).write_parquet(runs / "b000-55555555.grades.parquet")
    return tmp_path


@pytest.mark.parametrize("verb", ["report", "promote", "sync"])
@pytest.mark.parametrize(
    ("typed", "was"),
    [
        ("model=lightgbm", "model=xgboost"), ("model=all", "model=xgboost"), ("label=next_open_5", "label=next_open"),
        ("grade.min_auc=0.6", "grade.min_auc=0.52"), ("strategy=long_short", "strategy=long_flat"),
        ("seed=8", "seed=7"),
        ("features=technical", "features=all"), ("split.embargo=9", "split.embargo=5"),
    ],
)  # fmt: skip
def test_settings_of_another_training_are_refused(trained: Path, verb: str, typed: str, was: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(trained, verb, typed)
    assert str(caught.value).startswith(
        f"{typed} has no effect on {verb}: the last session of full was trained with {was}"
    )
    assert "python -m src.train" in str(caught.value)


@pytest.mark.parametrize("verb", ["report", "promote", "sync"])
def test_settings_of_the_session_itself_are_taken(trained: Path, verb: str) -> None:
    typed = ["model=xgboost", "label=next_open", "grade.min_auc=0.52", "split.embargo=5", "features=all", "seed=7"]
    chosen(trained, verb, *typed)
    chosen(trained / "elsewhere", verb, "model=all")


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("pooled")
    runs = tmp_path / "portfolios" / "full"
    runs.mkdir(parents=True)
    config = composed("universe=full", f"data.root={tmp_path}", "experiment=pooled")
    session = {"key": "6" * 24, "config_yaml": yaml.safe_dump(masked_values(config))}
    (runs / "session-66666666.json").write_text(json.dumps(session), encoding="utf-8")
    pl.DataFrame({"record_id": ["a"]}).write_parquet(runs / "b000-66666666.grades.parquet")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "was"),
    [
        (["portfolio=quantiles"], "portfolio=neutral"), (["scope.prior_trials=3"], "scope.prior_trials=65"),
        (["eligibility.history=100"], "eligibility.history=252"),
        (["scope=pooled", "label=neutral_5"], "label=neutral_20"),
    ],
)  # fmt: skip
def test_settings_of_another_pooled_training_are_refused(pooled: Path, typed: list[str], was: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(pooled, "report", *typed)
    assert f"the last pooled session of full was trained with {was}: leave it out" in str(caught.value)
    assert "scope=pooled" in str(caught.value)


def test_choices_of_one_scope_are_not_compared_with_the_other(trained: Path, pooled: Path) -> None:
    chosen(trained, "report", "label=next_open", "model=xgboost", "portfolio=neutral")
    chosen(trained, "report", "experiment=pooled")
    chosen(trained, "report", "scope=pooled", "label=neutral_20")
