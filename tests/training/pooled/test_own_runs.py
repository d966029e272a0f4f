"""Predictions of single instruments' models are read from the run store, bucket by bucket."""

from dataclasses import replace

import numpy as np
import polars as pl

from src.config.paths import DatasetPaths
from src.config.schema import GradeConfig, StrategyConfig
from src.storage import atomic
from src.training.pooled.own_runs import beside_own_models, own_runs
from src.training.run_store import RunStore, shard_name
from tests.evaluation.pooled.graded_case import pooled_run
from tests.training.test_run_store import SESSION, row


def run(symbol: str, key: str, family: str, asset_class: str = "stock", horizon: int = 1) -> dict:
    parts = {"bars": "x", "label": {"kind": "outright", "horizon": horizon}}
    return row(symbol, key) | {"asset_class": asset_class, "family": family, "parts": parts}


def test_each_symbol_comes_once_with_the_runs_that_were_graded(tmp_path):
    store = RunStore(tmp_path / "runs")
    made = {
        0: [run("AAA", "a", "lightgbm", horizon=5), run("AAA", "b", "xgboost"), run("OLD", "c", "lightgbm")],
        3: [run("BBB", "d", "lightgbm"), run("BBB", "e", "lightgbm", "etf")],
    }
    for bucket, runs in made.items():
        for each in runs:
            store.add(shard_name(bucket, SESSION), [each])
    store.compact_all()
    every = [each for runs in made.values() for each in runs]
    columns = ("asset_class", "symbol", "family", "record_id")
    grades = pl.DataFrame([{name: each[name] for name in columns} for each in every if each["symbol"] != "OLD"])
    found = dict(own_runs(store, grades, "stock"))
    assert {symbol: [each.family for each in runs] for symbol, runs in found.items()} == {
        "AAA": ["lightgbm", "xgboost"],
        "BBB": ["lightgbm"],
    }
    first = found["AAA"][0]
    assert first.horizon == 5
    np.testing.assert_array_equal(first.dates, np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "datetime64[D]"))
    np.testing.assert_allclose(first.probability, [0.4, 0.5, 0.6])
    np.testing.assert_array_equal(first.label, [1.0, np.nan, 0.0])


def test_without_grades_of_the_class_nothing_is_read(tmp_path):
    grades = pl.DataFrame(schema=dict.fromkeys(("asset_class", "symbol", "family", "record_id"), pl.String))
    assert list(own_runs(RunStore(tmp_path / "runs"), grades, "stock")) == []


def test_pooled_scores_stand_beside_what_the_instrument_scope_graded_last(tmp_path):
    paths, pooled = DatasetPaths(tmp_path, "demo"), pooled_run()
    days = pooled.section.dates[pooled.days].astype("datetime64[us]")
    name = pooled.section.symbols[5]
    mine = run(name, "a", "lightgbm") | {
        "oos_date": days, "oos_stamp": days, "oos_fold": np.zeros(days.size, dtype=np.int32),
        "oos_probability": np.full(days.size, 0.7), "oos_label": np.tile([0.0, 1.0], days.size)[: days.size],
        "oos_bar_return": np.zeros(days.size),
    }  # fmt: skip
    gate = replace(GradeConfig(), common_shifts=8)
    without = beside_own_models(pooled, paths, StrategyConfig(), gate, -0.3)
    assert without["own_family"].null_count() == without.height > 30
    RunStore(paths.runs).add(shard_name(0, SESSION), [mine])
    columns = ("asset_class", "symbol", "family", "record_id")
    atomic.write_parquet(pl.DataFrame([{each: mine[each] for each in columns}]), paths.grades)
    found = beside_own_models(pooled, paths, StrategyConfig(), gate, -0.3)
    assert found.filter(pl.col("own_family").is_not_null())["symbol"].to_list() == [name]
    assert found.filter(pl.col("symbol") == name)["own_accuracy"].item() == 0.5
