"""The source EDGAR over the invented one of `tests.loopback.edgar`, in one thread and without a network."""

from __future__ import annotations

import datetime as dt
import gzip
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from src.config.research_sections import EdgarSection, ResearchConfig
from src.config.schema import LiveSource
from src.documents.document_store import DocumentStore
from src.fetching.provider import ProviderError
from src.research.document_batch import DocumentBatch
from src.research.source import CollectContext, Page, Reply, ResearchSource
from src.research.source_run import SourceRun
from src.research.sources.edgar.edgar import EdgarSource
from src.research.unit_records import UnitRecords
from tests.loopback.edgar import Edgar

NOBODY = pl.DataFrame(schema={"asset_class": pl.String(), "symbol": pl.String()})


class Killed(Exception):
    """The run ends here, as after kill -9: what is not durable is lost."""


def universe(*symbols: str, kind: str = "stock") -> pl.DataFrame:
    return pl.DataFrame([(kind, symbol) for symbol in symbols], schema=NOBODY.schema, orient="row")


class Desk:
    """One machine that collects, run after run."""

    def __init__(
        self,
        folder: Path,
        edgar: Edgar,
        instruments: pl.DataFrame = NOBODY,
        start: str = "2025-12-01",
        **section: Any,
    ) -> None:
        self.edgar, self.instruments, self.folder = edgar, instruments, folder
        section = {"address": "https://www.sec.gov", "data_address": "https://data.sec.gov", **section}
        self.settings = ResearchConfig(start=start, edgar=EdgarSection(enabled=True, **section))
        self.live = LiveSource(contact="me@example.org")
        self.asked: Counter[str] = Counter()

    @property
    def store(self) -> DocumentStore:
        return DocumentStore(self.folder / "documents", {"default": 24.0})

    @property
    def context(self) -> CollectContext:
        """What a first run knows."""
        now = self.edgar.now.astimezone(dt.UTC)
        never: Any = (lambda _id: False, lambda _unit: {}, lambda _kind: [])
        return CollectContext(self.settings, self.live, now, self.instruments, NOBODY, *never)

    def run(self, most: int | None = None) -> SourceRun:
        """Collect until nothing is due, or until `most` pages were asked and the process is killed."""
        source = EdgarSource()
        declared = ResearchSource("edgar", source.pages, source.read)
        job: Any = SimpleNamespace(research=self.settings, live=self.live, source=None, until=None)
        with UnitRecords(self.folder / "state", self.folder / "documents") as records:
            store = self.store
            batch = DocumentBatch(
                store, records, lambda _, appended: run.count(appended), clock=itertools.count(0.0, 0.4).__next__
            )
            now = self.edgar.now.astimezone(dt.UTC)
            run = SourceRun.of(declared, job, store, records, batch, now, self.instruments, NOBODY)
            waiting = run.plan()
            while waiting:
                if most is not None and sum(self.asked.values()) >= most:
                    raise Killed
                waiting.sort(key=lambda page: -page.order)
                page = waiting.pop()
                try:
                    waiting += run.read(page, self.reply(page))
                except ProviderError as error:
                    run.fail(page, str(error))
            batch.flush()
            run.finish()
            store.seal()
        return run

    def reply(self, page: Page) -> Reply:
        """What a client would make of the answer."""
        self.asked[page.url] += 1
        headers = {"if-none-match": page.context["etag"]} if page.context.get("etag") else {}
        answer = self.edgar.answer(urlsplit(page.url).path, headers)
        arrived = self.edgar.now.astimezone(dt.UTC)
        names = {name.lower(): value for name, value in answer.headers.items()}
        body = gzip.decompress(answer.body) if names.get("content-encoding") == "gzip" else answer.body
        if answer.status in (403, 404):
            return Reply(b"", arrived, names, missing=True)
        return Reply(body, arrived, names, unchanged=answer.status == 304)

    def documents(self, *kinds: str) -> pl.DataFrame:
        return self.store.documents("edgar", kinds or None)

    def fields(self, id: str) -> dict[str, Any]:
        row = self.documents().filter(pl.col("id") == id).row(0, named=True)
        return row | json.loads(row["fields"])

    def bodies(self, *kinds: str) -> Iterator[tuple[str, bytes]]:
        rows = self.documents(*kinds)
        yield from zip(rows["id"], self.store.bodies(rows)["body"], strict=True)
