"""The coins that exchanges trade against dollars, without what only follows another price."""

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
    """The coins of one exchange: columns of the directory's `ENTRY`; BTC/USD is BTC-USD.

    Stablecoins, wrapped coins, currencies and tokens of shares are none; a market that does not trade now is left out.

    Parameters
    ----------
    markets
        From ``src.sources.ccxt.source``: name, base, quote, active, kind.
    exchange
        Its name.
    """
    follows = [*PEGGED, *WRAPPED, *FIAT]
    base = pl.col("base")
    coins = markets.filter(
        pl.col("active") & (pl.col("quote") == "USD") & pl.col("kind").is_in(_COIN) & ~base.is_in(follows)
    )
    rows = [
        ("crypto", f"{coin}-USD", name, coin, "coin", "flag", exchange)
        for name, coin in coins.select("name", "base").rows()
        if _NAME.fullmatch(coin)
    ]
    return pl.DataFrame(rows, schema=ENTRY, orient="row").unique("symbol", keep="first").sort("symbol")
