import polars as pl

from src.reporting.passing_runs import best_runs, passing_runs_section
from tests.reporting.synthetic import grades, report_data


def test_the_best_have_one_run_for_each_instrument():
    best = best_runs(report_data(planted=20))
    assert best.height == 12 == best.select("asset_class", "symbol").unique().height
    q = best["q_value"].to_list()
    assert q == sorted(q)


def test_a_run_with_too_few_bars_is_not_called_registrable():
    table = grades(3, planted=3).with_columns(passed=pl.lit(True), registrable=pl.lit(False), suspicious=pl.lit(None))
    assert passing_runs_section(report_data(table)).count("too few bars") == table.height
