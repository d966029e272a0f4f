"""A client that looks at an answer before it counts as one, so that a page which is not whole is asked again."""

from __future__ import annotations

from collections.abc import Callable

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.fetching.provider import RequestGate
from src.research.http_client import HttpClient
from src.research.source import Connect, Page, Reply

Check = Callable[[Page, Reply], object]


class CheckedClient(HttpClient):
    """An `HttpClient` whose answers a source checks in the thread that asked.

    Parameters
    ----------
    settings : ResearchConfig
    live : LiveSource
    gate : RequestGate
    check : callable
        ``check(page, reply)`` raises `Malformed` for an answer that another try may improve.
    """

    def __init__(self, settings: ResearchConfig, live: LiveSource, gate: RequestGate, check: Check) -> None:
        super().__init__(settings, live, gate)
        self._check = check

    def fetch(self, page: Page) -> Reply:
        """Ask for one page, as `HttpClient.fetch`.

        Raises
        ------
        Malformed
            If the check finds a fault.
        """
        reply = super().fetch(page)
        if not reply.missing and not reply.unchanged:
            self._check(page, reply)
        return reply


def checked(check: Check) -> Connect:
    """Make the ``connect`` of a source whose answers are checked.

    Parameters
    ----------
    check : callable
        As of `CheckedClient`.
    """
    return lambda settings, live, gate: CheckedClient(settings, live, gate, check)
