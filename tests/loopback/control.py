"""Endpoints by which a test controls the world: clock, events, faults and counts, on plain HTTP at 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from typing import Any

import orjson

from tests.loopback.providers import Providers
from tests.loopback.server import closed, read, render
from tests.loopback.wire import Request, json
from tests.loopback.world import Operation


class Control:
    """Answers ``/control/...``; times in queries are ISO, in UTC."""

    def __init__(self, providers: Providers) -> None:
        self.providers = providers

    async def start(self) -> int:
        """Listen on a free port of 127.0.0.1 and return it."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    def answer(self, request: Request) -> Any:
        """Do what a request to an endpoint asks for; the answer is written as JSON."""
        world, faults, watch = self.providers.world, self.providers.faults, self.providers.watch
        verb, query = request.path.rsplit("/", 1)[-1], request.query
        if verb == "counts":
            return {"providers": watch.counts(), "broken": self.providers.broken, "faults": dict(faults.played)}
        if verb == "politeness":
            return watch.verdict(query["provider"])
        if verb == "asked":
            return {f"{provider} {name}": n for (provider, name), n in faults.asked.items()}
        if verb == "now":
            world.now = dt.datetime.fromisoformat(query["at"]).replace(tzinfo=dt.UTC)
        elif verb == "faults":
            faults.on = query["on"] == "1"
        elif verb == "apply":
            world.apply(operation(orjson.loads(request.body)))
        elif verb == "forget":
            watch.visits.clear()
            faults.forget()
        else:
            raise KeyError(f"no string {verb}: counts, politeness, asked, now, faults, apply or forget")
        return {"now": world.now.isoformat(), "faults": faults.on}

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while (request := await read("control", reader)) is not None:
                try:
                    reply = json(self.answer(request))
                except (KeyError, ValueError) as error:
                    reply = json({"error": str(error)}, 400)
                writer.write(render(reply))
                await writer.drain()
        await closed(writer)


def operation(tree: dict[str, Any]) -> Operation:
    """An operation from its JSON form, in which dates are text."""
    dates = {key: dt.date.fromisoformat(tree[key]) for key in ("day", "until") if tree.get(key)}
    return Operation(**(tree | dates))
