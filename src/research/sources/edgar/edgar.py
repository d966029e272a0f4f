"""The source: it plans the pages of a run, reads what comes, and remembers in between what is yet to be read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.research.source import CollectContext, Harvest, Page, Reply
from src.research.sources.edgar.companies import read_table
from src.research.sources.edgar.company_reading import read_bulk, read_facts, read_set, read_submissions, read_tickers
from src.research.sources.edgar.filing_reading import read_document_reply, read_header_reply, read_whole_page
from src.research.sources.edgar.index_reading import read_index_page
from src.research.sources.edgar.pages import pages_of, tickers_page
from src.research.sources.edgar.state import EdgarRun

_Reader = Callable[[Page, Reply, CollectContext, EdgarRun], Harvest]
_READERS: dict[str, _Reader] = {
    "tickers": read_tickers,
    "day": read_index_page,
    "quarter": read_index_page,
    "set": read_set,
    "submissions": read_submissions,
    "facts": read_facts,
    "bulk": read_bulk,
    "whole": read_whole_page,
    "header": read_header_reply,
    "document": read_document_reply,
}


class EdgarSource:
    """Plans and reads, one run after the other."""

    def __init__(self) -> None:
        self._run = EdgarRun()
        self._began: dt.datetime | None = None

    def pages(self, context: CollectContext) -> Iterator[Page]:
        """The pages of a run; of the first run the table of tickers alone, whose reading makes the others due.

        Parameters
        ----------
        context : CollectContext
        """
        self._run, self._began = EdgarRun(), context.now
        yield tickers_page(context)
        if stored := context.latest("tickers"):
            yield from pages_of(context, read_table(stored[-1][1]), self._run)[1]

    def read(self, page: Page, reply: Reply, context: CollectContext) -> Harvest:
        """Read a reply.

        Parameters
        ----------
        page : Page
        reply : Reply
        context : CollectContext

        Raises
        ------
        Malformed
            If it is of an unexpected form.
        """
        if self._began != context.now:
            for _ in self.pages(context):
                pass
        return _READERS[page.context["what"]](page, reply, context, self._run)


def hosts(settings: ResearchConfig) -> tuple[str, ...]:
    """Hosts that are asked.

    Parameters
    ----------
    settings : ResearchConfig
    """
    from urllib.parse import urlsplit

    addresses = (settings.edgar.address, settings.edgar.data_address)
    return tuple(host for address in addresses if (host := urlsplit(address).hostname))


def missing(settings: ResearchConfig, live: LiveSource) -> str:  # noqa: ARG001 (the signature of all sources)
    """What the user has to provide.

    Parameters
    ----------
    settings : ResearchConfig
    live : LiveSource
    """
    if live.contact and "@" in live.contact:
        return ""
    return "the SEC refuses requests without a contact: set source.live.contact=<your e-mail>"
