from dataclasses import replace

import polars as pl

from src.reporting.next_steps import MOST_STEPS, next_steps
from tests.reporting.synthetic import grades, report_data

TRAIN = {"instrument": "python -m src.train universe=demo", "pooled": "python -m src.train experiment=pooled"}


def commands(data):
    steps = next_steps(replace(data, train_commands=TRAIN))
    assert len(steps) <= MOST_STEPS
    return [step.command or step.link for step in steps]


def session(**columns):
    """A session in which every run of one instrument passed; the others failed."""
    passed = pl.col("symbol") == "S000"
    table = grades(10).with_columns(passed=passed, registrable=passed, suspicious=pl.lit(None, pl.String))
    return report_data(table.with_columns(**columns))


def test_without_grades_the_next_thing_is_to_train():
    assert commands(report_data(pl.DataFrame(), states={}, groups=())) == ["python -m src.train universe=demo"]


def test_a_pass_with_evidence_is_promoted_and_one_without_is_explained():
    assert commands(session(q_value=pl.lit(0.05)))[0] == "python -m src.promote universe=demo"
    assert commands(session(q_value=pl.lit(0.5))) == [
        "python -m src.promote universe=demo dry_run=true",
        TRAIN["pooled"],
    ]


def test_flagged_passes_are_looked_at_first():
    assert commands(session(q_value=pl.lit(0.05), suspicious=pl.lit("AUC 0.9")))[0] == "#runs"


def test_champions_predict():
    found = commands(replace(session(q_value=pl.lit(0.05)), champion_runs=frozenset({"a", "b"})))
    assert found == ["python -m src.predict universe=demo", "python -m src.daily universe=demo"]


def test_without_passes_another_scope_or_other_settings_are_tried():
    none = session(passed=pl.lit(False), registrable=pl.lit(False))
    assert commands(none) == [TRAIN["pooled"]]
