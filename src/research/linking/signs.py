"""Signs of instruments in one text: tags, bare symbols and names of companies, and how far each is to be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from src.research.linking.index import Meaning, MentionIndex, NameEntry, ambiguous_symbol, canonical
from src.research.linking.lines import TextLine, is_capital
from src.research.linking.names import TOKEN, plain, token_words
from src.research.linking.tags import tags
from src.research.linking.words import (
    ACRONYMS,
    ANALYSES,
    BOUGHT,
    FINANCE,
    FOLLOWERS,
    FORMS,
    PHRASES,
    RESERVED,
    SMALL,
    english,
)

# Confidence of each sign; what stands below 0.7, the default of research.min_confidence, is no link by itself.
CONFIDENCE = {
    "cik": 1.0,  # the source names the instrument or the company's number
    "exchange": 0.97,  # (NASDAQ: AAPL), NYSE:BRK.B, AAPL.O, AAPL US
    "cashtag": 0.95,  # $AAPL
    "small cashtag": 0.85,  # $aapl
    "listed": 0.85,  # (AAPL, MSFT): symbols side by side in brackets
    "symbol+name": 0.95,  # both at different places of the text, or the symbol in brackets behind the name
    "legal": 0.95,  # a name with its legal form: Target Corp
    "name": 0.9,  # of several words that are not all English ones; of a coin
    "word": 0.85,  # of one such word; of English words alone, capitals setting them apart in a sentence
    "short": 0.8,  # a name without what it says of the industry, or a former one
    "context": 0.75,  # an English word or doubtful symbol that stands where a company stands, in a text about business
    "symbol": 0.75,  # bare, three letters and more, no word or abbreviation
    "small": 0.7,  # a name in small letters
    "doubtful name": 0.4,  # an English word without a second sign
    "doubtful symbol": 0.3,  # any other bare symbol
}
LINKED = 0.7
_RESERVED = {(word,) for word in RESERVED}
_ENOUGH, _ENOUGH_AMONG_CAPITALS = 5, 6  # letters of a name in small letters


@dataclass
class TextSigns:
    """What a text says of one group of instruments.

    Attributes
    ----------
    tag, symbol, name : float
        Best confidence of a tag, of a bare symbol, of a name; 0 without.
    sign : str
        That of the tag.
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
        apart = bool(self.symbol_at and self.name_at and self.symbol_at != self.name_at)
        both = CONFIDENCE["symbol+name"] if apart and max(self.symbol, self.name) >= LINKED else 0.0
        best = max(self.tag, both, self.name, self.symbol)
        if best == self.tag:
            return best, self.sign
        if best == both:
            return best, "symbol+name"
        return best, "name" if best == self.name else "symbol"


@dataclass(frozen=True)
class _Spot:
    """A name or a bare symbol in a line: its tokens, what it means, and how far it is trusted by itself."""

    at: int
    end: int
    meanings: tuple[Meaning, ...]
    confidence: float
    kind: str  # name or symbol
    raisable: bool = False  # whether a company beside it is the second sign that it needs


def signs(text: str, moment: int, index: MentionIndex) -> dict[int, TextSigns]:
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
    dict of int to TextSigns
        By group of `index`.
    """
    return _Reader(plain(text), moment, index).read()


class _Reader:
    def __init__(self, text: str, moment: int, index: MentionIndex) -> None:
        self.text, self.moment, self.index = text, moment, index
        self.found: dict[int, TextSigns] = {}
        self.taken: set[int] = set()  # places that a tag explains
        self._business: bool | None = None
        self._listed: tuple[TextLine, bool] | None = None  # the last line that was asked for

    def read(self) -> dict[int, TextSigns]:
        self._tags()
        offset = 0
        for text in self.text.split("\n"):
            if text:
                line = TextLine(text, offset)
                spots = self._spots(line)
                if spots:
                    self._count(line, _raised(line, spots))
            offset += len(text) + 1
        return self.found

    @property
    def business(self) -> bool:
        """Whether the text is about business at all."""
        if self._business is None:
            words = {word for token in TOKEN.findall(self.text.lower()) for word in (token, token.removesuffix("'s"))}
            self._business = bool(words & FINANCE) or "%" in self.text
        return self._business

    def _tags(self) -> None:
        for tag in tags(self.text):
            self.taken.add(tag.place)
            if tag.sign != "foreign" and not (tag.sign == "listed" and tag.symbol in ACRONYMS):
                meanings = self._holding(self.index.symbols.get(canonical(tag.symbol), ()))
                self._tagged(_likeliest(meanings, listed=tag.sign == "exchange"), tag.sign)

    def _tagged(self, meanings: Iterable[Meaning], sign: str) -> None:
        for meaning in meanings:
            evidence = self.found.setdefault(meaning.group, TextSigns())
            if CONFIDENCE[sign] > evidence.tag:
                evidence.tag, evidence.sign = CONFIDENCE[sign], sign.removeprefix("small ")

    def _holding(self, meanings: Iterable[Meaning]) -> tuple[Meaning, ...]:
        return tuple(meaning for meaning in meanings if meaning.span[0] <= self.moment < meaning.span[1])

    def _spots(self, line: TextLine) -> list[_Spot]:
        heads, symbols = self.index.heads, self.index.symbols
        found: list[_Spot] = []
        skip = 0
        for at, token in enumerate(line.tokens):
            if at < skip:
                continue
            text = token.text
            lower = text.lower()
            entries = heads.get(lower) or (None if lower.isalnum() else self._odd(lower))
            spot = self._name(line, at, entries) if entries else None
            if spot is None and text.isupper() and (text in symbols or len(text) < 6 or "." in text):
                spot = self._symbol(line, at, found[-1] if found else None)
            if spot is not None:
                found.append(spot)
                skip = spot.end
        return found

    def _count(self, line: TextLine, spots: list[_Spot]) -> None:
        for spot in spots:
            groups = {meaning.group for meaning in spot.meanings}
            confidence = spot.confidence / 2 if len(groups) > 1 else spot.confidence
            for group in groups:
                evidence = self.found.setdefault(group, TextSigns())
                if spot.kind == "name":
                    evidence.name = max(evidence.name, confidence)
                    evidence.name_at.add(line.place(spot.at))
                else:
                    evidence.symbol = max(evidence.symbol, confidence)
                    evidence.symbol_at.add(line.place(spot.at))

    # Names

    def _odd(self, token: str) -> tuple[NameEntry, ...]:
        """Entries of a token with an apostrophe or a dot: of Lowe's those of lowes, of Apple's those of apple."""
        forms = [token_words(token)] + ([token_words(token[:-2])] if token.endswith("'s") else [])
        return tuple(entry for words in forms if words for entry in self.index.heads.get(words[0], ()))

    def _name(self, line: TextLine, at: int, entries: tuple[NameEntry, ...]) -> _Spot | None:
        """The longest name that begins at a token."""
        for entry in entries:
            end = line.match(at, entry.words)
            holding = self._holding(entry.meanings) if end else ()
            if holding and line.analyses(end):
                return _Spot(at, end, (), 0.0, "name")  # the text is about whom it analyses
            if holding and not line.hyphenated(at):
                sign = self._name_sign(line, at, end, entry, holding)
                if sign:
                    raisable = sign == "doubtful name" and not line.embedded(at, end, FOLLOWERS, lenient=True)
                    return _Spot(at, end, holding, CONFIDENCE[sign], "name", raisable)
        return None

    def _name_sign(self, line: TextLine, at: int, end: int, entry: NameEntry, holding: tuple[Meaning, ...]) -> str:
        """Which row of `CONFIDENCE` a name has; empty if the words are no name."""
        tokens = [token.text for token in line.tokens[at:end]]
        if not entry.common and any(meaning.kind == "coin" for meaning in holding):
            return "name"
        if not all(is_capital(token) or token.lower() in SMALL for token in tokens):
            enough = _ENOUGH if line.style == "small" else _ENOUGH_AMONG_CAPITALS
            return "small" if not entry.common and len("".join(entry.words)) >= enough else ""
        before, behind = line.neighbours(at, end)
        if behind is not None and behind.lower() in FORMS and (is_capital(behind) or behind in ("plc", "inc")):
            return "legal"
        if entry.common or entry.words in _RESERVED:
            return "" if entry.words in _RESERVED else self._common_name(line, at, end)
        if len(entry.words) == 1 and before is not None and line.named_after(at, before):
            return "doubtful name"
        short = all(meaning.kind in ("short", "former") for meaning in holding)
        return "short" if short else "name" if len(entry.words) > 1 else "word"

    def _common_name(self, line: TextLine, at: int, end: int) -> str:
        """Of a name of English words: how it is written, what follows, and what the text is about."""
        before, behind = line.neighbours(at, end)
        follows = behind is not None and behind.lower() in FOLLOWERS
        owns = line.tokens[end - 1].text.endswith("'s")
        several = end - at > 1 or "." in line.tokens[at].text
        apart = line.style == "sentence" and (several or not line.opens(at))
        if before is not None and before.lower() in ("the", "a", "an") and not several and not follows:
            apart = False
        if before is not None and before.lower() in PHRASES.get(line.tokens[at].text.lower(), ()):
            return ""
        long = end - at > 2
        rated = before == "on" and any(token.text.lower() in ANALYSES for token in line.tokens[:at])
        if line.embedded(at, end, FOLLOWERS) or not (apart or follows or owns or long or rated):
            return "doubtful name"
        if several and (apart or long):
            return "word"
        return "context" if self.business else "doubtful name"

    # Bare symbols

    def _symbol(self, line: TextLine, at: int, former: _Spot | None) -> _Spot | None:
        symbol = line.with_class(at)
        token, place = line.tokens[at], line.place(at)
        meanings = _likeliest(self._holding(self.index.symbols.get(canonical(symbol), ())), listed=False)
        mark = line.text[token.start - 1] if token.start else ""
        if not meanings or place in self.taken or mark in ("$", "#", "@"):
            return None
        end = at + 1 + (symbol != token.text)
        if mark == "(" and former is not None and former.end == at and former.kind == "name":
            named = {meaning.group for meaning in former.meanings}
            self._tagged((meaning for meaning in meanings if meaning.group in named), "symbol+name")
        sign = self._symbol_sign(line, at, symbol)
        raisable = sign == "doubtful symbol" and len(symbol) > 1 and symbol not in ACRONYMS
        return _Spot(at, end, meanings, CONFIDENCE[sign], "symbol", raisable and line.style == "sentence")

    def _symbol_sign(self, line: TextLine, at: int, symbol: str) -> str:
        if line.style == "capitals" and len(line.tokens) > 2 and not self._listing(line):
            return "doubtful symbol"
        if ambiguous_symbol(symbol):
            return "context" if symbol not in ACRONYMS and self._traded(line, at) else "doubtful symbol"
        if len(symbol) > 3 or any(meaning.kind == "coin" for meaning in self.index.symbols[canonical(symbol)]):
            return "symbol"
        return "symbol" if self._traded(line, at) else "doubtful symbol"

    def _listing(self, line: TextLine) -> bool:
        """Whether at least half of a line are symbols that mean nothing else."""
        if self._listed is None or self._listed[0] is not line:
            known = [token.text in self.index.symbols and not ambiguous_symbol(token.text) for token in line.tokens]
            self._listed = line, 2 * sum(known) >= len(known)
        return self._listed[1]

    def _traded(self, line: TextLine, at: int) -> bool:
        """Whether a doubtful symbol stands where a share stands: ``GM shares``, ``HD sales drop``, ``bought GME``."""
        token = line.tokens[at].text
        before, behind = line.neighbours(at, at + 1)
        follower = behind.lower() if behind is not None else ""
        if follower in ("shares", "stock", "calls", "puts", "options"):
            return True
        if len(token) > 1 and token.lower() not in english() and follower in FOLLOWERS and self.business:
            return True
        if len(token) > 2 and before is not None and before.lower() in BOUGHT and not ambiguous_symbol(token):
            return True
        earlier = line.tokens[at - 2].text.lower() if at > 1 else ""
        return before in ("of", "in", "on") and earlier in ("shares", "stock", "calls", "puts", "position", "stake")


def _likeliest(meanings: tuple[Meaning, ...], listed: bool) -> tuple[Meaning, ...]:
    """Of a symbol that a coin shares with a fund, the coin's meaning, or the fund's where an exchange is named."""
    kept = tuple(meaning for meaning in meanings if (meaning.kind == "coin") != listed)
    return kept if kept and any(meaning.kind == "coin" for meaning in meanings) else meanings


def _raised(line: TextLine, spots: list[_Spot]) -> list[_Spot]:
    """The spots; one that needs a second sign has it in a company that ``and``, a comma or a slash joins to it."""
    strong = [spot.confidence >= LINKED for spot in spots]
    order = [*range(len(spots)), *reversed(range(len(spots)))]
    for k in order:
        if strong[k] or not spots[k].raisable:
            continue
        left = k > 0 and strong[k - 1] and line.joined(spots[k - 1].end, spots[k].at)
        right = k + 1 < len(spots) and strong[k + 1] and line.joined(spots[k].end, spots[k + 1].at)
        strong[k] = left or right
    context = CONFIDENCE["context"]
    return [
        _Spot(spot.at, spot.end, spot.meanings, context, spot.kind) if raised and spot.confidence < LINKED else spot
        for spot, raised in zip(spots, strong, strict=True)
    ]
