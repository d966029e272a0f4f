"""A site on 127.0.0.1 whose answers a test decides, and which misbehaves on the wire if it has to."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.fetching.provider import Stopped
from src.research.http_client import HttpClient
from src.research.source import Page
from tests.loopback.politeness import Watch
from tests.loopback.server import closed, read, render, reset
from tests.loopback.wire import Reply, Request
from tests.process_case import HANG

Answer = Callable[[Request], Reply]
SOON = {"timeout": 0.3}
"""For answers that never come."""
XML = "application/xml; charset=utf-8"


class Site:
    """A plain HTTP server in a thread of its own.

    Parameters
    ----------
    answer
        From a request to what is sent.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer, self.watch = answer, Watch()
        self.requests: list[Request] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        """What was asked, in order."""
        return [each.path for each in self.requests]

    @contextmanager
    def running(self) -> Iterator[Site]:
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        assert self._up.wait(HANG)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(HANG)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.port = int(server.sockets[0].getsockname()[1])
        self._up.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            while (request := await read("", reader)) is not None:
                self.requests.append(request)
                self.watch.arrived("site")
                reply = self.answer(request)
                self.watch.answered("site", reply.status, reply.headers.get("Retry-After"))
                if reply.stall:
                    await reader.read(1)
                    break
                if reply.reset:
                    await reset(writer, render(reply))
                    return
                writer.write(render(reply))
                await writer.drain()
                if reply.sent is not None:
                    break
        await closed(writer)


@contextmanager
def site(answer: Answer) -> Iterator[Site]:
    with Site(answer).running() as made:
        yield made


def always(reply: Reply) -> Answer:
    return lambda _request: reply


class Doorman:
    """A gate that lets everything through and counts."""

    def __init__(self) -> None:
        self.entered, self.good, self.named = 0, 0, list[float | None]()
        self.shut = False

    def enter(self) -> None:
        if self.shut:
            raise Stopped("the run is ending")
        self.entered += 1

    def answered(self) -> None:
        self.good += 1

    def refused(self, retry_after: float | None) -> None:
        self.named.append(retry_after)


def patient(**changes) -> LiveSource:
    """Settings of a client that waits for an answer as long as a busy machine takes, unless it never comes."""
    return LiveSource(**({"timeout": HANG, "contact": "ann@example.org"} | changes))


def client(gate: Doorman | None = None, **changes) -> HttpClient:
    return HttpClient(ResearchConfig(), patient(**changes), gate or Doorman())


def page(url: str, headers: dict[str, str] | None = None, **context) -> Page:
    return Page("news", "unit", url, context=context, headers=headers or {})
