import numpy as np
import polars as pl
import pytest

from src.config.schema import GradeConfig
from src.reporting.binning import BIN_WIDTHS, bin_edges, distribution, distribution_table
from src.reporting.report_data import thresholds
from src.reporting.schemas import grades_table
from tests.reporting.synthetic import grades

THRESHOLDS = thresholds(GradeConfig())


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda t: t.metric)
def test_bins_are_counted_from_the_threshold(threshold):
    edges = bin_edges(threshold)
    assert np.isclose(edges, threshold.limit).sum() == 1
    assert np.allclose(np.diff(edges), BIN_WIDTHS[threshold.metric])


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda t: t.metric)
def test_bins_on_the_clearing_side_hold_exactly_the_runs_that_clear(threshold):
    table = grades_table(grades(200))
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
    table = grades_table(grades(200)).with_columns(pl.col("auc").clip(0.43, 0.61))
    shape = distribution(table, threshold)
    expected, _ = np.histogram(table["auc"].to_numpy(), bins=shape.edges)
    assert np.array_equal(shape.runs, expected)


def test_values_beyond_the_span_are_in_the_outermost_bins():
    table = grades_table(grades(2)).with_columns(auc=pl.Series([0.0, 1.0, 0.5, 0.5, 0.5, 0.5]))
    shape = distribution(table, THRESHOLDS[0])
    assert (shape.runs[0], shape.runs[-1], shape.runs.sum()) == (1, 1, 6)


def test_an_undefined_metric_is_in_no_bin_and_does_not_clear():
    table = grades_table(grades(2).with_columns(sharpe=pl.Series([float("nan"), None, 2.0, 2.0, 2.0, 2.0])))
    shape = distribution(table, THRESHOLDS[2])
    assert (shape.undefined, int(shape.runs.sum())) == (2, 4)
    assert shape.clearing == pytest.approx(4 / 6)


def test_no_run_at_all_gives_an_empty_distribution():
    shape = distribution(grades_table(pl.DataFrame()), THRESHOLDS[0])
    assert (shape.runs.sum(), shape.median, shape.clearing) == (0, None, None)
    assert distribution_table(shape)["share"].sum() == 0
