"""What a person looks for, as a query of SQLite's full-text search, and what is found."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field

_PARTS = re.compile(r'(?P<not>-?)(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
_TOKEN = re.compile(r"[^\W_]+")
_WIDTH = 160  # characters of a snippet


@dataclass(frozen=True)
class Words:
    """What a text must hold, and what it must not.

    Attributes
    ----------
    wanted, refused : tuple of tuple of str
        Phrases, each of one word or several that follow one another.
    """

    wanted: tuple[tuple[str, ...], ...]
    refused: tuple[tuple[str, ...], ...] = ()

    @property
    def query(self) -> str:
        """The query in the language of FTS5; every word is quoted, so none of them is taken for an operator."""
        wanted = " AND ".join(map(_quoted, self.wanted))
        return f"({wanted})" + "".join(f" NOT {_quoted(phrase)}" for phrase in self.refused)

    def snippet(self, text: str, width: int = _WIDTH) -> str:
        """The part of a text around the first of the wanted phrases that it holds, on one line.

        Parameters
        ----------
        text : str
        width : int
            Characters, at most, without the dots where it is cut.

        Returns
        -------
        str
            The beginning if none is found.
        """
        found = [hit for phrase in self.wanted if (hit := _pattern(phrase).search(text))]
        first = min((hit.start() for hit in found), default=0)
        begin = max(0, first - width // 4)
        if begin:
            begin = text.find(" ", begin, first) + 1 or first
        end = min(len(text), begin + width)
        if end < len(text):
            end = max(text.rfind(" ", begin + width // 2, end), begin + width // 2)
        shown = " ".join(text[begin:end].split())
        return f"{'... ' if begin else ''}{shown}{' ...' if end < len(text) else ''}"


@dataclass(frozen=True)
class Query:
    """What is looked for.

    Attributes
    ----------
    words : Words
    source, kind : str or None
    entities : tuple of str or None
        Names of an instrument as sources give them.
    since, until : datetime or None
        Of the known time, until exclusive.
    limit : int
    """

    words: Words
    source: str | None = None
    kind: str | None = None
    entities: tuple[str, ...] | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    limit: int = 20


@dataclass(frozen=True)
class Hit:
    """A document that matches.

    Attributes
    ----------
    source, id, kind, entity, title : str
        As in `DOCUMENTS`.
    revision : int
    known : datetime
    snippet : str
        Part of its text; empty if the body can't be read.
    """

    source: str
    id: str
    revision: int
    kind: str
    entity: str
    title: str
    known: dt.datetime
    snippet: str


@dataclass(frozen=True)
class Hits:
    """Newest hits, and how many documents match.

    Attributes
    ----------
    hits : list of Hit
    total : int
    """

    hits: list[Hit] = field(default_factory=list)
    total: int = 0


def words(text: str) -> Words:
    """Take words apart: ``"a phrase"`` in double quotes, ``-word`` for what must not occur.

    Parameters
    ----------
    text : str
        As typed. An unbalanced quote ends with the text; signs that are no letter or digit only separate.

    Returns
    -------
    Words

    Examples
    --------
    >>> words('going "net income" AND -probe').query
    '("going" AND "net income" AND "AND") NOT "probe"'
    """
    wanted: list[tuple[str, ...]] = []
    refused: list[tuple[str, ...]] = []
    for part in _PARTS.finditer(text):
        phrase = tuple(_TOKEN.findall(part["word"] if part["phrase"] is None else part["phrase"]))
        if phrase:
            (refused if part["not"] else wanted).append(phrase)
    return Words(tuple(wanted), tuple(refused))


def _quoted(phrase: tuple[str, ...]) -> str:
    return f'"{" ".join(phrase)}"'


def _pattern(phrase: tuple[str, ...]) -> re.Pattern[str]:
    joined = r"[\W_]+".join(map(re.escape, phrase))
    return re.compile(rf"(?<![^\W_]){joined}(?![^\W_])", re.IGNORECASE)
