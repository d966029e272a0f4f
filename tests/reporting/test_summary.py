import dataclasses
import json

import numpy as np
import polars as pl
import pytest

from src.config.schema import GradeConfig
from src.reporting.session_data import Luck, thresholds, tidy_grades
from src.reporting.summary import (
    BIN_WIDTHS,
    distribution,
    distribution_table,
    edges,
    metrics,
    pass_rates,
    planted_counts,
    state_counts,
)
from tests.reporting.synthetic import grades, material

THRESHOLDS = thresholds(GradeConfig())


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda t: t.metric)
def test_bins_are_counted_from_the_threshold(threshold):
    bounds = edges(threshold)
    assert np.isclose(bounds, threshold.limit).sum() == 1
    assert np.allclose(np.diff(bounds), BIN_WIDTHS[threshold.metric])


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda t: t.metric)
def test_bins_on_the_clearing_side_hold_exactly_the_runs_that_clear(threshold):
    table = tidy_grades(grades(200))
    on_it = table.head(5).with_columns(pl.lit(threshold.limit).alias(threshold.metric))
    table = pl.concat([table, on_it])
    shape = distribution(table, threshold)
    middles = (shape.edges[:-1] + shape.edges[1:]) / 2
    side = middles >= threshold.limit if threshold.at_least else middles <= threshold.limit
    values = table[threshold.metric].to_numpy()
    naive = sum(v >= threshold.limit if threshold.at_least else v <= threshold.limit for v in values)
    assert shape.runs[side].sum() == naive
    assert shape.clearing == pytest.approx(naive / table.height)
    assert shape.runs.sum() == table.height
    assert shape.passed.sum() == table["passed"].sum()


def test_inside_the_span_bins_agree_with_numpy():
    threshold = THRESHOLDS[0]
    table = tidy_grades(grades(200)).with_columns(pl.col("auc").clip(0.43, 0.61))
    shape = distribution(table, threshold)
    expected, _ = np.histogram(table["auc"].to_numpy(), bins=shape.edges)
    assert np.array_equal(shape.runs, expected)


def test_values_beyond_the_span_are_in_the_outermost_bins():
    table = tidy_grades(grades(2)).with_columns(auc=pl.Series([0.0, 1.0, 0.5, 0.5, 0.5, 0.5]))
    shape = distribution(table, THRESHOLDS[0])
    assert (shape.runs[0], shape.runs[-1], shape.runs.sum()) == (1, 1, 6)


def test_an_undefined_metric_is_in_no_bin_and_does_not_clear():
    table = tidy_grades(grades(2).with_columns(sharpe=pl.Series([float("nan"), None, 2.0, 2.0, 2.0, 2.0])))
    shape = distribution(table, THRESHOLDS[2])
    assert (shape.undefined, int(shape.runs.sum())) == (2, 4)
    assert shape.clearing == pytest.approx(4 / 6)


def test_no_run_at_all_gives_an_empty_distribution():
    shape = distribution(tidy_grades(pl.DataFrame()), THRESHOLDS[0])
    assert (shape.runs.sum(), shape.median, shape.clearing) == (0, None, None)
    assert distribution_table(shape)["share"].sum() == 0


def test_metrics_count_what_the_table_holds():
    shown = material(grades(40))
    figures, table = metrics(shown), shown.grades
    runs = figures["runs"]
    assert runs["total"] == table.height
    assert runs["passed"] == table["passed"].sum()
    for column, key in (("family", "by_family"), ("asset_class", "by_asset_class")):
        assert sum(part["total"] for part in runs[key].values()) == table.height
        assert sum(part["passed"] for part in runs[key].values()) == runs["passed"]
        for name, part in runs[key].items():
            own = table.filter(pl.col(column) == name)
            assert part["pass_rate"] == pytest.approx(own["passed"].mean(), rel=1e-5)
            assert part["expected_lucky_passes"] == pytest.approx(own["luck_rate"].sum(), rel=1e-5)
    assert figures["expected_lucky_passes"] == pytest.approx(table["luck_rate"].sum(), rel=1e-5)
    assert figures["medians"]["auc"] == pytest.approx(float(np.median(table["auc"])), rel=1e-5)


def test_metrics_name_every_state_and_add_up():
    for states in metrics(material())["instruments"].values():
        assert states["total"] == states["done"] + states["skipped"] + states["quarantined"] + states["failed"]


def test_metrics_hold_no_time_and_are_strict_json():
    words = json.dumps(metrics(material(planted=5)), allow_nan=False)
    assert not any(word in words for word in ("second", "throughput", "per_hour", "date", "time"))


def test_metrics_of_nothing_are_null_not_nan():
    empty = material(pl.DataFrame(), states={}, luck=Luck(0, 0, None, None, None), groups=())
    figures = metrics(empty)
    assert figures["runs"]["total"] == 0 and figures["runs"]["pass_rate"] is None
    assert figures["expected_lucky_passes"] is None
    assert set(figures["medians"].values()) == {None}
    json.dumps(figures, allow_nan=False)


def test_found_missed_and_lucky_are_counted_by_instrument():
    table = grades(6)
    keys = table.select("asset_class", "symbol").unique(maintain_order=True).rows()
    passing = {keys[0], keys[1], keys[5]}
    table = table.with_columns(
        passed=pl.Series(
            [
                (a, s) in passing and f == "xgboost"
                for a, s, f in table.select("asset_class", "symbol", "family").iter_rows()
            ]
        )
    )
    shown = dataclasses.replace(material(table), planted=frozenset([keys[0], keys[1], keys[2], ("stock", "GONE")]))
    assert planted_counts(shown) == {
        "planted": 4, "found": 2, "missed": 2, "untrained": 1, "without_skill": 3, "lucky": 1,
    }  # fmt: skip


def test_an_unusual_state_is_counted_too():
    counts = state_counts(pl.DataFrame({"state": ["done", "done", "lost"]}))
    assert counts == {"total": 3, "done": 2, "skipped": 0, "quarantined": 0, "failed": 0, "lost": 1}


def test_pass_rates_have_a_row_for_each_group():
    table = pass_rates(material())
    assert table["group"].to_list() == ["stock", "etf", "crypto", "catboost", "lightgbm", "xgboost"]
    assert table["pass_rate"].is_between(0, 1).all()
