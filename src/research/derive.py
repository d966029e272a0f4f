"""Derive facts about a dataset's instruments from the stored documents and option chains.

Nothing is asked of any network. Facts are derived from scratch each time and compared with what is stored, so that a
better reader of filings reaches old documents too; a bucket whose facts are the same keeps its files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from src.chains.store import OptionStore
from src.core.errors import StageError
from src.core.instruments import KEY
from src.documents.document_store import DocumentStore
from src.documents.fact_store import FactStore
from src.documents.facts import COVERAGE, FACTS, schema
from src.documents.segments import log_files, sources
from src.market.bars import BarStore
from src.market.bars import bucket as bucket_of
from src.research.chain_summaries import chain_summaries
from src.research.fact_coverage import coverage
from src.research.filings import filings
from src.research.insiders import insider_trades
from src.research.instruments import wanted
from src.research.job import ResearchJob
from src.research.links import companies
from src.research.scoring.text_scores import text_scores
from src.research.statements import statements
from src.research.unit_records import folder_digest
from src.runtime.lock import dataset_lock
from src.runtime.progress import Progress
from src.storage import atomic

log = logging.getLogger(__name__)
_OF_DOCUMENTS = frozenset(FACTS) - {"chain_summaries"}


@dataclass(frozen=True)
class DerivedFacts:
    """What deriving brought.

    Attributes
    ----------
    facts : dict of str to int
        Facts by kind.
    instruments : int
        Instruments with any fact.
    changed : int
        Buckets whose files were written.
    """

    facts: dict[str, int]
    instruments: int
    changed: int

    def __str__(self) -> str:
        counts = [f"{count:,} {kind.replace('_', ' ')}" for kind, count in self.facts.items() if count]
        if not counts:
            return "no facts: nothing is stored about these instruments"
        return f"{', '.join(counts)} about {self.instruments:,} instrument{'' if self.instruments == 1 else 's'}"


def derive(job: ResearchJob) -> DerivedFacts:
    """Derive all facts of the dataset and store what changed.

    Parameters
    ----------
    job : ResearchJob
        The dataset has bars.

    Returns
    -------
    DerivedFacts
    """
    bars, facts = BarStore(job.paths.bars), FactStore(job.paths.facts)
    _require_documents(job, facts)
    instruments = wanted(job)
    tables = _read(job, bars, instruments)
    intervals = coverage(DocumentStore(job.paths.documents), tables, instruments)
    buckets = bars.manifest.buckets
    facts.drop_obsolete(buckets)
    keyed = {kind: _by_bucket(table, instruments, buckets) for kind, table in tables.items()}
    spans = _by_bucket(intervals, instruments, buckets)
    changed = 0
    with Progress("ingest", buckets, unit="bucket of facts") as progress:
        for b in range(buckets):
            of_bucket = {kind: parts[b] for kind, parts in keyed.items() if b in parts}
            changed += facts.write(b, of_bucket, spans.get(b, pl.DataFrame(schema=COVERAGE)))
            progress.advance()
    counts = {kind: sum(part.height for part in parts.values()) for kind, parts in keyed.items()}
    states = _states(bars, tables)
    atomic.write_parquet(states, job.paths.states("ingest"))
    return DerivedFacts(counts, states.filter(pl.col("rows") > 0).height, changed)


def _read(job: ResearchJob, bars: BarStore, instruments: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Facts by kind. What was read of documents is kept for all datasets, so that one command reads at a time."""

    def wait(holder: str) -> None:
        log.warning("the documents are read by another command (%s): waiting for its end", holder)

    with dataset_lock("derive", f"documents-{folder_digest(job.paths.research_state)}", wait):
        return dict(_tables(job, bars, instruments))


def _require_documents(job: ResearchJob, facts: FactStore) -> None:
    """Refuse to take an absent or empty folder, such as a share that is not mounted, for the end of all documents."""
    documents = job.paths.documents
    if sources(documents) or log_files(documents):
        return
    stored = {kind for b in facts.ledger.units() for kind in (facts.ledger.fact(b, "digests") or {})}
    if stored & _OF_DOCUMENTS:
        raise StageError(
            f"there are no documents in {documents.as_posix()}, from which the facts of {job.paths.dataset} were "
            "derived: mount the folder or name it in research.folder; nothing was changed (remove "
            f"{job.paths.facts.as_posix()} if the facts are to go)"
        )


def _states(bars: BarStore, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row an instrument of the universe: how many facts it has, and from when to when they became known."""
    keyed = [table.select(*KEY, day=pl.col("known").cast(pl.Date)) for table in tables.values()]
    spans = pl.concat(keyed).group_by(KEY).agg(rows=pl.len().cast(pl.Int64), first=pl.min("day"), last=pl.max("day"))
    hydrated = pl.concat([bars.ledger.states(b).select(*KEY, was="state") for b in bars.buckets()])
    found = hydrated.join(spans, on=KEY, how="left").with_columns(pl.col("rows").fill_null(0))
    left_out = pl.col("was") != "done"
    return found.select(
        *KEY,
        pl.when(left_out).then(pl.lit("skipped")).otherwise(pl.lit("done")).alias("state"),
        pl.when(left_out).then(pl.format("{} by hydrate", "was")).alias("reason"),
        "rows", "first", "last",
    ).sort(KEY)  # fmt: skip


def _tables(job: ResearchJob, bars: BarStore, instruments: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Facts of each kind."""
    documents = DocumentStore(job.paths.documents, job.research.lag_hours)
    known, read_before = companies(documents, instruments), job.paths.research_state / "reading"
    readers: dict[str, Callable[[], pl.DataFrame]] = {
        "filings": lambda: filings(documents, known, read_before),
        "insider_trades": lambda: insider_trades(documents, known, read_before),
        "statements": lambda: statements(documents, known, read_before),
        "text_scores": lambda: _text_scores(job, documents, known, bars),
        "chain_summaries": lambda: chain_summaries(OptionStore(job.paths.options)),
    }
    for kind, read in readers.items():
        table = read()
        log.info("%s: %s facts", kind, f"{table.height:,}")
        yield kind, table.select(schema(kind).keys())


def _text_scores(job: ResearchJob, documents: DocumentStore, known: pl.DataFrame, bars: BarStore) -> pl.DataFrame:
    """Tones; which model gave them stands beside the facts."""
    state, record = job.paths.research_state / "scoring" / job.paths.dataset, job.paths.facts / "text_models.json"
    return text_scores(documents, known, bars, job.research.scoring, job.research.min_confidence, state, record)


def _by_bucket(table: pl.DataFrame, instruments: pl.DataFrame, buckets: int) -> dict[int, pl.DataFrame]:
    """Rows of the dataset's instruments, by the bucket of their bars."""
    places = instruments.with_columns(
        bucket=pl.Series([bucket_of(kind, symbol, buckets) for kind, symbol in instruments.rows()], dtype=pl.Int64)
    )
    parts = table.join(places, on=list(KEY), how="inner").partition_by("bucket", as_dict=True, include_key=False)
    return {int(str(b)): part for (b,), part in parts.items()}
