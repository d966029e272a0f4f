import polars as pl

from src.reporting.headline import headline_section, sentence, verdict
from src.reporting.report_data import Luck
from tests.reporting.synthetic import grades, report_data


def test_the_sentence_of_the_evidence_is_used_as_it_is():
    given = "57 of 1,989 runs passed (41 instruments, 38 registrable)."
    assert sentence(Luck(1, 1, 2.0, 0.0, 4.0, given)) == given


def test_without_evidence_the_sentence_says_that_luck_is_unknown():
    assert "not computed" in sentence(Luck(3, 2, None, None, None))
    assert sentence(Luck(1, 1, 31.2, None, None)) == (
        "1 run passed (1 instrument, 0 registrable). If no model had any skill, about 31 would."
    )
    known = Luck(5, 2, 31.2, None, None, registrable=4, session_number=7)
    assert sentence(known) == (
        "5 runs passed (2 instruments, 4 registrable). If no model had any skill, about 31 would. Session 7 on these"
        " bars."
    )


def test_a_count_within_the_range_of_luck_is_never_called_skill():
    table = grades(2)

    def said(passes):
        return verdict(report_data(table, luck=Luck(passes, 1, 10.0, 4.0, 18.0)))

    assert {said(passes) for passes in range(4, 19)} == {"Luck alone explains this many passes."}
    assert said(19) == "More runs passed than luck alone explains."
    assert said(3).startswith("Fewer runs passed than luck")
    assert "can't be interpreted" in verdict(report_data(table, luck=Luck(3, 1, None, None, None)))
    assert "nothing to interpret" in verdict(report_data(pl.DataFrame(), states={}, groups=()))


def test_flagged_runs_are_no_evidence_on_the_first_screen():
    table = grades(10).with_columns(q_value=pl.when(pl.col("symbol") == "S000").then(0.01).otherwise(0.9))
    assert "<dd>1<small>S000</small>" in headline_section(report_data(table))
    flagged = table.with_columns(suspicious=pl.when(pl.col("symbol") == "S000").then(pl.lit("too good")))
    assert "<dd>0<small>no instrument</small>" in headline_section(report_data(flagged))


def test_five_figures_stand_beside_the_picture():
    section = headline_section(report_data(planted=20))
    assert section.count("<dt>") == 5 and section.index("chart") < section.index("<dt>")
