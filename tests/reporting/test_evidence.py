import polars as pl
import pytest

from src.evaluation.placebo import PlaceboEvidence, PlaceboPasses
from src.reporting.evidence import statements
from src.reporting.report_data import Luck, Overfitting
from tests.reporting.synthetic import grades, report_data


def statement(data, part):
    matches = [sentence for sentence in statements(data) if part in sentence]
    assert len(matches) <= 1
    return matches[0] if matches else None


def test_credible_instruments_are_counted_once_each():
    table = grades(10).with_columns(q_value=pl.lit(0.5))
    credible = pl.col("symbol").is_in(["S000", "S001"])
    table = table.with_columns(q_value=pl.when(credible).then(0.02).otherwise("q_value"))
    sentence = statement(report_data(table), "q-value")
    assert sentence.startswith("2 of 10 graded instruments have a q-value below 0.10: S000, S001.")


def test_the_absence_of_credible_instruments_is_stated():
    sentence = statement(report_data(grades(10).with_columns(q_value=pl.lit(0.37))), "q-value")
    assert sentence.startswith("None of 10 graded instruments") and "0.37" in sentence


def test_baselines_are_counted_as_a_naive_loop_counts_them():
    data = report_data(planted=20)
    passing = list(data.passing.iter_rows(named=True))
    accurate = sum(r["accuracy"] > r["majority_accuracy"] for r in passing)
    better = sum(r["sharpe"] > r["buy_hold_sharpe"] for r in passing)
    assert statement(data, "more common direction").startswith(f"{accurate} of {len(passing)} passes")
    assert statement(data, "always long").startswith(f"{better} of {len(passing)} passes")


def test_evidence_that_is_missing_for_some_is_counted_over_the_rest():
    table = report_data(planted=20).grades
    some = table.with_columns(luck_rate=pl.when(pl.col("family") == "xgboost").then(0.5).otherwise(None))
    n = some.filter(pl.col("passed") & (pl.col("family") == "xgboost")).height
    assert f"{n} of the {n} passes measured have" in statement(report_data(some), "luck rate above")


def test_passes_by_instrument_stand_beside_their_luck():
    data = report_data(luck=Luck(9, 5, 4.0, 1.0, 9.0, "s", (2.4, 1, 5)))
    assert statement(data, "instruments have").startswith("5 instruments have a passing run; luck alone gives about 2")


@pytest.mark.parametrize(
    ("passed", "meaning"),
    [(30, "agree with this"), (70, "may be too low here"), (10, "may be too high here")],
)
def test_the_placebo_arm_judges_the_luck_rates_by_all_sessions_together(passed, meaning):
    one = PlaceboPasses(100, 9, 2.0, 0, 5)  # a burst in one session is no surprise
    found = PlaceboEvidence(one, PlaceboPasses(1000, passed, 31.0, 20, 45), 10)
    said = [each for each in statements(report_data(placebo=found)) if each.startswith("Placebo arm")]
    assert len(said) == 1
    assert found.sentence() in said[0] and meaning in said[0]


def test_without_a_placebo_arm_nothing_is_said_of_it():
    assert not any("lacebo" in each for each in statements(report_data()))


def test_runs_that_stand_out_of_the_whole_session_are_named_by_instrument():
    table = grades(10)
    out = pl.col("symbol").is_in(["S000", "S001"]) & (pl.col("family") == "xgboost")
    named = report_data(table.with_columns(stepdown_p=pl.when(out).then(0.01).otherwise(0.06)))
    assert statement(named, "stepdown").startswith("2 instruments stand out of the whole session at a chance of 5%")
    assert statement(named, "stepdown").endswith(": S000, S001.")
    none = report_data(table.with_columns(stepdown_p=pl.lit(0.2)))
    assert statement(none, "stepdown").startswith("No run stands out of the whole session")
    assert statement(report_data(table), "stepdown") is None


def test_credible_deflated_sharpe_ratios_stand_beside_those_of_luck():
    found = Luck(60, 5, 31.0, 12.0, 66.0, deflated=3, expected_deflated=2.4)
    sentence = statement(report_data(planted=20, luck=found), "would pass with a deflated")
    assert sentence == (
        "If no model had any skill, about 2 would pass with a deflated Sharpe ratio of 0.95 or more; 3 runs did."
    )
    assert statement(report_data(planted=20), "would pass with a deflated") is None


def test_overfitting_is_stated_with_its_sample():
    sentence = statement(report_data(overfitting=Overfitting(0.461, 0.52, 200, 9_000, 3.0)), "overfitting")
    assert sentence.startswith(
        "Probability of backtest overfitting: median 0.46, mean 0.52, over 200 instruments tried with several settings,"
        " a sample of 9,000."
    )
    assert "sample" not in statement(report_data(overfitting=Overfitting(0.4, 0.5, 1, 1, 2.0)), "overfitting")
    assert statement(report_data(), "overfitting") is None
