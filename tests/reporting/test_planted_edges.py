import dataclasses

import polars as pl

from src.reporting.planted_edges import detection, detections, planted_section
from src.reporting.schemas import grades_table
from tests.reporting.synthetic import grades, report_data


def test_every_kind_of_instrument_has_its_detection():
    assert [detection(*case) for case in ((True, True, True), (True, True, False), (False, True, False))] == [
        "found", "missed", "missed: not trained",
    ]  # fmt: skip
    assert (detection(True, False, True), detection(True, False, False)) == ("lucky", "rightly failed")


def test_planted_instruments_and_lucky_ones_are_listed_each_once():
    data = report_data(grades(40, planted=10), planted=10)
    listed = detections(data).select("asset_class", "symbol").rows()
    passed = set(data.passing.select("asset_class", "symbol").iter_rows())
    assert set(listed) == set(data.planted) | passed
    assert len(listed) == len(set(listed))


def test_an_instrument_that_was_never_trained_has_no_figures():
    data = report_data(grades(40, planted=10), planted=10)
    never = dataclasses.replace(data, planted=data.planted | {("stock", "NEVER")})
    row = detections(never).row(by_predicate=pl.col("symbol") == "NEVER", named=True)
    assert (row["result"], row["auc"], row["family"], row["misses"]) == ("missed: not trained", None, None, None)
    assert detections(never).height == detections(data).height + 1


def test_a_universe_without_planted_edges_has_no_such_section():
    assert planted_section(report_data(grades_table(grades(5)))) == ""
