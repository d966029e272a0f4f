"""Runs that the ledger of trials lacks are taken in from the run store: nothing that was looked at is forgotten."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from src.config.paths import DatasetPaths
from src.storage.atomic import write_json
from src.training.run_store import RunStore, shard_name
from src.training.run_tables import grade_table
from src.training.trials_backfill import take_in
from src.training.trials_ledger import TrialsLedger
from tests.training.trials_case import Command, bars, key_of


def stored(command: Command, *tables: pl.DataFrame, graded: bool = True, described: bool = True) -> RunStore:
    """Runs of one session as a store holds them, with or without their grades."""
    store = RunStore(DatasetPaths(command.root / "data", command.dataset).runs)
    shard = shard_name(0, command.key)
    grades = []
    for table in tables:
        runs, planned = [], command.planned(table)
        for plan, family in zip(planned.plans, command.families, strict=True):
            runs.append(run(command, table, plan.identity["run_key"], family, planned.bars_hash))
        store.add(shard, runs)
        rows = command.graded(planned).to_dicts()
        grades += [row | {"record_id": f"{row['run_key']}.0", "graded_by": command.key} for row in rows]
    store.compact(shard)
    if graded:
        store.write_grades(shard, grade_table(grades))
    if described:
        config = yaml.safe_dump({"strategy": {"name": "any", "cost_bps": command.strategy.cost_bps}})
        write_json({"key": command.key, "config_yaml": config}, store.root / f"session-{command.key[:8]}.json")
    return store


def run(command: Command, table: pl.DataFrame, run_key: str, family: str, bars_hash: str) -> dict[str, Any]:
    asset_class, symbol = key_of(table)
    opens, dates = table["open"].to_numpy(), table["date"].to_numpy().astype("datetime64[us]")
    chosen = np.arange(600, table.height - 2)
    return {
        "record_id": f"{run_key}.0",
        "run_key": run_key,
        "attempt": 0,
        "session_key": command.key,
        "strategy_key": "plain",
        "asset_class": asset_class,
        "symbol": symbol,
        "family": family,
        "params": {},
        "features": [],
        "parts": {"seed": command.seed, "model": family, "bars": bars_hash, "panel": command.dataset},
        "library_version": "1",
        "git_commit": None,
        "tuning_trials": None,
        "n_train": 500,
        "n_folds": 1,
        "fit_seconds": 0.5,
        "created_at": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        "planted": False,
        "oos_date": dates[chosen],
        "oos_stamp": dates[chosen + 2],
        "oos_fold": np.zeros(chosen.size, dtype=np.int32),
        "oos_probability": np.full(chosen.size, 0.5),
        "oos_label": np.ones(chosen.size),
        "oos_bar_return": opens[chosen + 2] / opens[chosen + 1] - 1.0,
        "importance": np.ones(1),
    }


def taken(command: Command, store: RunStore) -> int:
    ledger = TrialsLedger(command.root / "data" / "trials", command.dataset)
    return take_in(ledger, store, "1d", set(store.runs(("run_key",))["run_key"]))


@pytest.fixture
def one(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize("graded", [True, False])
def test_runs_from_before_the_ledger_count_once_and_everywhere(one: Command, graded: bool) -> None:
    store = stored(one, bars(), graded=graded)
    assert taken(one, store) == 3
    assert taken(one, store) == 0  # nothing is taken in twice
    assert one(bars()) == [3]  # the same runs
    assert one.but(dataset="two", seed=8)(bars()) == [6]
    renamed = bars().with_columns(symbol=pl.lit("ZZZ"))
    assert one.but(dataset="two", seed=9)(renamed) == [9]


def test_bars_that_prolong_those_of_an_earlier_run_are_the_same_trial(one: Command) -> None:
    table = bars(count=1600)
    taken(one, stored(one, table.head(1500)))
    assert one(table) == [3]


def test_a_run_whose_session_was_killed_before_its_bucket_ended_counts(one: Command) -> None:
    one(bars())
    store = stored(one.but(seed=8), bars(), graded=False)
    assert taken(one, store) == 3
    assert one.but(seed=9)(bars()) == [9]


def test_a_session_that_nothing_describes_counts_as_another_strategy(one: Command) -> None:
    taken(one, stored(one, bars(), described=False))
    assert one(bars()) == [6]


def test_earlier_sessions_are_numbered_before_later_ones(one: Command) -> None:
    taken(one, stored(one, bars()))
    assert one.but(seed=8).number(bars()) == 2
    assert one.number(bars()) == 1


def test_a_lost_ledger_is_made_again_from_the_runs_that_are_left(one: Command) -> None:
    store = stored(one, bars())
    taken(one, store)
    shutil.rmtree(one.root / "data" / "trials")
    assert taken(one, store) == 3
    assert one.but(dataset="two", seed=8)(bars()) == [6]
