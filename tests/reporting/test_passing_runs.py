from src.reporting.passing_runs import best_runs
from tests.reporting.synthetic import report_data


def test_the_best_have_one_run_for_each_instrument():
    best = best_runs(report_data(planted=20))
    assert best.height == 12 == best.select("asset_class", "symbol").unique().height
    q = best["q_value"].to_list()
    assert q == sorted(q)
