"""One line of a text as tokens: how it is written, where its sentences begin, and where a name stands in it."""

from __future__ import annotations

import re
from typing import NamedTuple

from src.research.linking.names import TOKEN, token_words
from src.research.linking.words import ANALYSES, FUNCTION, MOVES, TARGETS, english

_STOP = re.compile(r"[.!?:;|\"(\u2022]|--| - ")
_JOIN = re.compile(r"\s?(?:,|/|&|,? ?\b(?:and|or|vs|versus)\b\.?)\s?")
_NEAR = 5  # characters between two words of a name


class Token(NamedTuple):
    """A token and where it stands in its line."""

    text: str
    start: int
    end: int


class TextLine:
    """A line of a text.

    Parameters
    ----------
    text : str
        Without line breaks.
    offset : int
        Of its first character in the whole text.
    """

    def __init__(self, text: str, offset: int) -> None:
        self.text, self.offset = text, offset
        self.tokens = [Token(match[0], match.start(), match.end()) for match in TOKEN.finditer(text)]
        self._style = ""

    @property
    def style(self) -> str:
        """How it is written: sentence, title, capitals or small."""
        if not self._style:
            words = [token.text for token in self.tokens if len(token.text) > 2 and token.text[0].isalpha()]
            capital = sum(map(is_capital, words))
            if self.text == self.text.upper():
                self._style = "capitals"
            elif self.text == self.text.lower():
                self._style = "small"
            else:
                self._style = "title" if len(words) > 2 and capital > 0.75 * len(words) else "sentence"
        return self._style

    def place(self, at: int) -> int:
        """Place of a token in the whole text."""
        return self.offset + self.tokens[at].start

    def match(self, at: int, words: tuple[str, ...]) -> int:
        """Token behind a name that begins at a token; 0 if it doesn't begin there.

        Parameters
        ----------
        at : int
            Token.
        words : tuple of str
            Of the name, as `src.research.linking.names.name_words` gives them.
        """
        k, n = at, 0
        while n < len(words):
            if k >= len(self.tokens) or (k > at and not self._close(k)):
                return 0
            token = self.tokens[k].text.lower()
            if token == words[n]:
                n, k = n + 1, k + 1
            elif token == "and" and n:
                k += 1
            else:
                size = _size(token, words, n)
                if not size:
                    return 0
                n, k = n + size, k + 1
        return k

    def opens(self, at: int) -> bool:
        """Whether a token opens a sentence."""
        return at <= 0 or _STOP.search(self.text[self.tokens[at - 1].end : self.tokens[at].start]) is not None

    def neighbours(self, at: int, end: int) -> tuple[str | None, str | None]:
        """Tokens before and behind some, where nothing but a space stands between."""
        before = at and self.text[self.tokens[at - 1].end : self.tokens[at].start] == " "
        more = end < len(self.tokens)
        behind = more and self.text[self.tokens[end - 1].end : self.tokens[end].start] in (" ", ", ")
        return self.tokens[at - 1].text if before else None, self.tokens[end].text if behind else None

    def embedded(self, at: int, end: int, followers: frozenset[str], lenient: bool = False) -> bool:
        """Whether a name stands within a longer one: a capital before it, or behind it a capital that is no follower.

        A capital that only opens a sentence counts if it is no word that sentences open with; never if `lenient`.
        """
        before, behind = self.neighbours(at, end)
        if behind is not None and is_capital(behind) and behind.lower() not in followers and self.style == "sentence":
            apart = self.text[self.tokens[end - 1].end] == "," or self.tokens[end - 1].text.endswith("'s")
            if not apart and behind[0].isalpha():
                return True
        return before is not None and self.preceded(at, before) and not (lenient and self.opens(at - 1))

    def preceded(self, at: int, before: str) -> bool:
        """Whether the token before a name may be its first part, such as a person's first name."""
        if not is_capital(before) or not before.isalpha() or self.style != "sentence":
            return False
        return not self.opens(at - 1) or not _is_ordinary(before.lower())

    def named_after(self, at: int, before: str) -> bool:
        """Whether a word that English lacks stands before a name: Nikola Tesla."""
        return self.preceded(at, before) and not _is_ordinary(before.lower())

    def hyphenated(self, at: int) -> bool:
        """Whether a capitalised word and a hyphen stand before a token: Myers in Bristol-Myers."""
        before = self.tokens[at - 1] if at else None
        if before is None or self.text[before.end : self.tokens[at].start] != "-":
            return False
        return before.text[0].isalpha() and is_capital(before.text)

    def analyses(self, end: int) -> bool:
        """Whether what stands before a token analyses others: Citigroup upgrades, Citigroup raises its price target."""
        behind = [token.text.lower() for token in self.tokens[end : end + 4]]
        if not behind or self.text[self.tokens[end - 1].end : self.tokens[end].start] != " ":
            return False
        return behind[0] in ANALYSES or (behind[0] in MOVES and not TARGETS.isdisjoint(behind[1:3]))

    def joined(self, end: int, start: int) -> bool:
        """Whether only a comma, a slash, ``and`` or ``or`` stands between two tokens."""
        return _JOIN.fullmatch(self.text[self.tokens[end - 1].end : self.tokens[start].start]) is not None

    def with_class(self, at: int) -> str:
        """Symbol with its share class, where one follows: BRK-B, BRK/B; BRK.B is one token."""
        token = self.tokens[at]
        if at + 1 < len(self.tokens):
            behind = self.tokens[at + 1]
            near = behind.start == token.end + 1 and self.text[token.end] in "-/"
            if near and behind.text.isupper() and len(behind.text) <= 3:
                return f"{token.text}-{behind.text}"
        return token.text

    def _close(self, k: int) -> bool:
        gap = self.text[self.tokens[k - 1].end : self.tokens[k].start]
        return len(gap) <= _NEAR and "(" not in gap and not (". " in gap and len(self.tokens[k - 1].text) > 1)


def _is_ordinary(word: str) -> bool:
    return word in FUNCTION or word in ANALYSES or word in MOVES or word in english()


def is_capital(token: str) -> bool:
    """Whether a token has a capital or begins with a digit."""
    return token[0].isdigit() or token != token.lower()


def _size(token: str, words: tuple[str, ...], n: int) -> int:
    """How many words of a name, from the n-th on, a token with dots or an apostrophe stands for."""
    if token.isalnum():
        return 0
    parts = token_words(token)
    if parts and words[n : n + len(parts)] == parts:
        return len(parts)
    if token.endswith("'s"):
        parts = token_words(token[:-2])
        if parts and words[n : n + len(parts)] == parts:
            return len(parts)
    return 0
