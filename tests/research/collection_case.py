"""A source of numbered pages at a site on 127.0.0.1, and runs of the collection over it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from src.config.compose import compose
from src.config.schema import Config, LiveSource
from src.documents.document import Ask, Document
from src.documents.document_store import DocumentStore
from src.fetching.provider import Malformed
from src.research import registry
from src.research.collection import collect
from src.research.job import ResearchJob
from src.research.source import CollectContext, Harvest, Page, Reply, ResearchSource
from src.research.unit_records import UnitRecords
from tests.loopback.wire import JSON, Request
from tests.loopback.wire import Reply as Sent

QUICK = {"pause": 0.02, "max_pause": 0.1, "retry_hours": 6.0, "timeout": 60.0, "patience_hours": 1.0}
RATE = 1e5


def body(name: str, documents: int = 3, children: int = 0) -> bytes:
    """A page: its documents, and names of the pages that follow from it."""
    return json.dumps(
        {
            "documents": {f"{name}/{i}": f"text {i} of {name}" for i in range(documents)},
            "pages": [f"{name}-{i}" for i in range(children)],
        }
    ).encode()


def numbered(
    url: Callable[[], str], units: int = 5, name: str = "news", again: float | None = None, **changes
) -> ResearchSource:
    """A source whose pages are ``/<unit>`` at the site, due again after so many hours."""

    def page(unit: str) -> Page:
        return Page(name, unit, f"{url()}/{unit}", context={"of": unit})

    def read(page_asked: Page, reply: Reply, context: CollectContext) -> Harvest:
        try:
            tree = json.loads(reply.body)
        except ValueError as error:
            raise Malformed("no JSON") from error
        assert page_asked.context["of"] == page_asked.unit
        return Harvest(
            [document(name, id, text, reply.arrived) for id, text in tree["documents"].items()],
            pages=[page(each) for each in tree["pages"]],
            asks=(Ask(name, "stream", reply.arrived),),
            again=reply.arrived + dt.timedelta(hours=again) if again is not None else None,
            notes={"had": len(tree["documents"])},
            remarks=tree.get("remarks", ()),
        )

    def pages(_context: CollectContext) -> Iterator[Page]:
        return (page(f"u{i}") for i in range(units))

    return ResearchSource(name, pages, read, rate=RATE, **changes)


def document(source: str, id: str, text: str, seen: dt.datetime) -> Document:
    return Document(source, id, "article", seen, text.encode(), "stream")


def served(request: Request) -> Sent:
    """The site without faults: each page whose name has no dash is followed by two."""
    name = request.path.strip("/")
    return Sent(200, body(name, children=0 if "-" in name else 2), JSON)


def job(root: Path, *overrides: str, **live) -> ResearchJob:
    """A collection below a folder, with a quick client."""
    made = ResearchJob.of(configured(*overrides))
    source = replace(made.source, live=LiveSource(**(QUICK | live)))
    return replace(made, source=source, paths=replace(made.paths, root=root))


@cache
def configured(*overrides: str) -> Config:
    return compose(["research=news", *overrides])


def use(patch: pytest.MonkeyPatch, *sources: ResearchSource) -> None:
    """Let the configuration choose these sources alone."""
    patch.setattr(registry, "chosen", lambda _settings: list(sources))


def store(of: ResearchJob) -> DocumentStore:
    return DocumentStore(of.paths.documents, of.research.lag_hours)


def records(of: ResearchJob) -> UnitRecords:
    return UnitRecords(of.paths.research_state, of.paths.documents)


def stored(of: ResearchJob, name: str = "news") -> pl.DataFrame:
    return store(of).documents(name)


def expected(units: int, documents: int = 3, children: int = 2) -> list[str]:
    """Ids that the site without faults has."""
    names = [f"u{i}" for i in range(units)]
    names += [f"{name}-{i}" for name in names for i in range(children)]
    return sorted(f"{name}/{i}" for name in names for i in range(documents))


__all__ = ["collect"]
