"""Tone by the lists of Loughran and McDonald, from the user's own copy of their master dictionary.

The lists are not part of this project: they are free for academic use, and commercial use needs a licence of their
authors (https://sraf.nd.edu/loughranmcdonald-master-dictionary/).
"""

from __future__ import annotations

import csv
import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from src.core.errors import ConfigError

NEGATIONS = frozenset("no not none neither never no-body".replace("-", "").split())
"""Words that undo a positive word after them."""
NEGATION_REACH = 3
"""Words before a positive word in which a negation counts."""
_COLUMNS = ("Word", "Negative", "Positive")
_WHERE = (
    "the master dictionary of Loughran and McDonald as they publish it, at "
    "https://sraf.nd.edu/loughranmcdonald-master-dictionary/ (free for academic use; commercial use needs a licence)"
)


@dataclass(frozen=True)
class WordLists:
    """Words of the two lists with the years in which they stood there.

    Attributes
    ----------
    positive, negative : dict of str to int
        Lower case; a year at whose end the word was added, or, negative, at whose end it was removed.
    """

    positive: dict[str, int]
    negative: dict[str, int]

    def at(self, year: int) -> tuple[frozenset[str], frozenset[str]]:
        """Positive and negative words as of a year.

        Parameters
        ----------
        year : int
            In which a text became known. A word counts from the year after the one in which it was added, and until the
            end of the one in which it was removed: its addition is not dated then, and taken as always.

        Returns
        -------
        (frozenset of str, frozenset of str)
        """
        return _standing(self.positive, year), _standing(self.negative, year)


def _standing(years: dict[str, int], year: int) -> frozenset[str]:
    return frozenset(word for word, changed in years.items() if (year > changed if changed > 0 else year <= -changed))


def word_lists(path: str) -> WordLists:
    """Read the lists.

    Parameters
    ----------
    path : str
        CSV with the columns Word, Negative and Positive, among others: years, 0 where a word is in no list.

    Returns
    -------
    WordLists

    Raises
    ------
    ConfigError
        If the file can't be read, lacks columns, or holds no word of a list.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"research.scoring.dictionary={path} can't be read ({error}): give {_WHERE}") from error
    missing = [name for name in _COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise ConfigError(f"research.scoring.dictionary={path} lacks columns {', '.join(missing)}: give {_WHERE}")
    lists = WordLists(_years(rows, "Positive", path), _years(rows, "Negative", path))
    if not lists.positive or not lists.negative:
        raise ConfigError(f"research.scoring.dictionary={path} marks no word as positive or as negative: give {_WHERE}")
    return lists


def _years(rows: list[dict[str, str]], column: str, path: str) -> dict[str, int]:
    found = {}
    for number, row in enumerate(rows, 2):
        cell = (row[column] or "0").strip()
        try:
            year = int(float(cell))
        except ValueError as error:
            raise ConfigError(
                f"research.scoring.dictionary={path}, line {number}: {column} must be a year or 0, got {cell!r}"
            ) from error
        if year:
            found[(row["Word"] or "").strip().lower()] = year
    return found


def dictionary_tone(words: list[str], positive: frozenset[str], negative: frozenset[str]) -> float:
    """Positive words less negative words over both.

    Parameters
    ----------
    words : list of str
        Of the text, in its order and in lower case.
    positive, negative : frozenset of str
        From `WordLists.at`.

    Returns
    -------
    float
        In [-1, 1]; 0 where the text has no word of either list. A positive word with a negation among the three words
        before it counts on neither side.

    Source: Loughran and McDonald (2011), "When is a liability not a liability?", Journal of Finance 66:35-65; negation
    on p. 44.

    Examples
    --------
    >>> dictionary_tone("losses were not a gain".split(), frozenset({"gain"}), frozenset({"losses"}))
    -1.0
    """
    good = bad = 0
    for place, word in enumerate(words):
        if word in negative:
            bad += 1
        elif word in positive and NEGATIONS.isdisjoint(words[max(0, place - NEGATION_REACH) : place]):
            good += 1
    return (good - bad) / (good + bad) if good + bad else 0.0


def dictionary_tones(texts: list[list[str]], known: list[dt.datetime], lists: WordLists) -> list[float]:
    """Tone of texts by the lists as they stood when each became known.

    Parameters
    ----------
    texts : list of list of str
    known : list of datetime
    lists : WordLists

    Returns
    -------
    list of float
    """
    standing = {year: lists.at(year) for year in {moment.year for moment in known}}
    return [dictionary_tone(words, *standing[moment.year]) for words, moment in zip(texts, known, strict=True)]
