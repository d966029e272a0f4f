"""Documents that are scored, some thousands at a time: what they say and whom they are about."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from src.core.code_hash import code_digest
from src.core.hashing import table_digest, text_digest
from src.core.instruments import KEY
from src.documents.document_store import DocumentStore
from src.documents.text import text_of
from src.research.links import mentions
from src.research.scoring.extracted_texts import ExtractedTexts
from src.research.scoring.kept_pieces import KeptPieces
from src.research.scoring.words import counted

KINDS = {"article": "article", "post": "post", "paper": "paper", "file": "file", "8-K": "filing", "8-K/A": "filing"}
"""Channel of each kind of document that is scored."""
_AT_ONCE = 20_000  # documents whose texts are in memory
_SHORTEST_TITLE = 4  # words: shorter ones, such as "8-K", name no text
_REPEATED = ("article", "paper", "post")  # filings and files of one form begin alike, whatever they say further on
_LISTED = (*KEY, "confidence")
_DOCUMENT = ("source", "id", "revision")
_NEEDED = [
    *_DOCUMENT, "kind", "entity", "title", "published", "accepted", "known", "backfilled", "content_hash", "fields",
]  # fmt: skip


@dataclass
class TextPiece:
    """Some documents, and what was found in them.

    Attributes
    ----------
    rows : DataFrame
        As of `Corpus.texts` without what other texts decide.
    links : DataFrame
        place (UInt32, row of `rows`), asset_class, symbol, confidence.
    texts : Series of String
        Title and text; empty where words are counted in their place.
    counted : DataFrame or None
        As of `src.research.scoring.words.counted`.
    """

    rows: pl.DataFrame
    links: pl.DataFrame
    texts: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String()))
    counted: pl.DataFrame | None = None

    def as_table(self) -> pl.DataFrame:
        """Return the rows with their links and counts as lists, for a file."""
        said = counted(self.texts) if self.counted is None else self.counted
        return (
            self.rows.with_row_index("place")
            .join(self.links.group_by("place", maintain_order=True).agg(*_LISTED), on="place", how="left")
            .join(said.group_by("text", maintain_order=True).agg("word", "times"),
                  left_on="place", right_on="text", how="left")
            .sort("place")
        )  # fmt: skip

    @classmethod
    def of_table(cls, table: pl.DataFrame) -> TextPiece:
        """Read what `as_table` made.

        Parameters
        ----------
        table : DataFrame
        """
        said = table.select(pl.col("place").alias("text"), "word", "times").filter(pl.col("word").list.len() > 0)
        links = table.select("place", *_LISTED).explode(*_LISTED)
        return cls(table.drop("place", *_LISTED, "word", "times"), links, counted=said.explode("word", "times"))


def pieces(
    store: DocumentStore,
    companies: pl.DataFrame,
    min_confidence: float,
    state: Path | None = None,
    *,
    with_words: bool = False,
) -> Iterator[TextPiece]:
    """Read the documents that are about instruments, some thousands at a time, the first known first.

    Parameters
    ----------
    store : DocumentStore
    companies : DataFrame
        Columns of `src.research.links.COMPANIES`.
    min_confidence : float
        Of the links that count.
    state : Path, optional
        Folder in which this machine keeps what it found.
    with_words : bool
        Whether words are counted, in place of the texts.

    Yields
    ------
    TextPiece
        Documents with a link alone. Of the revisions of a document the first counts: the rest repeat it.
    """
    extracted = ExtractedTexts(store, state)
    kept = KeptPieces(state, _version(companies, min_confidence)) if with_words else None
    for name, part in _slices(store):
        table = kept.read(part) if kept else None
        if table is not None:
            yield TextPiece.of_table(table)
            continue
        piece = _piece(part, extracted.read(name, part), companies, min_confidence)
        if kept:
            piece = TextPiece(piece.rows, piece.links, counted=counted(piece.texts))
            kept.write(part, piece.as_table())
        yield piece
    if kept:
        kept.drop_unused()


def _slices(store: DocumentStore) -> Iterator[tuple[str, pl.DataFrame]]:
    """Documents that are scored, in slices of one month, and its name; what is added later leaves earlier slices."""
    of_kinds = [store.documents(kinds=[kind], revisions=False).select(_NEEDED) for kind in KINDS]
    rows = pl.concat(of_kinds).sort("known", *_DOCUMENT)
    first = 0
    for length, month in rows["known"].dt.strftime("%Y-%m").rle().struct.unnest().rows():
        for part in rows.slice(first, length).iter_slices(_AT_ONCE):
            yield month, part
        first += length


def _version(companies: pl.DataFrame, min_confidence: float) -> str:
    """Hash of what decides what is found in a document."""
    code = code_digest(mentions, counted, text_of, _piece)
    return text_digest(table_digest(companies), min_confidence, code)


def _piece(rows: pl.DataFrame, bodies: pl.Series, companies: pl.DataFrame, min_confidence: float) -> TextPiece:
    texts = rows["title"].fill_null("") + "\n" + bodies
    linked = mentions(rows, texts, companies).filter(pl.col("confidence") >= min_confidence)
    places = rows.select(*_DOCUMENT, place=pl.int_range(pl.len(), dtype=pl.UInt32))
    linked = (
        linked.join(places, on=list(_DOCUMENT), how="inner").group_by("place", *KEY).agg(pl.col("confidence").max())
    )
    kept = linked["place"].unique().sort()
    renumbered = pl.DataFrame({"place": kept, "new": pl.int_range(kept.len(), dtype=pl.UInt32, eager=True)})
    linked = linked.join(renumbered, on="place").select(pl.col("new").alias("place"), *_LISTED)
    rows, texts = rows[kept], texts.gather(kept)
    return TextPiece(
        rows.select(
            *_DOCUMENT, "kind", "known", "published", "backfilled",
            words=texts.str.count_matches(r"\S+").cast(pl.Int64),
            title_key=_title_keys(rows, texts),
        ),
        linked.sort("place", "confidence", *KEY, descending=[False, True, False, False]),
        texts,
    )  # fmt: skip


def _title_keys(rows: pl.DataFrame, texts: pl.Series) -> pl.Series:
    """What texts that say the same share: words of the title, or of the text's beginning where the title is short.

    Filings and files share it where their content is the same.
    """
    titles, whole = _plain(rows["title"].fill_null("")), _plain(texts)
    named = (titles.str.count_matches(" ") >= _SHORTEST_TITLE - 1) & rows["kind"].is_in(["article", "paper"])
    key = pl.select(pl.when(named).then(titles).otherwise(whole)).to_series()
    own = rows["kind"] + ":" + rows["content_hash"]
    repeatable = rows["kind"].is_in(_REPEATED) & (key.str.count_matches(" ") >= _SHORTEST_TITLE - 1)
    shared = pl.select(pl.when(repeatable).then(key).otherwise(own)).to_series()
    digests = (hashlib.blake2b(each.encode(), digest_size=8).digest() for each in shared)
    return pl.Series([int.from_bytes(each, "big") for each in digests], dtype=pl.UInt64)


def _plain(texts: pl.Series) -> pl.Series:
    """Letters and digits alone, in lower case, single spaces between."""
    lower = texts.str.slice(0, 1000).str.normalize("NFKC").str.to_lowercase()
    return lower.str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()
