"""What the models look at: shares that add up, families held against their share of the columns."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.reporting import loading
from src.reporting.importance import by_feature_family, importance_section
from src.reporting.importance_chart import features_chart
from src.training.run_store import RunStore
from tests.reporting.synthetic import grades, report_data
from tests.training.test_run_store import row

GAINS = pl.DataFrame(
    {
        "feature": ["rsi_14", "roc_5", "atr_14", "mine"],
        "group": ["momentum", "momentum", "volatility", "own"],
        "lightgbm": [0.4, 0.3, 0.2, 0.1],
        "all runs": [0.5, 0.2, 0.2, 0.1],
    }
)


def test_a_family_has_the_sum_of_its_features_and_its_share_of_the_columns() -> None:
    momentum = by_feature_family(GAINS).row(0, named=True)
    assert momentum["group"] == "momentum"
    assert momentum["columns"] == 2
    assert momentum["column_share"] == 0.5
    assert momentum["all runs"] == pytest.approx(0.7)
    assert momentum["lightgbm"] == pytest.approx(0.7)


def test_a_feature_has_one_row_for_each_model_family_with_its_rank_there() -> None:
    chart = features_chart(GAINS, ["lightgbm", "all runs"], ["momentum", "volatility", "own"])
    rows = chart.tables["features"]
    assert rows.filter(pl.col("model") == "all runs")["feature"].to_list() == ["rsi_14", "atr_14", "roc_5", "mine"]
    assert rows.filter(pl.col("model") == "lightgbm")["gain"].to_list() == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert "rsi_14 50.0%" in chart.alternative


def test_the_page_shows_families_and_features_and_escapes_them() -> None:
    evil = GAINS.with_columns(pl.Series("feature", ["<script>", "roc_5", "atr_14", "mine"]))
    page = importance_section(report_data(importance=evil))
    assert "momentum" in page and "&lt;script&gt; 50.0%" in page and "\\u003cscript>" in page
    assert "<script>" not in page


def test_nothing_is_written_where_no_run_carries_any() -> None:
    assert importance_section(report_data(importance=pl.DataFrame())) == ""


def test_the_mean_over_runs_weighs_each_graded_run_alike(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs" / "demo")
    shares = {"a": [0.9, 0.1], "b": [0.5, 0.5], "c": [0.0, 1.0]}
    rows = []
    for key, value in shares.items():
        one = row(key.upper(), key)
        family = "lightgbm" if key != "c" else "catboost"
        one |= {"features": ["rsi_14", "no_longer"], "importance": np.array(value), "family": family}
        rows.append({**one, "created_at": dt.datetime(2024, 1, 1, tzinfo=dt.UTC)})
    store.add("b000-1a2b3c4d", rows)
    graded = pl.DataFrame({"record_id": ["a.0", "b.0", "c.0"]})
    paths = DatasetPaths(tmp_path, "demo")
    shares_of = loading.read_importance(paths, graded).sort("feature")
    assert shares_of["feature"].to_list() == ["no_longer", "rsi_14"]
    assert shares_of["group"].to_list() == ["own", "momentum"]
    assert shares_of["lightgbm"].to_list() == pytest.approx([0.3, 0.7])
    assert shares_of["catboost"].to_list() == pytest.approx([1.0, 0.0])
    assert shares_of["all runs"].to_list() == pytest.approx([1.6 / 3, 1.4 / 3])
    assert loading.read_importance(paths, grades(2).head(0)).is_empty()
