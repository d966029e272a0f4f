"""From a source to a validated store: bucket by bucket, resumable, doing only what is not yet done.

A bucket is done when its ledger file says so under the job's key: a hash of the source's content, the selection, the
settings and the rules. Killing the process loses the bucket in work; the same command goes on from there.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from src.config.schema import Config
from src.core.end_state import EndState
from src.core.errors import ConfigError, StageError
from src.core.instruments import KEY
from src.hydration import provenance
from src.hydration.validation import validate
from src.market import universe
from src.market.bars import STATE_COLUMNS, BarStore, Manifest, bucket, schema
from src.runtime.disk_space import require
from src.runtime.progress import Progress
from src.sources import registry
from src.sources.declaration import Batch, Selection
from src.storage.atomic import remove_temporaries, write_parquet
from src.storage.ledger import SCHEMA

log = logging.getLogger(__name__)
STATES = SCHEMA | STATE_COLUMNS
_ROW_BYTES = 45  # a stored bar, compressed, with room to spare
_SPREAD = 3  # files in, their parts while they are cut, shards out


@dataclasses.dataclass(frozen=True)
class Intake:
    """One resolved hydration: where to, from what, under which key."""

    config: Config
    root: Path
    fingerprint: str
    job: str

    @property
    def fresh_root(self) -> Path:
        """Where ``fresh=true`` builds beside the dataset that it replaces at the end."""
        return self.root.with_name(f".{self.root.name}-fresh")


def intake(config: Config) -> Intake:
    """Resolve a hydration and check that it may be done at all.

    Raises
    ------
    ConfigError
        Where a simulated source is not wanted, the dataset came from another source, or a path does not exist.
    """
    root = Path(config.data.root) / "bars" / config.dataset
    recover(root)
    store = BarStore(root)
    if store.exists() and not config.fresh:
        provenance.refuse_other_source(config, store.manifest)
    provenance.refuse_invented(config)
    fingerprint = provenance.fingerprint(config)
    return Intake(config, root, fingerprint, provenance.job(config, fingerprint))


def up_to_date(plan: Intake) -> bool:
    """Whether the dataset holds exactly what this hydration would make."""
    store = BarStore(plan.root)
    if plan.config.fresh or plan.config.only or not store.exists():
        return False
    held = store.manifest
    return held.complete and held.job == plan.job and all(store.intact(b) for b in store.buckets())


def run(plan: Intake) -> None:
    """Hydrate what is not done yet, then pin the panel and publish the states.

    Raises
    ------
    ConfigError
        Where a name is not listed, or the selection would drop instruments that the dataset holds.
    StageError
        Where the source can't be used, the disk is too small, or no instrument could be used.
    """
    config = plan.config
    source = registry.file_source(config.source.kind)
    listing = source.listing(config.source)
    chosen = _selection(plan, listing)
    store, replacing = opened(plan, chosen)
    kept = store.manifest.buckets if store.exists() else config.universe.buckets
    wanted = _wanted(chosen, kept)
    _require_disk(plan, source, wanted.height)
    store.root.mkdir(parents=True, exist_ok=True)
    remove_temporaries(store.root)
    if config.only:
        _refill(plan, store, source, wanted)
        return
    begun = manifest(plan, wanted, kept)
    store.write_manifest(begun)
    write_parquet(chosen, store.root / "universe.parquet")
    _fill(plan, store, source, wanted)
    if not store.panel():
        store.write_panel(universe.panel(store.instruments(), config.universe.panel))
    store.write_manifest(dataclasses.replace(begun, complete=True))
    if replacing:
        swap(store.root, plan.root)


def opened(plan: Intake, chosen: pl.DataFrame) -> tuple[BarStore, bool]:
    """The store to write to, and whether it is a fresh one that replaces the dataset at the end.

    Raises
    ------
    ConfigError
        Where the selection would drop instruments that the dataset holds.
    """
    config = plan.config
    replacing = config.fresh and not config.only and BarStore(plan.root).exists()
    store = BarStore(plan.fresh_root if replacing else plan.root)
    if replacing and store.exists() and store.manifest.job != plan.job:
        shutil.rmtree(store.root)
    if not config.fresh and not config.only:
        provenance.refuse_loss(config, store, chosen)
    return store, replacing


def summary(plan: Intake) -> str:
    """The counts of the dataset in one sentence.

    Raises
    ------
    StageError
        Where no instrument could be used.
    """
    config, states = plan.config, BarStore(plan.root).instruments()
    publish_states(states.select(SCHEMA.keys()), Path(config.data.root) / "states" / config.dataset / "hydrate.parquet")
    count = {
        state: states.filter(pl.col("state") == state).height for state in ("done", "skipped", "failed", "quarantined")
    }
    done = states.filter(pl.col("state") == "done")
    if not done.height:
        reason = str(states["reason"][0]) if states.height else "the selection is empty"
        raise StageError(f"none of {states.height:,} instruments could be used: {reason}")
    dates = done.select(first=pl.col("first").min(), last=pl.col("last").max()).row(0)
    many = "s" if states.height != 1 else ""
    repaired = done.filter(pl.col("repaired") > 0).height
    skipped = f", {count['skipped']:,} skipped" if count["skipped"] else ""
    return (
        f"{states.height:,} instrument{many} of {config.dataset} from {config.source.kind}: {count['done']:,} done"
        f" ({repaired:,} repaired), {count['failed']:,} failed, {count['quarantined']:,} quarantined{skipped};"
        f" {done['rows'].sum():,} bars, {dates[0]} to {dates[1]}"
    )


def publish_states(states: pl.DataFrame, path: Path) -> None:
    """Write the states, unless they are there: an unchanged file looks unchanged to DVC."""
    if not path.is_file() or not pl.read_parquet(path).equals(states):
        write_parquet(states, path)


def _fill(plan: Intake, store: BarStore, source: Any, wanted: pl.DataFrame) -> None:
    """Do the buckets that are not done under this job's key; forget those that hold nothing any more."""
    config = plan.config
    due = set(wanted["bucket"].unique())
    for b in set(store.ledger.units()) - due:
        store.write_bucket(b, pl.DataFrame(schema=schema(config.universe.interval)))
        store.ledger.forget(b)
    pending = wanted.filter(pl.col("bucket").is_in([b for b in due if not store.done(b, plan.job)]))
    if wanted.height > pending.height:
        log.info("%d of %d instruments are done already", wanted.height - pending.height, wanted.height)
    before = wanted.height - pending.height
    with Progress("hydrate", wanted.height, before=before) as progress, scratch(config) as folder:
        if not pending.height:
            return
        request = Selection(pending, config.universe.interval, config.data.until)
        for batch in source.bars(config.source, request, folder):
            keys = pending.filter(pl.col("bucket") == batch.bucket)
            clean, states = judged(config, batch, keys)
            digest = store.write_bucket(batch.bucket, clean)
            store.record(batch.bucket, plan.job, states, digest)
            say(states)
            progress.advance(keys.height)


def _refill(plan: Intake, store: BarStore, source: Any, wanted: pl.DataFrame) -> None:
    """Take the named instruments anew (``only=[...]``) and leave the others of their buckets as they are."""
    config = plan.config
    named = universe.matches(wanted, config.only, "only")
    keys = pl.DataFrame(
        [k for hits in named.values() for k in hits], schema=dict.fromkeys(KEY, pl.String()), orient="row"
    )
    narrowed = wanted.join(keys.unique(), on=KEY, how="semi")
    if not store.exists():
        store.write_manifest(manifest(plan, wanted, config.universe.buckets))
    with scratch(config) as folder:
        request = Selection(narrowed, config.universe.interval, config.data.until)
        for batch in source.bars(config.source, request, folder):
            again = narrowed.filter(pl.col("bucket") == batch.bucket)
            clean, states = judged(config, batch, again)
            bars = store.read_bucket(batch.bucket).join(again, on=KEY, how="anti")
            former = store.ledger.states(batch.bucket).join(again, on=KEY, how="anti")
            key = store.ledger.fact(batch.bucket) or "partial"
            digest = store.write_bucket(batch.bucket, pl.concat([bars, clean]))
            store.record(batch.bucket, key, pl.concat([former, states]), digest)
            say(states)


def judged(config: Config, batch: Batch, keys: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Validated bars of a batch and one state for each of its instruments, whatever the source gave."""
    clean, states = _validated(config, batch)
    liquid = universe.liquidity(universe.activity(clean), config.split) if clean.height else None
    if liquid is None:
        states = states.with_columns(liquidity=pl.lit(None, pl.Float64))
    else:
        states = states.join(liquid.select(*KEY, "liquidity"), on=KEY, how="left")
    return clean, _complete(states.select(STATES.keys()), batch.unusable, keys, config)


def _validated(config: Config, batch: Batch) -> tuple[pl.DataFrame, pl.DataFrame]:
    raw = batch.bars
    if config.data.until is not None:
        until = pl.lit(config.data.until).str.to_date("%Y-%m-%d")
        raw = raw.filter((pl.col("date").cast(pl.Date) <= until).fill_null(True))
    return validate(raw, config.source.basis, config.universe.interval, batch.exact)


def _complete(states: pl.DataFrame, unusable: list[EndState], keys: pl.DataFrame, config: Config) -> pl.DataFrame:
    rows = [(t.asset_class, t.symbol, t.state, t.reason) for t in unusable]
    kinds = dict.fromkeys((*KEY, "state", "reason"), pl.String())
    bad = pl.DataFrame(rows, schema=kinds, orient="row").unique(KEY, keep="first").join(states, on=KEY, how="anti")
    seen = pl.concat([states.select(KEY), bad.select(KEY)])
    until = f" up to {config.data.until}" if config.data.until else ""
    absent = keys.select(KEY).join(seen, on=KEY, how="anti")
    absent = absent.with_columns(state=pl.lit("skipped"), reason=pl.lit(f"the source has no bars{until}"))
    return pl.concat([states, bad, absent], how="diagonal").with_columns(pl.col("rows", "repaired").fill_null(0))


def say(states: pl.DataFrame) -> None:
    """Log every instrument about which there is something to say."""
    for row in states.filter((pl.col("reason") != "") | (pl.col("state") != "done")).iter_rows(named=True):
        log.info("%s:%s %s: %s", row["asset_class"], row["symbol"], row["state"], row["reason"])


def _selection(plan: Intake, listing: pl.DataFrame) -> pl.DataFrame:
    """Which of the listed instruments, and why; a ranked universe looks at every instrument's bars first.

    Liquidity is of validated bars: a price in the wrong scale buys no rank.
    """
    config = plan.config
    if universe.ranked(config.universe):
        source = registry.file_source(config.source.kind)
        request = Selection(_wanted(listing, config.universe.buckets), config.universe.interval, config.data.until)
        with scratch(config) as folder:
            batches = source.bars(config.source, request, folder)
            months = [universe.activity(_validated(config, batch)[0]) for batch in batches]
        listing = listing.join(universe.liquidity(pl.concat(months), config.split), on=KEY, how="left")
    chosen = universe.select(listing, config.universe)
    for row in chosen.filter(~pl.col("included")).iter_rows(named=True):
        log.info("%s:%s left out: %s", row["asset_class"], row["symbol"], row["reason"])
    for name, keys in (universe.matches(listing, config.universe.symbols, "universe.symbols")).items():
        if len(keys) > 1:
            log.warning("%s is listed as %s: all taken", name, " and ".join(f"{k}:{s}" for k, s in keys))
    if not chosen["included"].any():
        raise ConfigError(f"universe={config.universe.name}: none of {listing.height:,} instruments is selected")
    return chosen


def _wanted(chosen: pl.DataFrame, buckets: int) -> pl.DataFrame:
    keys = (chosen.filter("included") if "included" in chosen.columns else chosen).select(KEY).rows()
    rows = [(kind, symbol, bucket(kind, symbol, buckets)) for kind, symbol in keys]
    return pl.DataFrame(rows, schema=dict.fromkeys(KEY, pl.String()) | {"bucket": pl.Int64()}, orient="row")


def manifest(plan: Intake, wanted: pl.DataFrame, buckets: int) -> Manifest:
    """The manifest of a hydration that begins: not complete yet."""
    config, keys = plan.config, set(wanted.select(KEY).rows())
    live = registry.is_live(config.source.kind)
    planted = [] if live else registry.file_source(config.source.kind).planted(config.source)
    return Manifest(
        dataset=config.dataset,
        interval=config.universe.interval,
        source=config.source.kind,
        path=config.source.path if registry.source_files(config.source) else "",
        basis=config.source.basis,
        buckets=buckets,
        until=config.data.until,
        fingerprint=plan.fingerprint,
        job=plan.job,
        complete=False,
        planted=[list(key) for key in planted if key in keys],
    )


def _require_disk(plan: Intake, source: Any, instruments: int) -> None:
    size = sum(path.stat().st_size for path in source.files(plan.config.source))
    needed = _SPREAD * size or instruments * 2800 * _ROW_BYTES
    require(plan.root, needed, f"hydrating {instruments:,} instruments")


@contextmanager
def scratch(config: Config) -> Iterator[Path]:
    """A folder for the parts of tables while they are cut, gone afterwards."""
    path = Path(config.data.root) / "cache" / f"hydrate-{config.dataset}"
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def swap(new: Path, root: Path) -> None:
    """Put a dataset built afresh in the place of the old one; `recover` finishes what a kill leaves half done."""
    old = root.with_name(f".{root.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    root.replace(old)
    new.replace(root)
    shutil.rmtree(old, ignore_errors=True)


def recover(root: Path) -> None:
    """Finish the exchange of a dataset for its fresh one, where a kill fell between the two renames."""
    old, new = root.with_name(f".{root.name}-old"), root.with_name(f".{root.name}-fresh")
    if not root.exists():
        built = BarStore(new)
        if built.exists() and built.manifest.complete:
            new.replace(root)
        elif old.exists():
            old.replace(root)
    if root.exists():
        shutil.rmtree(old, ignore_errors=True)
