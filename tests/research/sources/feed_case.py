"""A source without its network: its pages are answered in process, and what it remembers is kept in a dictionary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.documents.document import Ask, Document
from src.documents.document_store import DocumentStore
from src.fetching.provider import ProviderError
from src.research.job import ResearchJob
from src.research.source import CollectContext, Page, Reply, ResearchSource
from tests.composed_case import composed

NOW = dt.datetime(2024, 3, 20, 15, tzinfo=dt.UTC)
_KEY = {"asset_class": pl.String, "symbol": pl.String}
Serve = Callable[[Page], Reply]


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@dataclass
class Crawl:
    """What a simple collector keeps of one source.

    Like the real one, it asks the lowest order first, each unit once a run and only when it is due, and remembers a
    unit after its documents are stored, together with the pages that follow from it.
    """

    source: ResearchSource
    settings: ResearchConfig
    watched: list[tuple[str, str]] = field(default_factory=list)
    universe: list[tuple[str, str]] = field(default_factory=list)
    now: dt.datetime = NOW
    documents: list[Document] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    asked: list[Page] = field(default_factory=list)
    units: dict[str, tuple[dt.datetime | None, Mapping[str, Any]]] = field(default_factory=dict)
    following: dict[str, Page] = field(default_factory=dict)

    def context(self) -> CollectContext:
        return CollectContext(
            settings=self.settings,
            live=LiveSource(),
            now=self.now,
            instruments=pl.DataFrame(self.universe, schema=_KEY, orient="row"),
            watched=pl.DataFrame(self.watched, schema=_KEY, orient="row"),
            stored=lambda id: any(each.id == id for each in self.documents),
            notes=lambda unit: self.units[unit][1] if unit in self.units else {},
            latest=lambda _kind: [],
            asked=lambda stream: any(ask.stream == stream for ask in self.asks),
        )

    def run(self, serve: Serve, most: int = 10_000) -> Crawl:
        """Ask what is due, at most so many pages: fewer than there are is a run that was killed."""
        context = self.context()
        planned = {page.unit: page for page in self.source.pages(context)}
        waiting, seen = list((self.following | planned).values()), set()
        while waiting and most:
            waiting.sort(key=lambda page: page.order)
            page = waiting.pop(0)
            if page.unit in seen or not self._due(page.unit):
                continue
            seen.add(page.unit)
            self.asked.append(page)
            most -= 1
            try:
                harvest = self.source.read(page, replace(serve(page), arrived=self.now), context)
            except ProviderError as error:
                self.failed.append(f"{page.unit}: {error}")
                continue
            self.documents += harvest.documents
            self.asks += harvest.asks
            self.remarks += harvest.remarks
            self.units[page.unit] = harvest.again, harvest.notes
            self.following.pop(page.unit, None)
            more = [each for each in harvest.pages if each.unit not in seen and self._due(each.unit)]
            self.following |= {each.unit: each for each in more}
            waiting += more
        return self

    def at(self, now: dt.datetime) -> Crawl:
        """The same, later."""
        return replace(self, now=now)

    def contents(self) -> dict[str, list[bytes]]:
        """Different bodies by id, in the order in which they came."""
        found: dict[str, list[bytes]] = {}
        for each in self.documents:
            bodies = found.setdefault(each.id, [])
            if each.body not in bodies:
                bodies.append(each.body)
        return found

    def _due(self, unit: str) -> bool:
        again = self.units[unit][0] if unit in self.units else self.now
        return again is not None and again <= self.now


def collection(root: Path, *overrides: str, **live: Any) -> ResearchJob:
    """The real collection of the sources that the settings choose, below a folder, with a client that waits little."""
    made = ResearchJob.of(composed(*overrides))
    settings = LiveSource(**({"pause": 0.02, "max_pause": 0.1, "timeout": 5.0, "patience_hours": 1.0} | live))
    return replace(made, source=replace(made.source, live=settings), paths=replace(made.paths, root=root))


def stored(of: ResearchJob, source: str) -> pl.DataFrame:
    """Documents of a source with their bodies."""
    store = DocumentStore(of.paths.documents, of.research.lag_hours)
    rows = store.documents(source)
    return rows.with_columns(store.bodies(rows)["body"]) if rows.height else rows


def everything(root: Path) -> bytes:
    """All bytes of all files below a folder, and their names."""
    return b"".join(str(path).encode() + path.read_bytes() for path in root.rglob("*") if path.is_file())
