"""Lookup of symbols and names of the companies that can be meant, each with the dates in which it held."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from src.core.instruments import Key
from src.research.linking.names import Words, name_words, shortened, without_form
from src.research.linking.words import ACRONYMS, BRANDS, COINS, FORMS, INDUSTRY, SMALL, english

FOREVER = (-(2**63), 2**63 - 1)  # microseconds since 1970
LINGERS = dt.timedelta(days=365)  # a former name still means its company
_MOST_CLASSES = 6  # instruments of one number beyond which it is a family of funds: none stands for another
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
Span = tuple[int, int]


@dataclass(frozen=True)
class Meaning:
    """What a symbol or a name stands for.

    Attributes
    ----------
    group : int
        Of instruments that one company has.
    span : (int, int)
        Microseconds since 1970 from which and before which it holds.
    kind : str
        symbol, name, short (a name without its industry), former, brand or coin.
    """

    group: int
    span: Span
    kind: str

    def holds(self, moment: int) -> bool:
        """Whether it held at a moment."""
        return self.span[0] <= moment < self.span[1]


@dataclass(frozen=True)
class NameEntry:
    """A name that texts are searched for.

    Attributes
    ----------
    words : tuple of str
    common : bool
        Whether all of its words are English words, so that it needs a second sign.
    meanings : tuple of Meaning
    """

    words: Words
    common: bool
    meanings: tuple[Meaning, ...]


@dataclass
class MentionIndex:
    """Everything that can be meant.

    Attributes
    ----------
    groups : list of tuple of (key, spans)
        Instruments of each group, and in which spans they belong to it.
    symbols : dict of str to tuple of Meaning
        By symbol in capitals, with ``-`` before a share class; coins also by the base of their pair.
    heads : dict of str to tuple of NameEntry
        Names by their first word, the longest first.
    named : dict of str to tuple of Meaning
        By what sources call an entity: ``CIK:0000320193``, ``stock:AAPL``.
    """

    groups: list[tuple[tuple[Key, tuple[Span, ...]], ...]] = field(default_factory=list)
    symbols: dict[str, tuple[Meaning, ...]] = field(default_factory=dict)
    heads: dict[str, tuple[NameEntry, ...]] = field(default_factory=dict)
    named: dict[str, tuple[Meaning, ...]] = field(default_factory=dict)


def canonical(symbol: str) -> str:
    """Symbol in capitals with ``-`` before its share class: BRK.B and brk/b are BRK-B."""
    return symbol.upper().replace(".", "-").replace("/", "-")


def ambiguous_symbol(symbol: str) -> bool:
    """Whether a symbol in capitals may be a word, an abbreviation or hardly a symbol at all."""
    return len(symbol) < 3 or symbol in ACRONYMS or symbol.lower() in english()


def mention_index(known: pl.DataFrame) -> MentionIndex:
    """Build the lookup.

    Parameters
    ----------
    known : DataFrame
        Columns of `src.research.links.COMPANIES`.

    Returns
    -------
    MentionIndex
    """
    index = MentionIndex()
    symbols, names, named = (defaultdict(set) for _ in range(3))
    columns = ("cik", "asset_class", "symbol", "name", "since", "until")
    groups = _groups(index, known)
    for cik, kind, symbol, name, since, until in known.select(columns).iter_rows():
        span = _span(since, until)
        lone, group = groups[(None, (kind, symbol))], groups[(cik, (kind, symbol))]
        named[f"{kind}:{symbol}"].add(Meaning(lone, FOREVER, "symbol"))
        family = len(index.groups[group]) > _MOST_CLASSES
        symbols[canonical(symbol)].add(Meaning(lone if family else group, span, "symbol"))
        if kind == "crypto":
            base = canonical(symbol).partition("-")[0]
            for spelled in (base, f"{base}-X"):  # StockTwits writes $BTC.X
                symbols[spelled].add(Meaning(group, span, "coin"))
        if cik is not None:
            named[f"CIK:{cik:010d}"].add(Meaning(group, span, "symbol"))
        if not family:
            for words, meaning in _names(cik, kind, symbol, name, Meaning(group, span, "name")):
                names[words].add(meaning)
    index.symbols = {symbol: tuple(sorted(found, key=_order)) for symbol, found in symbols.items()}
    index.named = {name: tuple(sorted(found, key=_order)) for name, found in named.items()}
    index.heads = _heads(names)
    return index


def _groups(index: MentionIndex, known: pl.DataFrame) -> dict[tuple[int | None, Key], int]:
    """Number of the group of each company and instrument; an instrument alone has one too."""
    members: dict[int, dict[Key, list[Span]]] = defaultdict(lambda: defaultdict(list))
    keys: dict[tuple[int | None, Key], None] = {}
    for cik, kind, symbol, since, until in known.select("cik", "asset_class", "symbol", "since", "until").iter_rows():
        keys[(None, (kind, symbol))] = None
        if cik is not None:
            keys[(cik, (kind, symbol))] = None
            members[cik][(kind, symbol)].append(_span(since, until))
    found: dict[tuple[int | None, Key], int] = {}
    numbers: dict[int | Key, int] = {}
    for cik, key in sorted(keys, key=lambda each: (each[1], each[0] or 0)):
        name: int | Key = key if cik is None else cik
        if name not in numbers:
            numbers[name] = len(index.groups)
            own = {key: [FOREVER]} if cik is None else members[cik]
            index.groups.append(tuple((each, tuple(sorted(spans))) for each, spans in sorted(own.items())))
        found[(cik, key)] = numbers[name]
    return found


def _names(cik: int | None, kind: str, symbol: str, name: str, meaning: Meaning) -> Iterable[tuple[Words, Meaning]]:
    """Names of a company; a name that ended still holds for a year, as a former one."""
    if kind == "crypto":
        for coin in COINS.get(canonical(symbol).partition("-")[0], ()):
            yield tuple(coin.split()), Meaning(meaning.group, FOREVER, "coin")
        return
    for brand in BRANDS.get(cik or 0, ()):
        yield tuple(brand.split()), Meaning(meaning.group, meaning.span, "brand")
    words = name_words(name or "")
    if not words:
        return
    end = meaning.span[1]
    kinds = [(meaning.span, "name")]
    if end != FOREVER[1]:
        kinds.append(((end, end + LINGERS // _MICROSECOND), "former"))
    base = without_form(words)
    shorter = shortened(base)
    turned = _turned(base)
    for span, which in kinds:
        yield base, Meaning(meaning.group, span, which)
        for other in turned:
            yield other, Meaning(meaning.group, span, which)
        for short in shorter:
            yield short, Meaning(meaning.group, span, "short" if which == "name" else "former")


def _turned(name: Words) -> tuple[Words, ...]:
    """Names with initials as texts may write them: of SMITH A O and A O SMITH, A.O. Smith and A. O. Smith."""
    if len(name) != 2:
        return ()
    initials = next((word for word in name if len(word) == 2 and word not in FORMS and word not in english()), None)
    if initials is None:
        return ()
    rest = name[0] if name[1] == initials else name[1]
    return (initials, rest), (*initials, rest)


def _heads(names: dict[Words, set[Meaning]]) -> dict[str, tuple[NameEntry, ...]]:
    heads: dict[str, list[NameEntry]] = defaultdict(list)
    first: dict[str, set[int]] = defaultdict(set)
    for words, meanings in names.items():
        first[words[0]] |= {meaning.group for meaning in meanings}
    for words, meanings in names.items():
        kept = _kept(words, meanings, first[words[0]])
        if kept:
            heads[words[0]].append(NameEntry(words, _common(words), kept))
    return {
        head: tuple(sorted(entries, key=lambda each: (-len(each.words), each.words))) for head, entries in heads.items()
    }


def _kept(words: Words, meanings: set[Meaning], alike: set[int]) -> tuple[Meaning, ...]:
    """A name that one company has by itself is no short form of another; a short form of several means none.

    A single word is no short form if another company's name begins with it, too: Rockwell is several companies.
    """
    own = {each for each in meanings if each.kind not in ("short", "former")}
    if own:
        groups = {each.group for each in own}
        return tuple(sorted(own | {each for each in meanings if each.group in groups}, key=_order))
    if len(words) == 1 and (_common(words) or len(alike) > 1) and "short" in {each.kind for each in meanings}:
        return ()  # "american" of American Airlines
    return tuple(sorted(meanings, key=_order)) if len({each.group for each in meanings}) == 1 else ()


def _common(name: Words) -> bool:
    listed = english()
    return all(word in listed or word in SMALL or word in INDUSTRY or len(word) == 1 or word.isdigit() for word in name)


def _order(meaning: Meaning) -> tuple[str, Span, int]:
    return meaning.kind, meaning.span, meaning.group


def _span(since: dt.datetime | None, until: dt.datetime | None) -> Span:
    start = FOREVER[0] if since is None else (since - _EPOCH) // _MICROSECOND
    return start, FOREVER[1] if until is None else (until - _EPOCH) // _MICROSECOND
