"""Filings and news about simulated stocks, in the formats of the real sources, with two effects of known size.

Insiders know something: what an insider buys or sells in the open market is correlated with the stock's own return over
the sixty sessions after the filing (``insiders``). Texts tell something: the tone of an article is correlated with the
return of the next tradable session (``text``). Half of the insiders trade by the calendar and know nothing; annual and
quarterly reports and their figures say nothing. Everything is dated as a real source would date it: an article during
a session, a Form 4 in the evening two sessions after the trade.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource, SourceConfig
from src.core.errors import ConfigError
from src.documents.document import Ask, Document
from src.fetching.provider import RequestGate
from src.research.source import CollectContext, Harvest, Page, Reply, ResearchSource
from src.research.sources.simulated import company, insiders, news, reports
from src.sources import registry, simulated
from src.sources.declaration import Selection

NAME, STREAM = "simulated", "filings"
_TICKERS = "company_tickers_exchange"


class SimulatedClient:
    """Answers without asking anyone: what a page holds is generated when it is read."""

    def __init__(self, settings: ResearchConfig, live: LiveSource, gate: RequestGate) -> None:
        self._arguments = settings, live, gate

    def fetch(self, page: Page) -> Reply:  # noqa: ARG002 (every page is empty)
        """Return an empty reply with the time."""
        return Reply(b"", dt.datetime.now(dt.UTC))

    def close(self) -> None:
        """Nothing is open."""


def pages(context: CollectContext) -> Iterator[Page]:
    """Plan one page for the table of tickers and one for each stock.

    Parameters
    ----------
    context : CollectContext

    Raises
    ------
    ConfigError
        If the bars are not simulated.
    """
    source = _bars_source(context)
    symbols = source_symbols(source, context.instruments)
    until = context.until or "all"
    yield Page(NAME, f"tickers/{len(symbols)}", "", context={"symbols": symbols})
    for number, symbol in enumerate(symbols):
        yield Page(NAME, f"stock/{symbol}/{until}", "", order=1 + number, context={"symbol": symbol})


def source_symbols(source: SourceConfig, instruments: pl.DataFrame) -> list[str]:
    """Simulated stocks of the dataset, or all that the source has where the dataset is not known.

    Parameters
    ----------
    source : SourceConfig
    instruments : DataFrame
        asset_class, symbol.

    Returns
    -------
    list of str
        Sorted.
    """
    listed = registry.file_source(source.kind).listing(source).filter(asset_class="stock")["symbol"].to_list()
    wanted = set(instruments.filter(asset_class="stock")["symbol"]) if instruments.height else set(listed)
    return sorted(wanted & set(listed))


def read(page: Page, reply: Reply, context: CollectContext) -> Harvest:
    """Generate the documents of a page.

    Parameters
    ----------
    page, reply, context
        See `ResearchSource`.

    Returns
    -------
    Harvest
        Documents about one stock, all of them history.
    """
    source = _bars_source(context)
    settings, seen = context.settings.simulated, reply.arrived
    if "symbols" in page.context:
        body = company.tickers(page.context["symbols"])
        tickers = Document(NAME, _TICKERS, "tickers", seen, body, STREAM, title="Companies and their symbols")
        since = dt.datetime.fromisoformat(source.simulated.first).replace(tzinfo=dt.UTC)
        return Harvest((tickers,), asks=(Ask(NAME, STREAM, seen, since),))
    symbol = page.context["symbol"]
    bars = _bars(source, symbol, context.until)
    world = company.SimulatedCompany(symbol, settings.seed, bars["date"].to_numpy(), _returns(bars), seen)
    last = dt.datetime.fromisoformat(context.until or simulated.LAST).replace(tzinfo=dt.UTC) + dt.timedelta(days=1)
    documents: Iterable[Document] = (
        *insiders.forms(world, settings.insiders),
        *news.articles(world, settings.text),
        *reports.filings(world, bars["close"].to_numpy(), last),
    )
    return Harvest([each for each in documents if (each.accepted or each.published or last) <= last])


def _bars_source(context: CollectContext) -> SourceConfig:
    source = context.bars
    if source is None or not registry.is_simulated(source.kind):
        kind = source.kind if source else "none"
        raise ConfigError(f"research=simulated is about simulated bars, got source={kind}: choose research=edgar,news")
    return source


def _bars(source: SourceConfig, symbol: str, until: str | None) -> pl.DataFrame:
    """The stock's bars as the source generates them, faults included, without rows that have no price.

    They reach to the usual last day at least, so that a later `until` adds documents and changes none.
    """
    wanted = pl.DataFrame({"asset_class": ["stock"], "symbol": [symbol], "bucket": [0]})
    until = max(until or simulated.LAST, simulated.LAST)
    batch = next(iter(registry.file_source(source.kind).bars(source, Selection(wanted, until=until), Path())))
    return batch.bars.filter((pl.col("open") > 0) & (pl.col("close") > 0)).unique("date").sort("date")


def _returns(bars: pl.DataFrame) -> NDArray[np.float64]:
    """Log return from the open of each session to that of the next, 0 for the last."""
    opens = np.log(bars["open"].to_numpy())
    return np.append(np.diff(opens), 0.0)


RESEARCH = ResearchSource(NAME, pages, read, connect=SimulatedClient, offline=True)
