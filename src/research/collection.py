"""Collect documents: ask what is due of each source, store what comes, and remember what was asked.

Threads send the requests, each source behind a gate of its own; replies are read and stored in the main thread, in
batches. A kill loses the batch, and its units stay due.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import deque
from collections.abc import Sequence

from src.core.errors import ConfigError, StageError
from src.documents.document_store import Appended, DocumentStore
from src.fetching import network
from src.fetching.fetch_task import FetchOutcome, FetchTask
from src.fetching.pool import Pool
from src.fetching.provider import ProviderError
from src.research import registry
from src.research.document_batch import SPARE, DocumentBatch
from src.research.instruments import wanted, watched
from src.research.job import ResearchJob
from src.research.lanes import Lanes, NoNetwork, doctor_hint
from src.research.source import Page, Reply
from src.research.source_run import SourceRun
from src.research.unit_records import UnitRecords, folder_digest
from src.runtime import disk_space
from src.runtime.lock import dataset_lock
from src.runtime.progress import Progress

log = logging.getLogger(__name__)


def collect(job: ResearchJob) -> str:
    """Ask the chosen sources for what is due.

    Parameters
    ----------
    job : ResearchJob

    Returns
    -------
    str
        One sentence with the counts of each source, and what is missing of those that could not be asked.

    Raises
    ------
    ConfigError
        If the proxy, the certificates or ``research.watch`` are invalid.
    StageError
        If no source could be asked at all, or the disk is too small.
    """
    network.check(job.live)
    disk_space.require(job.paths.documents, 2 * SPARE, "collecting documents")
    folder = job.paths.documents

    def wait(_holder: str) -> None:
        log.warning("another command collects into %s: waiting for its end (Ctrl+C stops waiting)", folder)

    with (
        dataset_lock("collect", f"documents-{folder_digest(folder)}", wait),
        UnitRecords(job.paths.research_state, folder) as records,
    ):
        store = DocumentStore(folder, job.research.lag_hours)
        return Collecting(job, store, records).run()


class Collecting:
    """One run over the chosen sources.

    Parameters
    ----------
    job : ResearchJob
    store : DocumentStore
    records : UnitRecords
    lanes : Lanes or None
        None makes those of the job's settings.
    now : datetime or None
        UTC; None reads the clock.
    """

    def __init__(
        self,
        job: ResearchJob,
        store: DocumentStore,
        records: UnitRecords,
        lanes: Lanes | None = None,
        now: dt.datetime | None = None,
    ) -> None:
        now = now or dt.datetime.now(dt.UTC)
        self.store, self.records, self.live = store, records, job.live
        self.batch = DocumentBatch(store, records, self._count)
        instruments = wanted(job)
        watch = watched(job.research, instruments)
        self.runs = {
            each.name: SourceRun.of(each, job, store, records, self.batch, now, instruments, watch)
            for each in registry.chosen(job.research)
        }
        self.lanes = lanes or Lanes(job.research, job.live)
        self._settings = job.research
        self._began = time.monotonic()
        self._pool: Pool[Page, Reply] | None = None

    def run(self) -> str:
        """Ask, read, store; whatever ends the run, what was read is kept.

        Returns
        -------
        str
            The counts.

        Raises
        ------
        StageError
            If no source could be asked at all.
        """
        planned = {name: run.plan() for name, run in self.runs.items() if not run.missing}
        with Progress("ingest", sum(map(len, planned.values())), unit="page") as progress:
            try:
                for name, pages in planned.items():
                    if self.runs[name].source.offline:
                        self._read_files(self.runs[name], pages, progress)
                self._ask([name for name in planned if not self.runs[name].source.offline], planned, progress)
            finally:
                self.batch.flush()
                for run in self.runs.values():
                    run.finish()
        self.store.seal()
        return self._closing()

    def _ask(self, names: list[str], planned: dict[str, list[Page]], progress: Progress) -> None:
        """Ask the pages of sources on the network, and those that follow from them."""
        tasks = [task for name in names for task in self._tasks(self.runs[name], planned[name])]
        if not tasks:
            return
        tasks.sort(key=lambda task: task.order)

        def look() -> None:
            self.batch.flush_old()
            if note := self.lanes.look():
                progress.set_note(note)

        pool: Pool[Page, Reply] = Pool(self.live, self.lanes.gates)
        try:
            with self.lanes.closing(), pool:
                for outcome in pool.results(tasks, self.lanes.fetch, look):
                    following = self._take(outcome)
                    if self._is_over():
                        self._cut()
                        break
                    progress.extend(len(following))
                    for task in self._tasks(self.runs[outcome.task.request.source], following):
                        pool.admit(task.provider, self.lanes.gates[task.provider])
                        pool.add(task)
                    progress.advance(note=outcome.task.provider)
        except NoNetwork as error:
            log.info("given up: %s", error)

    def _is_over(self) -> bool:
        """Whether the time that the settings give a run is over."""
        minutes = self._settings.minutes
        return minutes is not None and time.monotonic() - self._began >= 60 * minutes

    def _cut(self) -> None:
        for run in self.runs.values():
            run.cut = run.left > 0

    def _tasks(self, run: SourceRun, pages: Sequence[Page]) -> list[FetchTask[Page]]:
        try:
            return [self.lanes.task(run.source, page) for page in pages]
        except ConfigError as error:
            run.missing = str(error)
            return []

    def _take(self, outcome: FetchOutcome[Page, Reply]) -> list[Page]:
        """Keep what came of one page; returns the pages that follow from it."""
        page, lane = outcome.task.request, outcome.task.provider
        run = self.runs[page.source]
        if outcome.answer is not None:
            return run.read(page, outcome.answer)
        if outcome.kind in ("stopped", "refused") or not self.lanes.watch.reached(lane):
            run.leave(page, outcome.reason)
        else:
            trace = outcome.failure.traceback if outcome.failure else ""
            run.fail(page, f"{outcome.kind}: {outcome.reason}", trace)
        return []

    def _read_files(self, run: SourceRun, pages: list[Page], progress: Progress) -> None:
        """Read the pages of a source that asks no network."""
        if run.source.connect is None:
            raise AssertionError(f"research source {run.source.name} is offline and has no client of its own")
        client = run.source.connect(self._settings, self.live, _OpenGate())
        waiting = deque(pages)
        try:
            while waiting:
                page = waiting.popleft()
                try:
                    following = run.read(page, client.fetch(page))
                except ProviderError as error:
                    run.fail(page, f"{error.kind}: {error}")
                    following = []
                waiting.extend(following)
                progress.extend(len(following))
                progress.advance(note=run.source.name)
        finally:
            client.close()

    def _count(self, source: str, appended: Appended) -> None:
        self.runs[source].count(appended)

    def _closing(self) -> str:
        """The counts of all sources, or an error if none could be asked."""
        silent = [name for name, run in self.runs.items() if run.silent]
        parts = [run.described(i == 0) for i, run in enumerate(self.runs.values())]
        if any(run.cut for run in self.runs.values()):
            parts.append(f"ended after research.minutes={self._settings.minutes:g}")
        if silent:
            parts += [self.lanes.absent] if self.lanes.absent else []
            parts.append(doctor_hint(silent))
        if all(run.missing or run.silent for run in self.runs.values()):
            raise StageError(f"no source of research could be asked: {'; '.join(parts)}")
        return "; ".join(parts)


class _OpenGate:
    """The gate of sources that read files."""

    def enter(self) -> None: ...

    def answered(self) -> None: ...

    def refused(self, retry_after: float | None) -> None: ...
