"""All providers of the loopback world behind one server, with their faults and a record of requests."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from tests.loopback import directories, exchanges, yahoo
from tests.loopback.faults import Faults
from tests.loopback.politeness import Watch
from tests.loopback.wire import Reply, Request
from tests.loopback.world import World


class Providers:
    """Passes each request to the provider of its host, and applies the planned faults to the answer."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world, self.faults, self.watch = world, faults, Watch()
        self.broken = 0  # requests that this server itself could not answer
        stocks, lists, coins = yahoo.Yahoo(world, faults), directories.Directories(world), exchanges.Exchanges(world)
        self.hosts: dict[str, tuple[str, Callable[[Request], Reply], Callable[[Request], str | None]]] = {}
        self.hosts |= {host: ("yahoo", stocks.answer, yahoo.subject) for host in yahoo.HOSTS}
        self.hosts |= {host: (host, lists.answer, lambda _: None) for host in directories.HOSTS}
        self.hosts |= {host: (venue, coins.answer, exchanges.subject) for host, venue in exchanges.HOSTS.items()}

    def answer(self, request: Request) -> Reply:
        """The provider's reply, with a fault if the plan has one."""
        provider, answer, subject = self.hosts[request.host]
        reply = self.faults.storm(provider, self.watch.arrived(provider))
        if reply is None:
            try:
                reply = self.faults.spoiled(provider, subject(request), answer(request))
            except Exception:  # noqa: BLE001 (a fault of this server must be seen as such, not as a reset)
                self.broken += 1
                sys.stderr.write(traceback.format_exc())
                reply = Reply(500, b"the loopback server itself failed")
        self.watch.answered(provider, reply.status, reply.headers.get("Retry-After"))
        return reply
