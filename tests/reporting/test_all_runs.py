from pathlib import Path

import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.reporting import loading
from src.reporting.all_runs import columns, run_rows, runs_section
from src.reporting.report_data import ReportData
from tests.quality_case import stored_dataset
from tests.reporting.synthetic import grades, report_data


@pytest.fixture(scope="module")
def data() -> ReportData:
    return report_data(planted=20)


def test_all_runs_are_there_and_passes_come_first_by_evidence(data: ReportData):
    rows = run_rows(data)
    assert sorted(rows["record_id"]) == sorted(data.grades["record_id"])
    passed = rows["passed"].to_list()
    assert passed == sorted(passed, reverse=True)
    q = rows.filter(pl.col("passed") & pl.col("suspicious").is_null())["q_value"].to_list()
    assert len(q) > 9 and q == sorted(q)


def test_a_near_miss_fails_by_one_threshold_alone(data: ReportData):
    one = [len(reasons) == 1 for reasons in run_rows(data)["reasons"].to_list()]
    assert run_rows(data)["near_miss"].to_list() == one
    assert 9 < sum(one) < len(one)


def test_a_pass_says_whether_it_may_be_registered():
    table = grades(4, planted=4).head(4).with_columns(
        passed=pl.Series([True, True, True, False]),
        registrable=pl.Series([True, False, False, False]),
        suspicious=pl.Series([None, None, "AUC collapses", None]),
    )  # fmt: skip
    standing = run_rows(report_data(table)).select("record_id", "standing").sort("record_id")
    expected = dict(zip(table["record_id"], ["yes", "too few bars", "flagged", None], strict=True))
    assert dict(standing.iter_rows()) == expected


def test_a_run_leads_to_its_sheet_its_bars_and_mlflow(data: ReportData, tmp_path: Path):
    paths = DatasetPaths(tmp_path, "nasty")
    stored_dataset(paths.bars)
    found = loading.read_quality(paths)
    assert found is not None
    bad = grades(4).with_columns(symbol=pl.lit("BAD"), asset_class=pl.lit("stock")).head(3)
    table = pl.concat([bad, grades(4).tail(3)])
    first, second, *others = table["record_id"]
    linked = report_data(
        table, quality=found, sheets={first: "sheets/a.html"}, run_pages={second: "http://x/1"},
        champion_runs=frozenset({second}),
    )  # fmt: skip
    rows = {row["record_id"]: row for row in run_rows(linked).iter_rows(named=True)}
    assert (rows[first]["sheet"], rows[first]["run_page"], rows[first]["champion"]) == ("sheets/a.html", None, False)
    assert (rows[second]["sheet"], rows[second]["run_page"], rows[second]["champion"]) == (None, "http://x/1", True)
    assert (rows[first]["outcome"], rows[first]["bars_page"]) == ("quarantined", "quality.html#i-stock-BAD")
    assert rows[others[-1]]["outcome"] is rows[others[-1]]["bars_page"] is None


def test_every_column_of_the_table_is_one_of_its_rows(data: ReportData):
    declared = columns(has_bars=True)
    assert {c.name for c in declared} | {c.link for c in declared if c.link} <= set(run_rows(data).columns)
    assert runs_section(report_data(pl.DataFrame(), states={}, equity=pl.DataFrame())) == ""
