"""All providers of the loopback world behind one door."""

from __future__ import annotations

from tests.loopback import directories, exchanges, yahoo
from tests.loopback.wire import Reply, Request
from tests.loopback.world import World


class Providers:
    """Hands each request to the provider whose host was asked."""

    def __init__(self, world: World) -> None:
        answers = (
            (yahoo.HOSTS, yahoo.Yahoo(world).answer),
            (directories.HOSTS, directories.Directories(world).answer),
            (exchanges.HOSTS, exchanges.Exchanges(world).answer),
        )
        self.hosts = {host: answer for names, answer in answers for host in names}

    def answer(self, request: Request) -> Reply:
        """The reply of the provider."""
        return self.hosts[request.host](request)
