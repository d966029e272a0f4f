"""From what was served to what is used: a bucket's raw bars adjusted, validated and put into the store of bars."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from src.core.code_hash import code_digest
from src.core.end_state import EndState
from src.core.finding import BarFinding, as_finding
from src.core.hashing import json_digest
from src.core.instruments import KEY, Key
from src.hydration.batches import bars_and_states, log_reasons
from src.hydration.findings import with_remarks
from src.hydration.job import HydrationJob
from src.hydration.live import corporate_actions, coverage
from src.hydration.live.bucket_view import BucketView
from src.market.bars import BarStore
from src.sources.declaration import Batch

_STATES = {"failed": "failed", "unknown": "skipped", "unfit": "quarantined"}
_RULES = {"failed": "provider_failed", "unknown": "not_served", "unfit": "unfit_answer"}


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
    key = _bucket_key(job.key, view.digest(), entries, job.universe.interval)
    if store.done(b, key):
        return set()
    history = view.history(entries.select(KEY).rows())
    derived = corporate_actions.derived(history.bars, history.events)
    unusable = [_unusable(row) for row in entries.iter_rows(named=True) if not row["rows"] and row["state"] in _STATES]
    origins = dict(zip(entries.select(KEY).rows(), entries["provider"], strict=True))
    batch = Batch(b, derived.bars, unusable, exact=True, origins={key: name for key, name in origins.items() if name})
    bars, states = bars_and_states(job, batch, entries.select(KEY))
    states = with_remarks(states, _remarks(entries, derived.remarks))
    states = with_remarks(states, coverage.remarks(entries, history.bars, job.universe.interval))
    digest = store.write_bucket(b, bars)
    store.record(b, key, states, digest)
    log_reasons(states)
    return derived.apart


def _bucket_key(job_key: str, digest: str, entries: pl.DataFrame, interval: str) -> str:
    """Key of a published bucket: the hydration's, the raw content, what is known of each instrument, and our code."""
    edges = [[*key, *(each.text for each in found)] for key, found in coverage.edges(entries, interval).items()]
    known = entries.select(*KEY, "state", "reason").rows()
    return json_digest([job_key, digest, known, edges, _adjustment_digest()])


@functools.cache
def _adjustment_digest() -> str:
    return code_digest(corporate_actions.derived) + code_digest(coverage.remarks)


def _unusable(entry: dict[str, Any]) -> EndState:
    """Why an instrument has no bars at all."""
    reason = f"{entry['provider']}: {entry['reason']}"
    if entry["state"] == "unknown":
        reason = f"not known there, or delisted without a trace ({reason})"
    return EndState(entry["asset_class"], entry["symbol"], _STATES[entry["state"]], reason, rule=_RULES[entry["state"]])


def _remarks(entries: pl.DataFrame, adjusting: Mapping[Key, Iterable[str | BarFinding]]) -> dict[Key, list[BarFinding]]:
    """What adjusting noticed, and why bars that are there are not the latest; by instrument, sorted."""
    remarks = {key: [as_finding(each, "noted", "adjustment") for each in found] for key, found in adjusting.items()}
    for row in entries.filter(pl.col("facts").str.contains('"adjustment"')).iter_rows(named=True):
        text = json.loads(row["facts"])["adjustment"]
        finding = BarFinding("rebased", "noted", text, source=row["provider"] or "")
        remarks.setdefault((row["asset_class"], row["symbol"]), []).append(finding)
    for row in entries.filter((pl.col("rows") > 0) & (pl.col("state") != "fetched")).iter_rows(named=True):
        rule = "no_longer_served" if row["state"] == "unknown" else "stale"
        finding = BarFinding(rule, "noted", _why_stale(row), last=row["last"], source=row["provider"] or "")
        remarks.setdefault((row["asset_class"], row["symbol"]), []).append(finding)
    return dict(sorted(remarks.items()))


def _why_stale(entry: dict[str, Any]) -> str:
    last: dt.date = entry["last"]
    if entry["state"] == "unknown":
        return f"no longer served, bars end {last:%Y-%m-%d} ({entry['provider']}: {entry['reason']})"
    return f"not refreshed since {last:%Y-%m-%d} ({entry['provider']}: {entry['reason']})"
