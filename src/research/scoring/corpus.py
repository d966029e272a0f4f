"""Texts about instruments: which documents count, what they say, whom they are about, and which repeat another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.core.instruments import KEY
from src.documents.document_store import DocumentStore
from src.documents.facts import CHANNELS
from src.research.links import mentions
from src.research.scoring.extracted_texts import ExtractedTexts
from src.research.scoring.vocabulary import Vocabulary
from src.research.scoring.word_counts import WordCounts
from src.research.scoring.words import counted

KINDS = {"article": "article", "post": "post", "paper": "paper", "file": "file", "8-K": "filing", "8-K/A": "filing"}
"""Channel of each kind of document that is scored."""
REPEAT_DAYS = 3
"""A text that was known so shortly before under the same title, about the same instrument, counts once."""
_AT_ONCE = 20_000  # documents whose texts are in memory
_SHORTEST_TITLE = 4  # words: shorter ones, such as "8-K", name no text
_DOCUMENT = ("source", "id", "revision")


@dataclass(frozen=True)
class Corpus:
    """Texts that are about any instrument, the first known first.

    Attributes
    ----------
    texts : DataFrame
        One row a text: source, id, revision, kind, known, published, backfilled, words, title_key, tone (null where it
        is not given), first (whether no text before it said the same).
    links : DataFrame
        text (UInt32, row of `texts`), asset_class, symbol, confidence, known: the surest first within a text.
    counts : WordCounts or None
        Words of each text; None where they are not asked for.
    vocabulary : list of str
        The words, in alphabetical order.
    """

    texts: pl.DataFrame
    links: pl.DataFrame
    counts: WordCounts | None
    vocabulary: list[str]


@dataclass
class TextPiece:
    """Some documents with their texts.

    Attributes
    ----------
    rows : DataFrame
        As of `Corpus.texts` without what other texts decide.
    links : DataFrame
        place (UInt32, row of `rows`), asset_class, symbol, confidence.
    texts : Series of String
        Title and text.
    """

    rows: pl.DataFrame
    links: pl.DataFrame
    texts: pl.Series


def pieces(
    store: DocumentStore, companies: pl.DataFrame, min_confidence: float, state: Path | None
) -> Iterator[TextPiece]:
    """Read the documents that are about instruments, some thousands at a time, the first known first.

    Parameters
    ----------
    store : DocumentStore
    companies : DataFrame
        Columns of `src.research.links.COMPANIES`.
    min_confidence : float
        Of the links that count.
    state : Path or None
        Folder in which extracted texts are kept.

    Yields
    ------
    TextPiece
        Documents with a link alone. Of the revisions of a document the first counts: the rest repeat it.
    """
    rows = store.documents(kinds=list(KINDS), revisions=False).sort("known", *_DOCUMENT)
    extracted = ExtractedTexts(store, state)
    for month in rows.with_columns(month=pl.col("known").dt.strftime("%Y-%m")).partition_by("month"):
        name = month.item(0, "month")
        for part in month.drop("month").iter_slices(_AT_ONCE):
            yield _piece(part, extracted.read(name, part), companies, min_confidence)


def corpus(
    found: Iterator[TextPiece], *, with_words: bool = False, tones: Callable[[TextPiece], pl.Series] | None = None
) -> Corpus:
    """Gather pieces.

    Parameters
    ----------
    found : iterator of TextPiece
        From `pieces`.
    with_words : bool
        Whether words are counted.
    tones : callable, optional
        Gives each text its tone, where that needs no other text.

    Returns
    -------
    Corpus
        A link whose text repeats one about the same instrument is left out, and so is a text without a link then.
    """
    rows, links, vocabulary, base = [_NO_ROWS], [_NO_LINKS], Vocabulary(), 0
    for piece in found:
        rows.append(piece.rows.with_columns(tone=tones(piece) if tones else pl.lit(None, dtype=pl.Float64)))
        links.append(piece.links.with_columns(place=pl.col("place") + base).cast({"place": pl.UInt32}))
        base += piece.rows.height
        if with_words:
            vocabulary.add(counted(piece.texts), piece.rows.height)
    return _without_repeats(pl.concat(rows), pl.concat(links), vocabulary if with_words else None)


_NO_ROWS = pl.DataFrame(
    schema={
        **{"source": pl.String(), "id": pl.String(), "revision": pl.Int32(), "kind": pl.String()},
        **dict.fromkeys(("known", "published"), pl.Datetime("us", "UTC")),
        **{"backfilled": pl.Boolean(), "words": pl.Int64(), "title_key": pl.UInt64(), "tone": pl.Float64()},
    }
)
_NO_LINKS = pl.DataFrame(
    schema={"place": pl.UInt32(), "asset_class": pl.String(), "symbol": pl.String(), "confidence": pl.Float64()}
)


def _piece(rows: pl.DataFrame, bodies: pl.Series, companies: pl.DataFrame, min_confidence: float) -> TextPiece:
    texts = rows["title"].fill_null("") + "\n" + bodies
    linked = mentions(rows, texts, companies).filter(pl.col("confidence") >= min_confidence)
    places = rows.select(*_DOCUMENT, place=pl.int_range(pl.len(), dtype=pl.UInt32))
    linked = (
        linked.join(places, on=list(_DOCUMENT), how="inner").group_by("place", *KEY).agg(pl.col("confidence").max())
    )
    kept = linked["place"].unique().sort()
    renumbered = pl.DataFrame({"place": kept, "new": pl.int_range(kept.len(), dtype=pl.UInt32, eager=True)})
    linked = linked.join(renumbered, on="place").select(pl.col("new").alias("place"), *KEY, "confidence")
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
    """What texts that say the same share: words of the title, or of the text where the title is short or a form's."""
    titles, whole = _plain(rows["title"].fill_null("")), _plain(texts)
    named = (titles.str.count_matches(" ") >= _SHORTEST_TITLE - 1) & rows["kind"].is_in(["article", "paper"])
    key = pl.select(pl.when(named).then(titles).otherwise(whole)).to_series()
    own = rows["kind"] + ":" + rows["content_hash"]
    return (
        pl.select(pl.when(key.str.count_matches(" ") >= _SHORTEST_TITLE - 1).then(key).otherwise(own))
        .to_series()
        .hash()
    )


def _plain(texts: pl.Series) -> pl.Series:
    """Letters and digits alone, in lower case, single spaces between."""
    lower = texts.str.slice(0, 1000).str.normalize("NFKC").str.to_lowercase()
    return lower.str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()


def _without_repeats(rows: pl.DataFrame, links: pl.DataFrame, vocabulary: Vocabulary | None) -> Corpus:
    """Number the texts that say something new about an instrument."""
    places = rows.select("known", "title_key", place=pl.int_range(pl.len(), dtype=pl.UInt32))
    soon = pl.duration(days=REPEAT_DAYS)
    links = links.join(places, on="place").sort("place", maintain_order=True)
    repeated = (pl.col("known") - pl.col("known").shift(1)).over("title_key", *KEY) <= soon
    links = links.filter(~repeated.fill_null(False))
    first = ~((pl.col("known") - pl.col("known").shift(1)).over("title_key") <= soon).fill_null(False)
    rows = rows.with_columns(first=first, place=places["place"]).join(links, on="place", how="semi")
    kept = rows["place"].to_numpy()
    renumbered = rows.select("place", text=pl.int_range(pl.len(), dtype=pl.UInt32))
    links = links.join(renumbered, on="place", maintain_order="left").select("text", *KEY, "confidence", "known")
    counts, words = vocabulary.counts(kept) if vocabulary else (None, [])
    return Corpus(rows.drop("place"), links, counts, words)


def channels(kinds: pl.Series) -> pl.Series:
    """Code of `CHANNELS` of kinds of documents."""
    return kinds.replace_strict(list(KINDS), [float(CHANNELS[channel]) for channel in KINDS.values()])
