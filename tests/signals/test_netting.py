"""One netted book: shares, hedges, refusals, caps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from src.config.schema import BookConfig
from src.core.errors import StageError
from src.signals.netting import cash, champion_shares, netted
from src.signals.tables import BOOK, lines_frame
from tests.signals.netting_case import line, naive_capped, naive_wanted, random_lines

A, B, COIN = ("stock", "A"), ("stock", "B"), ("crypto", "C-USD")
WIDE = BookConfig(max_weight=1.0, max_class_weight={}, max_gross=20.0, max_turnover=40.0)
TIGHT = BookConfig(max_weight=0.08, max_class_weight={"stock": 0.15, "crypto": 0.1}, max_gross=0.3, max_turnover=0.2)
CHOICES = [WIDE, TIGHT, replace(TIGHT, max_turnover=40.0), replace(WIDE, max_turnover=0.05, max_weight=0.05)]


def weights(book: pl.DataFrame) -> dict[tuple[str, str], float]:
    return {(row["asset_class"], row["symbol"]): row["weight"] for row in book.iter_rows(named=True)}


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("seed", range(12))
def test_a_book_is_that_of_plain_loops(seed: int, choice: BookConfig) -> None:
    lines, before, hedges = random_lines(seed)
    book = netted(lines, before, choice, hedges)
    wanted, kept = naive_wanted(lines, before, choice, hedges)
    expected = naive_capped(wanted, before, kept, choice)
    found = weights(book)
    assert book.schema == pl.Schema(BOOK)
    assert {key for key, weight in expected.items() if abs(weight) > 1e-15} <= found.keys()
    assert all(found[key] == pytest.approx(expected[key], abs=1e-12) for key in found)
    of_book = {(row["asset_class"], row["symbol"]): row["wanted"] for row in book.iter_rows(named=True)}
    assert all(of_book[key] == pytest.approx(wanted.get(key, 0.0), abs=1e-12) for key in of_book)


@pytest.mark.parametrize("seed", range(12))
def test_caps_hold_whatever_the_lines_and_whatever_was_held(seed: int) -> None:
    lines, before, hedges = random_lines(seed, instruments=20)
    lines = lines.with_columns(holds=pl.lit(None, pl.Boolean))
    for scale in (0.5, 5.0):
        now = {key: weight * scale for key, weight in before.items()}
        for _ in range(8):
            book = netted(lines, now, TIGHT, hedges)
            changed = (book["weight"] - book["before"]).abs()
            assert changed.sum() <= TIGHT.max_turnover + 1e-12
            now = weights(book)
        if scale < 1.0:
            size = pl.col("weight").abs()
            assert book.select(size.max()).item() <= TIGHT.max_weight + 1e-12
            assert book.select(size.sum()).item() <= TIGHT.max_gross + 1e-12
            for kind, limit in TIGHT.max_class_weight.items():
                assert book.filter(asset_class=kind).select(size.sum()).item() <= limit + 1e-12


def test_a_book_beyond_a_lowered_cap_is_reduced_first() -> None:
    lines = lines_frame([line("stock.A", A, 0.0), line("stock.B", B, 1.0)])
    choice = replace(WIDE, max_gross=0.5, max_turnover=0.2)
    book = weights(netted(lines, {A: 0.9}, choice))
    assert book == {A: pytest.approx(0.7), B: 0.0}  # on the way to 0.5, and nothing of B yet


def test_the_order_of_lines_changes_no_bit() -> None:
    lines, before, hedges = random_lines(3)
    book = netted(lines, before, TIGHT, hedges)
    for seed in range(4):
        assert netted(lines.sample(fraction=1.0, shuffle=True, seed=seed), before, TIGHT, hedges).equals(book)


def test_long_and_short_of_two_champions_are_netted() -> None:
    lines = lines_frame([line("stock.A", A, 0.5), line("pooled.stock.neutral", A, -0.2)])
    book = netted(lines, {}, replace(WIDE, pooled_share=0.5))
    assert weights(book) == {A: pytest.approx(0.5 * 0.5 - 0.5 * 0.2)}
    assert book["champions"].to_list() == [2]


def test_shares_are_equal_within_a_scope_and_whole_where_there_is_one() -> None:
    both = pl.DataFrame({"scope": ["pooled", "instrument", "instrument"], "name": ["p", "a", "b"]})
    assert champion_shares(both, 0.4) == {"p": 0.4, "a": 0.3, "b": 0.3}
    assert champion_shares(both.filter(scope="pooled"), 0.4) == {"p": 1.0}
    assert champion_shares(both.filter(scope="instrument"), 0.4) == {"a": 0.5, "b": 0.5}


def test_the_share_of_a_champion_that_can_not_be_vouched_for_is_in_cash() -> None:
    rows = [line("stock.A", A, 1.0), line("stock.B", B, None, state="refused", reason="its model was changed")]
    book = netted(lines_frame(rows), {B: 0.3}, WIDE)
    assert weights(book) == {A: 0.5, B: 0.0}
    assert cash(book) == 0.5


def test_an_instrument_without_a_bar_keeps_its_weight_and_its_hedge() -> None:
    held = line("stock.A", A, None, state="refused", holds=True, hedge=1.0)
    book = netted(lines_frame([held, line("crypto.C-USD", COIN, 0.2)]), {A: 0.3, B: -0.3}, WIDE, {"stock": {B: 1.0}})
    assert weights(book) == {A: 0.3, B: pytest.approx(-0.3), COIN: pytest.approx(0.1)}
    assert dict(book.select("symbol", "capped_by").iter_rows()) == {"A": "held", "B": None, "C-USD": None}


@pytest.mark.parametrize(("other", "sold"), [(1.0, 0.4), (None, 0.2)])
def test_the_hedge_of_a_weight_that_stays_is_sold_once(other: float | None, sold: float) -> None:
    held = line("stock.A", A, None, state="refused", holds=True, hedge=1.0)
    said = line("stock.A2", A, 0.4, hedge=other)
    book = netted(lines_frame([held, said]), {A: 0.4, B: -sold}, WIDE, {"stock": {B: 1.0}})
    assert weights(book) == {A: 0.4, B: pytest.approx(-sold)}


def test_a_pooled_champion_that_holds_keeps_what_no_other_line_speaks_of() -> None:
    whole = line("pooled.stock.neutral", ("stock", ""), None, state="refused", holds=True)
    book = netted(lines_frame([whole, line("stock.B", B, 0.4)]), {A: 0.3, B: 0.1, COIN: 0.1}, WIDE)
    assert weights(book) == {A: 0.3, B: pytest.approx(0.2), COIN: 0.0}


def test_what_is_held_counts_towards_the_caps_and_the_others_make_room() -> None:
    held = line("stock.A", A, None, state="refused", holds=True)
    choice = replace(WIDE, max_class_weight={"stock": 0.5})
    assert weights(netted(lines_frame([held, line("stock.B", B, 1.0)]), {A: 0.4}, choice))[B] == pytest.approx(0.1)
    assert weights(netted(lines_frame([held, line("stock.B", B, 1.0)]), {A: 0.7}, choice)) == {A: 0.7, B: 0.0}


def test_each_cap_that_cuts_is_named_in_order() -> None:
    lines = lines_frame([line("stock.A", A, 1.0), line("stock.B", B, 0.2)])
    choice = BookConfig(max_weight=0.4, max_class_weight={"stock": 0.4}, max_gross=0.3, max_turnover=0.1)
    book = netted(lines, {}, choice)
    assert dict(book.select("symbol", "capped_by").iter_rows()) == {
        "A": "instrument,class,gross,turnover",
        "B": "class,gross,turnover",
    }


def test_the_cost_is_that_of_the_change_at_the_cheapest_rate_of_its_lines() -> None:
    rows = [line("stock.A", A, 0.5), line("stock.A.hedged", A, 0.5, cost_rate=0.003), line("stock.B", B, 0.3)]
    book = netted(lines_frame(rows), {A: 0.1, ("stock", "GONE"): 0.2}, WIDE, cost_rates={("stock", "GONE"): 0.002})
    cost = dict(book.select("symbol", "cost").iter_rows())
    assert cost == {
        "A": pytest.approx((1 / 3 - 0.1) * 0.001),
        "B": pytest.approx(0.1 * 0.001),
        "GONE": pytest.approx(0.2 * 0.002),
    }
    dearest = netted(lines_frame(rows), {("stock", "GONE"): 0.2}, WIDE)
    assert dearest.filter(symbol="GONE")["cost"].item() == pytest.approx(0.2 * 0.003)


def test_a_hedge_by_the_name_of_a_champion_goes_before_that_of_the_class() -> None:
    lines = lines_frame([line("stock.A", A, 0.5, hedge=2.0)])
    fund = ("etf", "SPY")
    book = weights(netted(lines, {}, WIDE, {"stock": {B: 1.0}, "stock.A": {fund: 1.0}}))
    assert book == {A: 0.5, fund: -1.0}


def test_a_hedge_that_nothing_is_known_of_is_an_error() -> None:
    with pytest.raises(StageError, match="stock.A is hedged, and the hedge of stock has no member"):
        netted(lines_frame([line("stock.A", A, 0.5, hedge=1.0)]), {}, WIDE)


def test_lines_that_no_day_has_are_refused() -> None:
    twice = lines_frame([line("stock.A", A), line("stock.A", A)])
    with pytest.raises(ValueError, match="must decide once a day on stock A"):
        netted(twice, {}, WIDE)
    with pytest.raises(ValueError, match="must have a position"):
        netted(lines_frame([line("stock.A", A, None)]), {}, WIDE)
    with pytest.raises(ValueError, match="must be of one book, got 2 dates"):
        netted(pl.concat([twice.head(1), twice.tail(1).with_columns(book_date=pl.date(2025, 3, 4))]), {}, WIDE)


def test_without_lines_everything_is_sold() -> None:
    book = netted(lines_frame([]), {A: 0.3}, WIDE)
    assert weights(book) == {A: 0.0}
    assert np.isclose(cash(book), 1.0)
