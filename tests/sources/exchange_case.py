"""Three exchanges on loopback that speak Coinbase Exchange's, Kraken's and Binance.US's public formats."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

DAY = 86_400
NOW = dt.datetime(2025, 3, 10, 15, 30, tzinfo=dt.UTC)
KINDS = ("coinbaseexchange", "kraken", "binanceus")
Row = tuple[int, float, float, float, float, float]  # seconds, open, high, low, close, volume


def series(first: dt.date, step: int = DAY, holes: frozenset[int] = frozenset()) -> list[Row]:
    """Bars from `first` to the one that is running at `NOW`, without those whose number is in `holes`."""
    start = int(dt.datetime.combine(first, dt.time(), dt.UTC).timestamp())
    count = (int(NOW.timestamp()) - start) // step + 1
    return [
        (start + k * step, 100 + k * 0.25, 101 + k * 0.25, 99 + k * 0.25, 100.5 + k * 0.25, 10.0 + k % 7)
        for k in range(count)
        if k not in holes
    ]


class World:
    """What the exchange has, and what it answers instead where a test says so."""

    def __init__(self, kind: str, bars: dict[int, list[Row]]) -> None:
        self.kind = kind
        self.bars = bars  # by seconds of a bar
        self.asked: list[str] = []
        self.instead: dict[int, tuple[int, dict[str, str], str]] = {}  # by number of the request

    def answer(self, target: str) -> tuple[int, dict[str, str], str]:
        """Status, headers, body for a request."""
        self.asked.append(target)
        other = self.instead.get(len(self.asked))
        if other is not None:
            return other
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = getattr(self, f"_{self.kind}")(parts.path, query)
        return (200, {}, json.dumps(body)) if body is not None else (404, {}, '{"message":"NotFound"}')

    def _coinbaseexchange(self, path: str, query: dict[str, str]):
        if path == "/products":
            rows = [("BTC-USD", "online"), ("USDT-USD", "online"), ("OLD-USD", "delisted"), ("BTC-EUR", "online")]
            return [{"id": name, "status": status} for name, status in rows]
        start, end = (dt.datetime.fromisoformat(query[name]).timestamp() for name in ("start", "end"))
        step = int(query["granularity"])
        assert (end - start) / step < 300, "more than 300 bars asked"
        rows = [row for row in self.bars[step] if start <= row[0] <= end]
        return [[t, low, high, open_, close, volume] for t, open_, high, low, close, volume in reversed(rows)]

    def _kraken(self, path: str, query: dict[str, str]):
        if path == "/0/public/AssetPairs":
            pairs = {"XXBTZUSD": ("XXBT", "ZUSD", "currency"), "EURZUSD": ("ZEUR", "ZUSD", "currency")}
            pairs |= {"AAPLxUSD": ("AAPLx", "ZUSD", "tokenized_asset"), "XXBTZEUR": ("XXBT", "ZEUR", "currency")}
            made = {
                name: {"altname": name, "base": base, "quote": quote, "aclass_base": kind, "status": "online"}
                for name, (base, quote, kind) in pairs.items()
            }
            return {"error": [], "result": made}
        rows = [row for row in self.bars[int(query["interval"]) * 60][-720:] if row[0] > int(query.get("since", 0))]
        shown = [[t, str(o), str(h), str(low), str(c), "0", str(v), 3] for t, o, h, low, c, v in rows]
        return {"error": [], "result": {query["pair"]: shown, "last": 0}}

    def _binanceus(self, path: str, query: dict[str, str]):
        if path == "/exchangeInfo":
            names = [("BTC", "USD", "TRADING"), ("SOL", "USDT", "TRADING"), ("XYZ", "USD", "BREAK")]
            common = {"isSpotTradingAllowed": True, "permissions": ["SPOT"], "filters": [], "orderTypes": []}
            made = [
                {"symbol": b + q, "baseAsset": b, "quoteAsset": q, "status": status, **common} for b, q, status in names
            ]
            return {"symbols": made}
        step = {"1d": DAY, "1h": 3600}[query["interval"]]
        rows = [row for row in self.bars[step] if row[0] * 1000 >= int(query["startTime"])][: int(query["limit"])]
        return [[t * 1000, str(o), str(h), str(low), str(c), str(v), (t + step) * 1000] for t, o, h, low, c, v in rows]


@contextmanager
def served(world: World) -> Iterator[str]:
    """The world on a port of loopback, and its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = world.answer(self.path)
            content = body.encode()
            self.send_response(status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(content))} | headers
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            if headers.get("Content-Length") != str(len(content)):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
