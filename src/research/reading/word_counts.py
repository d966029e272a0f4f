"""Length of filings' texts, and how much they repeat of the same form of a year before."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from src.core.code_hash import code_digest
from src.documents.document_store import DocumentStore
from src.documents.text import text_of
from src.research.reading.cache import ReadCache, shown

log = logging.getLogger(__name__)
_WORD = re.compile(r"\b\w\w+\b")
_COLUMNS: dict[str, Any] = {"length": pl.Float64(), "similarity": pl.Float64()}
_EARLIER = {each: each for each in ("source", "id", "revision", "size", "name")} | {"hash": "content_hash"}
_YEAR, _SLACK = 365, 45  # days between two periods of the same form, give or take
_MOST_BYTES = 64 << 20  # of the bodies of a batch


def word_counts(text: str) -> Counter[str]:
    """Count the words of at least two characters, in lower case.

    Parameters
    ----------
    text : str

    Returns
    -------
    Counter of str
    """
    return Counter(_WORD.findall(text.lower()))


def similarity(a: Mapping[str, int], b: Mapping[str, int]) -> float | None:
    """Cosine of two texts' word counts, sum(a b) / sqrt(sum(a^2) sum(b^2)).

    Parameters
    ----------
    a, b : mapping of str to int

    Returns
    -------
    float or None
        In [0, 1], 1 for equal proportions; None if one of them has no words.

    Notes
    -----
    Source: Cohen, Malloy and Nguyen (2020), "Lazy Prices", Journal of Finance 75:1371-1415 (cosine similarity of a
    filing with the same one of the year before).
    """
    if not a or not b:
        return None
    shared = sum(count * b[word] for word, count in a.items() if word in b)
    norm = math.sqrt(sum(n * n for n in a.values())) * math.sqrt(sum(n * n for n in b.values()))
    return min(shared / norm, 1.0)


def text_figures(store: DocumentStore, filings: pl.DataFrame, cache: ReadCache) -> pl.DataFrame:
    """Length and similarity of filings.

    Parameters
    ----------
    store : DocumentStore
    filings : DataFrame
        source, id, revision, content_hash, size, name (of the main document), cik, code, amended, period, accepted and
        known. Only 10-K and 10-Q are compared, and only with a filing that was known by then.
    cache : ReadCache

    Returns
    -------
    DataFrame
        source, id, cik, length, similarity.
    """
    pairs = with_predecessors(filings.filter(pl.col("size") > 0))
    name = cache.current("words", code_digest(word_counts, similarity, text_of))
    done = cache.rows(name, _COLUMNS)
    new = pairs.unique("pair", keep="first", maintain_order=True).join(
        done, left_on="pair", right_on="content_hash", how="anti"
    )
    for batch in shown(_batches(new), new.height, "text whose words are counted"):
        cache.add(name, _compared(store, batch))
    found = cache.rows(name, _COLUMNS) if new.height else done
    figures = pairs.join(found, left_on="pair", right_on="content_hash", how="left")
    return figures.select("source", "id", "cik", *_COLUMNS)


def with_predecessors(filings: pl.DataFrame) -> pl.DataFrame:
    """Find the filing that each one is compared with: of the same form, a year earlier, and known by then.

    Parameters
    ----------
    filings : DataFrame
        As in `text_figures`.

    Returns
    -------
    DataFrame
        The rows with earlier_source, earlier_id, earlier_revision, earlier_hash, earlier_size, earlier_name (null
        without one) and ``pair``, a name of both contents.
    """
    dates = pl.coalesce("period", pl.col("accepted").dt.date())
    rows = filings.with_columns(end=dates).sort("known", "source", "id").with_row_index("place")
    compared = rows.filter(pl.col("code").is_in([1.0, 2.0]) & (pl.col("amended") == 0) & pl.col("end").is_not_null())
    mine = compared.select("place", "cik", "code", "end", "known", undated=pl.col("period").is_null())
    gap = ((pl.col("end") - pl.col("end_right")).dt.total_days() - _YEAR).abs()
    best = (
        mine.join(mine, on=["cik", "code", "undated"], how="inner")
        .with_columns(gap=gap)
        .filter((pl.col("gap") <= _SLACK) & (pl.col("known_right") <= pl.col("known")))
        .sort("gap", "known_right", "place_right")
        .unique("place", keep="first", maintain_order=True)
        .select("place", earlier="place_right")
    )
    columns = [pl.col(name).alias(f"earlier_{short}") for short, name in _EARLIER.items()]
    named = rows.select(pl.col("place").alias("earlier"), *columns)
    found = rows.join(best, on="place", how="left", maintain_order="left").join(
        named, on="earlier", how="left", maintain_order="left"
    )
    pair = pl.concat_str("content_hash", pl.col("earlier_hash").fill_null(""), separator=":")
    return found.with_columns(pair=pair).drop("place", "end", "earlier")


def _batches(pairs: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Pairs of some companies at a time, in the order of time, so that few bodies are read twice."""
    ordered = pairs.sort("cik", "code", "accepted", nulls_last=True)
    place = pl.col("size").cum_sum() // _MOST_BYTES
    yield from ordered.with_columns(batch=place).partition_by("batch", maintain_order=True, include_key=False)


def _compared(store: DocumentStore, pairs: pl.DataFrame) -> pl.DataFrame:
    """Figures of a batch: bodies are held one part at a time, and of each text its counts alone."""
    own = pairs.select("source", "id", "revision", "size", "name", "content_hash")
    columns = [pl.col(f"earlier_{short}").alias(name) for short, name in _EARLIER.items()]
    before = pairs.filter(pl.col("earlier_hash").is_not_null()).select(columns).select(own.columns)
    counts: dict[str, Counter[str]] = {}
    for part in store.parts(pl.concat([own, before]).unique("content_hash", keep="first", maintain_order=True)):
        for content, name, body in part.select("content_hash", "name", "body").rows():
            counts[content] = word_counts(text_of(body, name))
    rows = []
    for pair, content, earlier in pairs.select("pair", "content_hash", "earlier_hash").rows():
        mine = counts[content]
        alike = similarity(mine, counts[earlier]) if earlier is not None else None
        rows.append((pair, float(mine.total()) or None, alike))
    return pl.DataFrame(rows, schema={"content_hash": pl.String(), **_COLUMNS}, orient="row")
