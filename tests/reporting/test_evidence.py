import re

import polars as pl
import pytest

from src.evaluation.placebo import PlaceboEvidence, PlaceboPasses
from src.reporting.evidence import checks
from src.reporting.report_data import Luck, Overfitting
from tests.reporting.synthetic import grades, report_data


def check(data, part):
    """Count and note of the one check whose name has this part; None without one."""
    matches = [each for each in checks(data) if part in re.sub("<[^>]*>", "", each.name)]
    assert len(matches) <= 1
    return (matches[0].found, matches[0].note) if matches else None


def test_credible_instruments_are_counted_once_each():
    table = grades(10).with_columns(q_value=pl.lit(0.5))
    credible = pl.col("symbol").is_in(["S000", "S001"])
    table = table.with_columns(q_value=pl.when(credible).then(0.02).otherwise("q_value"))
    found, note = check(report_data(table), "q-value")
    passed = table.filter(credible & pl.col("passed"))["symbol"].n_unique()
    assert found == "2 of 10 instruments" and note.startswith(f"S000, S001: {passed} passed")


def test_the_absence_of_credible_instruments_is_stated():
    found, note = check(report_data(grades(10).with_columns(q_value=pl.lit(0.37))), "q-value")
    assert found == "0 of 10 instruments" and note.startswith("Lowest 0.37")


def test_baselines_are_counted_as_a_naive_loop_counts_them():
    data = report_data(planted=20)
    passing = list(data.passing.iter_rows(named=True))
    accurate = sum(r["accuracy"] > r["majority_accuracy"] for r in passing)
    better = sum(r["sharpe"] > r["buy_hold_sharpe"] for r in passing)
    rarely = sum(r["luck_rate"] <= 0.05 for r in passing)
    assert check(data, "majority")[0] == f"{accurate} of {len(passing)}"
    assert check(data, "always long")[0] == f"{better} of {len(passing)}"
    assert check(data, "luck rate")[0] == f"{rarely} of {len(passing)}"


def test_evidence_that_is_missing_for_some_is_counted_over_the_rest():
    table = report_data(planted=20).grades
    some = table.with_columns(luck_rate=pl.when(pl.col("family") == "xgboost").then(0.5).otherwise(None))
    n = some.filter(pl.col("passed") & (pl.col("family") == "xgboost")).height
    assert check(report_data(some), "luck rate")[0] == f"0 of {n} passes measured"


def test_passes_by_instrument_stand_beside_their_luck():
    data = report_data(luck=Luck(9, 5, 4.0, 1.0, 9.0, "s", (2.4, 1, 5)))
    assert check(data, "with a passing run") == ("5 instruments", "Luck alone gives about 2 (1 to 5).")


@pytest.mark.parametrize(
    ("passed", "meaning"), [(30, "agree"), (70, "may be too low here"), (10, "may be too high here")]
)
def test_the_placebo_arm_judges_the_luck_rates_by_all_sessions_together(passed, meaning):
    one = PlaceboPasses(100, 9, 2.0, 0, 5)  # a burst in one session is no surprise
    found = PlaceboEvidence(one, PlaceboPasses(1000, passed, 31.0, 20, 45), 10)
    count, note = check(report_data(placebo=found), "placebo")
    assert count == f"{passed} of 1,000" and "about 31 (20 to 45)" in note and meaning in note


def test_without_a_placebo_arm_nothing_is_said_of_it():
    assert check(report_data(), "placebo") is None


def test_runs_that_stand_out_of_the_whole_session_are_named_by_instrument():
    table = grades(10)
    out = pl.col("symbol").is_in(["S000", "S001"]) & (pl.col("family") == "xgboost")
    named = report_data(table.with_columns(stepdown_p=pl.when(out).then(0.01).otherwise(0.06)))
    assert check(named, "stepdown") == ("2 instruments", "S000, S001")
    assert check(report_data(table.with_columns(stepdown_p=pl.lit(0.2))), "stepdown") == ("0 instruments", "")
    assert check(report_data(table), "stepdown") is None


def test_credible_deflated_sharpe_ratios_stand_beside_those_of_luck():
    found = Luck(60, 5, 31.0, 12.0, 66.0, deflated=3, expected_deflated=2.4)
    assert check(report_data(planted=20, luck=found), "deflated")[1] == "Luck alone gives about 2."
    assert check(report_data(planted=20), "deflated")[1] == ""


def test_overfitting_is_stated_with_its_sample():
    found, note = check(report_data(overfitting=Overfitting(0.461, 0.52, 200, 9_000, 3.0)), "overfitting")
    assert found == "median 0.46"
    assert note == "Mean 0.52, over 200 instruments, a sample of 9,000."
    assert "sample" not in check(report_data(overfitting=Overfitting(0.4, 0.5, 1, 1, 2.0)), "overfitting")[1]
    assert check(report_data(), "overfitting") is None
