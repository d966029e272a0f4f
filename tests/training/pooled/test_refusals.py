"""What the pooled scope refuses, in the exact words that a person reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from src.config.compose import usage
from src.core.errors import ConfigError, StageError
from tests.training.pooled.session_case import Stocks


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("only=[SIM01]", "only=['SIM01'] is for scope=instrument: a cross-section needs all its names"),
        ("placebo=0.2", "placebo=0.2 is for scope=instrument: the evidence of a pooled run has its own nulls"),
        (
            "universe.interval=1h",
            "universe.interval must be 1d for scope=pooled, got 1h: leave scope=pooled out",
        ),
        (
            "model=hist_gradient_boosting model.members=[]",
            "model.family must have a pooled fit, got hist_gradient_boosting: choose catboost, lightgbm, ridge, "
            "xgboost",
        ),
        (
            "follow=true",
            "follow is for scope=instrument, since a cross-section needs all its names, got true: wait until hydration "
            "has ended, featurize, and train without it",
        ),
    ],
)
def test_what_a_cross_section_has_no_use_for_is_refused(trained: Stocks, words: str, message: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(message) + "$"):
        trained.session(*words.split())


def test_features_that_are_not_computed_name_the_command(trained: Stocks, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "p")
    next((project.root / "data" / "features" / "demo").glob("b000.json")).unlink()
    with pytest.raises(StageError) as refused:
        project.session()
    assert str(refused.value) == (
        "features of 1 of 2 buckets of demo are not those of its bars, and a cross-section needs all: run "
        "`python -m src.featurize universe=demo` first"
    )


def test_bars_that_changed_since_they_were_featurized_are_refused(trained: Stocks, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "p")
    store = project.bars
    states, fact = store.ledger.states(0), str(store.ledger.fact(0))
    store.ledger.record(0, fact, states, digest=store.write_bucket(0, store.read_bucket(0)[:-1]))
    with pytest.raises(StageError, match="features of 1 of 2 buckets of demo are not those of its bars"):
        project.session()


def test_the_help_of_train_lists_the_groups_of_the_pooled_scope() -> None:
    shown = usage("train", [])
    for group in ("scope", "eligibility", "portfolio", "label", "model", "experiment"):
        assert re.search(rf"^\s*{group}\b", shown, re.MULTILINE), group
    assert "pooled" in shown
