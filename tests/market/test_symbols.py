"""Symbols with characters that can't be seen: never a second instrument, always quarantined with the reason."""

from __future__ import annotations

import polars as pl
import pytest

from src.core.text import escaped, has_hidden, is_hidden
from src.market.symbols import hidden_characters, with_visible_symbols

MARKS = [
    *(chr(code) for code in (*range(0x20), *range(0x7F, 0xA1), 0xAD, 0x034F, 0x061C, 0x115F, 0x17B4, 0x180E)),
    *(chr(code) for code in (*range(0x2000, 0x2010), 0x2028, 0x2029, *range(0x202A, 0x2030), *range(0x205F, 0x2070))),
    *"\u2800\u3000\u3164\ufe00\ufe0f\ufeff\uffa0\ufff9\ud800\udfff\ue000\U000e0001\U000e0100",
]


def listing(*symbols: str) -> pl.DataFrame:
    return pl.DataFrame({"asset_class": ["stock"] * len(symbols), "symbol": list(symbols), "n": range(len(symbols))})


@pytest.mark.parametrize("mark", MARKS, ids=ascii)
def test_a_mark_that_can_not_be_seen_condemns_the_symbol(mark: str) -> None:
    assert is_hidden(mark) and has_hidden(f"AA{mark}PL")
    shown = escaped(f"AA{mark}PL")
    assert shown.isascii() and shown.isprintable() and shown != "AAPL"
    reason = hidden_characters(shown)
    assert reason.isascii() and escaped(mark) in reason and "could pass for AAPL" in reason


@pytest.mark.parametrize(
    "symbol", ["AAPL", "BRK.B", "BRK/B", "A-B_C", "^GSPC", "BTC/USD:USD", "Ä1", "币安", "A B", "..", "A\\B"]
)
def test_a_symbol_that_can_be_seen_is_taken(symbol: str) -> None:
    assert hidden_characters(escaped(symbol)) == "" and not has_hidden(symbol)
    frame = listing(symbol)
    assert with_visible_symbols(frame).equals(frame)


def test_a_listing_without_marks_is_the_same_object() -> None:
    frame = listing("AAPL", "MSFT")
    assert with_visible_symbols(frame) is frame


def test_two_spellings_of_one_escape_are_one_row() -> None:
    assert with_visible_symbols(listing("A\u200b", "A\\u200b", "A"))["symbol"].to_list() == ["A\\u200b", "A"]
