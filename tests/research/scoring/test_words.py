"""Words of texts, against a plain loop, and the numbering of words piece by piece."""

import doctest
import re
import unicodedata
from collections import Counter

import numpy as np
import polars as pl
import pytest

from src.research.scoring import dictionary, refits, words
from src.research.scoring.vocabulary import LEAST_TEXTS, Vocabulary
from src.research.scoring.words import LONGEST_TEXT, counted, is_counted, stem

TEXTS = [
    "Companies' profits ROSE; the company's loss, losses and a loss narrowed.",
    "It didn\u2019t rise \u2013 it fell 12% (from $5)",
    "",
    None,
    "\ufb01nancial \uff24\uff25fault default a I",
    "the of and",
    f"gain {'x' * 40} gains",
    "tail " * (LONGEST_TEXT // 5) + "neverseen",
]


def plain(text):
    """Counts of one text by a loop."""
    folded = unicodedata.normalize("NFKC", (text or "")[:LONGEST_TEXT]).replace("\u2019", "'").lower()
    spelled = [re.sub("'.*", "", each) for each in re.findall(r"[a-z]+(?:'[a-z]+)?", folded)]
    return Counter(stem(each) for each in spelled if is_counted(stem(each)))


def test_counts_are_those_of_a_plain_loop():
    got = counted(pl.Series(TEXTS))
    for place, text in enumerate(TEXTS):
        part = got.filter(text=place)
        assert dict(part.select("word", "times").rows()) == plain(text)
        assert part["word"].to_list() == sorted(part["word"])
    assert "neverseen" not in set(got["word"])
    assert got.filter(text=0)["word"].to_list() == ["company", "loss", "losse", "narrowed", "profit", "rose"]


@pytest.mark.parametrize("module", [words, dictionary, refits])
def test_examples_hold(module):
    assert doctest.testmod(module).failed == 0


def test_words_added_piece_by_piece_are_those_of_the_whole_in_alphabetical_order():
    random = np.random.default_rng(0)
    spelled = [f"{a}{b}w" for a in "zyxwvu" for b in "abcdefgh"]
    texts = [" ".join(random.choice(spelled, random.integers(0, 9))) for _ in range(90)]
    kept = np.flatnonzero(random.random(90) < 0.8).astype(np.uint32)
    whole, parts = Vocabulary(), Vocabulary()
    whole.add(counted(pl.Series(texts)), 90)
    for first in range(0, 90, 13):
        parts.add(counted(pl.Series(texts[first : first + 13])), len(texts[first : first + 13]))
    (one, words_one), (two, words_two) = whole.counts(kept), parts.counts(kept)
    assert words_one == words_two == sorted(words_one)
    assert one.starts.tolist() == two.starts.tolist()
    assert one.columns.tolist() == two.columns.tolist()
    used = Counter(word for place in kept for word in set(texts[place].split()))
    assert set(words_one) == {word for word, n in used.items() if n >= LEAST_TEXTS}
    for row, place in enumerate(kept):
        found = {words_one[c]: int(t) for c, t in zip(*_entries(one, row), strict=True)}
        assert found == {word: n for word, n in Counter(texts[place].split()).items() if word in words_one}


def _entries(counts, row):
    span = slice(counts.starts[row], counts.starts[row + 1])
    return counts.columns[span], counts.times[span]
