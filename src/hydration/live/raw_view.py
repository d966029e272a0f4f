"""A bucket of raw bars with its ledger, both of one moment: what is published from it, and how its entries are read."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import polars as pl

from src.core.instruments import KEY, Key
from src.fetching.provider import raw_schema
from src.hydration.live import content_hash
from src.hydration.live.raw_bucket import Bucket
from src.hydration.live.refresh import Held

_STAMP = pl.Datetime("us", "UTC")
ENTRY: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "provider": pl.String(),  # the link of the chain that serves it
    "name": pl.String(),  # what the provider calls it
    "state": pl.String(),
    "tries": pl.Int64(),
    "next_attempt": _STAMP,
    "error_class": pl.String(),
    "reason": pl.String(),
    "first": pl.Date(),  # intraday: UTC timestamp, as in the bars
    "last": pl.Date(),
    "rows": pl.Int64(),  # bars stored, of all sources
    "content_hash": pl.String(),  # of its bars and events
    "checked": _STAMP,  # when a good answer last came; null for bulk rows alone
    "facts": pl.String(),  # JSON: what the provider says of it (currency, type, ...), and `adjustment` (words)
}


class Folded:
    """The sound entries of a bucket and their bars.

    Parameters
    ----------
    bucket
        Its files.
    interval
        Of the bars.
    held, entries
        All that the bucket has, where it was just written; absent: read from disk, the bars when they are asked for.
    """

    def __init__(
        self, bucket: Bucket, interval: str, held: Held | None = None, entries: dict[Key, dict[str, Any]] | None = None
    ) -> None:
        self.bucket, self.interval = bucket, interval
        self.sound = bucket.sound() if entries is None else entries
        self._whole = held is not None and entries is not None
        self._given = held

    def held(self, keys: Iterable[Key]) -> Held:
        """Bars and events of some instruments; those that count as absent are left out."""
        wanted = self.sound.keys() & set(keys)
        everything = self._whole and len(wanted) == len(self.sound)
        return self._held if everything else of_keys(self._held, wanted)

    @cached_property
    def entries(self) -> pl.DataFrame:
        """The ledger: columns of `ENTRY`, sorted by key."""
        rows = [_row(entry, self.interval) for entry in self.sound.values()]
        return pl.DataFrame(rows, schema=ledger_schema(self.interval), orient="row").sort(KEY)

    def digest(self) -> str:
        """Hash over all entries: content, state and class of error; when it changed, publish again."""
        parts = [
            [*key, entry["content_hash"], entry["state"], entry["error_class"]]
            for key, entry in sorted(self.sound.items())
        ]
        return content_hash.text_hash(json.dumps(parts)) if parts else ""

    @cached_property
    def _held(self) -> Held:
        return self._given or self.bucket.held()


def ledger_schema(interval: str) -> dict[str, Any]:
    """Columns and types of the ledger as a table."""
    day = raw_schema(interval)["date"]
    return ENTRY | {"first": day, "last": day}


def of_keys(held: Held, keys: Iterable[Key]) -> Held:
    """What belongs to some instruments."""
    wanted = pl.DataFrame(list(keys), schema=dict.fromkeys(KEY, pl.String()), orient="row")
    return Held(*(f.join(wanted, on=KEY, how="semi", maintain_order="left") for f in (held.bars, held.events)))


def _row(entry: dict[str, Any], interval: str) -> dict[str, Any]:
    day = dt.date if interval == "1d" else dt.datetime
    times = {name: _time(entry[name], day) for name in ("first", "last")}
    times |= {name: _time(entry[name], dt.datetime) for name in ("next_attempt", "checked")}
    return {**entry, **times, "facts": json.dumps(entry["facts"], ensure_ascii=False, sort_keys=True)}


def _time(text: str | None, kind: type[dt.date]) -> dt.date | None:
    return kind.fromisoformat(text) if text else None
