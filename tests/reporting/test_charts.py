import numpy as np
import pytest

from src.config.schema import GradeConfig
from src.reporting.binning import distribution
from src.reporting.charts import histogram, histogram_table, states_chart, z_histogram
from src.reporting.report_data import thresholds
from src.reporting.schemas import grades_table
from tests.reporting.synthetic import grades


@pytest.mark.parametrize("threshold", thresholds(GradeConfig()), ids=lambda t: t.metric)
def test_bars_count_the_runs_on_each_side_of_the_threshold(threshold):
    table = grades_table(grades(200))
    bars = histogram_table(distribution(table, threshold))
    values = table[threshold.metric].to_list()
    clearing = sum(threshold.clears(value) for value in values)
    assert bars["runs"].sum() == len(values)
    assert bars.filter("clears")["runs"].sum() == clearing
    assert bars["passed"].sum() == table["passed"].sum()
    edge = bars.filter("clears")["from" if threshold.at_least else "to"]
    assert all(e >= threshold.limit - 1e-9 if threshold.at_least else e <= threshold.limit + 1e-9 for e in edge)


def test_the_threshold_is_named_and_drawn():
    auc = thresholds(GradeConfig())[0]
    chart = histogram(distribution(grades_table(grades(20)), auc))
    assert "threshold ≥ 0.52" in chart.alternative
    rules = [layer for layer in chart.spec["layer"] if layer["mark"]["type"] == "rule"]
    assert [rule["encoding"]["x"]["datum"] for rule in rules] == [0.52]


def test_the_luck_curve_has_the_area_of_the_bars():
    z = np.random.default_rng(0).standard_normal(20_000).tolist()
    tables = z_histogram(z).tables
    bins, normal = tables["bins"], tables["normal"]
    bars = float((bins["runs"] * (bins["to"] - bins["from"])).sum())
    assert np.trapezoid(normal["runs"].to_numpy(), normal["z"].to_numpy()) == pytest.approx(bars, rel=0.01)


def test_values_beyond_the_axis_are_in_the_outermost_bars():
    bins = z_histogram([-9.0, 0.1, 7.0, 8.0]).tables["bins"]
    assert bins.rows() == [(-4.0, -3.75, 1), (0.0, 0.25, 1), (3.75, 4.0, 2)]


def test_states_are_drawn_as_they_are_counted():
    counts = {"hydrate": {"total": 5, "done": 4, "failed": 1}, "train": {"total": 5, "done": 2, "skipped": 3}}
    chart = states_chart(counts)
    drawn = {(r["stage"], r["state"]): r["instruments"] for r in chart.tables["states"].to_dicts()}
    expected = {("hydrate", "done"): 4, ("hydrate", "failed"): 1, ("train", "done"): 2, ("train", "skipped"): 3}
    assert drawn == expected
    assert chart.alternative == "hydrate: 4 done, 1 failed; train: 2 done, 3 skipped"
