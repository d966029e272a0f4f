"""Coins from an exchange through ccxt: any exchange that serves candles without a key.

Tested with coinbaseexchange (300 bars in one request), kraken (the latest 720 bars only) and binanceus (1,000). A
symbol such as BTC-USD is the market BTC/USD. Bars come in pages on a fixed grid (`src.sources.ccxt.pages`); of rows
that are identical one is kept, and a bar that is not final yet is left out.
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import polars as pl

from src.config.schema import LiveSource
from src.fetching.provider import EVENTS, Answer, BarRequest, Malformed, RequestGate, Unfit, Unknown, raw_schema
from src.sources.ccxt.client import client, provider_error
from src.sources.ccxt.pages import final_rows

SETTLED = dt.timedelta(minutes=10)  # after its end, until a bar counts as final


def connect(name: str, settings: LiveSource, gate: RequestGate) -> Exchange:
    """Open an exchange as a provider of bars.

    Parameters
    ----------
    name : str
        The exchange as ccxt names it.
    settings : LiveSource
        Timeout, proxy and certificates.
    gate : RequestGate
        Passed before every request.

    Raises
    ------
    ConfigError
        If ccxt has no such exchange, or the exchange serves no candles.
    """
    return Exchange(name, settings, gate)


class Exchange:
    """One exchange, used by several threads: each has a client of its own, and the markets are loaded once."""

    def __init__(self, name: str, settings: LiveSource, gate: RequestGate) -> None:
        self.name = name
        self._settings = settings
        self._gate = gate
        self._own = threading.local()
        self._lock = threading.Lock()
        self._first: Any = None
        self._clients: list[Any] = []
        client(name, settings, gate)  # refuses an unknown exchange now, not in the first thread

    def markets(self) -> pl.DataFrame:
        """Ask for the spot markets.

        Returns
        -------
        DataFrame
            name (BTC/USD), base, quote, active (trading now), kind (of the base; empty if the exchange does not say),
            sorted by name.

        Raises
        ------
        ProviderError
            If the list can't be had.
        """
        rows = [
            (name, market["base"], market["quote"], market["active"] is not False, _kind(market))
            for name, market in self._loaded().markets.items()
            if market["spot"]
        ]
        kinds = dict.fromkeys(("name", "base", "quote"), pl.String()) | {"active": pl.Boolean(), "kind": pl.String()}
        return pl.DataFrame(rows, schema=kinds, orient="row").sort("name")

    def fetch(self, request: BarRequest) -> Answer:
        """Ask for one coin's bars.

        Parameters
        ----------
        request : BarRequest
            From its first date to now.

        Returns
        -------
        Answer
            Final bars only.

        Raises
        ------
        Unknown
            If the exchange lists no such market.
        Unfit
            If it is not quoted in dollars, has no bars of that interval, or its days do not begin at 0:00 UTC.
        ProviderError
            If an answer is unusable.
        Stopped
            If the run is ending.
        """
        if request.asset_class != "crypto":
            raise Unknown(f"{self.name} lists coins, no {request.asset_class}")
        exchange = self._loaded()
        name = request.name or request.symbol.replace("-", "/")
        market = exchange.markets.get(name)
        if market is None:
            raise Unknown(f"{self.name} lists no market {name}")
        if market["quote"] != "USD":
            raise Unfit(f"{name} is quoted in {market['quote']}, not in USD")
        if request.interval not in exchange.timeframes:
            raise Unfit(f"{self.name} serves no {request.interval} bars; it has {', '.join(exchange.timeframes)}")
        try:
            rows, serves = final_rows(exchange, name, request, _now(), SETTLED)
        except Exception as error:
            raise provider_error(error) from error
        facts = ({"serves": serves} if serves else {}) | {
            "currency": market["quote"],
            "name": name,
            "active": str(market["active"] is not False).lower(),
        }
        return Answer(_bars(rows, request, self.name), pl.DataFrame(schema=EVENTS), facts)

    def close(self) -> None:
        """Close connections."""
        for own in self._clients:
            own.close()

    def _loaded(self) -> Any:
        """This thread's client, with the markets loaded."""
        own = getattr(self._own, "client", None)
        if own is None:
            own = client(self.name, self._settings, self._gate)
            self._own.client = own
            self._clients.append(own)
        if own.markets:
            return own
        with self._lock:
            if self._first is None:
                try:
                    own.load_markets()
                except Exception as error:
                    raise provider_error(error) from error
                if not own.markets:
                    raise Malformed(f"{self.name} sent an empty list of markets")
                self._first = own
            elif own is not self._first:
                own.set_markets_from_exchange(self._first)
        return own


def _kind(market: dict[str, Any]) -> str:
    """Kind of the base according to the exchange: Kraken lists tokens of shares beside coins."""
    return str((market.get("info") or {}).get("aclass_base") or "")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _bars(rows: list[list[Any]], request: BarRequest, source: str) -> pl.DataFrame:
    kinds = raw_schema(request.interval)
    prices = ["open", "high", "low", "close", "volume"]
    frame = pl.DataFrame(
        rows, schema={"time": pl.Int64()} | dict.fromkeys(prices, pl.Float64()), orient="row", strict=False
    )
    frame = frame.unique(maintain_order=True)
    stamp = pl.from_epoch("time", time_unit="ms").dt.replace_time_zone("UTC").dt.cast_time_unit("us")
    if request.interval == "1d":
        odd = frame.filter(pl.col("time") % 86_400_000 != 0)
        if odd.height:
            hour = odd.select(stamp.dt.strftime("%H:%M")).item(0, 0)
            raise Unfit(f"{source}'s days begin at {hour} UTC, not at 0:00")
        stamp = stamp.dt.date()
    return frame.select(
        pl.lit(request.asset_class).alias("asset_class"),
        pl.lit(request.symbol).alias("symbol"),
        stamp.alias("date"),
        *prices[:4],
        pl.lit(None, pl.Float64).alias("adj_close"),
        "volume",
        pl.lit(source).alias("source"),
    ).cast(pl.Schema(kinds))
