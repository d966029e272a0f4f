from dataclasses import replace

from src.reporting.best_passes import CARDS, best_passes_section, best_runs
from tests.reporting.synthetic import report_data


def test_the_best_have_one_run_for_each_instrument():
    best = best_runs(report_data(planted=20))
    assert best.height == CARDS == best.select("asset_class", "symbol").unique().height
    q = best["q_value"].to_list()
    assert q == sorted(q)


def test_a_card_leads_to_its_tear_sheet():
    data = report_data(planted=20)
    first = best_runs(data)["record_id"][0]
    section = best_passes_section(replace(data, sheets={first: "sheets/one.html"}))
    assert section.count('<a href="sheets/one.html">') == 1 == section.count("<a ")
