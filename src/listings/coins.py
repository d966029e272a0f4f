"""The coins that an exchange trades against dollars, without those that follow another price."""

from __future__ import annotations

import re

import polars as pl

from src.listings.directory import ENTRY
from src.market.universe import PEGGED, WRAPPED

FIAT = frozenset(
    ["USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "SEK", "NOK", "DKK", "PLN", "CZK", "TRY", "BRL", "MXN"]
) | frozenset(["SGD", "HKD", "KRW", "INR", "ZAR", "AED", "ARS", "COP", "UAH", "NGN", "IDR", "THB", "PHP", "CNY", "RUB"])
_NAME = re.compile(r"[A-Z0-9]{1,20}")
_COIN = ("", "currency")  # Kraken lists tokens of shares as another kind


def entries(markets: pl.DataFrame, exchange: str) -> pl.DataFrame:
    """List the coins of one exchange.

    Stablecoins, wrapped coins, currencies and tokens of shares are left out, and markets that do not trade now.

    Parameters
    ----------
    markets : DataFrame
        From an `ExchangeProvider`: name, base, quote, active, kind.
    exchange : str
        Its name.

    Returns
    -------
    DataFrame
        Columns of the directory's `ENTRY`; the market BTC/USD is the symbol BTC-USD.
    """
    followers = [*PEGGED, *WRAPPED, *FIAT]
    base = pl.col("base")
    coins = markets.filter(
        pl.col("active") & (pl.col("quote") == "USD") & pl.col("kind").is_in(_COIN) & ~base.is_in(followers)
    )
    rows = [
        ("crypto", f"{coin}-USD", name, coin, "coin", "flag", exchange)
        for name, coin in coins.select("name", "base").rows()
        if _NAME.fullmatch(coin)
    ]
    return pl.DataFrame(rows, schema=ENTRY, orient="row").unique("symbol", keep="first").sort("symbol")
