"""Featurize: every declared feature that the configuration chooses, for every bar that hydrate left.

``python -m src.featurize universe=full`` computes the buckets whose bars, panel or feature code changed and leaves the
others alone. Interrupted anywhere, the same command goes on.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.errors import StageError
from src.runtime.command import main

if TYPE_CHECKING:
    from src.config.schema import Config
    from src.core.failure import Failure
    from src.features.registry import Feature
    from src.features.store import BucketTask, FeatureStore, Filled
    from src.market.bars import BarStore

log = logging.getLogger("src.featurize")  # run as a command this module's own name is __main__
IN_PROCESS = 150_000  # bars below which starting workers takes longer than the work


def featurize(config: Config) -> str:
    """Bring the dataset's features up to date and write the state of every instrument; return the closing line."""
    from src.features.catalog import code_hash, needs_panel
    from src.features.store import BucketTask, FeatureStore
    from src.market.bars import BarStore
    from src.storage import atomic

    chosen = _chosen(config)
    hashes = {item.name: code_hash(item) for item in chosen}
    data = Path(config.data.root)
    bars = BarStore(data / "bars" / config.dataset)
    if not bars.exists() or not bars.buckets():
        raise StageError(f"no bars for universe={config.dataset}: run `{config.hydrate_command}` first")
    store = FeatureStore(data / "features" / config.dataset)
    store.drop_obsolete(bars.manifest.buckets)
    panel = store.pin_panel(bars)
    seen = panel if any(needs_panel(item) for item in chosen) else None
    stale = [b for b in _wanted(bars, config) if config.fresh or not store.is_current(b, bars.digest(b), seen, hashes)]
    windows = {item.name: (item.window, item.tolerance) for item in chosen}
    tasks = [BucketTask(bars.root, store.root, b, config.features, config.universe.interval, windows) for b in stale]
    lost = _compute(store, bars, tasks, hashes, panel, config)
    states = store.states(bars, lost)
    atomic.write_parquet(states, data / "states" / config.dataset / "featurize.parquet")
    counts = dict(states["state"].value_counts().iter_rows())
    rows = states.filter(state="done")["rows"].sum()
    return (
        f"featurize: {counts.get('done', 0):,} instruments, {len(hashes)} features, {rows:,} rows; "
        f"{counts.get('failed', 0):,} failed, {counts.get('skipped', 0):,} skipped"
    )


def _chosen(config: Config) -> list[Feature]:
    """Chosen features, the user's own after their checks."""
    from src.core.errors import ConfigError
    from src.features.registry import FeatureError
    from src.features.selection import select

    try:
        return select(config.features, config.universe.interval)
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
    store: FeatureStore, bars: BarStore, tasks: list[BucketTask], hashes: dict[str, str], panel: str, config: Config
) -> dict[int, Failure]:
    """Compute the stale buckets and record each as it is done; return those that failed."""
    from src.core.failure import Failure
    from src.runtime import disk_space
    from src.runtime.progress import Progress

    sizes = {task.bucket: bars.ledger.states(task.bucket) for task in tasks}
    rows = sum(int(states["rows"].sum()) for states in sizes.values())
    total = sum(states.height for states in sizes.values())
    disk_space.require(store.root, rows * (4 * len(hashes) + 8), f"{len(hashes)} features of {total:,} instruments")
    lost: dict[int, Failure] = {}
    with Progress("featurize", total) as progress:
        for task, result in _results(store, tasks, rows, config):
            if isinstance(result, Failure):
                lost[task.bucket] = result
                log.error("bucket %d failed: %s\n%s", task.bucket, result.reason, result.traceback)
            else:
                store.record(task.bucket, bars, result, panel, hashes)
                for key, failure in result.failed.items():
                    log.warning("%s:%s failed: %s", *key, failure.reason)
            progress.advance(sizes[task.bucket].height)
    return lost


def _results(
    store: FeatureStore, tasks: list[BucketTask], rows: int, config: Config
) -> Iterator[tuple[BucketTask, Filled | Failure]]:
    """Do the tasks in worker processes, or here where there is little to do.

    A bucket's record goes before its files are touched: killed in between, the bucket counts as not done. The files
    are this machine's, so a choice of Ray is for training alone.
    """
    from src.engine import dispatch
    from src.engine.cores import worker_count
    from src.features.store import fill

    here = dataclasses.replace(config.engine, kind="local")
    for task in tasks:
        store.ledger.forget(task.bucket)
    if rows < IN_PROCESS or worker_count(config.engine) == 1:
        yield from ((task, _here(task)) for task in tasks)
    else:
        yield from ((outcome.item, outcome.result) for outcome in dispatch.run(fill, tasks, here))


def _here(task: BucketTask) -> Filled | Failure:
    """Do a task in this process; a bucket that can't be read or written fails alone, as it does in a worker."""
    from src.core.failure import Failure
    from src.features.store import fill

    try:
        return fill(task)
    except Exception as error:  # noqa: BLE001 - whatever it raises is that bucket's outcome
        return Failure.of(error)


if __name__ == "__main__":
    main("featurize", featurize)
