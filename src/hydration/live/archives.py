"""Archives on disk as the base of a live dataset: read once, and again only where the archive changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging

import polars as pl

from src.core.instruments import KEY
from src.hydration import bulk
from src.hydration.bulk import Intake
from src.hydration.live import provider_chain
from src.hydration.live.raw_store import RawStore
from src.hydration.live.schedule import Instrument
from src.sources import registry
from src.sources.declaration import Selection

log = logging.getLogger(__name__)


def load(plan: Intake, raw: RawStore, instruments: list[Instrument]) -> None:
    """Put the archives' bars of these instruments into the raw store, unless they are there."""
    config = plan.config
    links = provider_chain.chains(config.source)
    for archive in registry.archives(config.source):
        kinds = {kind for kind, each in links.items() if each.archive == archive}
        wanted = [each for each in instruments if each.asset_class in kinds]
        keys = sorted(each.key for each in wanted)
        mark = hashlib.blake2b(json.dumps([plan.fingerprint, keys]).encode(), digest_size=16).hexdigest()
        due = {b for b in {each.bucket for each in wanted} if raw.based(b, archive) != mark}
        if due:
            _read(plan, raw, archive, [each for each in wanted if each.bucket in due], mark)


def _read(plan: Intake, raw: RawStore, archive: str, wanted: list[Instrument], mark: str) -> None:
    config = plan.config
    source = dataclasses.replace(config.source, kind=archive)
    rows = [(*each.key, each.bucket) for each in wanted]
    request = Selection(
        pl.DataFrame(rows, schema=dict.fromkeys(KEY, pl.String()) | {"bucket": pl.Int64()}, orient="row"),
        config.universe.interval,
    )
    with bulk.scratch(config) as folder:
        for batch in registry.file_source(archive).bars(source, request, folder):
            for ended in batch.unusable:
                log.info("%s:%s is not taken from %s: %s", *ended.key, archive, ended.reason)
            raw.base(batch.bucket, batch.bars, archive, mark)
