"""No skew: what is decided day by day is what training's code gives on the same bars, to the last bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.config.schema import LabelConfig
from src.evaluation import strategy
from src.evaluation.labels import HedgedDecisions
from src.training import expanding_window
from tests.signals.trained_case import (
    FAMILIES,
    Trained,
    configured,
    decisions_of,
    fitted,
    folds_of,
    replayed_fold,
    trained,
)  # fmt: skip

MOST_DAYS = 250
COLUMNS = ["price", "momentum"]  # what is fitted on each column alike, and a fifth of the seconds of all


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(configured(tmp_path_factory.mktemp("no-skew"), features__families=COLUMNS))


def stored(case: Trained, record_id: str) -> dict[Any, float]:
    """Out-of-sample probabilities of a run by the time of their decision."""
    row = case.runs.predictions(None, [record_id]).row(0, named=True)
    return dict(zip(row["oos_date"], row["oos_probability"], strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_fold_refitted_from_stored_settings_gives_the_stored_probabilities(case: Trained, family: str) -> None:
    replayed = 0
    for champion in case.champions(*(f"{symbol} {family}" for symbol in case.tasks)):
        task = case.tasks[champion.grade["symbol"]]
        decisions, expected = decisions_of(task), stored(case, champion.record_id)
        examples = expanding_window.examples(task.features, decisions)
        for fold in folds_of(task):
            model = fitted(family, task, examples, fold)
            lines = replayed_fold(case, champion, fold, model)
            assert lines["state"].unique().to_list() == ["said"]
            dates = decisions.dates[fold.test].astype("datetime64[us]").tolist()
            assert lines["decided_on"].to_list() == dates
            assert lines["score"].to_list() == [expected[date] for date in dates]
            assert_traded_alike(lines, fold.test, decisions, task)
            replayed += len(dates)
    assert replayed >= 3 * MOST_DAYS


def assert_traded_alike(lines: pl.DataFrame, test: Any, decisions: Any, task: Any, *, consecutive: bool = True) -> None:
    """Exposure, size, cost and hedge of each day equal those of the whole fold in one piece."""
    directions = strategy.directions(lines["score"].to_numpy(), task.strategy)
    whole = strategy.exposures(directions, decisions.horizon)[decisions.horizon - 1 :]
    assert np.array_equal(lines["exposure"].to_numpy()[decisions.horizon - 1 :], whole)
    conditions = strategy.trading_conditions(test, decisions, task.strategy)
    assert np.array_equal(lines["size"].to_numpy(), conditions.size)
    assert np.array_equal(lines["cost_rate"].to_numpy(), conditions.cost)
    position = lines["exposure"].to_numpy() * conditions.size
    assert np.array_equal(lines["position"].to_numpy(), position)
    if consecutive:
        assert np.array_equal(lines["before"].to_numpy()[1:], position[:-1])
    if isinstance(decisions, HedgedDecisions):
        assert np.array_equal(lines["hedge"].to_numpy(), decisions.hedge.ratio[test])
    else:
        assert lines["hedge"].null_count() == lines.height


@pytest.mark.parametrize("label", ["relative", "beta"])
def test_hedged_labels_are_traded_as_they_were_graded(tmp_path: Path, label: str) -> None:
    hedged = LabelConfig("other", kind=label, horizon=5)
    config = configured(tmp_path, label=hedged, strategy__short=label == "beta", features__families=COLUMNS)
    config.source.simulated = replace(config.source.simulated, stock=6, crypto=0)
    case = trained(config, "ridge")
    for champion in case.champions()[:2]:
        task = case.tasks[champion.grade["symbol"]]
        decisions, expected = decisions_of(task), stored(case, champion.record_id)
        examples = expanding_window.examples(task.features, decisions)
        fold = folds_of(task)[-1]
        lines = replayed_fold(case, champion, fold, fitted("ridge", task, examples, fold))
        assert lines["score"].to_list() == [expected[date] for date in lines["decided_on"].to_list()]
        assert_traded_alike(lines, fold.test, decisions, task)
