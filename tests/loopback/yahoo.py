"""Yahoo's formats: cookie, crumb and chart; `tests.loopback.options` has chains and the screener."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from tests.loopback import options
from tests.loopback.faults import Faults
from tests.loopback.names import Instrument
from tests.loopback.wire import HTML, TEXT, Reply, Request, json
from tests.loopback.world import CLOSES, NEW_YORK, Series, World, calendar_of, ratio, starts

HOSTS = (
    "fc.yahoo.com", "query1.finance.yahoo.com", "query2.finance.yahoo.com", "finance.yahoo.com", "guce.yahoo.com",
    "consent.yahoo.com",
)  # fmt: skip
CRUMB = "lOoPbAcK.crumb"
RANGES = ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"]
_CONSENT = b"""<html><body><form action="https://consent.yahoo.com/v2/collectConsent" method="post">
<input type="hidden" name="csrfToken" value="token"><input type="hidden" name="sessionId" value="3_cc-session_loop">
<button name="agree" value="agree">Accept all</button></form></body></html>"""
_TYPES = {"stock": "EQUITY", "etf": "ETF", "crypto": "CRYPTOCURRENCY"}


class Yahoo:
    """Answers what a client asks of Yahoo's hosts."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world, self.faults, self.screener = world, faults, options.Screener(world)

    def answer(self, request: Request) -> Reply:
        """The reply without any fault."""
        path = request.path
        if request.host == "fc.yahoo.com":
            cookie = "A3=d=AQABBLoop&S=AQAAAloop; Expires=Sat, 31 Dec 2033 23:59:59 GMT; Max-Age=220000000; "
            return Reply(404, b"", HTML, {"Set-Cookie": f"{cookie}Domain=.yahoo.com; Path=/; SameSite=None; Secure"})
        if request.host in ("guce.yahoo.com", "consent.yahoo.com", "finance.yahoo.com"):
            return Reply(200, _CONSENT, HTML)
        if path.endswith("/v1/test/getcrumb"):
            return Reply(200, CRUMB.encode(), TEXT)
        if path.startswith("/v8/finance/chart/"):
            return self.chart(request, path.rsplit("/", 1)[1])
        return self.guarded(request)

    def guarded(self, request: Request) -> Reply:
        """What is given to those alone who bring the crumb: chains and the screener."""
        path = request.path
        if request.query.get("crumb") != CRUMB:
            error = {"code": "Unauthorized", "description": "Invalid Crumb"}
            return json({"finance": {"result": None, "error": error}}, 401)
        if path.startswith("/v7/finance/options/"):
            instrument = self.world.find(path.rsplit("/", 1)[1])
            empty = json({"optionChain": {"result": [], "error": None}})
            return empty if instrument is None else options.chain(self.world, instrument, request.query)
        if path.startswith("/v1/finance/screener"):
            return self.screener.answer(request)
        return json({"finance": {"result": None, "error": {"code": "Not Found", "description": "no such path"}}}, 404)

    def chart(self, request: Request, name: str) -> Reply:
        """Bars and events of one name between two moments."""
        instrument = self.world.find(name)
        if instrument is None:
            return refused(404, "Not Found", "No data found, symbol may be delisted")
        interval = request.query.get("interval", "1d")
        now = int(self.world.now.timestamp())
        begin = int(request.query.get("period1", now - 86400 * 5))
        end = int(request.query.get("period2", now))
        if interval not in ("1d", "1h", "60m"):
            return refused(422, "Unprocessable Entity", f"Invalid input - interval={interval} is not supported")
        if interval != "1d" and begin < now - 730 * 86400:
            words = f"{interval} data not available for startTime={begin} and endTime={end}. "
            words += "The requested range must be within the last 730 days."
            return refused(422, "Unprocessable Entity", words)
        series = self.faults.series(instrument.yahoo, self.world.series(instrument))
        times = stamps(instrument, series)
        if not len(times) or begin > max(end, times[-1] + 86400):
            words = f"Data doesn't exist for startDate = {begin}, endDate = {end}"
            return refused(400, "Bad Request", words)
        tree = body(self.world, instrument, name, series, times, (begin, end))
        if interval == "1d" and self.world.running(instrument.asset_class) and end > times[-1]:
            add_running(tree, now)
        if interval != "1d":
            intraday(tree, interval, *self.world.hourly(instrument), window=(begin, end))
        return json(tree)


def subject(request: Request) -> str | None:
    """Whose chart is asked, if any."""
    return request.path.rsplit("/", 1)[1] if request.path.startswith("/v8/finance/chart/") else None


def refused(status: int, code: str, description: str) -> Reply:
    """A chart that Yahoo declines to draw, with its reason."""
    return json({"chart": {"result": None, "error": {"code": code, "description": description}}}, status)


def stamps(instrument: Instrument, series: Series) -> np.ndarray:
    """Unix seconds at which the bars of a series start."""
    return starts(instrument.asset_class)[np.searchsorted(calendar_of(instrument), series.days)]


def body(
    world: World, instrument: Instrument, name: str, series: Series, times: np.ndarray, window: tuple[int, int]
) -> dict[str, Any]:
    """The chart as a tree that can be spoiled before it is sent."""
    chosen = (times >= window[0]) & (times < window[1])
    quote: dict[str, Any] = {key: numbers(getattr(series, key)[chosen]) for key in ("open", "high", "low", "close")}
    quote["volume"] = numbers(series.volume[chosen])
    result: dict[str, Any] = {
        "meta": meta(world, instrument, name, series, times),
        "timestamp": times[chosen],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": numbers(series.adj_close[chosen])}]},
    }
    events = _events(instrument, series, window)
    if events:
        result["events"] = events
    return {"chart": {"result": [result], "error": None}}


def add_running(tree: dict[str, Any], now: int) -> None:
    """Append the bar of the session that runs, stamped with the moment of the last quote."""
    result = tree["chart"]["result"][0]
    quote, adjusted = result["indicators"]["quote"][0], result["indicators"]["adjclose"][0]
    result["timestamp"] = np.append(result["timestamp"], now)
    result["meta"]["regularMarketTime"] = now
    price = result["meta"]["regularMarketPrice"]
    for key, value in {
        "open": price,
        "high": price * 1.01,
        "low": price * 0.99,
        "close": price,
        "volume": 1000,
    }.items():
        quote[key] = [*quote[key], value]
    adjusted["adjclose"] = [*adjusted["adjclose"], price]


def numbers(values: np.ndarray) -> Any:
    """Numbers as Yahoo's serializer writes them: null for NaN, and an infinity as text."""
    if np.isinf(values).any():
        return ["Infinity" if np.isposinf(v) else v for v in values.tolist()]
    whole = np.isfinite(values).all() and (values == np.floor(values)).all()
    return values.astype(np.int64) if whole else values


def intraday(tree: dict[str, Any], interval: str, times: np.ndarray, rows: np.ndarray, window: tuple[int, int]) -> None:
    """Put hourly bars in place of daily ones: no adjusted closes, and the trading periods of each day."""
    chosen = (times >= window[0]) & (times < window[1])
    result = tree["chart"]["result"][0]
    quote = dict(zip(("open", "high", "low", "close"), rows[:4, chosen], strict=True))
    result["timestamp"], result["indicators"] = (
        times[chosen],
        {"quote": [quote | {"volume": rows[4, chosen].astype(int)}]},
    )
    first = times[chosen][:: 24 if result["meta"]["timezone"] == "UTC" else 7].tolist()
    day = {key: result["meta"][key] for key in ("timezone", "gmtoffset")}
    length = 86400 if day["timezone"] == "UTC" else 23400
    result["meta"]["tradingPeriods"] = [[{**day, "start": each, "end": each + length}] for each in first]
    result["meta"]["dataGranularity"] = interval


def meta(world: World, instrument: Instrument, name: str, series: Series, times: np.ndarray) -> dict[str, Any]:
    """What Yahoo says of an instrument beside its bars."""
    coin = instrument.asset_class == "crypto"
    zone, short = ("UTC", "UTC") if coin else ("America/New_York", "EST")
    day = series.days[-1].item()
    close = dt.datetime.combine(day, CLOSES, NEW_YORK)
    shift = 0 if coin else int(close.utcoffset().total_seconds())
    period = {"timezone": short, "start": int(times[-1]), "end": int(times[-1]) + 23400, "gmtoffset": shift}
    return {
        "currency": "USD",
        "symbol": name,
        "exchangeName": "CCC"
        if coin
        else {"Q": "NMS", "N": "NYQ", "A": "ASE", "P": "PCX"}.get(instrument.exchange, "BTS"),
        "fullExchangeName": "CCC" if coin else "NasdaqGS",
        "instrumentType": _TYPES[instrument.asset_class],
        "firstTradeDate": int(times[0]),
        "regularMarketTime": int(world.now.timestamp()) if coin else int(close.timestamp()),
        "hasPrePostMarketData": not coin,
        "gmtoffset": shift,
        "timezone": short,
        "exchangeTimezoneName": zone,
        "regularMarketPrice": float(series.close[-1]),
        "longName": instrument.title,
        "shortName": instrument.title[:30],
        "chartPreviousClose": float(series.close[-1]),
        "priceHint": 2,
        "currentTradingPeriod": {which: dict(period) for which in ("pre", "regular", "post")},
        "dataGranularity": "1d",
        "range": "",
        "validRanges": RANGES,
    }


def _events(instrument: Instrument, series: Series, window: tuple[int, int]) -> dict[str, Any]:
    calendar, seconds = calendar_of(instrument), starts(instrument.asset_class)
    found: dict[str, Any] = {}
    for each in series.events:
        at = int(seconds[np.searchsorted(calendar, each.day)])
        if not window[0] <= at < window[1]:
            continue
        if each.kind == "split":
            parts = ratio(each.value)
            new, old = parts.numerator, parts.denominator
            entry = {"date": at, "numerator": float(new), "denominator": float(old), "splitRatio": f"{new}:{old}"}
        else:
            entry = {"amount": each.value, "date": at}
        kind = {"split": "splits", "dividend": "dividends", "capital_gain": "capitalGains"}[each.kind]
        found.setdefault(kind, {})[str(at)] = entry
    return found
