"""The client of sources that serve over HTTP: polite, proxied, and never with part of an answer."""

from __future__ import annotations

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.fetching.provider import RequestGate
from src.research.source import Page, Reply


class HttpClient:
    """Sends requests through the gate of a source.

    Parameters
    ----------
    settings : ResearchConfig
    live : LiveSource
        Contact, timeout, proxy and certificates.
    gate : RequestGate
    """

    def __init__(self, settings: ResearchConfig, live: LiveSource, gate: RequestGate) -> None:
        raise NotImplementedError

    def fetch(self, page: Page) -> Reply:
        """Ask for one page; the headers If-None-Match and If-Modified-Since come from ``page.context``."""
        raise NotImplementedError

    def close(self) -> None:
        """Close connections."""
        raise NotImplementedError
