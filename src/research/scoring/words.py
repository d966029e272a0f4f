"""Words of texts, as word weights count them."""

from __future__ import annotations

import re

import polars as pl

LONGEST_TEXT = 50_000
"""Characters of a text that count; what follows is not read."""
_WORD = r"[a-z]+(?:'[a-z]+)?"
_COMMON = """
about after all also am an and any are as at be been being but by can could did do does each every for from had has have
having he her hers him his how if in into is it its itself just may me might more most much must my of on one only or
other our out own per said same say she should since so some such than that the their them then there these they this
those through to too until upon very was we were what when where which while who whom why will with would yet you your
inc corp co ltd llc plc com www http https amp nbsp
"""
_STOP = frozenset(_COMMON.split())
_LONGEST_WORD = 30


def stem(word: str) -> str:
    """Singular of an English word, by spelling alone.

    Parameters
    ----------
    word : str
        Lower case.

    Returns
    -------
    str

    Source: Harman (1991), "How effective is suffixing?", Journal of the American Society for Information Science
    42:7-15, the S stemmer of p. 8: the first rule whose ending fits is the only one that is looked at.

    Examples
    --------
    >>> [stem(word) for word in ("companies", "rises", "losses", "gains", "loss", "status")]
    ['company', 'rise', 'losse', 'gain', 'loss', 'status']
    """
    if word.endswith("ies"):
        return word if word.endswith(("eies", "aies")) else word[:-3] + "y"
    if word.endswith("es"):
        return word if word.endswith(("aes", "ees", "oes")) else word[:-1]
    if word.endswith("s"):
        return word if word.endswith(("us", "ss")) else word[:-1]
    return word


def is_counted(word: str) -> bool:
    """Whether a word is counted: of 2 to 30 letters, and none of the common words that say nothing of a price."""
    return 2 <= len(word) <= _LONGEST_WORD and word not in _STOP


def tokens(texts: pl.Series) -> pl.DataFrame:
    """Split texts into words of letters, in lower case; figures and signs are left out.

    Parameters
    ----------
    texts : Series of String

    Returns
    -------
    DataFrame
        text (UInt32, place in `texts`), word: one row for each word, in the order of the texts.
    """
    plain = texts.fill_null("").str.slice(0, LONGEST_TEXT).str.normalize("NFKC").str.replace_all("\u2019", "'")
    split = plain.str.to_lowercase().str.extract_all(_WORD)
    frame = pl.DataFrame({"text": pl.Series(range(len(texts)), dtype=pl.UInt32), "word": split})
    return frame.filter(pl.col("word").list.len() > 0).explode("word")


def counted(texts: pl.Series) -> pl.DataFrame:
    """Count the words of texts.

    Parameters
    ----------
    texts : Series of String

    Returns
    -------
    DataFrame
        text (UInt32), word (stemmed), times (UInt32): each word of a text once, sorted by text and word; common words
        are left out.
    """
    every = tokens(texts)
    spellings = every["word"].unique().to_list()
    stems = [stem(re.sub(r"'.*", "", spelling)) for spelling in spellings]
    kept = {spelling: word for spelling, word in zip(spellings, stems, strict=True) if is_counted(word)}
    known = pl.DataFrame(
        {"word": list(kept), "stem": list(kept.values())}, schema=dict.fromkeys(("word", "stem"), pl.String())
    )
    return (
        every.join(known, on="word", how="inner")
        .group_by("text", pl.col("stem").alias("word"))
        .agg(times=pl.len())
        .sort("text", "word")
    )
