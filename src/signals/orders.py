"""Orders that lead from what is held to the book, as a file that brokers' importers take.

Nothing is sent anywhere: the file is for a person to look at and to import. Target shares are the weight times
`book.capital` over the as-traded price of the last close; the price at which an order is filled is another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from src.core.instruments import KEY, Key
from src.signals.holdings import Holdings

if TYPE_CHECKING:
    from src.config.schema import BookConfig

ORDERS: dict[str, Any] = {
    "symbol": pl.String(),  # as in the dataset: BRK-B, BTC-USD
    "asset_class": pl.String(),
    "side": pl.String(),  # BUY or SELL; a sale of more than is held is a short sale
    "quantity": pl.Float64(),  # shares or coins, above zero, a multiple of the lot
    "order_type": pl.String(),  # market
    "time_in_force": pl.String(),  # opening: in the opening auction of trade_on; immediate: at once (coins)
    "trade_on": pl.Date(),
    "reference_price": pl.Float64(),  # as traded, at the last close or as the holdings give it
    "value": pl.Float64(),  # quantity times reference price
    "reason": pl.String(),  # open, close, increase, reduce or reverse
}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet calculate a cell."""
_ROUNDING = 1e-9  # of a lot


@dataclass(frozen=True)
class _Change:
    """What an instrument's order starts from."""

    key: Key
    trade_on: Any
    price: float
    held: float
    target: float
    lot: float

    @property
    def change(self) -> float:
        """Shares to trade, rounded towards none by the lot."""
        lots = (self.target - self.held) / self.lot
        return math.copysign(math.floor(abs(lots) + _ROUNDING), lots) * self.lot

    @property
    def reason(self) -> str:
        """Why it is traded."""
        if self.held == 0.0:
            return "open"
        if self.target == 0.0:
            return "close"
        if self.held * self.target < 0.0:
            return "reverse"
        return "increase" if abs(self.target) > abs(self.held) else "reduce"


def orders(book: pl.DataFrame, prices: Mapping[Key, float], holdings: Holdings, choice: BookConfig) -> pl.DataFrame:
    """Find the orders that lead from the holdings to the book.

    Parameters
    ----------
    book : DataFrame
        Columns of `src.signals.tables.BOOK`, of one day.
    prices : mapping
        As-traded price of the last close; those of the holdings go before. An instrument without one has no order.
    holdings : Holdings
        Instruments that are held and not in the book are sold; what is outside the dataset is left alone.
    choice : BookConfig
        Capital, lots and least value.

    Returns
    -------
    DataFrame
        Columns of `ORDERS`: sales first, then purchases, each the largest first. Quantities are rounded towards no
        change, and changes of less value than `min_trade` are left out, so that holdings are within a lot, or that
        value, of the book. Purchases cost at most the cash, the proceeds of what was held and is sold, and what
        ``max_gross`` above 1 allows to borrow; else all of them are scaled down. Without a row for cash, it is the
        capital less the value of what is held. Proceeds of short sales are not spent.
    """
    changes = [each for each in _changes(book, prices, holdings, choice) if _is_traded(each, choice)]
    sales = [_order(each, -each.change) for each in changes if each.change < 0.0]
    spendable = _cash(prices, holdings, choice) + sum(_proceeds(each) for each in changes if each.change < 0.0)
    bought = [each for each in changes if each.change > 0.0]
    cost = sum(each.change * each.price for each in bought)
    share = min(max(spendable, 0.0) / cost, 1.0) if cost else 1.0
    purchases = []
    for each in bought:
        quantity = each.change if share == 1.0 else math.floor(each.change * share / each.lot + _ROUNDING) * each.lot
        if quantity > 0.0 and quantity * each.price >= choice.min_trade:
            purchases.append(_order(each, quantity))
    rows = [_sorted(each) for each in (sales, purchases)]
    return pl.DataFrame([row for part in rows for row in part], schema=ORDERS, orient="row")


def left_alone(book: pl.DataFrame, prices: Mapping[Key, float], holdings: Holdings) -> Iterator[str]:
    """Say what has no order although it may need one.

    Parameters
    ----------
    book, prices, holdings
        As `orders` takes them.

    Yields
    ------
    str
        A sentence for each cause.
    """
    if holdings.outside:
        yield f"holdings outside the dataset are left alone: {_listed(list(holdings.outside))}"
    keys = sorted({*book.filter(pl.col("weight") != 0.0).select(KEY).iter_rows(), *holdings.shares})
    priced = {**prices, **holdings.prices}
    unpriced = [":".join(key) for key in keys if key not in priced]
    if unpriced:
        yield f"no order without a price: {_listed(unpriced)}"
    kept = [":".join(key) for key in book.filter(_is_kept()).select(KEY).iter_rows()]
    if kept:
        yield f"no order while the last bar is missing or late: {_listed(kept)}"
    formulas = [repr(symbol) for _, symbol in keys if symbol.startswith(FORMULA)]
    if formulas:
        yield f"no order in a symbol that a spreadsheet would calculate: {_listed(formulas)}"


def _changes(
    book: pl.DataFrame, prices: Mapping[Key, float], holdings: Holdings, choice: BookConfig
) -> Iterator[_Change]:
    """Yield the instruments of the book and of the holdings that can have an order."""
    rows = {(row["asset_class"], row["symbol"]): row for row in book.iter_rows(named=True)}
    kept = set(book.filter(_is_kept()).select(KEY).iter_rows())
    days = dict(book.group_by("asset_class").agg(pl.col("trade_on").max()).iter_rows())
    priced = {**prices, **holdings.prices}
    for key in sorted({*rows, *holdings.shares}):
        if key in priced and key not in kept and not key[1].startswith(FORMULA):
            row = rows.get(key, {})
            target = (row.get("weight") or 0.0) * choice.capital / priced[key]
            day = row.get("trade_on") or days.get(key[0])
            lot = choice.lots.get(key[0], 1.0)
            yield _Change(key, day, priced[key], holdings.shares.get(key, 0.0), target, lot)


def _is_kept() -> pl.Expr:
    """Whether an instrument keeps its weight because it can't be traded."""
    return (pl.col("capped_by") == "held").fill_null(False)


def _is_traded(each: _Change, choice: BookConfig) -> bool:
    return each.change != 0.0 and abs(each.change) * each.price >= choice.min_trade


def _cash(prices: Mapping[Key, float], holdings: Holdings, choice: BookConfig) -> float:
    """What can be spent before any sale."""
    borrowed = max(choice.max_gross - 1.0, 0.0) * choice.capital
    if holdings.cash is not None:
        return holdings.cash + borrowed
    priced = {**prices, **holdings.prices}
    value = sum(shares * priced.get(key, 0.0) for key, shares in holdings.shares.items())
    return choice.capital - value + borrowed


def _proceeds(each: _Change) -> float:
    """Value of what is sold of what was held; a short sale's is not spent."""
    return min(-each.change, max(each.held, 0.0)) * each.price


def _order(each: _Change, quantity: float) -> dict[str, Any]:
    asset_class, symbol = each.key
    return {
        "symbol": symbol,
        "asset_class": asset_class,
        "side": "SELL" if each.change < 0.0 else "BUY",
        "quantity": round(quantity, 12),
        "order_type": "market",
        "time_in_force": "immediate" if asset_class == "crypto" else "opening",
        "trade_on": each.trade_on,
        "reference_price": each.price,
        "value": quantity * each.price,
        "reason": each.reason,
    }


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (-row["value"], row["asset_class"], row["symbol"]))


def _listed(names: list[str]) -> str:
    """Name a few, and count the others."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5:,} more"
