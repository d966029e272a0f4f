"""Texts about instruments, gathered from all documents: each one once for an instrument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from src.core.instruments import KEY
from src.documents.facts import CHANNELS
from src.research.scoring.text_pieces import KINDS, TextPiece
from src.research.scoring.vocabulary import Vocabulary
from src.research.scoring.word_counts import WordCounts

REPEAT_DAYS = 3
"""A text that was known so shortly before under the same title, about the same instrument, counts once."""


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


def corpus(found: Iterator[TextPiece], tones: Callable[[TextPiece], pl.Series] | None = None) -> Corpus:
    """Gather pieces.

    Parameters
    ----------
    found : iterator of TextPiece
        From `pieces`.
    tones : callable, optional
        Gives each text its tone, where that needs no other text.

    Returns
    -------
    Corpus
        With words if the pieces have them. A link whose text repeats one about the same instrument is left out, and so
        is a text without a link then.
    """
    rows, links, vocabulary, base = [_NO_ROWS], [_NO_LINKS], Vocabulary(), 0
    for piece in found:
        rows.append(piece.rows.with_columns(tone=tones(piece) if tones else pl.lit(None, dtype=pl.Float64)))
        links.append(piece.links.with_columns(place=pl.col("place") + base).cast({"place": pl.UInt32}))
        base += piece.rows.height
        if piece.counted is not None:
            vocabulary.add(piece.counted, piece.rows.height)
    return _without_repeats(pl.concat(rows), pl.concat(links), vocabulary)


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


def _without_repeats(rows: pl.DataFrame, links: pl.DataFrame, vocabulary: Vocabulary) -> Corpus:
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
    counts, words = vocabulary.counts(kept) if vocabulary.texts == places.height else (None, [])
    return Corpus(rows.drop("place"), links, counts, words)


def channels(kinds: pl.Series) -> pl.Series:
    """Code of `CHANNELS` of kinds of documents."""
    return kinds.replace_strict(list(KINDS), [float(CHANNELS[channel]) for channel in KINDS.values()])
