"""The providers of a live hydration: connected when they are first needed, and which of their failures to believe."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from src.config.schema import SourceConfig
from src.fetching.fetch_task import BarOutcome, BarTask
from src.fetching.network_watch import ABSENT_SECONDS, NetworkWatch, doctor_hint
from src.fetching.provider import Answer, Provider
from src.fetching.rate_gate import pauses
from src.hydration.live import provider_chain
from src.sources import registry

log = logging.getLogger(__name__)


class Offline(Exception):
    """No provider was ever reached in this run: the network is not there."""


class Providers:
    """Every provider that the chains name, each behind its gate.

    Parameters
    ----------
    source : SourceConfig
        The chains and the settings of live providers.
    watch : NetworkWatch or None
        Hears of every request; None makes one with the machine's clock.
    """

    def __init__(self, source: SourceConfig, watch: NetworkWatch | None = None) -> None:
        self.watch = watch or NetworkWatch()
        self._kind = source.kind
        self._absent = ""  # why the run ended without a network
        self._said: set[str] = set()  # providers whose block was said, and whether an absence was
        self.live = source.live
        self.gates = {name: registry.gate(name, self.live) for name in provider_chain.names(source)}
        self._connected: dict[str, Provider] = {}
        self._connecting = threading.Lock()
        self._reached: set[str] = set()  # providers that have answered anything
        self._doubted: dict[str, list[BarOutcome]] = {}  # outcomes of those that have not

    @contextmanager
    def connected(self, tasks: list[BarTask]) -> Iterator[None]:
        """Connect the providers of some tasks, and close all providers at the end.

        Parameters
        ----------
        tasks : list of BarTask
            What is wrong with one of their providers is raised here, not by the first thread that asks it.
        """
        for name in sorted({task.provider for task in tasks}):
            self.watch.expect(name)
            self._provider(name)
        try:
            yield
        finally:
            for provider in self._connected.values():
                provider.close()

    def fetch(self, task: BarTask) -> Answer:
        """Ask a task's provider; runs in the pool's threads.

        Parameters
        ----------
        task : BarTask
            The question.

        Returns
        -------
        Answer
            Bars and events as served.

        Raises
        ------
        ProviderError
            If there is no answer.
        """
        provider = self._provider(task.provider)
        with self.watch.asking(task.provider):
            return provider.fetch(task.request)

    def believed(self, outcome: BarOutcome) -> list[BarOutcome]:
        """Outcomes that say something about their instruments, now that a further one has come.

        Failures of a provider that was never reached say nothing: they are held back until it answers, and stay open
        if it never does. So does what was left when patience ended: neither its bucket nor the panel is complete.

        Parameters
        ----------
        outcome : BarOutcome
            The latest.

        Returns
        -------
        list of BarOutcome
            Oldest first.
        """
        name = outcome.task.provider
        if outcome.kind == "stopped":
            return []
        held_back = self._doubted.setdefault(name, [])
        held_back.append(outcome)
        unheard = outcome.kind == "unavailable" or (outcome.kind == "malformed" and not self.watch.reached(name))
        if unheard and name not in self._reached:
            return []
        self._reached.add(name)
        self._doubted[name] = []
        return held_back

    def look(self) -> str:
        """Look whether the network is there, say once if not, and give up what can't be reached.

        Returns
        -------
        str
            Why nothing happens at present, for the progress line: the network is absent, or providers are left alone
            for a while. Empty if neither.

        Raises
        ------
        Offline
            If no provider was reached since the run began.
        """
        self._absent = self.watch.never_there()
        if self._absent:
            raise Offline
        self._say_absence()
        for name, reason in self.watch.blocked().items():
            self._say(name, f"{reason}; the others go on")
            if self.watch.hopeless(name):
                self.gates[name].give_up(reason)
        return self.watch.described() or pauses(self.gates.values())

    def _say_absence(self) -> None:
        described = self.watch.described()
        hours = f"{self.live.patience_hours:g} hours (source.live.patience_hours)"
        if described and self.watch.reached():
            self._say(
                "", f"{described}: tried again every {self.live.pause:.0f} s for at most {hours}, nothing is lost"
            )
        elif described:
            self._say("", f"{described}: given up {ABSENT_SECONDS:.0f} s after the first request")
        elif "" in self._said:
            self._said.remove("")
            log.warning("the network is back: going on")

    def _say(self, what: str, line: str) -> None:
        if what not in self._said:
            self._said.add(what)
            log.warning("%s", line)

    def unreached(self) -> list[str]:
        """Why questions stayed open, one message per provider."""
        doctor = doctor_hint(self._kind)
        if self._absent:
            return [f"{self._absent}; {doctor}"]
        messages = [gate.gave_up for gate in self.gates.values() if gate.gave_up]
        for name, outcomes in self._doubted.items():
            if outcomes and not self.gates[name].gave_up:
                waiting = f"{len(outcomes):,} instruments wait" if len(outcomes) > 1 else "1 instrument waits"
                messages.append(
                    f"{name} was never reached, {waiting} for it ({outcomes[-1].reason}):"
                    " look at the line, and behind a proxy at HTTPS_PROXY and SSL_CERT_FILE"
                )
        return [*messages[:-1], f"{messages[-1]}; {doctor}"] if messages else []

    def _provider(self, name: str) -> Provider:
        """A provider of the chain, connected when it is first needed: ccxt takes seconds to load."""
        with self._connecting:
            if name not in self._connected:
                self._connected[name] = registry.connect(name, self.live, self.gates[name])
            return self._connected[name]
