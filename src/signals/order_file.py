"""The file of a day's orders: plain, and as a broker imports it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from src.core.instruments import KEY, Key
from src.market.bars import BarStore
from src.signals.holdings import Holdings, read_holdings
from src.signals.orders import left_alone, orders
from src.signals.prices import last_prices
from src.storage import atomic

if TYPE_CHECKING:
    from src.config.schema import BookConfig


def holdings_of(choice: BookConfig, store: BarStore) -> Holdings:
    """Read what is held, nothing where no file is named.

    Parameters
    ----------
    choice : BookConfig
    store : BarStore
        Its instruments are those that orders may touch.

    Raises
    ------
    ConfigError, StageError
        As `src.signals.holdings.read_holdings`.
    """
    if choice.holdings is None:
        return Holdings()
    return read_holdings(choice.holdings, store.instruments().select(KEY).iter_rows())


def write_orders(
    book: pl.DataFrame, holdings: Holdings, choice: BookConfig, store: BarStore, date: dt.date, path: Path
) -> list[str]:
    """Write the orders that lead from the holdings to the book.

    Parameters
    ----------
    book : DataFrame
        Columns of `src.signals.tables.BOOK`, of one day.
    holdings : Holdings
        From `holdings_of`.
    choice : BookConfig
        Capital, lots, least value, and whether a broker's form is written too.
    store : BarStore
        For the prices of the last close.
    date : date
        Of the book.
    path : Path
        Such as ``data/signals/<dataset>/<date>-orders.csv``; a broker's form goes to ``<date>-orders-ibkr.csv`` beside.

    Returns
    -------
    list of str
        What has no order, see `src.signals.orders.left_alone`.
    """
    keys: set[Key] = {*book.select(KEY).iter_rows(), *holdings.shares}
    prices = last_prices(store, keys, date)
    table = orders(book, prices, holdings, choice)
    atomic.write_text(_plain(table).write_csv(float_scientific=False), path)
    if choice.orders_format == "ibkr":
        atomic.write_text(broker_basket(table).write_csv(), path.with_name(f"{path.stem}-ibkr.csv"))
    return list(left_alone(book, prices, holdings))


def broker_basket(table: pl.DataFrame) -> pl.DataFrame:
    """Write orders as Interactive Brokers' BasketTrader imports them.

    Parameters
    ----------
    table : DataFrame
        From `orders`.

    Returns
    -------
    DataFrame
        Action, Quantity, Symbol, SecType, Exchange, Currency, TimeInForce, OrderType. Share classes are written ``BRK
        B``. Coins are left out: there, a purchase at market is by value, not by quantity.

    Source
    ------
    Interactive Brokers, TWS Users' Guide, "Basket Fields" and "Manually Create a Basket File".
    """
    return table.filter(pl.col("asset_class") != "crypto").select(
        Action="side",
        Quantity=_written("quantity"),
        Symbol=pl.col("symbol").str.replace_all(r"[.\-]", " "),
        SecType=pl.lit("STK"),
        Exchange=pl.lit("SMART"),
        Currency=pl.lit("USD"),
        TimeInForce=pl.lit("OPG"),
        OrderType=pl.lit("MKT"),
    )


def _plain(table: pl.DataFrame) -> pl.DataFrame:
    """The table with quantities and prices as people write them, and amounts to the cent."""
    price = pl.col("reference_price").round_sig_figs(8)
    return table.with_columns(_written("quantity"), price, pl.col("value").round(2))


def _written(column: str) -> pl.Expr:
    """Numbers without a point where they are whole."""
    return pl.col(column).map_elements(lambda value: f"{value:.12f}".rstrip("0").rstrip("."), return_dtype=pl.String)
