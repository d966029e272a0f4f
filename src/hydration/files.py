"""Hydration from files or from the simulator: bucket by bucket, resumable, doing only what is not done yet.

A bucket is done when the ledger has its record under the job's key, a hash of the source's content, the selection, the
settings and the code of validation. Killing the process loses the bucket in work; the same command goes on from there.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import polars as pl

from src.core.errors import ConfigError
from src.core.instruments import KEY
from src.hydration.batches import bars_and_states, log_reasons, validated
from src.hydration.dataset import manifest, opened, scratch
from src.hydration.job import HydrationJob
from src.hydration.replacement import replace
from src.market import universe
from src.market.bar_findings import with_findings
from src.market.bars import BarStore, bucket, schema
from src.market.symbols import with_visible_symbols
from src.runtime.disk_space import require
from src.runtime.progress import Progress
from src.sources import registry
from src.sources.declaration import Selection
from src.storage.atomic import remove_temporaries, write_parquet

log = logging.getLogger(__name__)
_ROW_BYTES = 45  # a stored bar, compressed, with room to spare
_COPIES = 4  # of the source on disk: its files, their parts while they are cut, the shards


def up_to_date(job: HydrationJob) -> bool:
    """Whether the dataset holds exactly what a hydration would make.

    Parameters
    ----------
    job : HydrationJob
        The hydration.

    Returns
    -------
    bool
        False with ``fresh=true`` or ``only=[...]``: then there is always something to do.
    """
    store = BarStore(job.paths.bars)
    if job.fresh or job.only or not store.exists():
        return False
    held = store.manifest
    return held.complete and held.job == job.key and all(store.intact(b) for b in store.buckets())


def run(job: HydrationJob) -> None:
    """Hydrate the buckets that are not done yet, then pin the panel.

    Parameters
    ----------
    job : HydrationJob
        The hydration.

    Raises
    ------
    ConfigError
        If a name is not listed, or the selection would drop instruments that the dataset holds.
    StageError
        If the source can't be used, or the disk is too small.
    """
    source = registry.file_source(job.source.kind)
    listing = with_visible_symbols(source.listing(job.source))
    chosen = _selection(job, listing)
    store, replacing = opened(job, chosen)
    buckets = store.manifest.buckets if store.exists() else job.universe.buckets
    wanted = _wanted(chosen, buckets)
    _require_disk(job, source, wanted.height)
    store.root.mkdir(parents=True, exist_ok=True)
    remove_temporaries(store.root)
    if job.only:
        _hydrate_named(job, store, source, wanted)
        return
    begun = manifest(job, wanted, buckets)
    store.write_manifest(begun)
    write_parquet(chosen, store.root / "universe.parquet")
    _hydrate_all(job, store, source, wanted)
    if not store.panel():
        store.write_panel(universe.panel(store.instruments(), job.universe.panel))
    store.write_manifest(dataclasses.replace(begun, complete=True))
    if replacing:
        replace(job.paths.bars)


def unread(job: HydrationJob) -> str:
    """Log the source's files that are not read, and count them.

    Parameters
    ----------
    job : HydrationJob
        The hydration that was done.

    Returns
    -------
    str
        Begins with a semicolon, to follow the closing line; empty if every file was read.
    """
    passed = [str(each) for each in registry.file_source(job.source.kind).passed_over(job.source)]
    for each in passed:
        log.info("not read: %s", each)
    if not passed:
        return ""
    what = "1 file" if len(passed) == 1 else f"{len(passed):,} files"
    return f"; {what} not read: {passed[0]}" + (" (the others are in the log)" if len(passed) > 1 else "")


def _hydrate_all(job: HydrationJob, store: BarStore, source: Any, wanted: pl.DataFrame) -> None:
    """Do the buckets that are not done under this job's key; empty those that hold no wanted instrument any more."""
    due = set(wanted["bucket"].unique())
    for b in set(store.ledger.units()) - due:
        store.write_bucket(b, pl.DataFrame(schema=schema(job.universe.interval)))
        store.ledger.forget(b)
    pending = wanted.filter(pl.col("bucket").is_in([b for b in due if not store.done(b, job.key)]))
    done = wanted.height - pending.height
    if done:
        log.info("%d of %d instruments are done already", done, wanted.height)
    with Progress("hydrate", wanted.height, before=done) as progress, scratch(job.paths.cache) as folder:
        if not pending.height:
            return
        request = Selection(pending, job.universe.interval, job.until)
        for batch in source.bars(job.source, request, folder):
            keys = pending.filter(pl.col("bucket") == batch.bucket)
            bars, states = bars_and_states(job, batch, keys)
            digest = store.write_bucket(batch.bucket, bars)
            store.record(batch.bucket, job.key, states, digest)
            log_reasons(states)
            progress.advance(keys.height)


def _hydrate_named(job: HydrationJob, store: BarStore, source: Any, wanted: pl.DataFrame) -> None:
    """Hydrate the instruments of ``only=[...]`` again and leave the others of their buckets as they are."""
    named = universe.matches(wanted, job.only, "only")
    keys = pl.DataFrame(
        [key for matches in named.values() for key in matches], schema=dict.fromkeys(KEY, pl.String()), orient="row"
    )
    narrowed = wanted.join(keys.unique(), on=KEY, how="semi")
    if not store.exists():
        store.write_manifest(manifest(job, wanted, job.universe.buckets))
    with scratch(job.paths.cache) as folder:
        request = Selection(narrowed, job.universe.interval, job.until)
        for batch in source.bars(job.source, request, folder):
            again = narrowed.filter(pl.col("bucket") == batch.bucket)
            new, states = bars_and_states(job, batch, again)
            others = store.read_bucket(batch.bucket).join(again, on=KEY, how="anti")
            former = with_findings(store.ledger, batch.bucket).join(again, on=KEY, how="anti")
            key = store.ledger.fact(batch.bucket) or "partial"
            digest = store.write_bucket(batch.bucket, pl.concat([others, new]))
            store.record(batch.bucket, key, pl.concat([former, states]), digest)
            log_reasons(states)


def _selection(job: HydrationJob, listing: pl.DataFrame) -> pl.DataFrame:
    """Which of the listed instruments, and why; a ranked universe reads every instrument's bars first.

    Liquidity is measured on validated bars: a price in the wrong scale buys no rank.
    """
    chosen = job.universe
    if universe.ranked(chosen):
        source = registry.file_source(job.source.kind)
        request = Selection(_wanted(listing, chosen.buckets), chosen.interval, job.until)
        with scratch(job.paths.cache) as folder:
            batches = source.bars(job.source, request, folder)
            months = [universe.activity(validated(job, batch)[0]) for batch in batches]
        listing = listing.join(universe.liquidity(pl.concat(months), job.split), on=KEY, how="left")
    selected = universe.select(listing, chosen)
    for row in selected.filter(~pl.col("included")).iter_rows(named=True):
        log.info("%s:%s left out: %s", row["asset_class"], row["symbol"], row["reason"])
    for name, keys in (universe.matches(listing, chosen.symbols, "universe.symbols")).items():
        if len(keys) > 1:
            log.warning("%s is listed as %s: all taken", name, " and ".join(f"{k}:{s}" for k, s in keys))
    if not selected["included"].any():
        raise ConfigError(f"universe={chosen.name}: none of {listing.height:,} instruments is selected")
    return selected


def _wanted(chosen: pl.DataFrame, buckets: int) -> pl.DataFrame:
    keys = (chosen.filter("included") if "included" in chosen.columns else chosen).select(KEY).rows()
    rows = [(kind, symbol, bucket(kind, symbol, buckets)) for kind, symbol in keys]
    return pl.DataFrame(rows, schema=dict.fromkeys(KEY, pl.String()) | {"bucket": pl.Int64()}, orient="row")


def _require_disk(job: HydrationJob, source: Any, instruments: int) -> None:
    size = sum(path.stat().st_size for path in source.files(job.source))
    needed = _COPIES * size or instruments * 2800 * _ROW_BYTES
    require(job.paths.bars, needed, f"hydrating {instruments:,} instruments")
