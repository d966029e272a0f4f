"""The dataset that a hydration writes: opened, described by its manifest, and summed up at the end."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from src.core.errors import StageError
from src.core.instruments import KEY
from src.hydration import provenance
from src.hydration.job import HydrationJob
from src.hydration.quality import quality
from src.hydration.replacement import fresh_root
from src.market.bars import BarStore, Manifest
from src.sources import registry
from src.storage.atomic import write_parquet
from src.storage.ledger import SCHEMA

log = logging.getLogger(__name__)

_CHOOSING = (
    "stock",
    "etf",
    "crypto",
    "types",
    "otc",
    "as_of",
    "pinned",
    "panel",
)  # settings of a universe, in its manifest


def opened(job: HydrationJob, chosen: pl.DataFrame) -> tuple[BarStore, bool]:
    """The store that a hydration writes to.

    Parameters
    ----------
    job : HydrationJob
        The hydration.
    chosen : DataFrame
        The selection: asset_class, symbol, included.

    Returns
    -------
    store : BarStore
        Of the dataset, or of a fresh one beside it.
    replacing : bool
        Whether it is a fresh one that replaces the dataset at the end.

    Raises
    ------
    ConfigError
        If the selection would drop instruments that the dataset holds.
    """
    replacing = job.fresh and not job.only and BarStore(job.paths.bars).exists()
    store = BarStore(fresh_root(job.paths.bars) if replacing else job.paths.bars)
    if replacing and store.exists() and store.manifest.job != job.key:
        shutil.rmtree(store.root)
    if not job.fresh and not job.only:
        provenance.refuse_loss(store, chosen, job.dataset, job.until)
    return store, replacing


def manifest(job: HydrationJob, wanted: pl.DataFrame, buckets: int) -> Manifest:
    """The manifest of a hydration that begins, so not complete yet.

    Parameters
    ----------
    job : HydrationJob
        The hydration.
    wanted : DataFrame
        asset_class, symbol of all instruments of the dataset.
    buckets : int
        How many buckets the dataset has.

    Returns
    -------
    Manifest
        With the instruments that have a planted edge, if the source plants any.
    """
    source, keys = job.source, set(wanted.select(KEY).rows())
    planted = [] if registry.is_live(source.kind) else registry.file_source(source.kind).planted(source)
    return Manifest(
        dataset=job.dataset,
        interval=job.universe.interval,
        source=source.kind,
        path=source.path if registry.source_files(source) else "",
        basis=source.basis,
        buckets=buckets,
        until=job.until,
        fingerprint=job.fingerprint,
        job=job.key,
        complete=False,
        planted=[list(key) for key in planted if key in keys],
        universe={name: getattr(job.universe, name) for name in _CHOOSING},
    )


def summary(job: HydrationJob) -> str:
    """Publish the states of a dataset and count them in one sentence.

    Parameters
    ----------
    job : HydrationJob
        The hydration that was done.

    Returns
    -------
    str
        Instruments by state, bars, first and last date.

    Raises
    ------
    StageError
        If no instrument could be used.
    """
    store = BarStore(job.paths.bars)
    states = store.instruments()
    publish_states(states.select(SCHEMA.keys()), job.paths.states("hydrate"))
    count = quality(store).counts()
    done = states.filter(pl.col("state") == "done")
    if not done.height:
        reason = str(states["reason"][0]) if states.height else "the selection is empty"
        raise StageError(f"none of {states.height:,} instruments could be used: {reason}")
    dates = done.select(first=pl.col("first").min(), last=pl.col("last").max()).row(0)
    plural = "s" if states.height != 1 else ""
    skipped = f", {count['skipped']:,} skipped" if count["skipped"] else ""
    return (
        f"{states.height:,} instrument{plural} of {job.dataset} from {job.source.kind}: {count['used']:,} done"
        f" ({count['repaired']:,} repaired), {count['failed']:,} failed, {count['quarantined']:,} quarantined{skipped};"
        f" {count['bars']:,} bars, {dates[0]} to {dates[1]}"
    )


def publish_states(states: pl.DataFrame, path: Path) -> None:
    """Write a stage's states unless the file holds them already: DVC then sees no change.

    Parameters
    ----------
    states : DataFrame
        One row per instrument.
    path : Path
        The states table of the stage.
    """
    if not path.is_file() or not pl.read_parquet(path, glob=False).equals(states):
        write_parquet(states, path)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder for the parts of tables while they are cut.

    Parameters
    ----------
    folder : Path
        Where; it is deleted at the end.

    Yields
    ------
    Path
        The folder, which need not exist yet.
    """
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
