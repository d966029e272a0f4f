"""Coinbase Exchange, Kraken and Binance.US: markets and candles in their formats, limits included.

The same coin has slightly different prices on each, so that the answer of one can't pass for that of another.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from tests.loopback.names import PEGGED, VENUES, Instrument
from tests.loopback.wire import Reply, Request, json
from tests.loopback.world import World, stream

HOSTS = {"api.exchange.coinbase.com": "coinbaseexchange", "api.kraken.com": "kraken", "api.binance.us": "binanceus"}
PAGE = {"coinbaseexchange": 300, "kraken": 720, "binanceus": 1000}  # candles in one answer
_DECIMALS = {"coinbaseexchange": 2, "kraken": 4, "binanceus": 4}
_KRAKEN = {
    "BTC": ("XXBT", "XXBTZUSD"),
    "ETH": ("XETH", "XETHZUSD"),
    "DOGE": ("XXDG", "XDGUSD"),
    "XRP": ("XXRP", "XXRPZUSD"),
}
_STEPS = {"1h": 3600, "1d": 86400}


class Exchanges:
    """Answers requests to the hosts of the exchanges."""

    def __init__(self, world: World) -> None:
        self.world = world

    def answer(self, request: Request) -> Reply:
        """The reply without any fault."""
        venue = HOSTS[request.host]
        return {"coinbaseexchange": self.coinbase, "kraken": self.kraken, "binanceus": self.binance}[venue](request)

    def coins(self, venue: str) -> list[Instrument]:
        """Coins that an exchange trades against the dollar."""
        return [each for each in self.world.instruments.values() if venue in each.venues]

    def rows(self, coin: Instrument, venue: str, step: int) -> np.ndarray:
        """Candles as served: without the running one, if it has ended by the machine's clock."""
        rows = candles(self.world, coin, venue, step)
        return rows if self.world.running("crypto") else rows[:-1]

    def coinbase(self, request: Request) -> Reply:
        """Coinbase Exchange: its lists, and candles."""
        parts = request.path.strip("/").split("/")
        if parts == ["products"]:
            return json([_coinbase_product(pair, state) for pair, state in self.pairs("coinbaseexchange")])
        if parts == ["currencies"]:
            codes = sorted({code for pair, _ in self.pairs("coinbaseexchange") for code in pair})
            return json(
                [
                    {"id": code, "name": code, "status": "online", "details": {}, "supported_networks": []}
                    for code in codes
                ]
            )
        if len(parts) == 3 and parts[0] == "products" and parts[2] == "candles":
            return self.coinbase_candles(parts[1], request.query)
        return json({"message": "NotFound"}, 404)

    def coinbase_candles(self, name: str, query: dict[str, str]) -> Reply:
        """At most 300 candles in a window, the latest first."""
        coin = next((each for each in self.coins("coinbaseexchange") if each.symbol == name), None)
        if coin is None:
            return json({"message": "NotFound"}, 404)
        step = int(query.get("granularity", 60))
        if step not in _STEPS.values():
            return json({"message": "Unsupported granularity"}, 400)
        rows = self.rows(coin, "coinbaseexchange", step)
        begin, end = (_seconds(query.get(name)) for name in ("start", "end"))
        if begin is None or end is None:
            rows = rows[-300:]
        elif (end - begin) // step + 1 > 300:
            words = "granularity too small for the requested time range. Count of aggregations requested exceeds 300"
            return json({"message": words}, 400)
        else:
            rows = rows[(rows[:, 0] >= begin) & (rows[:, 0] <= end)]
        return json([[int(r[0]), r[3], r[2], r[1], r[4], r[5]] for r in rows[::-1].tolist()])

    def kraken(self, request: Request) -> Reply:
        """Kraken: the latest 720 candles, whatever the request; errors have status 200."""
        endpoint = request.path.rsplit("/", 1)[-1]
        pairs = {_kraken_pair(pair): (pair, state) for pair, state in self.pairs("kraken")}
        if endpoint == "Assets":
            codes = sorted({_kraken_asset(code) for pair, _ in pairs.values() for code in pair})
            return _kraken(
                {
                    code: {
                        "aclass": "currency",
                        "altname": code[-3:],
                        "decimals": 10,
                        "display_decimals": 5,
                        "status": "enabled",
                    }
                    for code in codes
                }
            )
        if endpoint == "AssetPairs":
            return _kraken({key: _kraken_market(key, pair, state) for key, (pair, state) in pairs.items()})
        if endpoint != "OHLC":
            return _kraken({}, "EGeneral:Unknown method")
        key = request.query.get("pair", "")
        coin = next((each for each in self.coins("kraken") if _kraken_pair((each.symbol[:-4], "USD")) == key), None)
        if coin is None:
            return _kraken({}, "EQuery:Unknown asset pair")
        step = int(request.query.get("interval", 1)) * 60
        if step not in _STEPS.values():
            return _kraken({}, "EGeneral:Invalid arguments")
        rows = self.rows(coin, "kraken", step)[-720:]
        rows = rows[rows[:, 0] > float(request.query.get("since", 0))]
        served = [[int(r[0]), *(_text(v) for v in (r[1], r[2], r[3], r[4], r[4], r[5])), 12] for r in rows.tolist()]
        return _kraken({key: served, "last": int(rows[-2, 0]) if len(rows) > 1 else 0})

    def binance(self, request: Request) -> Reply:
        """Binance.US: up to 1,000 candles from `startTime` on, or the latest."""
        if request.path == "/api/v3/exchangeInfo":
            return json(
                {
                    "timezone": "UTC",
                    "serverTime": int(self.world.now.timestamp() * 1000),
                    "rateLimits": [],
                    "exchangeFilters": [],
                    "symbols": [_binance_market(pair, state) for pair, state in self.pairs("binanceus")],
                }
            )
        if request.path != "/api/v3/klines":
            return json({"code": -1000, "msg": "no such path"}, 404)
        name = request.query.get("symbol", "")
        coin = next((each for each in self.coins("binanceus") if each.symbol.replace("-", "") == name), None)
        if coin is None:
            return json({"code": -1121, "msg": "Invalid symbol."}, 400)
        step = _STEPS.get(request.query.get("interval", ""))
        if step is None:
            return json({"code": -1120, "msg": "Invalid interval."}, 400)
        limit = min(int(request.query.get("limit", 500)), 1000)
        rows = self.rows(coin, "binanceus", step)
        end = int(request.query.get("endTime", 2**53)) / 1000
        rows = rows[rows[:, 0] <= end]
        begin = request.query.get("startTime")
        rows = rows[-limit:] if begin is None else rows[rows[:, 0] >= int(begin) / 1000][:limit]
        return json(
            [
                [
                    int(r[0]) * 1000,
                    *map(_text, r[1:6]),
                    int(r[0] + step) * 1000 - 1,
                    _text(r[4] * r[5]),
                    9,
                    "0",
                    "0",
                    "0",
                ]
                for r in rows.tolist()
            ]
        )

    def pairs(self, venue: str) -> list[tuple[tuple[str, str], str]]:
        """Markets of an exchange as ((base, quote), state): coins, pegged ones, other quotes, and a closed one."""
        traded = [((each.symbol[:-4], "USD"), "online") for each in self.coins(venue)]
        pegged = [((base, "USD"), "online") for base in PEGGED]
        other = [(("ETH", "BTC"), "online"), (("BTC", "EUR"), "online"), (("GONE", "USD"), "delisted")]
        return [*traded, *pegged, *other]


def subject(request: Request) -> str | None:
    """Name of the coin whose candles are requested; None for lists."""
    venue, query = HOSTS[request.host], request.query
    if venue == "coinbaseexchange":
        return request.path.split("/")[2] if request.path.endswith("/candles") else None
    name = query.get("pair") if venue == "kraken" else query.get("symbol")
    if name is None:
        return None
    known = {pair: base for base, (_, pair) in _KRAKEN.items()}
    return f"{known.get(name) or name.removesuffix('USD')}-USD"


def candles(world: World, coin: Instrument, venue: str, step: int) -> np.ndarray:
    """Rows of (start in unix seconds, open, high, low, close, volume), oldest first; the last one is still running.

    Days without a trade have no candle, as at the real exchanges.
    """
    times, prices, volume = world.bars_since_birth(coin, step)
    now = int(world.now.timestamp())
    n = int(np.searchsorted(times, now, side="right"))
    shift, decimals = 1 + 1e-4 * VENUES.index(venue), _DECIMALS[venue]
    rows = np.column_stack([times[:n], np.round(prices[:, :n] * shift, decimals).T, np.round(volume[:n] / 1000, 4)])
    rows[-1, 5] = round(rows[-1, 5] / 3, 4)
    idle = stream(world.seed, coin.symbol, venue, "idle").random(len(times))[:n] < 0.001
    idle[-1] = False
    return rows[~idle]


def _seconds(value: str | None) -> int | None:
    """Unix seconds of an ISO time or a number."""
    if value is None:
        return None
    if value.isdigit():
        return int(value)
    return int(dt.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp())


def _text(value: float) -> str:
    return f"{value:.8f}"


def _kraken(result: dict[str, Any], *errors: str) -> Reply:
    return json({"error": list(errors)} if errors else {"error": [], "result": result})


def _kraken_asset(code: str) -> str:
    return {"USD": "ZUSD", "EUR": "ZEUR"}.get(code) or _KRAKEN.get(code, (code,))[0]


def _kraken_pair(pair: tuple[str, str]) -> str:
    base, quote = pair
    return _KRAKEN[base][1] if base in _KRAKEN and quote == "USD" else base + quote


def _kraken_market(key: str, pair: tuple[str, str], state: str) -> dict[str, Any]:
    base, quote = pair
    return {
        "altname": base + quote, "wsname": f"{base}/{quote}", "aclass_base": "currency", "base": _kraken_asset(base),
        "aclass_quote": "currency", "quote": _kraken_asset(quote), "lot": "unit", "pair_decimals": 4,
        "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [], "leverage_sell": [], "fees": [[0, 0.26]],
        "fees_maker": [[0, 0.16]], "fee_volume_currency": "ZUSD", "ordermin": "0.0001", "costmin": "0.5",
        "tick_size": "0.0001", "status": "online" if state == "online" else "cancel_only",
    }  # fmt: skip


def _coinbase_product(pair: tuple[str, str], state: str) -> dict[str, Any]:
    base, quote = pair
    return {
        "id": f"{base}-{quote}", "base_currency": base, "quote_currency": quote, "quote_increment": "0.01",
        "base_increment": "0.00000001", "display_name": f"{base}/{quote}", "min_market_funds": "1",
        "margin_enabled": False, "fx_stablecoin": False, "post_only": False, "limit_only": False,
        "cancel_only": False, "trading_disabled": state != "online", "status": state, "status_message": "",
        "auction_mode": False,
    }  # fmt: skip


def _binance_market(pair: tuple[str, str], state: str) -> dict[str, Any]:
    base, quote = pair
    return {
        "symbol": base + quote, "status": "TRADING" if state == "online" else "BREAK", "baseAsset": base,
        "baseAssetPrecision": 8, "quoteAsset": quote, "quotePrecision": 4, "quoteAssetPrecision": 4,
        "orderTypes": ["LIMIT", "MARKET"], "icebergAllowed": True, "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False, "permissions": ["SPOT"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.0001", "maxPrice": "1000000", "tickSize": "0.0001"},
            {"filterType": "LOT_SIZE", "minQty": "0.0001", "maxQty": "9000", "stepSize": "0.0001"},
        ],
    }  # fmt: skip
