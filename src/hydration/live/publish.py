"""From what was served to what is used: a bucket's raw bars adjusted, validated and put into the store of bars."""

from __future__ import annotations

import datetime as dt
import functools
import json
from typing import Any

import polars as pl

from src.core.code_hash import code_digest
from src.core.end_state import EndState
from src.core.hashing import json_digest
from src.core.instruments import KEY, Key
from src.hydration.batches import bars_and_states, log_reasons
from src.hydration.job import HydrationJob
from src.hydration.live import corporate_actions
from src.hydration.live.bucket_view import BucketView
from src.market.bars import BarStore
from src.sources.declaration import Batch

_STATES = {"failed": "failed", "unknown": "skipped", "unfit": "quarantined"}


def publish(job: HydrationJob, view: BucketView, store: BarStore, keys: pl.DataFrame) -> set[Key]:
    """Bring one bucket of the store up to date with its raw bars.

    Instruments without any answer yet are left out: the rest of the bucket may be used meanwhile.

    Parameters
    ----------
    job : HydrationJob
        The hydration.
    view : BucketView
        The raw bucket.
    store : BarStore
        Where bars are published.
    keys : DataFrame
        asset_class, symbol of the instruments that are selected.

    Returns
    -------
    set of (asset_class, symbol)
        Instruments whose archive and provider don't fit: their bars are to be fetched whole from the provider.
    """
    b = view.bucket.b
    entries = view.entries.join(keys, on=KEY, how="semi").sort(KEY)
    key = _bucket_key(job.key, view.digest(), entries)
    if store.done(b, key):
        return set()
    history = view.history(entries.select(KEY).rows())
    derived = corporate_actions.derived(history.bars, history.events)
    unusable = [_unusable(row) for row in entries.iter_rows(named=True) if not row["rows"] and row["state"] in _STATES]
    bars, states = bars_and_states(job, Batch(b, derived.bars, unusable, exact=True), entries.select(KEY))
    states = _with_remarks(states, entries, derived.remarks)
    digest = store.write_bucket(b, bars)
    store.record(b, key, states, digest)
    log_reasons(states)
    return derived.apart


def _bucket_key(job_key: str, digest: str, entries: pl.DataFrame) -> str:
    """Key of a published bucket: the hydration's, the raw content, what is known of each instrument, and our code."""
    return json_digest([job_key, digest, entries.select(*KEY, "state", "reason").rows(), _adjustment_digest()])


@functools.cache
def _adjustment_digest() -> str:
    return code_digest(corporate_actions.derived)


def _unusable(entry: dict[str, Any]) -> EndState:
    """Why an instrument has no bars at all."""
    reason = f"{entry['provider']}: {entry['reason']}"
    if entry["state"] == "unknown":
        reason = f"not known there, or delisted without a trace ({reason})"
    return EndState(entry["asset_class"], entry["symbol"], _STATES[entry["state"]], reason)


def _with_remarks(states: pl.DataFrame, entries: pl.DataFrame, adjusting: dict[Key, list[str]]) -> pl.DataFrame:
    """Add to the reasons what adjusting noticed, and why bars that are there are not the latest."""
    remarks = {key: list(texts) for key, texts in adjusting.items()}
    for row in entries.filter(pl.col("facts").str.contains('"adjustment"')).iter_rows(named=True):
        remarks.setdefault((row["asset_class"], row["symbol"]), []).append(json.loads(row["facts"])["adjustment"])
    for row in entries.filter((pl.col("rows") > 0) & (pl.col("state") != "fetched")).iter_rows(named=True):
        remarks.setdefault((row["asset_class"], row["symbol"]), []).append(_why_stale(row))
    if not remarks:
        return states
    rows = [(*key, "; ".join(texts)) for key, texts in sorted(remarks.items())]
    table = pl.DataFrame(rows, schema=dict.fromkeys((*KEY, "remark"), pl.String()), orient="row")
    joined = states.join(table, on=KEY, how="left", maintain_order="left")
    both = pl.concat_str(["reason", "remark"], separator="; ", ignore_nulls=True).str.strip_prefix("; ")
    return joined.with_columns(reason=both).drop("remark")


def _why_stale(entry: dict[str, Any]) -> str:
    last: dt.date = entry["last"]
    if entry["state"] == "unknown":
        return f"no longer served, bars end {last:%Y-%m-%d} ({entry['provider']}: {entry['reason']})"
    return f"not refreshed since {last:%Y-%m-%d} ({entry['provider']}: {entry['reason']})"
