from src.reporting.headline import interpretation, sentence
from src.reporting.report_data import Luck


def test_the_sentence_of_the_evidence_is_used_as_it_is():
    given = "57 of 1,989 runs passed, on 41 instruments."
    assert sentence(Luck(1, 1, 2.0, 0.0, 4.0, given)) == given


def test_without_evidence_the_sentence_says_that_luck_is_unknown():
    assert "not computed" in sentence(Luck(3, 2, None, None, None))
    assert sentence(Luck(1, 1, 31.2, None, None)) == (
        "1 run passed, on 1 instrument. If no model had any skill, about 31 would pass."
    )


def test_a_count_within_the_range_of_luck_is_never_called_skill():
    for passes in range(4, 19):
        assert "no sign of skill" in interpretation(Luck(passes, 1, 10.0, 4.0, 18.0), 100)
    assert "More runs passed" in interpretation(Luck(19, 1, 10.0, 4.0, 18.0), 100)
    assert "nothing to interpret" in interpretation(Luck(0, 0, None, None, None), 0)
