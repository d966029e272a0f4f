"""Orders lead from the holdings to the book, within a lot and the least value."""

from __future__ import annotations

import datetime as dt
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.config.schema import BookConfig
from src.core.instruments import Key
from src.market.bars import SCHEMA, BarStore
from src.signals.holdings import Holdings
from src.signals.order_file import broker_basket, holdings_of, write_orders
from src.signals.orders import ORDERS, left_alone, orders
from src.signals.tables import book_frame
from tests.signals.netting_case import stored_bars

A, B, BRK, COIN = ("stock", "A"), ("etf", "B"), ("stock", "BRK-B"), ("crypto", "BTC-USD")
PRICES = {A: 12.5, B: 80.0, BRK: 410.0, COIN: 60_000.0}
DAY = dt.date(2025, 3, 3)
CHOICE = BookConfig(capital=100_000.0, min_trade=0.0)


def book(weights: dict[Key, float], capped_by: dict[Key, str] | None = None) -> pl.DataFrame:
    rows = [
        {"book_date": DAY, "asset_class": key[0], "symbol": key[1], "weight": weight, "trade_on": DAY}
        | {"capped_by": (capped_by or {}).get(key)}
        for key, weight in weights.items()
    ]
    return book_frame(rows)


def executed(table: pl.DataFrame, holdings: Holdings) -> dict[Key, float]:
    shares = dict(holdings.shares)
    for row in table.iter_rows(named=True):
        key = (row["asset_class"], row["symbol"])
        shares[key] = shares.get(key, 0.0) + row["quantity"] * (1 if row["side"] == "BUY" else -1)
    return shares


@pytest.mark.parametrize("seed", range(10))
def test_executed_orders_give_the_weights_within_a_lot(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = {key: float(rng.normal(0.0, 0.2)) for key in PRICES if rng.random() < 0.8}
    held = {key: float(np.round(rng.normal(0.0, 200.0) / PRICES[key] * 20)) for key in PRICES if rng.random() < 0.6}
    holdings = Holdings(held, cash=1e9)
    table = orders(book(weights), PRICES, holdings, CHOICE)
    shares = executed(table, holdings)
    assert table.schema == pl.Schema(ORDERS)
    for key, price in PRICES.items():
        target = weights.get(key, 0.0) * CHOICE.capital / price
        lot = CHOICE.lots[key[0]]
        off = target - shares.get(key, 0.0)
        assert abs(off) < lot * (1.0 + 1e-6)
        assert off * (target - held.get(key, 0.0)) >= -1e-9  # rounded towards no change, never beyond
    quantity = table["quantity"] / table["asset_class"].replace_strict(CHOICE.lots)
    assert np.allclose(quantity, quantity.round())
    assert table["quantity"].min() is None or table["quantity"].min() > 0.0


def test_orders_of_a_book_that_is_held_are_none() -> None:
    held = {key: round(0.1 * CHOICE.capital / price, 4) for key, price in PRICES.items()}
    assert orders(book(dict.fromkeys(PRICES, 0.1)), PRICES, Holdings(held), CHOICE).is_empty()


def test_sales_come_before_purchases_the_largest_first() -> None:
    table = orders(book({A: 0.3, B: 0.2}), PRICES, Holdings({BRK: 20.0, COIN: 0.5}, cash=1e6), CHOICE)
    assert table["side"].to_list() == ["SELL", "SELL", "BUY", "BUY"]
    assert table["symbol"].to_list() == ["BTC-USD", "BRK-B", "A", "B"]
    assert table["reason"].to_list() == ["close", "close", "open", "open"]
    assert table["time_in_force"].to_list() == ["immediate", "opening", "opening", "opening"]


@pytest.mark.parametrize(
    ("held", "weight", "reason"),
    [
        (0.0, 0.1, "open"),
        (100.0, 0.1, "increase"),
        (100.0, 0.005, "reduce"),
        (100.0, 0.0, "close"),
        (100.0, -0.1, "reverse"),
    ],
)
def test_each_order_says_what_it_does(held: float, weight: float, reason: str) -> None:
    table = orders(book({A: weight}), PRICES, Holdings({A: held}, cash=1e6), CHOICE)
    assert table["reason"].to_list() == [reason]


def test_changes_below_the_least_value_are_left_out() -> None:
    choice = BookConfig(capital=100_000.0, min_trade=600.0)
    table = orders(book({A: 0.005, B: 0.007}), PRICES, Holdings(), choice)
    assert table["symbol"].to_list() == ["B"]  # 500 against 640


def test_purchases_cost_no_more_than_the_cash_and_the_sales() -> None:
    unlevered = BookConfig(capital=100_000.0, min_trade=0.0, max_gross=1.0)
    holdings = Holdings({BRK: 50.0}, cash=10_000.0)
    table = orders(book({A: 0.5, B: 0.5}), PRICES, holdings, unlevered)
    bought, sold = (table.filter(side=side)["value"].sum() for side in ("BUY", "SELL"))
    assert sold == 50 * 410.0
    assert 10_000.0 + sold - 100.0 < bought <= 10_000.0 + sold
    levered = orders(book({A: 0.5, B: 0.5}), PRICES, holdings, BookConfig(min_trade=0.0, max_gross=2.0))
    assert levered.filter(side="BUY")["value"].sum() > 99_000.0


def test_the_proceeds_of_short_sales_are_not_spent() -> None:
    unlevered = BookConfig(capital=100_000.0, min_trade=0.0, max_gross=1.0)
    table = orders(book({A: 0.5, BRK: -0.5}), PRICES, Holdings(cash=20_000.0), unlevered)
    assert table.filter(side="BUY")["value"].sum() <= 20_000.0
    assert table.filter(side="SELL")["value"].sum() > 49_000.0


def test_a_price_of_the_holdings_goes_before_that_of_the_bars() -> None:
    table = orders(book({A: 0.1}), PRICES, Holdings({A: 0.0}, prices={A: 25.0}), CHOICE)
    assert table.select("quantity", "reference_price", "value").row(0) == (400.0, 25.0, 10_000.0)


def test_what_can_not_be_traded_is_left_alone_and_said() -> None:
    evil, gone = ("stock", "=CMD"), ("stock", "GONE")
    holdings = Holdings({gone: 5.0, A: 10.0}, outside=("XYZ",))
    made = book({A: 0.1, B: 0.1, evil: 0.1}, capped_by={A: "held"})
    prices = {**PRICES, evil: 1.0}
    assert orders(made, prices, holdings, CHOICE)["symbol"].to_list() == ["B"]
    said = list(left_alone(made, prices, holdings))
    assert said == [
        "holdings outside the dataset are left alone: XYZ",
        "no order without a price: stock:GONE",
        "no order while the last bar is missing or late: stock:A",
        "no order in a symbol that a spreadsheet would calculate: '=CMD'",
    ]


def test_a_basket_is_as_the_broker_imports_it() -> None:
    table = orders(book({BRK: 0.1, COIN: 0.1}), PRICES, Holdings(), CHOICE)
    lines = broker_basket(table).write_csv().splitlines()
    assert lines == [
        "Action,Quantity,Symbol,SecType,Exchange,Currency,TimeInForce,OrderType",
        "BUY,24,BRK B,STK,SMART,USD,OPG,MKT",
    ]


# files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    """A stock that was split two to one after its bars, one of which did not trade."""
    day = {"asset_class": "stock", "symbol": "A", "open": 50.0, "high": 50.0, "low": 50.0, "factor": 3.0}
    rows = [
        day | {"date": DAY - dt.timedelta(days=each), "close": 50.0 + each, "volume": volume, "split": 2.0}
        for each, volume in ((2, 100.0), (1, 100.0), (0, 0.0), (-1, 100.0))
    ]
    return stored_bars(pl.DataFrame(rows, schema=SCHEMA), tmp_path / "bars")


def test_an_order_is_reckoned_by_the_price_at_which_the_last_bar_traded(store: BarStore, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    assert write_orders(book({A: 0.101}), Holdings(), CHOICE, store, DAY, path) == []
    table = pl.read_csv(io.StringIO(path.read_text(encoding="utf-8")))
    assert table.select("symbol", "side", "quantity", "reference_price", "value").rows() == [
        ("A", "BUY", 99, 102.0, 10_098.0)  # 51 a share today was 102 before the split; the bar of DAY did not trade
    ]


def test_a_file_for_the_broker_is_written_beside_where_it_is_asked_for(store: BarStore, tmp_path: Path) -> None:
    choice = BookConfig(orders_format="ibkr")
    write_orders(book({A: 0.1}), Holdings(), choice, store, DAY, tmp_path / "orders.csv")
    assert (tmp_path / "orders-ibkr.csv").read_text(encoding="utf-8").startswith("Action,Quantity,Symbol")
    assert (tmp_path / "orders.csv").read_text(encoding="utf-8").startswith("symbol,asset_class,side")


def test_without_a_file_nothing_is_held(store: BarStore) -> None:
    assert holdings_of(BookConfig(), store) == Holdings()
