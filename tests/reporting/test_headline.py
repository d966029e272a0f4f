from src.reporting.headline import interpretation, sentence
from src.reporting.report_data import Luck


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
    for passes in range(4, 19):
        assert "no sign of skill" in interpretation(Luck(passes, 1, 10.0, 4.0, 18.0), 100)
    assert "More runs passed" in interpretation(Luck(19, 1, 10.0, 4.0, 18.0), 100)
    assert "nothing to interpret" in interpretation(Luck(0, 0, None, None, None), 0)
