"""Which instruments a document is about: by CIK, symbol, cashtag or name, with a confidence and dates."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import polars as pl

from src.core.instruments import Key
from src.documents.document_store import DocumentStore
from src.research.linking.index import MentionIndex, mention_index
from src.research.linking.signs import CONFIDENCE, signs
from src.research.linking.tickers import FormerNames, TickerTable, former_names, spells, table_rows

LINKS: dict[str, Any] = {  # between documents and instruments
    "source": pl.String(),
    "id": pl.String(),
    "revision": pl.Int32(),
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "confidence": pl.Float64(),  # in (0, 1]
    "sign": pl.String(),  # what it rests on: cik, exchange, cashtag, symbol, name, symbol+name
}
COMPANIES: dict[str, Any] = {  # which company stood behind a symbol, from when to when
    "cik": pl.Int64(),
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "name": pl.String(),
    "since": pl.Datetime("us", "UTC"),  # null: from the beginning
    "until": pl.Datetime("us", "UTC"),  # null: to this day
}


_AT_ONCE = 20_000  # texts in memory as rows
_TABLES_AT_ONCE = 10
_LIST = 5  # instruments beyond which a text counts as a list
_BOTH_CLASSES = 0.6  # of the confidence, where a symbol is in two asset classes


def companies(store: DocumentStore, instruments: pl.DataFrame) -> pl.DataFrame:
    """The SEC's numbers and names of instruments, as the stored tables of tickers had them at each time.

    Parameters
    ----------
    store : DocumentStore
    instruments : DataFrame
        asset_class, symbol of the dataset.

    Returns
    -------
    DataFrame
        Columns of `COMPANIES`; a symbol whose company or name changed has a row for each, and their times do not
        overlap. The first table holds back to the beginning: a company that left before it was first seen is not in it,
        so that links to earlier documents know survivors alone. A change in a later table holds from when that table
        was seen; former names in the documents of kind ``submissions`` hold in the dates given there. ``cik`` is null
        and ``name`` empty while no table has the symbol.
    """
    found = spells(_tables(store), _former(store), instruments)
    return found.select(COMPANIES.keys()).cast(pl.Schema(COMPANIES))


def mentions(documents: pl.DataFrame, texts: pl.Series, known: pl.DataFrame) -> pl.DataFrame:
    """Instruments that texts are about.

    Each text is judged by itself, by the names and symbols that held when it was published. The confidence of each sign
    stands in `src.research.linking.signs.CONFIDENCE`; a text that mentions n > 5 companies has each of them times
    (5 / n) ** 0.25, so that a list of thirty links none but those that the source itself names.

    Parameters
    ----------
    documents : DataFrame
        Columns of `DOCUMENTS`; ``entity`` counts where a source names the instrument. A filing, whose entity is a
        number (``CIK:0000320193``), is about its company alone, whatever banks and rivals its text names.
    texts : Series of String
        Title and text of each document.
    known : DataFrame
        Columns of `COMPANIES`: the instruments that can be meant.

    Returns
    -------
    DataFrame
        Columns of `LINKS`, with every confidence; the caller takes those above ``research.min_confidence``.
    """
    index, twice = _lookup(_KnownCompanies(known))
    stamp = pl.coalesce("published", "accepted", "known").cast(pl.Datetime("us", "UTC")).dt.epoch("us")
    rows = documents.select("source", "id", "revision", "entity", moment=stamp.fill_null(0))
    parts = [pl.DataFrame(schema=LINKS)]
    for start in range(0, rows.height, _AT_ONCE):
        found: list[tuple[Any, ...]] = []
        for (source, name, revision, entity, moment), text in zip(
            rows.slice(start, _AT_ONCE).iter_rows(), texts.slice(start, _AT_ONCE), strict=True
        ):
            for key, confidence, sign in _links(index, twice, entity or "", moment, text or ""):
                found.append((source, name, revision, *key, confidence, sign))
        parts.append(pl.DataFrame(found, schema=LINKS, orient="row"))
    return pl.concat(parts)


class _KnownCompanies:
    """A table of companies as a key: texts come in parts, and equal tables have one lookup."""

    def __init__(self, table: pl.DataFrame) -> None:
        self.table = table

    def __hash__(self) -> int:
        return hash((self.table.height, int(self.table.hash_rows(1).sum() or 0)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _KnownCompanies) and self.table.equals(other.table)


@lru_cache(maxsize=1)
def _lookup(known: _KnownCompanies) -> tuple[MentionIndex, frozenset[Key]]:
    return mention_index(known.table), _in_two_classes(known.table)


def _links(
    index: MentionIndex, twice: frozenset[Key], entity: str, moment: int, text: str
) -> list[tuple[Key, float, str]]:
    """Instruments of one text, the likeliest first."""
    best: dict[Key, tuple[float, str]] = {}
    for meaning in index.named.get(entity, ()):
        for key in _instruments(index, meaning.group, moment):
            best[key] = (CONFIDENCE["cik"], "cik")
    if entity.startswith("CIK:"):
        return [(key, confidence, sign) for key, (confidence, sign) in sorted(best.items())]
    found = signs(text, moment, index)
    several = sum(each.verdict()[0] >= CONFIDENCE["small"] for each in found.values())
    share = (_LIST / several) ** 0.25 if several > _LIST else 1.0
    for group, each in found.items():
        confidence, sign = each.verdict()
        for key in _instruments(index, group, moment):
            scaled = confidence * share * (_BOTH_CLASSES if key in twice else 1.0)
            if scaled > best.get(key, (0.0, ""))[0]:
                best[key] = (scaled, sign)
    ordered = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))
    return [(key, confidence, sign) for key, (confidence, sign) in ordered]


def _instruments(index: MentionIndex, group: int, moment: int) -> list[Key]:
    return [key for key, spans in index.groups[group] if any(start <= moment < end for start, end in spans)]


def _in_two_classes(known: pl.DataFrame) -> frozenset[Key]:
    keys = known.select("asset_class", "symbol").unique()
    return frozenset(keys.filter(pl.col("symbol").is_duplicated()).rows())


def _tables(store: DocumentStore) -> Iterator[TickerTable]:
    """Tables of tickers, the oldest first, some in memory at a time."""
    rows = store.documents(kinds=("tickers",)).sort("known", "source", "id", "revision")
    for part in rows.iter_slices(_TABLES_AT_ONCE):
        for source, known, body in zip(part["source"], part["known"], store.bodies(part)["body"], strict=True):
            yield TickerTable(source, known, table_rows(body))


def _former(store: DocumentStore) -> Iterator[FormerNames | None]:
    """Former names, by the last content of each company's submissions."""
    rows = store.documents(kinds=("submissions",))
    last = rows.sort("known", "revision").unique(["source", "id"], keep="last", maintain_order=True)
    for part in store.parts(last) if last.height else ():
        yield from map(former_names, part["body"])
