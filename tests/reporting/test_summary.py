import dataclasses
import json

import numpy as np
import polars as pl
import pytest

from src.evaluation.placebo import PlaceboEvidence, PlaceboPasses
from src.models.registry import FAMILIES
from src.reporting.report_data import Luck, Overfitting
from src.reporting.summary import pass_rates, planted_counts, state_counts, summary
from tests.reporting import synthetic
from tests.reporting.synthetic import grades, report_data


def test_metrics_count_what_the_table_holds():
    data = report_data(grades(40))
    figures, table = summary(data), data.grades
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
    for states in summary(report_data())["instruments"].values():
        assert states["total"] == states["done"] + states["skipped"] + states["quarantined"] + states["failed"]


def test_metrics_hold_no_time_and_are_strict_json():
    text = json.dumps(summary(report_data(planted=5)), allow_nan=False)
    assert not any(word in text for word in ("second", "throughput", "per_hour", "date", "time"))


def test_metrics_of_nothing_are_null_not_nan():
    empty = report_data(pl.DataFrame(), states={}, luck=Luck(0, 0, None, None, None), groups=())
    figures = summary(empty)
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
    data = dataclasses.replace(report_data(table), planted=frozenset([keys[0], keys[1], keys[2], ("stock", "GONE")]))
    assert planted_counts(data) == {
        "planted": 4, "found": 2, "missed": 2, "untrained": 1, "without_skill": 3, "lucky": 1,
    }  # fmt: skip


def test_an_unusual_state_is_counted_too():
    counts = state_counts(pl.DataFrame({"state": ["done", "done", "lost"]}))
    assert counts == {"total": 3, "done": 2, "skipped": 0, "quarantined": 0, "failed": 0, "lost": 1}


def test_pass_rates_have_a_row_for_each_group():
    table = pass_rates(report_data())
    assert table["group"].to_list() == ["stock", "etf", "crypto", *(f for f in FAMILIES if f in synthetic.FAMILIES)]
    assert table["pass_rate"].is_between(0, 1).all()


def test_the_placebo_arm_has_its_own_figures_and_changes_no_others():
    one, all_of_them = PlaceboPasses(105, 3, 4.123456789, 1, 9), PlaceboPasses(1020, 31, 40.2, 24, 60)
    data = report_data(grades(40))
    figures = summary(dataclasses.replace(data, placebo=PlaceboEvidence(one, all_of_them, 10)))
    session = {"runs": 105, "passed": 3, "expected": 4.12346, "low": 1, "high": 9}
    total = {"sessions": 10, "runs": 1020, "passed": 31, "expected": 40.2, "low": 24, "high": 60}
    assert figures.pop("placebo") == {**session, "all_sessions": total}
    assert figures == summary(data)


def test_metrics_hold_the_session_and_the_luck_of_its_evidence():
    luck = Luck(5, 2, 3.0, 1, 6, "", (2.5, 1, 5), registrable=4, session_number=7, deflated=1, expected_deflated=0.25)
    out = pl.col("symbol") == "S000"
    table = grades(6).with_columns(stepdown_p=pl.when(out).then(0.05).otherwise(0.9))
    figures = summary(report_data(table, luck=luck, overfitting=Overfitting(0.4, 0.5, 6, 6, 3.0)))
    assert figures["session_number"] == 7
    assert figures["expected_lucky_instruments"] == 2.5
    assert (figures["lucky_instruments_low"], figures["lucky_instruments_high"]) == (1.0, 5.0)
    assert figures["deflated_sharpe"] == {"passed": 1, "expected_lucky": 0.25}
    assert figures["stepdown_instruments"] == 1
    assert figures["overfitting"] == {"median": 0.4, "mean": 0.5, "instruments": 6}
    nothing = summary(report_data(table.drop("stepdown_p"), luck=Luck(5, 2, None, None, None)))
    assert nothing["overfitting"] == {"median": None, "mean": None, "instruments": 0}
    assert (nothing["session_number"], nothing["expected_lucky_instruments"], nothing["stepdown_instruments"]) == (
        None, None, 0,
    )  # fmt: skip
