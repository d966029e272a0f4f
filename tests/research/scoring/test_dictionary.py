"""Tone by lists of words, in the layout of Loughran and McDonald's master dictionary.

The columns are those of LM_MasterDictionary_1993-2025.csv, as public repositories that read it show them
(github.com/nicole-elchaar/10K-sentiments names the file); the rows are ours.
"""

import datetime as dt

import pytest

from src.config.research_sections import ScoringSection
from src.core.errors import ConfigError
from src.research.scoring import text_pieces
from src.research.scoring.dictionary import NEGATIONS, dictionary_tone, word_lists
from src.research.scoring.text_scores import text_scores
from tests.research.scoring.case import COMPANIES, Documents, bar_rows, bar_store, by_entity, moment, text

HEAD = (
    "Word,Seq_num,Word Count,Word Proportion,Average Proportion,Std Dev,Doc Count,Negative,Positive,Uncertainty,"
    "Litigious,Strong_Modal,Weak_Modal,Constraining,Complexity,Syllables,Source"
)


def row(word, negative=0, positive=0):
    return f"{word},1,10,1e-06,1e-06,1e-05,5,{negative},{positive},0,0,0,0,0,0,2,12of12inf"


def write(path, *rows):
    path.write_text("\n".join((HEAD, *rows)) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def lists(tmp_path):
    rows = [row("TABLE"), row("LOSS", 2009), row("BANKRUPTCY", 2009), row("GAIN", 0, 2009), row("STRONG", 0, 2009)]
    return write(tmp_path / "lm.csv", *rows, row("LATER", 2020), row("GONE", -2014))


def test_lists_have_the_words_with_a_year(lists):
    positive, negative = word_lists(lists).at(2024)
    assert positive == {"gain", "strong"}
    assert negative == {"loss", "bankruptcy", "later"}


def test_a_word_counts_from_the_year_after_its_addition_and_until_the_year_of_its_removal(lists):
    assert word_lists(lists).at(2020)[1] == {"loss", "bankruptcy"}
    assert word_lists(lists).at(2021)[1] == {"loss", "bankruptcy", "later"}
    assert word_lists(lists).at(2014)[1] == {"loss", "bankruptcy", "gone"}


def naive(words, positive, negative):
    score = [0, 0]
    for place in range(len(words)):
        if words[place] in negative:
            score[1] += 1
        if words[place] in positive:
            before = [words[k] for k in range(place - 3, place) if k >= 0]
            score[0] += not any(word in NEGATIONS for word in before)
    return (score[0] - score[1]) / sum(score) if sum(score) else 0.0


def test_negation_within_three_words_undoes_a_positive_word_alone():
    good, bad = frozenset({"gain", "strong"}), frozenset({"loss"})
    cases = [
        "gain",
        "not a gain",
        "not in any gain",
        "no one saw a gain",
        "not a loss",
        "strong gain never",
        "none",
        "",
    ]
    assert [dictionary_tone(each.split(), good, bad) for each in cases] == [1, 0, 0, 1, -1, 1, 0, 0]
    for each in (*cases, "neither strong nor gain nor loss", "loss gain gain strong not strong loss"):
        assert dictionary_tone(each.split(), good, bad) == naive(each.split(), good, bad)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "Word,Positive\nGAIN,2009\n",
            "lacks columns Negative: give the master dictionary .* commercial use needs a licence",
        ),
        ("", "lacks columns Word, Negative, Positive"),
        ("Word,Negative,Positive\nGAIN,0,0\n", "marks no word as positive or as negative"),
        ("Word,Negative,Positive\nGAIN,0,yes\n", "line 2: Positive must be a year or 0, got 'yes'"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, content, message):
    path = tmp_path / "other.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        word_lists(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"research.scoring.dictionary=.*absent.csv can't be read"):
        word_lists(str(tmp_path / "absent.csv"))


def test_texts_get_the_tone_of_the_lists_of_their_day(lists, tmp_path, monkeypatch):
    monkeypatch.setattr(text_pieces, "mentions", by_entity)
    rows = [
        text("S00", moment("2024-03-04"), "a loss, later a GAIN and a Strong year"),
        text("S00", moment("2015-03-04"), "a loss, later a GAIN and a Strong year"),
        text("S00", moment("2024-03-05"), "nothing of either kind"),
        text("S00", moment("2024-03-06"), "12 %", n=1),
    ]
    settings = ScoringSection(model="dictionary", dictionary=lists)
    got = text_scores(Documents(rows), COMPANIES, bar_store(tmp_path, [bar_rows("S00", [1.0, 2])]), settings, 0.7)
    assert got["known"].dt.date().to_list()[0] == dt.date(2015, 3, 4)
    assert got["tone"].to_list() == pytest.approx([1 / 3, 0.0, 0.0, 0.0])
