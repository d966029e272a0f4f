"""The invented EDGAR on a port of 127.0.0.1, which notes when what is asked for and can misbehave."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.loopback.edgar import Edgar
from tests.loopback.wire import HTML, Reply

BLOCKED = Reply(
    403, b"<!DOCTYPE html><html><head><title>SEC.gov | Request Rate Threshold Exceeded</title></head><body>"
    b"<h1>Your Request Originates from an Undeclared Automated Tool</h1></body></html>", HTML,
)  # fmt: skip
CLOSED = Reply(200, b"<!DOCTYPE html><html><head><title>SEC.gov | File Unavailable</title></head></html>", HTML)


@dataclass
class EdgarServer:
    """A running server.

    Attributes
    ----------
    edgar : Edgar
        What is served.
    address : str
        ``http://127.0.0.1:...``, for both hosts.
    asked : Counter
        Paths and how often they were answered without a fault.
    arrivals : list of float
        Monotonic seconds.
    agents : set of str
        User-Agents that came.
    faults : deque of Reply or None
        Taken one a request before the world is asked; None is no fault.
    """

    edgar: Edgar
    address: str = ""
    asked: Counter = field(default_factory=Counter)
    arrivals: list[float] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    faults: deque = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, headers: dict[str, str]) -> Reply:
        with self.lock:
            self.arrivals.append(time.monotonic())
            self.agents.add(headers.get("user-agent", ""))
            fault = self.faults.popleft() if self.faults else None
            if fault is not None:
                return fault
            reply = BLOCKED if "@" not in headers.get("user-agent", "") else self.edgar.answer(path, headers)
            self.asked[path] += 1
            return reply

    def fastest(self, window: float) -> int:
        """The most requests in any window of this many seconds."""
        times = sorted(self.arrivals)
        return max((sum(start <= t < start + window for t in times[n:]) for n, start in enumerate(times)), default=0)


@contextmanager
def serving(edgar: Edgar) -> Iterator[EdgarServer]:
    """Serve until the block ends."""
    world = EdgarServer(edgar)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            reply = world.answer(urlsplit(self.path).path, {k.lower(): v for k, v in self.headers.items()})
            self.send_response(reply.status)
            for name, value in {"Content-Type": reply.kind, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body if reply.sent is None else reply.body[: reply.sent])
            if reply.sent is not None:
                self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    world.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
