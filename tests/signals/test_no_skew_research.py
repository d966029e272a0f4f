"""Facts of research from training to decisions: the same values, keys that later facts leave alone, refusals."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from src.config.schema import ModelConfig
from src.core.errors import StageError
from src.documents.fact_store import FactStore
from src.documents.facts import FACTS
from src.features.build import FeatureJob, build
from src.features.store import FeatureStore
from src.hydration import files
from src.hydration.job import HydrationJob
from src.market.bars import BarStore
from src.market.calendar import session_close
from src.training import expanding_window
from src.training.inputs import Inputs
from src.training.session import Session
from src.training.settings import TrainingSettings
from tests.features.facts_case import Change, after, store_facts, unchanged
from tests.signals.trained_case import (
    UNTIL,
    Trained,
    configured,
    decisions_of,
    fitted,
    folds_of,
    params_of,
    replayed_fold,
    train,
)

SPAN = (dt.datetime(2016, 1, 4, tzinfo=dt.UTC), dt.datetime(2023, 12, 30, tzinfo=dt.UTC))
LAST_CLOSE = session_close("stock", dt.date.fromisoformat(UNTIL))
LAST_CLOSE_OF_COINS = session_close("crypto", dt.date.fromisoformat(UNTIL))
MINUTE = dt.timedelta(minutes=1)
RIDGE = ModelConfig("ridge", params=params_of("ridge"))


def write_facts(case: Trained, change: Change = unchanged, until: dt.datetime = SPAN[1]) -> None:
    store_facts(case.config.paths, SPAN, change, until)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    config = configured(tmp_path_factory.mktemp("research"))
    config.features.families = ["price", "filings", "insiders", "fundamentals", "sentiment"]
    files.run(HydrationJob.of(config))
    store_facts(config.paths, SPAN)
    build(FeatureJob.of(config))
    return train(config, "ridge")


def new_runs(case: Trained) -> set[str]:
    session = Session(TrainingSettings.of(case.config, [RIDGE]))
    return {plan.identity["run_key"] for task in session.tasks() for plan in task.plans if plan.is_new}


def inputs(case: Trained) -> Inputs:
    return Inputs(TrainingSettings.of(case.config, [RIDGE]))


def facts_hashes(case: Trained) -> dict[str, str | None]:
    read, found = inputs(case), {}
    for b in read.buckets:
        bars, _ = read.read_bars(b)
        for (kind, symbol), own in bars.group_by("asset_class", "symbol", maintain_order=True):
            found[f"{kind}:{symbol}"] = read.facts_hash((kind, symbol), own)
    return found


def test_decisions_on_facts_are_those_of_training_to_the_last_bit(case: Trained) -> None:
    checked = 0
    for champion in case.champions():
        task = case.tasks[champion.grade["symbol"]]
        row = case.runs.predictions(None, [champion.record_id]).row(0, named=True)
        expected = dict(zip(row["oos_date"], row["oos_probability"], strict=True))
        decisions = decisions_of(task)
        examples = expanding_window.examples(task.features, decisions)
        fold = folds_of(task)[-1]
        lines = replayed_fold(case, champion, fold, fitted("ridge", task, examples, fold))
        assert lines["state"].unique().to_list() == ["said"]
        assert lines["score"].to_list() == [expected[date] for date in lines["decided_on"].to_list()]
        checked += lines.height
    assert checked > 300


def test_a_run_names_the_facts_that_it_used_and_one_without_facts_has_no_such_part(case: Trained) -> None:
    parts = [json.loads(row["parts"]) for row in case.runs.runs().iter_rows(named=True)]
    assert parts
    assert all(part["facts"] for part in parts)
    assert set(facts_hashes(without_research(case)).values()) == {None}


def without_research(case: Trained) -> Trained:
    return replace(case, config=replace(case.config, features=replace(case.config.features, families=["price"])))


def test_later_facts_and_later_coverage_change_no_key(case: Trained, tmp_path: Path) -> None:
    other, before = case.copy(tmp_path), facts_hashes(case)
    write_facts(other, after(LAST_CLOSE, MINUTE), LAST_CLOSE)
    build(FeatureJob.of(other.config))
    stocks = {name: value for name, value in facts_hashes(other).items() if name.startswith("stock")}
    assert stocks == {name: before[name] for name in stocks}
    write_facts(other, after(LAST_CLOSE_OF_COINS, MINUTE))
    build(FeatureJob.of(other.config))
    assert facts_hashes(other) == before
    assert new_runs(other) == set()


def test_facts_of_the_last_close_and_before_change_the_key(case: Trained, tmp_path: Path) -> None:
    other, before = case.copy(tmp_path), facts_hashes(case)
    write_facts(other, after(LAST_CLOSE, dt.timedelta(0)))
    build(FeatureJob.of(other.config))
    assert all(value != before[name] for name, value in facts_hashes(other).items())
    write_facts(other, until=LAST_CLOSE - dt.timedelta(days=11))
    build(FeatureJob.of(other.config))
    assert len(new_runs(other)) == 3
    assert all(value != before[name] for name, value in facts_hashes(other).items())


def test_features_older_than_their_facts_are_used_by_nothing(case: Trained, tmp_path: Path) -> None:
    other = case.copy(tmp_path)
    write_facts(other, after(LAST_CLOSE, MINUTE))
    with pytest.raises(StageError, match="older than its facts of research: run `python -m src.featurize"):
        inputs(other)
    lines = other.lines("2023-12-28")
    assert set(lines["state"]) == {"refused"}
    assert lines["reason"].str.contains("older than its facts of research").all()
    build(FeatureJob.of(other.config))
    assert set(other.lines("2023-12-28")["state"]) == {"said"}


def shards(case: Trained) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in FeatureStore(case.config.paths.features).root.glob("b*")}


def test_only_buckets_whose_facts_changed_are_computed_again(case: Trained, tmp_path: Path) -> None:
    other = case.copy(tmp_path)
    before = shards(other)
    build(FeatureJob.of(other.config))
    assert shards(other) == before
    store, b = FactStore(other.config.paths.facts), BarStore(other.config.paths.bars).buckets()[0]
    tables = {kind: store.read(b, kind) for kind in FACTS}
    store.write(b, tables | {"insider_trades": tables["insider_trades"][1:]}, store.read(b, "coverage"))
    build(FeatureJob.of(other.config))
    changed = {name[:4] for name, when in shards(other).items() if when != before.get(name)}
    assert changed == {f"b{b:03d}"}


def test_a_choice_that_looks_at_no_facts_records_none_and_never_waits_for_them(case: Trained, tmp_path: Path) -> None:
    other = case.copy(tmp_path)
    other = without_research(other)
    build(FeatureJob.of(other.config))
    before = shards(other)
    write_facts(other, after(LAST_CLOSE, MINUTE))
    build(FeatureJob.of(other.config))
    assert shards(other) == before
    inputs(other)


def test_without_a_store_of_facts_every_column_of_research_is_missing(tmp_path: Path) -> None:
    config = configured(tmp_path)
    config.source.simulated.stock, config.source.simulated.crypto = 1, 0
    config.features.families = ["insiders"]
    files.run(HydrationJob.of(config))
    build(FeatureJob.of(config))
    store = FeatureStore(config.paths.features)
    rows = pl.concat(store.read_bucket(b) for b in store.buckets())
    names = [name for name in rows.columns if name.startswith("insider")]
    assert rows.height > 1000
    assert rows.select(names).null_count().row(0) == (rows.height,) * len(names)
