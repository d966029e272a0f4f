"""Tags: symbols that a text marks as such, by a dollar sign, an exchange, or the form of a news agency."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from src.research.linking.index import ambiguous_symbol
from src.research.linking.words import CURRENCIES, EXCHANGES

_CASHTAG = re.compile(r"(?<![\w$])\$([A-Za-z]{1,6}(?:[.\-/][A-Za-z]{1,4})?)(?![\w])")
_SYMBOL = r"[A-Z]{1,6}(?:[.\-/][A-Z]{1,3})?"
_EXCHANGE = re.compile(
    rf"\b([A-Za-z][A-Za-z\-]{{1,12}}(?: American| Arca| MKT)?)\s?:\s?({_SYMBOL}(?:\s?[,;/]\s?{_SYMBOL})*)\b"
)
_EACH = re.compile(_SYMBOL)
_LISTED = re.compile(rf"\(({_SYMBOL}(?:, ?{_SYMBOL})+)\)")
_AGENCY = re.compile(r"\b([A-Z]{1,5})\.(?:O|OQ|N|K)\b(?!\.)|\b([A-Z]{1,5}) US(?: Equity)?\b(?=[\s,.;:)]|$)")


@dataclass(frozen=True)
class Tag:
    """A marked symbol.

    Attributes
    ----------
    symbol : str
    place : int
        Of its first character in the text.
    sign : str
        exchange, cashtag, small cashtag (in small letters), listed (several in brackets), or ``foreign``: a symbol of
        an exchange outside the United States, or an amount of money, so that nothing at this place means an instrument.
    """

    symbol: str
    place: int
    sign: str


def tags(text: str) -> Iterator[Tag]:
    """Find the tags of a text.

    Parameters
    ----------
    text : str
        As `src.research.linking.names.plain` gives it.

    Yields
    ------
    Tag

    Examples
    --------
    >>> [(tag.symbol, tag.sign) for tag in tags("$AAPL at $5, (NYSE: BRK.A, BRK.B)")]
    [('AAPL', 'cashtag'), ('BRK.A', 'exchange'), ('BRK.B', 'exchange')]
    >>> [(tag.symbol, tag.sign) for tag in tags("TSX: ALL up. NOW.N down")]
    [('ALL', 'foreign'), ('NOW', 'exchange')]
    """
    if "$" in text:
        yield from map(_cashtag, _CASHTAG.finditer(text))
    if ":" in text:
        for match in _EXCHANGE.finditer(text):
            yield from _exchange(match)
    for match in _LISTED.finditer(text) if "(" in text else ():
        found = [Tag(each[0], match.start(1) + each.start(), "listed") for each in _EACH.finditer(match[1])]
        yield from found if not all(ambiguous_symbol(tag.symbol) for tag in found) else ()
    if "." in text or " US" in text:
        for match in _AGENCY.finditer(text):
            symbol = match[1] or match[2]
            if match[1] or not ambiguous_symbol(symbol):
                yield Tag(symbol, match.start(1 if match[1] else 2), "exchange")


def _cashtag(match: re.Match[str]) -> Tag:
    symbol = match[1]
    if symbol.lower() in CURRENCIES and (len(symbol) > 1 or symbol.islower()):
        return Tag(symbol, match.start(1), "foreign")
    sign = "cashtag" if symbol.isupper() else "small cashtag"
    return Tag(symbol, match.start(1), sign)


def _exchange(match: re.Match[str]) -> Iterator[Tag]:
    ours = match[1].lower().split(" ")[0] in EXCHANGES
    if ours or (match[1].isupper() and len(match[1]) <= 6):
        for each in _EACH.finditer(match[2]):
            yield Tag(each[0], match.start(2) + each.start(), "exchange" if ours else "foreign")
