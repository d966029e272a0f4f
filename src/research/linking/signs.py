"""Signs of instruments in one text: tags that name a symbol, bare symbols, and names of companies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from src.research.linking.index import Entry, Meaning, MentionIndex, ambiguous_symbol, canonical
from src.research.linking.names import TOKEN, plain, token_words
from src.research.linking.words import ACRONYMS, CURRENCIES, EXCHANGES, FINANCE, FOLLOWERS, FORMS, SMALL

# Confidence of each sign; what stands below 0.7, the default of research.min_confidence, is no link by itself.
CONFIDENCE = {
    "cik": 1.0,  # the source names the instrument or the company's number
    "exchange": 0.97,  # (NASDAQ: AAPL), NYSE:BRK.B, AAPL.O, AAPL US
    "cashtag": 0.95,  # $AAPL; 0.85 in small letters
    "symbol+name": 0.95,  # both, at different places of the text
    "legal": 0.95,  # a name with its legal form: Target Corp
    "name": 0.9,  # of several words that are not all English ones
    "word": 0.85,  # of one such word; of English words alone, capitals setting it apart in a sentence
    "short": 0.8,  # a name without what it says of the industry, or a former one
    "context": 0.75,  # an English word that stands where a company stands, in a text about business
    "small": 0.7,  # a name in small letters
    "symbol": 0.75,  # bare, three letters and more, no word or abbreviation
    "doubtful symbol": 0.3,  # any other bare symbol
    "doubtful name": 0.4,  # an English word without a second sign
}
_SMALL_TAG = 0.85
_CASHTAG = re.compile(r"(?<![\w$])\$([A-Za-z]{1,6}(?:[.\-/][A-Za-z]{1,4})?)(?![\w])")
_SYMBOL = r"[A-Z]{1,6}(?:[.\-/][A-Z]{1,3})?"
_TAG = re.compile(
    rf"\b([A-Za-z][A-Za-z\-]{{1,12}}(?: American| Arca| MKT)?)\s?:\s?({_SYMBOL}(?:\s?[,;/]\s?{_SYMBOL})*)\b"
)
_RIC = re.compile(r"\b([A-Z]{1,5})\.(?:O|OQ|N|K|A|P)\b(?!\.)|\b([A-Z]{1,5}) US(?: Equity)?\b(?=[\s,.;:)]|$)")
_STOP = re.compile(r"[.!?:;|\n\"(\u2022]|--| - ")
_NEAR = 5  # characters between two words of a name


@dataclass
class Signs:
    """What a text says of one group of instruments.

    Attributes
    ----------
    tag, symbol, name : float
        Best confidence of a tag, of a bare symbol, of a name; 0 without.
    sign : str
        exchange or cashtag, where there is a tag.
    symbol_at, name_at : set of int
        Places of bare symbols and of names.
    """

    tag: float = 0.0
    symbol: float = 0.0
    name: float = 0.0
    sign: str = ""
    symbol_at: set[int] = field(default_factory=set)
    name_at: set[int] = field(default_factory=set)

    def verdict(self) -> tuple[float, str]:
        """Confidence and the sign that it rests on."""
        apart = self.symbol_at and self.name_at and (self.symbol_at | self.name_at) != self.symbol_at & self.name_at
        both = CONFIDENCE["symbol+name"] if self.symbol and self.name and apart else 0.0
        best = max(self.tag, both, self.name, self.symbol)
        if best == self.tag:
            return best, self.sign
        if best == both:
            return best, "symbol+name"
        return best, "name" if best == self.name else "symbol"


@dataclass
class _Line:
    """One line of a text, cut into tokens, and how it is written."""

    text: str
    offset: int
    tokens: list[tuple[str, int, int]]
    style: str  # sentence, title, capitals, small


def signs(text: str, moment: int, index: MentionIndex) -> dict[int, Signs]:
    """Find what a text says.

    Parameters
    ----------
    text : str
        Title and text.
    moment : int
        Of the text, in microseconds since 1970: names and symbols count in their dates.
    index : MentionIndex

    Returns
    -------
    dict of int to Signs
        By group of `index`.
    """
    return _Reader(plain(text), moment, index).read()


class _Reader:
    def __init__(self, text: str, moment: int, index: MentionIndex) -> None:
        self.text, self.moment, self.index = text, moment, index
        self.found: dict[int, Signs] = {}
        self.taken: set[int] = set()  # places of symbols that a tag or another exchange explains
        self._business: bool | None = None

    def read(self) -> dict[int, Signs]:
        self._tags()
        offset = 0
        for text in self.text.split("\n"):
            if text:
                self._line(text, offset)
            offset += len(text) + 1
        return self.found

    @property
    def business(self) -> bool:
        """Whether the text is about business at all."""
        if self._business is None:
            words = {word for token in TOKEN.findall(self.text.lower()) for word in (token, token.removesuffix("'s"))}
            self._business = bool(words & FINANCE) or "%" in self.text
        return self._business

    # Tags

    def _tags(self) -> None:
        if "$" in self.text:
            for match in _CASHTAG.finditer(self.text):
                self._cashtag(match)
        if ":" in self.text:
            for match in _TAG.finditer(self.text):
                self._exchange(match)
        if "." in self.text or " US" in self.text:
            for match in _RIC.finditer(self.text):
                symbol = match[1] or match[2]
                place = match.start(1 if match[1] else 2)
                if not ambiguous_symbol(symbol) or (len(symbol) == 2 and match[1]):
                    self._tagged(symbol, place, CONFIDENCE["exchange"], "exchange")

    def _cashtag(self, match: re.Match[str]) -> None:
        symbol = match[1]
        self.taken.add(match.start(1))
        if symbol.lower() in CURRENCIES and (len(symbol) > 1 or symbol.islower()):
            return
        if symbol.upper().endswith(".X"):
            symbol = symbol[:-2]
        capitals = symbol.isupper()
        self._tagged(symbol, match.start(1), CONFIDENCE["cashtag"] if capitals else _SMALL_TAG, "cashtag")

    def _exchange(self, match: re.Match[str]) -> None:
        prefix = match[1].lower().split(" ")[0]
        ours = prefix in EXCHANGES
        if not ours and not match[1].isupper():
            return
        for each in re.finditer(_SYMBOL, match[2]):
            place = match.start(2) + each.start()
            if ours:
                self._tagged(each[0], place, CONFIDENCE["exchange"], "exchange")
            elif len(match[1]) <= 6:  # (TSX: ALL) is another company's
                self.taken.add(place)

    def _tagged(self, symbol: str, place: int, confidence: float, sign: str) -> None:
        self.taken.add(place)
        meanings = self.index.symbols.get(canonical(symbol), ())
        for meaning in self._holding(meanings):
            signs = self.found.setdefault(meaning.group, Signs())
            if confidence > signs.tag:
                signs.tag, signs.sign = confidence, sign

    def _holding(self, meanings: tuple[Meaning, ...]) -> Iterator[Meaning]:
        return (meaning for meaning in meanings if meaning.holds(self.moment))

    # Bare symbols and names

    def _line(self, text: str, offset: int) -> None:
        line = _Line(text, offset, [(m[0], m.start(), m.end()) for m in TOKEN.finditer(text)], "")
        heads, symbols = self.index.heads, self.index.symbols
        skip = 0
        for at, (token, _, _) in enumerate(line.tokens):
            if at >= skip:
                lower = token.lower()
                entries = heads.get(lower)
                if entries is None and not lower.isalnum():
                    entries = self._odd(lower)
                if entries:
                    skip = max(skip, self._names(line, at, entries))
            if token.isupper() and not token[0].isdigit() and (token in symbols or "." in token or len(token) < 5):
                self._symbol(line, at)

    def _odd(self, token: str) -> tuple[Entry, ...] | None:
        """Entries of a token with an apostrophe or a dot: of Lowe's those of lowes, of Apple's those of apple."""
        words = token_words(token)
        found = self.index.heads.get(words[0]) if words else None
        if found is None and token.endswith("'s"):
            words = token_words(token[:-2])
            found = self.index.heads.get(words[0]) if words else None
        return found

    def _names(self, line: _Line, at: int, entries: tuple[Entry, ...]) -> int:
        """Take the longest name that begins at a token; return the token behind it."""
        for entry in entries:
            end = _match(line, at, entry.words)
            if not end:
                continue
            holding = list(self._holding(entry.meanings))
            if not holding:
                continue
            confidence = self._name_confidence(line, at, end, entry, holding)
            for meaning in holding if confidence else ():
                signs = self.found.setdefault(meaning.group, Signs())
                several = len({each.group for each in holding}) > 1
                signs.name = max(signs.name, confidence / 2 if several else confidence)
                signs.name_at.add(line.offset + line.tokens[at][1])
            if confidence:
                return end
        return 0

    def _name_confidence(self, line: _Line, at: int, end: int, entry: Entry, holding: list[Meaning]) -> float:
        tokens = line.tokens[at:end]
        style = _style(line)
        capital = all(_is_capital(token) or token.lower() in SMALL for token, _, _ in tokens)
        coin = any(each.kind == "coin" for each in holding)
        if not capital and not coin:
            return 0.0 if entry.common else CONFIDENCE["small"] if len(entry.words[0]) > 3 else 0.0
        if coin and not entry.common:
            return CONFIDENCE["name"]
        behind = line.tokens[end] if end < len(line.tokens) else None
        joined = behind is not None and line.text[tokens[-1][2] : behind[1]] in (" ", ", ")
        if joined and behind and behind[0].lower().rstrip(".") in FORMS and _is_capital(behind[0]):
            return CONFIDENCE["legal"]
        if entry.common:
            return self._common_name(line, at, end, style) if capital else 0.0
        short = all(each.kind in ("short", "former") for each in holding)
        return CONFIDENCE["short" if short else "name" if len(entry.words) > 1 else "word"]

    def _common_name(self, line: _Line, at: int, end: int, style: str) -> float:
        """Confidence of a name of English words: how it is written, what follows, and what the text is about."""
        before, behind = _neighbours(line, at, end)
        follows = behind is not None and behind.lower() in FOLLOWERS
        owns = line.tokens[end - 1][0].endswith("'s")
        several = end - at > 1
        embedded = (before is not None and _is_capital(before) and not _opens(line, at - 1)) or (
            behind is not None and _is_capital(behind) and not follows and not owns
        )
        apart = style == "sentence" and (several or not _opens(line, at)) and not embedded
        if before is not None and before.lower() in ("the", "a", "an") and not several and not follows:
            apart = False
        if several and apart:
            return CONFIDENCE["word"]
        placed = apart or (follows and (style != "sentence" or not embedded)) or (owns and not embedded)
        return CONFIDENCE["context"] if placed and self.business else CONFIDENCE["doubtful name"]

    def _symbol(self, line: _Line, at: int) -> None:
        start = line.tokens[at][1]
        place = line.offset + start
        symbol = _with_class(line, at)
        meanings = list(self._holding(self.index.symbols.get(canonical(symbol), ())))
        if not meanings or place in self.taken or (start and line.text[start - 1] in "$#@"):
            return
        shouting = _style(line) == "capitals" and len(line.tokens) > 2
        doubtful = shouting or ambiguous_symbol(symbol)
        if doubtful and len(symbol) > 1 and not shouting:
            doubtful = not self._traded(line, at)
        elif not doubtful and len(symbol) == 3 and not self.business:
            doubtful = True
        confidence = CONFIDENCE["doubtful symbol" if doubtful else "symbol"]
        for meaning in meanings:
            signs = self.found.setdefault(meaning.group, Signs())
            signs.symbol = max(signs.symbol, confidence)
            signs.symbol_at.add(place)

    def _traded(self, line: _Line, at: int) -> bool:
        """Whether a doubtful symbol stands where a share stands: ``GM shares``, ``shares of GE``; no abbreviation."""
        token = line.tokens[at][0]
        if token in ACRONYMS:
            return False
        before, behind = _neighbours(line, at, at + 1)
        if behind is not None and behind.lower() in ("shares", "stock", "calls", "puts", "options"):
            return True
        earlier = line.tokens[at - 2][0].lower() if at > 1 else ""
        return before in ("of", "in", "on") and earlier in ("shares", "stock", "calls", "puts", "position", "stake")


def _match(line: _Line, at: int, words: tuple[str, ...]) -> int:
    """Token behind a name that begins at a token; 0 if it doesn't."""
    tokens = line.tokens
    k, n = at, 0
    while n < len(words):
        if k >= len(tokens) or (k > at and not _close(line, k)):
            return 0
        token = tokens[k][0].lower()
        if token == "and" and n:
            k += 1
            continue
        if token == words[n]:
            n, k = n + 1, k + 1
            continue
        parts = token_words(token)
        last = token_words(token[:-2]) if token.endswith("'s") else ()
        for form in (parts, last):
            if form and words[n : n + len(form)] == form:
                n, k = n + len(form), k + 1
                break
        else:
            return 0
    return k


def _close(line: _Line, k: int) -> bool:
    gap = line.text[line.tokens[k - 1][2] : line.tokens[k][1]]
    return len(gap) <= _NEAR and not (". " in gap and len(line.tokens[k - 1][0]) > 1) and "(" not in gap


def _neighbours(line: _Line, at: int, end: int) -> tuple[str | None, str | None]:
    """Tokens next to some, with nothing but a space between."""
    tokens, text = line.tokens, line.text
    before = tokens[at - 1] if at else None
    behind = tokens[end] if end < len(tokens) else None
    left = before[0] if before and text[before[2] : tokens[at][1]] == " " else None
    right = behind[0] if behind and text[tokens[end - 1][2] : behind[1]] == " " else None
    return left, right


def _opens(line: _Line, at: int) -> bool:
    """Whether a token opens a sentence."""
    if at <= 0:
        return True
    gap = line.text[line.tokens[at - 1][2] : line.tokens[at][1]]
    return _STOP.search(gap) is not None


def _is_capital(token: str) -> bool:
    return token[0].isdigit() or token != token.lower()


def _style(line: _Line) -> str:
    """How a line is written: sentence, title, capitals or small."""
    if not line.style:
        words = [token for token, _, _ in line.tokens if len(token) > 3 and token[0].isalpha()]
        capital = sum(map(_is_capital, words))
        if line.text == line.text.upper():
            line.style = "capitals"
        elif line.text == line.text.lower():
            line.style = "small"
        else:
            line.style = "title" if len(words) > 3 and capital >= 0.75 * len(words) else "sentence"
    return line.style


def _with_class(line: _Line, at: int) -> str:
    """Symbol with its share class, where one follows: BRK-B, BRK/B; BRK.B is one token."""
    token, _, end = line.tokens[at]
    if at + 1 < len(line.tokens):
        behind, start, _ = line.tokens[at + 1]
        if start == end + 1 and line.text[end] in "-/" and behind.isupper() and len(behind) <= 3:
            return f"{token}-{behind}"
    return token
