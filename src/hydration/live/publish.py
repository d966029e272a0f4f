"""From what was served to what is used: a bucket's raw bars adjusted, validated and put into the store of bars."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any

import polars as pl

from src.core.end_state import EndState
from src.core.instruments import KEY
from src.hydration import bulk
from src.hydration.bulk import Intake
from src.hydration.live import corporate_actions
from src.hydration.live.raw_store import RawStore
from src.hydration.live.raw_view import Folded
from src.market.bars import BarStore
from src.sources.declaration import Batch

_STATES = {"failed": "failed", "unknown": "skipped", "unfit": "quarantined"}


def publish(
    plan: Intake, raw: RawStore, store: BarStore, b: int, keys: pl.DataFrame, known: Folded | None = None
) -> set[tuple[str, str]]:
    """Bring one bucket of the store up to date with its raw bars.

    Instruments that nobody has answered for yet are left out: the rest of the bucket may be used meanwhile.

    Parameters
    ----------
    keys
        asset_class, symbol of the bucket's instruments that are selected.
    known
        The raw bucket, where it was looked at just now.

    Returns
    -------
    set of (asset_class, symbol)
        Instruments whose archive and provider don't fit: their bars are to be fetched whole from the provider.
    """
    folded = known or raw.folded(b)
    entries = folded.entries.join(keys, on=KEY, how="semi").sort(KEY)
    job = _job(plan.job, folded.digest(), entries)
    if store.done(b, job):
        return set()
    held = folded.held(entries.select(KEY).rows())
    derived = corporate_actions.derived(held.bars, held.events)
    unusable = [_unusable(row) for row in entries.iter_rows(named=True) if not row["rows"] and row["state"] in _STATES]
    clean, states = bulk.judged(plan.config, Batch(b, derived.bars, unusable, exact=True), entries.select(KEY))
    states = _with_notes(states, entries, derived.words)
    digest = store.write_bucket(b, clean)
    store.record(b, job, states, digest)
    bulk.say(states)
    return derived.apart


def _job(job: str, digest: str, entries: pl.DataFrame) -> str:
    """Key of a published bucket: the hydration's job, the raw content, and what is known of each instrument."""
    known = entries.select(*KEY, "state", "reason").rows()
    return hashlib.blake2b(json.dumps([job, digest, known]).encode(), digest_size=16).hexdigest()


def _unusable(entry: dict[str, Any]) -> EndState:
    """Why an instrument has no bars at all."""
    reason = f"{entry['provider']}: {entry['reason']}"
    if entry["state"] == "unknown":
        reason = f"not known there, or delisted without a trace ({reason})"
    return EndState(entry["asset_class"], entry["symbol"], _STATES[entry["state"]], reason)


def _with_notes(states: pl.DataFrame, entries: pl.DataFrame, words: dict[tuple[str, str], list[str]]) -> pl.DataFrame:
    """Add to the reasons what adjusting found, and why bars that are there are not the latest."""
    said = {key: list(each) for key, each in words.items()}
    for row in entries.filter(pl.col("facts").str.contains('"adjustment"')).iter_rows(named=True):
        said.setdefault((row["asset_class"], row["symbol"]), []).append(json.loads(row["facts"])["adjustment"])
    for row in entries.filter((pl.col("rows") > 0) & (pl.col("state") != "fetched")).iter_rows(named=True):
        said.setdefault((row["asset_class"], row["symbol"]), []).append(_stale(row))
    if not said:
        return states
    rows = [(*key, "; ".join(each)) for key, each in sorted(said.items())]
    table = pl.DataFrame(rows, schema=dict.fromkeys((*KEY, "note"), pl.String()), orient="row")
    joined = states.join(table, on=KEY, how="left", maintain_order="left")
    both = pl.concat_str(["reason", "note"], separator="; ", ignore_nulls=True).str.strip_prefix("; ")
    return joined.with_columns(reason=both).drop("note")


def _stale(entry: dict[str, Any]) -> str:
    last: dt.date = entry["last"]
    if entry["state"] == "unknown":
        return f"no longer served, bars end {last:%Y-%m-%d} ({entry['provider']}: {entry['reason']})"
    return f"not refreshed since {last:%Y-%m-%d} ({entry['provider']}: {entry['reason']})"
