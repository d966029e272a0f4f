"""Coins from an exchange through ccxt: any exchange that serves candles without a key.

Tried on coinbaseexchange (300 bars a request), kraken (the latest 720 bars and none before) and binanceus (1,000). A
symbol such as BTC-USD is the market BTC/USD. Bars are pages on a fixed grid, put end to end; of rows that are the same
in every value one is kept, and a bar that is not final yet is left out.
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import polars as pl

from src.config.schema import LiveSource
from src.fetching.provider import EVENTS, Answer, BarRequest, Malformed, RequestGate, Unfit, Unknown, raw_schema
from src.sources.ccxt.client import client, translated

SETTLED = dt.timedelta(minutes=10)  # after its end a bar counts as final
_UNSAID = 500  # bars of a request where ccxt does not know the exchange's own limit


def connect(name: str, settings: LiveSource, gate: RequestGate) -> Exchange:
    """An exchange as a provider of bars.

    Parameters
    ----------
    name
        The exchange as ccxt names it.
    settings
        Timeout, proxy and certificates.
    gate
        Asked before every request.

    Raises
    ------
    ConfigError
        Where ccxt knows no such exchange, or it serves no candles.
    """
    return Exchange(name, settings, gate)


class Exchange:
    """One exchange, used by several threads: a client for each, the list of markets loaded once."""

    def __init__(self, name: str, settings: LiveSource, gate: RequestGate) -> None:
        self.name = name
        self._settings = settings
        self._gate = gate
        self._own = threading.local()
        self._lock = threading.Lock()
        self._first: Any = None
        self._clients: list[Any] = []
        client(name, settings, gate)  # an unknown exchange is refused now, not by the first thread

    def markets(self) -> pl.DataFrame:
        """The spot markets: name (BTC/USD), base, quote, active (trading now), kind (of the base, where it is said).

        Raises
        ------
        ProviderError
            Where the list can't be had.
        """
        rows = [
            (name, market["base"], market["quote"], market["active"] is not False, _kind(market))
            for name, market in self._loaded().markets.items()
            if market["spot"]
        ]
        kinds = dict.fromkeys(("name", "base", "quote"), pl.String()) | {"active": pl.Boolean(), "kind": pl.String()}
        return pl.DataFrame(rows, schema=kinds, orient="row").sort("name")

    def fetch(self, wanted: BarRequest) -> Answer:
        """Ask for one coin's final bars from ``wanted.start`` to now.

        Raises
        ------
        Unknown
            Where the exchange lists no such market.
        Unfit
            Where it is not quoted in dollars, or there are no bars of that interval, or days do not begin at 0:00 UTC.
        ProviderError
            Where the answer is no good.
        Stopped
            Where the run is ending.
        """
        if wanted.asset_class != "crypto":
            raise Unknown(f"{self.name} lists coins, no {wanted.asset_class}")
        exchange = self._loaded()
        name = wanted.name or wanted.symbol.replace("-", "/")
        market = exchange.markets.get(name)
        if market is None:
            raise Unknown(f"{self.name} lists no market {name}")
        if market["quote"] != "USD":
            raise Unfit(f"{name} is quoted in {market['quote']}, not in USD")
        if wanted.interval not in exchange.timeframes:
            raise Unfit(f"{self.name} serves no {wanted.interval} bars; it has {', '.join(exchange.timeframes)}")
        try:
            rows = _rows(exchange, name, wanted)
        except Exception as error:
            raise translated(error) from error
        facts = {"currency": market["quote"], "name": name, "active": str(market["active"] is not False).lower()}
        return Answer(_bars(rows, wanted, self.name), pl.DataFrame(schema=EVENTS), facts)

    def close(self) -> None:
        """Let go of connections."""
        for each in self._clients:
            each.close()

    def _loaded(self) -> Any:
        """This thread's client, knowing the markets."""
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
                    raise translated(error) from error
                if not own.markets:
                    raise Malformed(f"{self.name} sent a list of no markets")
                self._first = own
            elif own is not self._first:
                own.set_markets_from_exchange(self._first)
        return own


def _kind(market: dict[str, Any]) -> str:
    """What the exchange says of the base: Kraken lists tokens of shares beside coins."""
    return str((market.get("info") or {}).get("aclass_base") or "")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _rows(exchange: Any, name: str, wanted: BarRequest) -> list[list[Any]]:
    """The candles as ccxt gives them, page after page, final ones alone.

    Raises
    ------
    Malformed
        Where there is none though the exchange was asked for all that it has.
    """
    step = exchange.parse_timeframe(wanted.interval) * 1000
    start = int(dt.datetime.combine(wanted.start, dt.time(), dt.UTC).timestamp() * 1000)
    final = int((_now() - SETTLED).timestamp() * 1000) - step  # the last start of a bar that is final
    if step < 86_400_000 and "1d" in exchange.timeframes:
        start = _first(exchange, name, start, final)
    found: list[list[Any]] = []
    for page in _pages(exchange, name, wanted.interval, start - start % step, step):
        found += page
    if not found and (_now().date() - wanted.start).days > _page(exchange):
        raise Malformed(f"{exchange.id} lists {name} and sent no bar of it since {wanted.start}")
    return [row for row in found if row[0] <= final]


def _page(exchange: Any) -> int:
    """Bars that one request may ask for."""
    limit = ((exchange.features or {}).get("spot") or {}).get("fetchOHLCV") or {}
    return int(limit.get("limit") or _UNSAID)


def _pages(exchange: Any, name: str, interval: str, start: int, step: int) -> Any:
    """Pages of candles from `start` on (milliseconds): each begins where the one before it ended.

    An empty page of an exchange that answers by window says nothing about the next one, so the window moves on until
    now; a page that holds something is followed from its last bar, so that no exchange's own limit leaves a hole.
    """
    limit = _page(exchange)
    now = int(_now().timestamp() * 1000)
    while start <= now:
        rows = exchange.fetch_ohlcv(name, interval, start, limit)
        yield rows
        start = max(start, rows[-1][0] - rows[-1][0] % step) + step if rows else start + limit * step


def _first(exchange: Any, name: str, start: int, final: int) -> int:
    """Where an intraday series begins, asked of the daily bars, which are fewer: years before may be empty."""
    if final - start <= _page(exchange) * 3_600_000:
        return start
    day = 86_400_000
    for page in _pages(exchange, name, "1d", start - start % day, day):
        if page:
            return max(start, int(page[0][0]))
    return start


def _bars(rows: list[list[Any]], wanted: BarRequest, source: str) -> pl.DataFrame:
    kinds = raw_schema(wanted.interval)
    prices = ["open", "high", "low", "close", "volume"]
    frame = pl.DataFrame(
        rows, schema={"time": pl.Int64()} | dict.fromkeys(prices, pl.Float64()), orient="row", strict=False
    )
    frame = frame.unique(maintain_order=True)
    stamp = pl.from_epoch("time", time_unit="ms").dt.replace_time_zone("UTC").dt.cast_time_unit("us")
    if wanted.interval == "1d":
        odd = frame.filter(pl.col("time") % 86_400_000 != 0)
        if odd.height:
            hour = odd.select(stamp.dt.strftime("%H:%M")).item(0, 0)
            raise Unfit(f"{source}'s day begins at {hour} UTC, not at 0:00: its bars are of other days")
        stamp = stamp.dt.date()
    return frame.select(
        pl.lit(wanted.asset_class).alias("asset_class"),
        pl.lit(wanted.symbol).alias("symbol"),
        stamp.alias("date"),
        *prices[:4],
        pl.lit(None, pl.Float64).alias("adj_close"),
        "volume",
        pl.lit(source).alias("source"),
    ).cast(pl.Schema(kinds))
