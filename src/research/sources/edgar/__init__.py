"""Filings at the SEC's EDGAR: indexes, insiders' forms, 8-K, 10-K and 10-Q, submissions, facts, insider sets.

The rate stands below the SEC's limit of ten requests a second for all its hosts together. What is final is asked once:
a filing, a past day's index (read a second time three days later, when corrections are in), a past quarter's set.
"""

from __future__ import annotations

from src.research.source import ResearchSource
from src.research.sources.edgar.client import EdgarClient
from src.research.sources.edgar.edgar import EdgarSource, hosts, missing
from src.research.sources.edgar.state import NAME

_SOURCE = EdgarSource()
RESEARCH = ResearchSource(
    NAME, _SOURCE.pages, _SOURCE.read, EdgarClient, rate=8.0, ceiling=9.0, hosts=hosts, missing=missing
)
