"""Predictions of single instruments' models are read from the run store, bucket by bucket."""

import numpy as np
import polars as pl

from src.training.pooled.own_runs import own_runs
from src.training.run_store import RunStore, shard_name
from src.training.run_tables import run_table
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
            store.add(shard_name(bucket, SESSION), run_table([each]))
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
