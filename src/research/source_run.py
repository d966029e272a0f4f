"""One source during one run: what is due of it, how its replies are read, and what came of them."""

from __future__ import annotations

import datetime as dt
import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl

from src.documents.document import Document
from src.documents.document_store import Appended, DocumentStore
from src.fetching.provider import ProviderError
from src.research.document_batch import DocumentBatch
from src.research.job import ResearchJob
from src.research.source import CollectContext, Page, Reply, ResearchSource
from src.research.unit_records import UnitRecord, UnitRecords, is_secret
from src.runtime.redaction import masked

log = logging.getLogger(__name__)
_REMARKS_LOGGED = 1000  # of a source in a run


@dataclass
class SourceRun:
    """A source during one run.

    Attributes
    ----------
    source : ResearchSource
    store, records, batch
        Where documents and units go.
    retry_hours : float
        Until a unit that failed is asked again.
    missing : str
        What the user has to provide before it can be asked; empty if nothing is.
    due, answered, failed : int
        Pages to be asked in this run; how many of them were read, and how many failed.
    """

    source: ResearchSource
    store: DocumentStore
    records: UnitRecords
    batch: DocumentBatch
    retry_hours: float
    missing: str = ""
    due: int = 0
    answered: int = 0
    failed: int = 0
    new: int = 0
    revised: int = 0
    remarks: int = 0
    cut: bool = False  # whether the time of the run was over before its pages
    reason: str = ""  # of the latest page without a usable answer
    context: CollectContext = field(init=False)
    _fresh: set[str] = field(default_factory=set)  # ids in the batch
    _failures: list[tuple[str, dt.datetime, str]] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _latest: dict[str, list[tuple[dict[str, Any], bytes]]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        source: ResearchSource,
        job: ResearchJob,
        store: DocumentStore,
        records: UnitRecords,
        batch: DocumentBatch,
        now: dt.datetime,
        instruments: pl.DataFrame,
        watched: pl.DataFrame,
    ) -> SourceRun:
        """Begin the run of a source.

        Parameters
        ----------
        source : ResearchSource
        job : ResearchJob
        store : DocumentStore
        records : UnitRecords
        batch : DocumentBatch
        now : datetime
            UTC.
        instruments, watched : DataFrame
            As in `CollectContext`.
        """
        missing = source.missing(job.research, job.live)
        run = cls(source, store, records, batch, job.live.retry_hours, missing)
        run.context = CollectContext(
            job.research, job.live, now, instruments, watched,
            stored=run.is_stored, notes=lambda unit: records.notes(source.name, unit), latest=run.latest,
            asked=lambda stream: stream in run._streams,
            bars=job.source, until=job.until,
        )  # fmt: skip
        return run

    @cached_property
    def _streams(self) -> frozenset[str]:
        """Streams that were asked before this run."""
        return frozenset(self.store.coverage(self.source.name)["stream"])

    @property
    def left(self) -> int:
        """Pages that stay due because their host did not answer."""
        return self.due - self.answered - self.failed

    @property
    def silent(self) -> bool:
        """Whether pages were due and none was answered in any way."""
        return bool(self.left and not self.answered and not self.failed and not self.cut)

    def plan(self) -> list[Page]:
        """Pages that are due: those that the source names, and those that follow from earlier answers."""
        name = self.source.name
        self.records.compare(name, self.store.contents(name))
        try:
            planned = {page.unit: page for page in self.source.pages(self.context)}
        except Exception as error:  # noqa: BLE001 (a source that can't plan must not end the others)
            log.error("%s: %s", name, masked(str(error)), extra={"traceback": traceback.format_exc()})
            self.missing = f"its pages could not be planned ({masked(f'{type(error).__name__}: {error}')})"
            return []
        found = {page.unit: page for page in self.records.following(name)} | planned
        return self._due(list(found.values()))

    def read(self, page: Page, reply: Reply) -> list[Page]:
        """Read a reply and hand its documents to the batch.

        Parameters
        ----------
        page : Page
        reply : Reply

        Returns
        -------
        list of Page
            Pages that follow from it and are due.
        """
        try:
            harvest = self.source.read(page, reply, self.context)
            documents, pages, asks = list(harvest.documents), list(harvest.pages), list(harvest.asks)
            remarks = list(harvest.remarks)
        except ProviderError as error:
            self.fail(page, f"{error.kind}: {error}")
            return []
        except Exception as error:  # noqa: BLE001 (one page that can't be read must not end the run)
            self.fail(page, f"could not be read ({type(error).__name__}: {error})", traceback.format_exc())
            return []
        faults = [(each, fault(each, self.source.name)) for each in documents]
        self._remark(page, [*remarks, *(f"document {each.id!r}: {words}" for each, words in faults if words)])
        usable = [each for each, words in faults if not words]
        following = self._due(pages)
        unit = UnitRecord(page.source, page.unit, reply.arrived, harvest.again, harvest.notes, tuple(following))
        private = any(map(is_secret, following))  # is not written to a file: its parent stays due instead
        self.answered += 1
        self._note_ids(usable)
        self.batch.add(self.source.name, usable, asks, None if private else unit)
        return following

    def fail(self, page: Page, reason: str, trace: str = "") -> None:
        """Note that a page has no usable answer; it is due again later.

        Parameters
        ----------
        page : Page
        reason : str
            For a person.
        trace : str
            Traceback, if our own code failed.
        """
        self.failed += 1
        words = masked(reason)
        if trace:
            log.error("%s %s %s", self.source.name, page.unit, words, extra={"traceback": trace})
        else:
            log.info("%s %s %s", self.source.name, page.unit, words)
        self.reason = words
        self._failures.append((page.unit, dt.datetime.now(dt.UTC), words))

    def leave(self, page: Page, reason: str) -> None:
        """Note that a page was not asked to the end: it stays due, and nothing is held against it.

        Parameters
        ----------
        page : Page
        reason : str
        """
        self.reason = masked(reason)
        log.info("%s %s stays due: %s", self.source.name, page.unit, self.reason)

    def count(self, appended: Appended) -> None:
        """Count what a batch brought."""
        self._fresh.clear()
        self.new += appended.new
        self.revised += appended.revised

    def finish(self) -> None:
        """Write down what failed, and how many documents are stored, to notice if some are lost before the next run.

        Where nothing was answered, the fault may be a key or a setting: no page has to wait for it.
        """
        for unit, when, words in self._failures if self.answered else ():
            self.records.fail(self.source.name, unit, when, words, self.retry_hours)
        if not self.missing:
            self.records.compare(self.source.name, self.store.contents(self.source.name))

    def is_stored(self, id: str) -> bool:
        """Whether a document of this id is stored, or about to be."""
        return id in self._fresh or self.store.contains(self.source.name, id)

    def latest(self, kind: str) -> list[tuple[dict[str, Any], bytes]]:
        """Newest revision of each document of a kind, what this run brought included."""
        if kind not in self._latest:
            self.batch.flush()
            rows = self.store.documents(self.source.name, [kind]).sort("id", "revision")
            rows = rows.unique("id", keep="last", maintain_order=True)
            bodies = self.store.bodies(rows)["body"].to_list() if rows.height else []
            self._latest[kind] = list(zip(rows.to_dicts(), bodies, strict=True))
        return self._latest[kind]

    def described(self, is_first: bool) -> str:
        """What came of the source, as a part of the closing sentence.

        Parameters
        ----------
        is_first : bool
            Whether it begins the sentence.
        """
        name = self.source.name
        if self.missing:
            return f"{name} not asked: {self.missing}"
        if self.silent:
            return f"{name} never answered{f' ({self.reason})' if self.reason else ''}"
        if not self.due:
            return f"{name} nothing due"
        parts = [f"{name} {self.new:,} new{' documents' if is_first else ''}"]
        parts += [f"{self.revised:,} revised"] if self.revised else []
        why = f" ({self.reason})" if self.failed == 1 or not self.answered else ""
        counts = {f"failed{why}": self.failed, "left for the next run": self.left}
        parts += [f"{_pages(n)} {words}" for words, n in counts.items() if n]
        parts += [f"{self.remarks:,} remark{'' if self.remarks == 1 else 's'} in the log"] if self.remarks else []
        return ", ".join(parts)

    def _due(self, pages: Sequence[Page]) -> list[Page]:
        """Those that were not asked in this run and are due, each unit once."""
        found = []
        for page in pages:
            if page.unit in self._seen or not self.records.is_due(page.source, page.unit, self.context.now):
                continue
            self._seen.add(page.unit)
            found.append(page)
        self.due += len(found)
        return found

    def _note_ids(self, documents: Sequence[Document]) -> None:
        for each in documents:
            self._fresh.add(each.id)
            self._latest.pop(each.kind, None)

    def _remark(self, page: Page, remarks: Sequence[str]) -> None:
        for words in remarks:
            self.remarks += 1
            if self.remarks <= _REMARKS_LOGGED:
                log.info("%s %s: %s", self.source.name, page.unit, masked(words))


def fault(document: Document, source: str) -> str:
    """What is wrong with a document that a source read; empty if it can be stored.

    Parameters
    ----------
    document : Document
    source : str
        Name of the source.
    """
    if document.source != source:
        return f"names {document.source} as its source, not {source}"
    return "" if document.stream else "has no stream"


def _pages(n: int) -> str:
    return f"{n:,} page{'' if n == 1 else 's'}"
