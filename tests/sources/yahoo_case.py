"""A Yahoo that says word for word what a test tells it to, over TLS behind a proxy, and a gate that takes notes."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from src.config.schema import LiveSource
from src.fetching.provider import BarRequest
from tests.loopback.server import Proxy, certificate
from tests.loopback.wire import HTML, TEXT, Reply, Request, json
from tests.loopback.yahoo import HOSTS
from tests.process_case import HANG

CHART, CRUMB, COOKIE, OPTIONS, SCREENER = "/v8/finance/chart/", "getcrumb", "fc.yahoo.com", "/options/", "/screener"
GOOD_COOKIE = Reply(404, b"", HTML, {"Set-Cookie": "A3=loop; Domain=.yahoo.com; Path=/; Max-Age=9999999; Secure"})
OPEN = int(dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC).timestamp())  # Tuesday, 09:30 in New York
DAY = 86400
START = dt.date(2024, 1, 1)
AAA = BarRequest("stock", "AAA", START)

Said = Reply | Callable[[Request], Reply]


class Script:
    """What is answered to which request, and what was asked."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Reset the script to its first state."""
        self.asked: list[Request] = []
        self.said: dict[str, list[Said]] = {}
        self.usual: dict[str, Said] = {COOKIE: GOOD_COOKIE, CRUMB: Reply(200, b"crumb.1", TEXT)}

    def say(self, where: str, *replies: Said) -> None:
        """Answer requests whose address holds `where` with these, one after the other; the last one goes on."""
        self.said[where] = list(replies)

    def count(self, where: str) -> int:
        """How many requests had `where` in their address."""
        return sum(where in address(request) for request in self.asked)

    def answer(self, request: Request) -> Reply:
        self.asked.append(request)
        for where, replies in self.said.items():
            if where in address(request):
                said = replies.pop(0) if len(replies) > 1 else replies[0]
                return said(request) if callable(said) else said
        for where, said in self.usual.items():
            if where in address(request):
                return said(request) if callable(said) else said
        return Reply(404, b"not in the script", TEXT)


class Notes:
    """A gate that lets every request pass and records each call."""

    def __init__(self) -> None:
        self.entered, self.answers, self.refusals = 0, 0, []
        self.stop: Exception | None = None

    def enter(self) -> None:
        if self.stop:
            raise self.stop
        self.entered += 1

    def answered(self) -> None:
        self.answers += 1

    def refused(self, retry_after: float | None) -> None:
        self.refusals.append(retry_after)


def address(request: Request) -> str:
    return f"{request.host}{request.path}"


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Script, LiveSource]]:
    """The scripted Yahoo on a thread of its own, and the settings that lead to it."""
    script = Script()
    ca, context = certificate(folder, HOSTS)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    proxy = Proxy(HOSTS, context, script.answer)
    port = asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(HANG)
    try:
        yield script, LiveSource(proxy=f"http://127.0.0.1:{port}", ca_file=str(ca), timeout=HANG)
    finally:
        asyncio.run_coroutine_threadsafe(_ended(), loop).result(HANG)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(HANG)
        loop.close()


async def _ended() -> None:
    """End what still serves a connection."""
    serving = asyncio.all_tasks() - {asyncio.current_task()}
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)


def chart(symbol: str = "AAA", closes: tuple[Any, ...] = (10.5, 11.25, 12.0), **meta: Any) -> dict[str, Any]:
    """A sound chart of daily bars from 2 January 2024 on."""
    times = [OPEN + DAY * number for number in range(len(closes))]
    quote = {
        "open": list(closes), "high": list(closes), "low": list(closes), "close": list(closes),
        "volume": [1000 + number for number in range(len(closes))],
    }  # fmt: skip
    about = {
        "currency": "USD", "symbol": symbol, "instrumentType": "EQUITY", "fullExchangeName": "NYSE",
        "longName": f"{symbol} Inc.", "exchangeTimezoneName": "America/New_York", "timezone": "EST",
        "gmtoffset": -18000, "regularMarketTime": times[-1] + 23400, "dataGranularity": "1d", "validRanges": ["max"],
        "firstTradeDate": OPEN, "priceHint": 2,
    }  # fmt: skip
    result = {
        "meta": about | meta,
        "timestamp": times,
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": list(closes)}]},
    }
    return {"chart": {"result": [result], "error": None}}


def spoiled(change: Callable[[dict[str, Any]], Any], **meta: Any) -> Reply:
    """A chart whose result was changed by `change`."""
    body = copy.deepcopy(chart(**meta))
    change(body["chart"]["result"][0])
    return json(body)


def complaint(status: int, code: str, description: str, root: str = "chart") -> Reply:
    """An answer in which Yahoo says what went wrong."""
    return json({root: {"result": None, "error": {"code": code, "description": description}}}, status)


def hours(
    moments: list[dt.datetime],
    market: dt.datetime | None = None,
    periods: list[tuple[dt.datetime, dt.datetime]] | None = None,
) -> Reply:
    """An answer with hourly bars that start at these moments (UTC)."""
    times = [int(moment.timestamp()) for moment in moments]

    def change(result: dict[str, Any]) -> None:
        result["timestamp"] = times
        result["meta"] |= {"dataGranularity": "1h", "regularMarketTime": int((market or moments[-1]).timestamp())}
        result["meta"]["tradingPeriods"] = [
            [{"start": int(a.timestamp()), "end": int(b.timestamp()), "timezone": "EST", "gmtoffset": 0}]
            for a, b in periods or []
        ]
        result["indicators"] = {
            "quote": [dict.fromkeys(("open", "high", "low", "close", "volume"), [1.0] * len(times))]
        }

    return spoiled(change)


def at(day: int, hour: int, minute: int = 0) -> dt.datetime:
    """A moment of November 2026, UTC."""
    return dt.datetime(2026, 11, day, hour, minute, tzinfo=dt.UTC)
