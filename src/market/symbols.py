"""Symbols with characters that can't be seen: written with escapes, so that none passes for another instrument."""

from __future__ import annotations

import re

import polars as pl

from src.core.instruments import KEY
from src.core.text import described, escaped

PLAIN_SYMBOL = r"^[\x21-\x5b\x5d-\x7e][\x20-\x5b\x5d-\x7e]*$"
"""Symbols of visible ASCII without a backslash, as nearly all are."""
_ESCAPE = re.compile(r"\\(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_LONGEST = 64


def with_visible_symbols(listing: pl.DataFrame) -> pl.DataFrame:
    """Write each hidden character of a listing's symbols as its escape.

    Parameters
    ----------
    listing : DataFrame
        asset_class and symbol, with any other columns.

    Returns
    -------
    DataFrame
        ``AAPL`` followed by a right-to-left mark is ``AAPL\\u200f``, which is no symbol of any source.
    """
    if listing.is_empty() or listing["symbol"].str.contains(PLAIN_SYMBOL).all():
        return listing
    symbols = pl.Series("symbol", [escaped(symbol) for symbol in listing["symbol"]], pl.String())
    return listing.with_columns(symbols).unique(KEY, keep="first", maintain_order=True)


def hidden_characters(symbol: str) -> str:
    """Say why a symbol can't be used.

    Parameters
    ----------
    symbol : str
        From `with_visible_symbols`.

    Returns
    -------
    str
        The reason with the characters' names; empty if every character of the symbol can be seen.
    """
    hidden = _ESCAPE.findall(symbol)
    if not hidden:
        return ""
    letters = "".join(piece.encode("ascii").decode("unicode_escape") for piece in hidden)
    return (
        f"its symbol holds characters that can't be seen, {described(letters)}, and could pass for"
        f" {_ESCAPE.sub('', symbol)[:_LONGEST]}: correct the source's name"
    )
