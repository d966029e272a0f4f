"""Yahoo's option chains and screener, both behind the crumb."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import orjson

from tests.loopback.names import Instrument
from tests.loopback.wire import Reply, Request, json
from tests.loopback.world import CLOSES, NEW_YORK, World, stream

EXPIRIES, STRIKES = 13, 41  # of each chain, twice: calls and puts
RATE = 0.04  # a year, by which the chains are priced
_QUOTE_TYPES = {"EQUITY": "stock", "ETF": "etf"}
_PREDEFINED = {"most_actives": "EQUITY", "most_actives_etfs": "ETF"}


def chain(world: World, instrument: Instrument, query: dict[str, str]) -> Reply:
    """One expiry of a chain: the nearest, or the one of the parameter ``date``."""
    series = world.series(instrument)
    if instrument.asset_class == "crypto" or not len(series.days):
        return json({"optionChain": {"result": [], "error": None}})
    dates = expiries(world)
    wanted = int(query.get("date", dates[0]))
    spot, steps = float(series.close[-1]), strikes(float(series.close[-1]))
    options = [contracts(world, instrument, spot, steps, wanted)] if wanted in dates else []
    return json(
        {
            "optionChain": {
                "result": [
                    {
                        "underlyingSymbol": instrument.yahoo,
                        "expirationDates": dates,
                        "strikes": steps.tolist(),
                        "hasMiniOptions": False,
                        "quote": quote(world, instrument),
                        "options": options,
                    }
                ],
                "error": None,
            }
        }
    )


def expiries(world: World) -> list[int]:
    """Midnights UTC of the coming Fridays as unix seconds."""
    day = world.day("stock")
    friday = day + dt.timedelta(days=(4 - day.weekday()) % 7 or 7)
    midnights = [dt.datetime.combine(friday + dt.timedelta(weeks=i), dt.time(), dt.UTC) for i in range(EXPIRIES)]
    return [int(each.timestamp()) for each in midnights]


def strikes(spot: float) -> np.ndarray:
    """Strikes around the spot, a fiftieth of it apart."""
    step = max(round(spot / 50, 1), 0.1)
    middle = round(spot / step)
    return np.round(step * np.arange(middle - STRIKES // 2, middle + STRIKES // 2 + 1), 2)


def contracts(world: World, instrument: Instrument, spot: float, steps: np.ndarray, expiry: int) -> dict[str, Any]:
    """Calls and puts of one expiry at Black and Scholes' price with a smile; some have an odd quote."""
    closed = int(dt.datetime.combine(world.day("stock"), CLOSES, NEW_YORK).timestamp())
    years = max((expiry + 20 * 3600 - closed) / (365 * 86400), 1e-4)
    volatility = 0.25 + 0.4 * np.log(steps / spot) ** 2
    d1 = (np.log(spot / steps) + (RATE + volatility**2 / 2) * years) / (volatility * np.sqrt(years))
    d2 = d1 - volatility * np.sqrt(years)
    call = spot * _normal(d1) - steps * np.exp(-RATE * years) * _normal(d2)
    made: dict[str, Any] = {"expirationDate": expiry, "hasMiniOptions": False}
    for kind, prices in (("calls", call), ("puts", call - spot + steps * np.exp(-RATE * years))):
        draw = stream(world.seed, instrument.symbol, expiry, kind).random((len(steps), 4))
        rows = zip(steps.tolist(), prices.tolist(), volatility.tolist(), draw.tolist(), strict=True)
        made[kind] = [_contract(instrument, kind[0].upper(), expiry, closed, spot, *row) for row in rows]
    return made


def _normal(values: np.ndarray) -> np.ndarray:
    return np.array([0.5 * (1 + math.erf(each / math.sqrt(2))) for each in values.tolist()])


def _contract(
    instrument: Instrument, letter: str, expiry: int, closed: int, spot: float, strike: float, price: float,
    volatility: float, draw: list[float],
) -> dict[str, Any]:  # fmt: skip
    half = max(0.01 * price, 0.01)
    bid, ask = round(max(price - half, 0.0), 2), round(price + half, 2)
    if draw[0] < 0.02:
        bid, ask = ask, bid  # crossed
    day = dt.datetime.fromtimestamp(expiry, dt.UTC)
    row: dict[str, Any] = {
        "contractSymbol": f"{instrument.yahoo}{day:%y%m%d}{letter}{round(strike * 1000):08d}",
        "strike": strike,
        "currency": "USD",
        "lastPrice": round(price, 2),
        "change": 0.0,
        "percentChange": 0.0,
        "openInterest": int(5000 * draw[1]),
        "bid": bid,
        "ask": ask,
        "contractSize": "REGULAR",
        "expiration": expiry,
        "lastTradeDate": closed - int(draw[2] ** 8 * 40 * 86400),
        "impliedVolatility": volatility
        if draw[3] > 0.05
        else 1.0000000000000003e-05,  # what Yahoo answers if there are none
        "inTheMoney": strike < spot if letter == "C" else strike > spot,
    }
    if draw[1] > 0.1:
        row["volume"] = int(2000 * draw[1])
    return row


def quote(world: World, instrument: Instrument) -> dict[str, Any]:
    """Fields of a symbol in the screener and in the chains."""
    series = world.series(instrument)
    price, volume = float(series.close[-1]), float(np.mean(series.volume[-63:]))
    closed = int(dt.datetime.combine(world.day("stock"), CLOSES, NEW_YORK).timestamp())
    return {
        "symbol": instrument.yahoo,
        "quoteType": {"stock": "EQUITY", "etf": "ETF"}.get(instrument.asset_class, "CRYPTOCURRENCY"),
        "currency": "USD",
        "regularMarketPrice": price,
        "regularMarketTime": closed,
        "regularMarketVolume": int(series.volume[-1]),
        "averageDailyVolume3Month": int(volume),
        "longName": instrument.title,
        "shortName": instrument.title[:30],
        "exchange": "NMS",
        "fullExchangeName": "NasdaqGS",
        "market": "us_market",
        "marketState": "CLOSED",
        "region": "US",
    }


class Screener:
    """Ranks the listed instruments by the field that a client sorts by."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._ranked: dict[tuple[object, ...], list[dict[str, Any]]] = {}

    def answer(self, request: Request) -> Reply:
        """A page of a screen: POST with a query, or one of the predefined ones."""
        if request.method == "POST":
            asked = orjson.loads(request.body)
            size, offset = int(asked.get("size") or 25), int(asked.get("offset") or 0)
            field, kind = asked.get("sortField") or "dayvolume", asked.get("quoteType", "EQUITY")
            descending = asked.get("sortType", "DESC").upper() == "DESC"
        else:
            name = request.query.get("scrIds", "")
            size, offset, kind = int(request.query.get("count", 25)), 0, _PREDEFINED.get(name, "")
            field, descending = "dayvolume", True
        if size > 250:
            words = {"code": "Bad Request", "description": "size must be at most 250"}
            return json({"finance": {"result": None, "error": words}}, 400)
        quotes = self.ranked(kind, field, descending)
        page = {"start": offset, "count": len(quotes[offset : offset + size]), "total": len(quotes)}
        return json({"finance": {"result": [{**page, "quotes": quotes[offset : offset + size]}], "error": None}})

    def ranked(self, kind: str, field: str, descending: bool) -> list[dict[str, Any]]:
        """All names of a type, by volume or by price times volume."""
        asset_class, key = _QUOTE_TYPES.get(kind), (kind, field, descending, self.world.day("stock"))
        if key not in self._ranked:
            listed = [each for each in self.world.instruments.values() if each.asset_class == asset_class]
            quotes = [quote(self.world, each) for each in listed if each.kind in ("common", "adr", "etf")]
            measure = {"dayvolume": "regularMarketVolume", "intradayprice": "regularMarketPrice"}
            by = measure.get(field, "averageDailyVolume3Month")
            self._ranked[key] = sorted(quotes, key=lambda each: (each[by], each["symbol"]), reverse=descending)
        return self._ranked[key]
