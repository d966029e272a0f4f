"""Bring a dataset's features up to date: compute the buckets whose bars, panel, facts or feature code changed."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from src.config.paths import DatasetPaths
from src.config.schema import Config, EngineConfig, FeaturesConfig
from src.core.errors import StageError
from src.core.failure import Failure
from src.core.instruments import KEY
from src.engine import dispatch
from src.engine.cores import worker_count
from src.features.bucket_task import BucketTask, fill
from src.features.catalog import code_hash, kinds_of, needs_panel
from src.features.fact_lookup import FactLookup
from src.features.look_ahead import Foresight, ForesightError, own_features, trials_each
from src.features.registry import Feature, FeatureError
from src.features.selection import select
from src.features.store import FeatureStore, Filled
from src.market.bars import BarStore
from src.runtime import disk_space
from src.runtime.progress import Progress
from src.storage import atomic

log = logging.getLogger(__name__)
IN_PROCESS = 150_000  # bars below which starting workers takes longer than the work


@dataclass(frozen=True)
class FeatureJob:
    """What to compute, for which dataset, and how.

    Attributes
    ----------
    paths : DatasetPaths
    features : FeaturesConfig
        The configured set.
    interval : str
        Of the bars, ``1d`` or ``1h`` and the like.
    engine : EngineConfig
    only : tuple of str
        Symbols, or ``class:symbol``, whose buckets alone are looked at; empty for all.
    fresh : bool
        Whether buckets that are up to date are computed too.
    hydrate_command : str
        What to type where there are no bars.
    """

    paths: DatasetPaths
    features: FeaturesConfig
    interval: str
    engine: EngineConfig
    only: tuple[str, ...]
    fresh: bool
    hydrate_command: str

    @classmethod
    def of(cls, config: Config) -> FeatureJob:
        """Take what the job needs from the configuration of a command."""
        return cls(
            config.paths,
            config.features,
            config.universe.interval,
            config.engine,
            tuple(config.only),
            config.fresh,
            config.hydrate_command,
        )


def build(job: FeatureJob) -> str:
    """Compute what is not up to date and write the state of every instrument.

    Returns
    -------
    str
        The counts, as the closing line of the command gives them.

    Raises
    ------
    ConfigError
        A feature that isn't declared, or one of the user's own that breaks a rule, on invented bars or on an
        instrument's own.
    StageError
        There are no bars, or the disk is too small.
    """
    chosen = select(job.features, job.interval)
    hashes = {item.name: code_hash(item) for item in chosen}
    bars, store = BarStore(job.paths.bars), FeatureStore(job.paths.features)
    if not bars.exists() or not bars.buckets():
        raise StageError(f"no bars for universe={job.paths.dataset}: run `{job.hydrate_command}` first")
    store.drop_obsolete(bars.manifest.buckets)
    panel = store.pin_panel(bars)
    tasks = _stale(job, chosen, hashes, store, bars, panel)
    lost = _checked(job, store, hashes, lambda: _compute(store, bars, tasks, hashes, panel, job.engine), bool(tasks))
    states = store.states(bars, lost)
    atomic.write_parquet(states, job.paths.states("featurize"))
    counts = dict(states["state"].value_counts().iter_rows())
    rows = states.filter(state="done")["rows"].sum()
    return (
        f"{counts.get('done', 0):,} instruments, {len(hashes)} features, {rows:,} rows; "
        f"{counts.get('failed', 0):,} failed, {counts.get('skipped', 0):,} skipped"
    )


def _checked(
    job: FeatureJob, store: FeatureStore, hashes: dict[str, str], work: Callable[[], dict[int, Failure]], some: bool
) -> dict[int, Failure]:
    """Do the work, and keep training from the user's own columns until it has ended without a finding.

    Buckets that were computed before a finding stay, so after a change of the bars the same command goes on.
    """
    if some:
        store.probation.hold(hashes)
    try:
        lost = work()
    except ForesightError as error:
        store.probation.hold(hashes, error.found)
        raise FeatureError(
            f"featurize universe={job.paths.dataset}: {error.found.reason}. Nothing of this column is used: change or "
            "leave it out, then run featurize again"
        ) from None
    store.probation.release(hashes, whole=not job.only)
    return lost


def _stale(
    job: FeatureJob, chosen: Sequence[Feature], hashes: dict[str, str], store: FeatureStore, bars: BarStore, panel: str
) -> list[BucketTask]:
    """Tasks of the buckets that were computed by other code, from other bars, panel or facts, or not at all."""
    relevant = panel if any(needs_panel(item) for item in chosen) else None
    windows = {item.name: (item.window, item.tolerance) for item in chosen}
    trials = trials_each(sum(bars.ledger.states(b).height for b in bars.buckets())) if own_features(chosen) else 0
    kinds, root = kinds_of(chosen), job.paths.facts
    facts = {b: FactLookup.digests(root, b, kinds) for b in _wanted(bars, job.only)}
    if earlier := sum(map(store.is_of_earlier_form, facts)):
        log.info("%d buckets are stored in the form of an earlier version: their features are computed again", earlier)
    return [
        BucketTask(bars.root, store.root, b, job.features, job.interval, windows, trials, root, digests)
        for b, digests in facts.items()
        if job.fresh or not store.is_computed(b, bars.digest(b), relevant, hashes, digests)
    ]


def _wanted(bars: BarStore, only: tuple[str, ...]) -> list[int]:
    """Buckets to look at: all that are hydrated, or those that hold the symbols of `only`."""
    if not only:
        return bars.buckets()
    held = {b: bars.ledger.states(b).select(KEY).rows() for b in bars.buckets()}
    return [b for b, keys in held.items() if any({symbol, f"{kind}:{symbol}"} & {*only} for kind, symbol in keys)]


def _compute(
    store: FeatureStore,
    bars: BarStore,
    tasks: list[BucketTask],
    hashes: dict[str, str],
    panel: str,
    engine: EngineConfig,
) -> dict[int, Failure]:
    """Compute buckets and record each as it is done; return those that failed."""
    sizes = {task.bucket: bars.ledger.states(task.bucket) for task in tasks}
    _require_space(store, sizes, len(hashes))
    lost: dict[int, Failure] = {}
    with Progress("featurize", sum(states.height for states in sizes.values())) as progress:
        for task, result in _results(store, tasks, _rows(sizes), engine):
            if isinstance(result, Foresight):
                raise ForesightError(result)
            if isinstance(result, Failure):
                lost[task.bucket] = result
                traceback = {"traceback": result.traceback}
                log.error("bucket %d failed: %s", task.bucket, result.reason, extra=traceback)
            else:
                store.record(task.bucket, bars, result, panel, hashes, task.digests)
                for key, failure in result.failed.items():
                    log.warning("%s:%s failed: %s", *key, failure.reason)
            progress.advance(sizes[task.bucket].height)
    return lost


def _rows(sizes: Mapping[int, pl.DataFrame]) -> int:
    return sum(int(states["rows"].sum()) for states in sizes.values())


def _require_space(store: FeatureStore, sizes: Mapping[int, pl.DataFrame], features: int) -> None:
    """Refuse to begin on a disk that can't hold the columns: four bytes a value, eight a date."""
    instruments = sum(states.height for states in sizes.values())
    disk_space.require(
        store.root, _rows(sizes) * (4 * features + 8), f"{features} features of {instruments:,} instruments"
    )


def _results(
    store: FeatureStore, tasks: list[BucketTask], rows: int, engine: EngineConfig
) -> Iterator[tuple[BucketTask, Filled | Foresight | Failure]]:
    """Do the tasks in worker processes, or in this one where there is little to do.

    A bucket's record is removed before its files are touched, so a bucket that was interrupted counts as not done. The
    files are on this machine, so a choice of Ray applies to training only.
    """
    for task in tasks:
        store.ledger.forget(task.bucket)
    if rows < IN_PROCESS or worker_count(engine) == 1:
        yield from ((task, _fill_here(task)) for task in tasks)
    else:
        local = dataclasses.replace(engine, kind="local")
        yield from ((outcome.item, outcome.result) for outcome in dispatch.run(fill, tasks, local))


def _fill_here(task: BucketTask) -> Filled | Foresight | Failure:
    """Do a task in this process; a bucket that can't be read or written fails alone, as it does in a worker."""
    try:
        return fill(task)
    except Exception as error:  # noqa: BLE001 - whatever it raises is that bucket's outcome
        return Failure.of(error)
