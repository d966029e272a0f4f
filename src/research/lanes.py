"""The lanes in which pages are asked: one for each source, or for each host of a source, with its gate and client."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from src.config.commands import command
from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.fetching.fetch_task import FetchTask
from src.fetching.network_watch import NetworkWatch
from src.fetching.rate_gate import RateGate, pauses
from src.research.http_client import HttpClient
from src.research.source import Page, Reply, ResearchClient, ResearchSource

log = logging.getLogger(__name__)


class NoNetwork(Exception):
    """No host was ever reached in this run."""


class Lanes:
    """Gates and clients of the sources that are asked over the network.

    Parameters
    ----------
    settings : ResearchConfig
    live : LiveSource
        Rates by source, pauses, proxy.
    watch : NetworkWatch or None
        Hears of every request; None makes one with the machine's clock.
    """

    def __init__(self, settings: ResearchConfig, live: LiveSource, watch: NetworkWatch | None = None) -> None:
        self.watch = watch or NetworkWatch()
        self.gates: dict[str, RateGate] = {}
        self.absent = ""  # why the run ended without a network
        self._settings, self._live = settings, live
        self._clients: dict[str, ResearchClient] = {}
        self._said: set[str] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def closing(self) -> Iterator[None]:
        """Close all clients at the end of the block."""
        try:
            yield
        finally:
            for client in self._clients.values():
                client.close()

    def task(self, source: ResearchSource, page: Page) -> FetchTask[Page]:
        """Put a page into its lane, which is opened if it is the first.

        Parameters
        ----------
        source : ResearchSource
        page : Page
            Of this source.

        Raises
        ------
        ConfigError
            If the source's client can't be made.
        """
        name = lane(source, page)
        if name not in self.gates:
            rate = self._live.rates.get(source.name, source.rate)
            ceiling = self._live.ceilings.get(source.name, source.ceiling or rate)
            gate = RateGate(name, self._live, rate=rate, ceiling=ceiling)
            self._clients[name] = (source.connect or HttpClient)(self._settings, self._live, gate)
            self.gates[name] = gate
            self.watch.expect(name)
        return FetchTask(name, page, page.order)

    def fetch(self, task: FetchTask[Page]) -> Reply:
        """Ask for a page; runs in the pool's threads.

        Raises
        ------
        ProviderError
            If there is no usable answer.
        """
        with self.watch.asking(task.provider):
            return self._clients[task.provider].fetch(task.request)

    def look(self) -> str:
        """Look whether the network is there, and give up a lane that alone can't be reached.

        Returns
        -------
        str
            Why nothing happens at present, for the progress line; empty if there is no reason.

        Raises
        ------
        NoNetwork
            If no host was reached since the run began.
        """
        self.absent = self.watch.never_there()
        if self.absent:
            raise NoNetwork(self.absent)
        for name, reason in self.watch.blocked().items():
            if name not in self._said:
                self._said.add(name)
                log.warning("%s; the others go on", reason)
            if not self.watch.reached(name):  # a later run asks again: that costs less than to wait here
                self.gates[name].give_up(reason)
        return self.watch.described() or pauses(self.gates.values())


def lane(source: ResearchSource, page: Page) -> str:
    """Name of the lane of a page.

    Parameters
    ----------
    source : ResearchSource
    page : Page
    """
    host = urlsplit(page.url).hostname if source.by_host else None
    return f"{source.name} {host}" if host else source.name


def doctor_hint(sources: list[str]) -> str:
    """Say which command looks at each host of some sources.

    Parameters
    ----------
    sources : list of str
    """
    names = ",".join(sources)
    return f"`{command('doctor', f'research={names}')}` looks at each host"
