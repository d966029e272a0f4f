"""Featurize: every declared feature that the configuration chooses, for every bar that hydrate left.

``python -m src.featurize universe=full`` computes the buckets whose bars, panel or feature code changed and leaves the
others alone. Interrupted anywhere, the same command goes on.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import StageError
from src.stage import main

if TYPE_CHECKING:
    from src.bars import BarStore
    from src.config import Config
    from src.engine import Failure
    from src.features.store import FeatureStore, Filled, Job

log = logging.getLogger(__name__)
IN_PROCESS = 150_000  # bars below which starting workers takes longer than the work


def featurize(config: Config) -> str:
    """Bring the dataset's features up to date and write the state of every instrument; return the closing line."""
    from src import files
    from src.bars import BarStore
    from src.features.store import FeatureStore

    hashes = _chosen(config)
    data = Path(config.data.root)
    bars = BarStore(data / "bars" / config.dataset)
    if not bars.exists() or not bars.buckets():
        name = config.dataset
        raise StageError(f"no bars for universe={name}: run `python -m src.hydrate universe={name}` first")
    store = FeatureStore(data / "features" / config.dataset)
    store.drop_obsolete(bars.manifest.buckets)
    panel = store.pin_panel(bars)
    stale = [b for b in _wanted(bars, config) if config.fresh or not store.is_current(b, bars.digest(b), panel, hashes)]
    lost = _compute(store, bars, stale, hashes, panel, config)
    states = store.states(bars, lost)
    files.write_parquet(states, data / "states" / config.dataset / "featurize.parquet")
    counts = dict(states["state"].value_counts().iter_rows())
    rows = states.filter(state="done")["rows"].sum()
    return (
        f"featurize: {counts.get('done', 0):,} instruments, {len(hashes)} features, {rows:,} rows; "
        f"{counts.get('failed', 0):,} failed, {counts.get('skipped', 0):,} skipped"
    )


def _chosen(config: Config) -> dict[str, str]:
    """Chosen features with the hashes of their code."""
    from src.config import ConfigError
    from src.features.registry import FeatureError, code_hash, select

    try:
        return {item.name: code_hash(item) for item in select(config.features)}
    except FeatureError as error:
        raise ConfigError(str(error)) from error


def _wanted(bars: BarStore, config: Config) -> list[int]:
    """Buckets to look at: all that are hydrated, or those that hold the symbols of `only`."""
    if not config.only:
        return bars.buckets()
    only = set(config.only)
    held = {b: bars.ledger.states(b).select("asset_class", "symbol").rows() for b in bars.buckets()}
    return [b for b, keys in held.items() if any(only & {symbol, f"{kind}:{symbol}"} for kind, symbol in keys)]


def _compute(
    store: FeatureStore, bars: BarStore, stale: list[int], hashes: dict[str, str], panel: str, config: Config
) -> dict[int, str]:
    """Compute the stale buckets and record each as it is done; return those that could not be, with the reason."""
    from src import disk
    from src.engine import Failure
    from src.features.store import Job
    from src.progress import Progress

    sizes = {b: bars.ledger.states(b) for b in stale}
    rows = sum(int(states["rows"].sum()) for states in sizes.values())
    total = sum(states.height for states in sizes.values())
    disk.require(store.root, rows * (4 * len(hashes) + 8), f"{len(hashes)} features of {total:,} instruments")
    lost: dict[int, str] = {}
    jobs = [Job(bars.root, store.root, b, tuple(hashes)) for b in stale]
    with Progress("featurize", total) as progress:
        for job, result in _results(store, jobs, rows, config):
            if isinstance(result, Failure):
                lost[job.bucket] = result.reason
                log.error("bucket %d failed: %s\n%s", job.bucket, result.reason, result.traceback)
            else:
                store.record(job.bucket, bars, result, panel, hashes)
                for (kind, symbol), reason in result.failed.items():
                    log.warning("%s:%s failed: %s", kind, symbol, reason)
            progress.advance(sizes[job.bucket].height)
    return lost


def _results(store: FeatureStore, jobs: list[Job], rows: int, config: Config) -> Iterator[tuple[Job, Filled | Failure]]:
    """Do the jobs in worker processes, or here where there is little to do.

    A bucket's record goes before its files are touched: killed in between, the bucket counts as not done.
    """
    from src import engine
    from src.features.store import fill

    for job in jobs:
        store.ledger.forget(job.bucket)
    if rows < IN_PROCESS or engine.workers(config.engine) == 1:
        yield from ((job, _here(job)) for job in jobs)
    else:
        yield from ((outcome.item, outcome.result) for outcome in engine.run(fill, jobs, config.engine))


def _here(job: Job) -> Filled | Failure:
    """Do a job in this process; a bucket that can't be read or written fails alone, as it does in a worker."""
    from src.engine import Failure
    from src.features.store import fill

    try:
        return fill(job)
    except Exception as error:  # noqa: BLE001 - whatever it raises is that bucket's outcome
        return Failure(f"{type(error).__name__}: {error}", traceback.format_exc())


if __name__ == "__main__":
    main("featurize", featurize)
