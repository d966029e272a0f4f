"""The providers of a live hydration: connected when they are first needed, and which of their failures to believe."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from src.config.schema import SourceConfig
from src.fetching.pool import FetchOutcome, FetchTask
from src.fetching.provider import Answer, Provider
from src.fetching.rate_gate import pauses
from src.hydration.live import provider_chain
from src.sources import registry


class Providers:
    """Every provider that the chains name, each behind its gate.

    Parameters
    ----------
    source : SourceConfig
        The chains and the settings of live providers.
    """

    def __init__(self, source: SourceConfig) -> None:
        self.live = source.live
        self.gates = {name: registry.gate(name, self.live) for name in provider_chain.names(source)}
        self._connected: dict[str, Provider] = {}
        self._connecting = threading.Lock()
        self._reached: set[str] = set()  # providers that have answered anything
        self._doubted: dict[str, list[FetchOutcome]] = {}  # outcomes of those that have not

    @contextmanager
    def connected(self, tasks: list[FetchTask]) -> Iterator[None]:
        """Connect the providers of some tasks, and close all providers at the end.

        Parameters
        ----------
        tasks : list of FetchTask
            What is wrong with one of their providers is raised here, not by the first thread that asks it.
        """
        for name in sorted({task.provider for task in tasks}):
            self._provider(name)
        try:
            yield
        finally:
            for provider in self._connected.values():
                provider.close()

    def fetch(self, task: FetchTask) -> Answer:
        """Ask a task's provider; runs in the pool's threads.

        Parameters
        ----------
        task : FetchTask
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
        return self._provider(task.provider).fetch(task.request)

    def believed(self, outcome: FetchOutcome) -> list[FetchOutcome]:
        """Outcomes that say something about their instruments, now that a further one has come.

        Failures of a provider that was never reached say nothing: they are held back until it answers, and stay open
        if it never does. So does what was left when patience ended: neither its bucket nor the panel is complete.

        Parameters
        ----------
        outcome : FetchOutcome
            The latest.

        Returns
        -------
        list of FetchOutcome
            Oldest first.
        """
        name = outcome.task.provider
        if outcome.kind == "stopped":
            return []
        held_back = self._doubted.setdefault(name, [])
        held_back.append(outcome)
        if outcome.kind == "unavailable" and name not in self._reached:
            return []
        self._reached.add(name)
        self._doubted[name] = []
        return held_back

    def pauses(self) -> str:
        """Why nothing happens while providers are left alone for a while; empty if none is."""
        return pauses(self.gates.values())

    def unreached(self) -> list[str]:
        """Why questions stayed open, one message per provider."""
        messages = [gate.gave_up for gate in self.gates.values() if gate.gave_up]
        for name, outcomes in self._doubted.items():
            if outcomes and not self.gates[name].gave_up:
                waiting = f"{len(outcomes):,} instruments wait" if len(outcomes) > 1 else "1 instrument waits"
                messages.append(
                    f"{name} was never reached, {waiting} for it ({outcomes[-1].reason}):"
                    " look at the line, and behind a proxy at HTTPS_PROXY and SSL_CERT_FILE"
                )
        return messages

    def _provider(self, name: str) -> Provider:
        """A provider of the chain, connected when it is first needed: ccxt takes seconds to load."""
        with self._connecting:
            if name not in self._connected:
                self._connected[name] = registry.connect(name, self.live, self.gates[name])
            return self._connected[name]
