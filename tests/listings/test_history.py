"""Kept listings: who was there on a day, who left, who was renamed, and what is rejected."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.listings.directory import ENTRY, BadListing
from src.listings.history import ROW, ListingHistory, members

FIRST = dt.date(2025, 7, 21)


def listed(*names: str) -> pl.DataFrame:
    """Entries of names such as A or A=Alpha Inc. (symbol and title)."""
    rows = []
    for name in names:
        symbol, _, title = name.partition("=")
        rows.append(("stock", symbol, symbol, title or f"{symbol} Inc.", "common", "name", "NYSE"))
    return pl.DataFrame(rows, schema=ENTRY, orient="row")


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def test_a_name_that_leaves_stays_with_the_last_day_it_was_seen(tmp_path):
    book = ListingHistory(tmp_path)
    many = [f"S{k}" for k in range(10)]
    book.keep("nasdaqlisted", listed(*many, "OLD"), day(0))
    book.keep("nasdaqlisted", listed(*many, "NEW"), day(3))
    history = book.listing("nasdaqlisted")
    assert history.schema == pl.Schema(ROW)
    rows = {row["symbol"]: (row["listed_from"], row["listed_until"]) for row in history.iter_rows(named=True)}
    assert rows["OLD"] == (day(0), day(0)) and rows["NEW"] == (day(3), None) and rows["S1"] == (day(0), None)
    assert set(members(history)["symbol"]) == {*many, "NEW"}
    assert book.days("nasdaqlisted") == [day(0), day(3)] and not book.days("listed")


def test_membership_as_of_a_day_is_the_last_listing_before_it(tmp_path):
    book = ListingHistory(tmp_path)
    book.keep("o", listed("A", "B", "C", "D", "E"), day(0))
    book.keep("o", listed("B", "C", "D", "E", "F"), day(5))
    assert set(members(book.listing("o", day(4)))["symbol"]) == {"A", "B", "C", "D", "E"}
    assert set(members(book.listing("o", day(5)))["symbol"]) == {"B", "C", "D", "E", "F"}
    assert book.listing("o", day(-1)) is None


def test_the_same_title_under_another_symbol_is_a_change_of_name(tmp_path):
    book = ListingHistory(tmp_path)
    rest = ["B", "C", "D", "E"]
    book.keep("o", listed("FB=Facebook, Inc.", *rest), day(0))
    history = book.keep("o", listed("META=Facebook, Inc.", *rest), day(1))
    rows = {row["symbol"]: row for row in history.iter_rows(named=True)}
    assert rows["META"]["formerly"] == "FB" and rows["FB"]["now"] == "META"
    history = book.keep("o", listed("META=Meta Platforms, Inc.", *rest), day(2))
    assert history.filter(symbol="META")["formerly"].to_list() == ["FB"], "kept once it is known"


def test_two_symbols_with_one_title_are_never_linked_by_a_rename(tmp_path):
    book = ListingHistory(tmp_path)
    rest = [f"S{k}" for k in range(10)]
    book.keep("o", listed("XW=X Warrants", "XV=X Warrants", *rest), day(0))
    history = book.keep("o", listed("YW=X Warrants", *rest), day(1))
    assert history["formerly"].null_count() == history.height == 13 and history["now"].null_count() == 13


def test_a_ticker_given_to_another_company_later_is_two_spells(tmp_path):
    book = ListingHistory(tmp_path)
    rest = ["B", "C", "D", "E"]
    book.keep("o", listed("A=Alpha", *rest), day(0))
    book.keep("o", listed(*rest), day(1))
    history = book.keep("o", listed("A=Another", *rest), day(9))
    spells = history.filter(symbol="A").select("title", "listed_from", "listed_until").rows()
    assert spells == [("Alpha", day(0), day(0)), ("Another", day(9), None)]


def test_a_suspiciously_small_listing_is_not_believed_and_not_kept(tmp_path):
    book = ListingHistory(tmp_path)
    book.keep("o", listed(*"ABCDEFGHIJ"), day(0))
    with pytest.raises(BadListing, match=r"o must have at least 80% of the 10 instruments of the last listing, got 7"):
        book.keep("o", listed(*"ABCDEFG"), day(1))
    with pytest.raises(BadListing, match="got 0"):
        book.keep("o", listed(), day(1))
    assert book.days("o") == [day(0)]
    assert book.keep("o", listed(*"ABCDEFGH"), day(1)).height == 10


def test_a_damaged_file_is_skipped_with_a_warning(tmp_path, caplog):
    book = ListingHistory(tmp_path)
    book.keep("o", listed("A", "B"), day(0))
    book.keep("o", listed("A", "B", "C"), day(1))
    (tmp_path / f"{day(1)}-o.parquet").write_bytes(b"PAR1 cut")
    assert set(book.listing("o")["symbol"]) == {"A", "B"}
    assert "can't be read, so the listing before it is used" in caplog.text


@settings(max_examples=25)
@given(st.lists(st.sets(st.sampled_from("ABCDEFGH"), min_size=6), min_size=1, max_size=6))
def test_whatever_comes_and_goes_the_last_file_knows_who_was_listed_on_each_day(tmp_path_factory, days):
    book = ListingHistory(tmp_path_factory.mktemp("book"))
    seen = []
    for number, names in enumerate(days):
        try:
            book.keep("o", listed(*sorted(names)), day(number))
            seen.append((day(number), names))
        except BadListing:
            assert len(names) < 0.8 * len(seen[-1][1])
    history = book.listing("o")
    for when, names in seen:
        there = (pl.col("listed_from") <= when) & (pl.col("listed_until").is_null() | (pl.col("listed_until") >= when))
        assert sorted(history.filter(there)["symbol"]) == sorted(names)
        assert set(members(book.listing("o", when))["symbol"]) == names
