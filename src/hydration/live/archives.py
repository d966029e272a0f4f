"""Archives on disk as the base of a live dataset: read once, and again only when the archive changed."""

from __future__ import annotations

import dataclasses
import logging

import polars as pl

from src.core.hashing import json_digest
from src.core.instruments import KEY
from src.hydration.dataset import scratch
from src.hydration.job import HydrationJob
from src.hydration.live import provider_chain
from src.hydration.live.raw_store import RawStore
from src.hydration.live.schedule import SelectedInstrument
from src.sources import registry
from src.sources.declaration import Selection

log = logging.getLogger(__name__)


def load(job: HydrationJob, raw: RawStore, instruments: list[SelectedInstrument]) -> None:
    """Put the archives' bars of these instruments into the raw store, unless they are there.

    Parameters
    ----------
    job : HydrationJob
        The hydration; its chains name the archives.
    raw : RawStore
        Of the dataset.
    instruments : list of SelectedInstrument
        All of the dataset.
    """
    chains = provider_chain.chains(job.source)
    for archive in registry.archives(job.source):
        kinds = {kind for kind, chain in chains.items() if chain.archive == archive}
        wanted = [each for each in instruments if each.asset_class in kinds]
        mark = json_digest([job.fingerprint, sorted(each.key for each in wanted)])
        due = {b for b in {each.bucket for each in wanted} if raw.archive_mark(b, archive) != mark}
        if due:
            _read(job, raw, archive, [each for each in wanted if each.bucket in due], mark)


def _read(job: HydrationJob, raw: RawStore, archive: str, wanted: list[SelectedInstrument], mark: str) -> None:
    source = dataclasses.replace(job.source, kind=archive)
    rows = [(*each.key, each.bucket) for each in wanted]
    request = Selection(
        pl.DataFrame(rows, schema=dict.fromkeys(KEY, pl.String()) | {"bucket": pl.Int64()}, orient="row"),
        job.universe.interval,
    )
    with scratch(job.paths.cache) as folder:
        for batch in registry.file_source(archive).bars(source, request, folder):
            for ended in batch.unusable:
                log.info("%s:%s is not taken from %s: %s", *ended.key, archive, ended.reason)
            raw.load_archive(batch.bucket, batch.bars, archive, mark)
