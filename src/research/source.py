"""What a source of documents is: which pages it asks for, and how it reads a reply.

A module or package of ``src/research/sources`` is a source if it binds ``RESEARCH`` to a `ResearchSource`; together
with a section of the same name in `ResearchConfig` and ``conf/research/<name>.yaml`` it can be chosen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from src.documents.document import Ask, Document

if TYPE_CHECKING:
    import polars as pl

    from src.config.research_sections import ResearchConfig
    from src.config.schema import LiveSource, SourceConfig
    from src.fetching.provider import RequestGate


@dataclass(frozen=True)
class Page:
    """One request to a source.

    Attributes
    ----------
    source : str
        Name of the source.
    unit : str
        Name of what is asked for, unique in the source: its record says when it was asked and when it is due again.
    url : str
        Address; a path where the source reads files.
    order : int
        The lowest is asked first.
    context : mapping
        What `ResearchSource.read` needs to know of it, as JSON values.
    headers : mapping
        Of the request, beside those of the client.
    """

    source: str
    unit: str
    url: str
    order: int = 0
    context: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes
    ----------
    body : bytes
        Decompressed.
    arrived : datetime
        When it was whole; UTC.
    headers : mapping
        Of the answer, names in lower case.
    unchanged : bool
        Whether the source says that nothing changed since the last time (status 304).
    missing : bool
        Whether it says that there is no such thing (status 404): a holiday has no index.
    """

    body: bytes
    arrived: dt.datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    unchanged: bool = False
    missing: bool = False


@dataclass(frozen=True)
class Harvest:
    """What a reply holds.

    Attributes
    ----------
    documents : iterable of Document
    pages : iterable of Page
        Further requests that follow from it.
    asks : iterable of Ask
        What the reply makes complete.
    again : datetime or None
        When the unit is due again; None: never, it is immutable.
    notes : mapping
        What to remember of the unit, as JSON values, such as the last id.
    remarks : iterable of str
        What could not be read of it, each a sentence for the log.
    """

    documents: Iterable[Document] = ()
    pages: Iterable[Page] = ()
    asks: Iterable[Ask] = ()
    again: dt.datetime | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    remarks: Iterable[str] = ()


@dataclass(frozen=True)
class CollectContext:
    """What a source may know when it plans and reads.

    Attributes
    ----------
    settings : ResearchConfig
    live : LiveSource
        Contact, proxy, timeouts.
    now : datetime
        UTC, of the start of the run.
    instruments : DataFrame
        asset_class, symbol of the universe; empty where it is not known here, which means all.
    watched : DataFrame
        asset_class, symbol of ``research.watch``, at most ``watch_limit``.
    stored : callable
        ``stored(id)``: whether the source has a document of that id.
    notes : callable
        ``notes(unit)``: what was remembered of a unit; empty if nothing was.
    latest : callable
        ``latest(kind) -> list[(Document row as dict, body)]``: newest revision of each document of a kind of this
        source, such as its table of tickers.
    asked : callable
        ``asked(stream)``: whether the stream was ever asked, by any machine whose documents are stored here.
    bars : SourceConfig or None
        Where the bars come from: a source that generates documents generates them about these.
    until : str or None
        Last day of generated bars, YYYY-MM-DD.
    """

    settings: ResearchConfig
    live: LiveSource
    now: dt.datetime
    instruments: pl.DataFrame
    watched: pl.DataFrame
    stored: Callable[[str], bool]
    notes: Callable[[str], Mapping[str, Any]]
    latest: Callable[[str], list[tuple[dict[str, Any], bytes]]]
    asked: Callable[[str], bool] = lambda _stream: False
    bars: SourceConfig | None = None
    until: str | None = None


class ResearchClient(Protocol):
    """Sends the requests of a source; used by several threads at once."""

    def fetch(self, page: Page) -> Reply:
        """Ask for one page.

        Raises
        ------
        ProviderError
            If there is no usable answer.
        Stopped
            If the run is ending.
        """

    def close(self) -> None:
        """Close connections."""


Connect = Callable[["ResearchConfig", "LiveSource", "RequestGate"], ResearchClient]


@dataclass(frozen=True)
class ResearchSource:
    """A source of documents.

    Attributes
    ----------
    name : str
        As in ``research=<name>``; also the name of its module, of its section and of its option.
    pages : callable
        ``pages(context) -> iterable of Page``: what to ask at the beginning of a run; units that are not due are left
        out by the caller.
    read : callable
        ``read(page, reply, context) -> Harvest``. Raises `Malformed` for a reply in an unexpected form.
    connect : callable or None
        Makes the client; None takes the one of `src.research.http_client`.
    rate, ceiling : float, float or None
        Requests a second, unless ``source.live.rates`` and ``ceilings`` have one for the name.
    hosts : callable
        ``hosts(settings) -> tuple of str``: the hosts that it asks, for ``python -m src.doctor``.
    missing : callable
        ``missing(settings, live) -> str``: what the user has to provide before it can be asked (a key, a contact), as
        a sentence with the remedy; empty if nothing is.
    offline : bool
        Whether it asks no network: it reads files or generates.
    by_host : bool
        Whether each of its hosts has a gate of its own, as the hosts of feeds; else one gate limits them all.
    """

    name: str
    pages: Callable[[CollectContext], Iterable[Page]]
    read: Callable[[Page, Reply, CollectContext], Harvest]
    connect: Connect | None = None
    rate: float = 1.0
    ceiling: float | None = None
    hosts: Callable[[ResearchConfig], tuple[str, ...]] = lambda _settings: ()
    missing: Callable[[ResearchConfig, LiveSource], str] = lambda _settings, _live: ""
    offline: bool = False
    by_host: bool = False
