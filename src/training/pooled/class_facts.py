"""What the fits of an asset class take from facts of research."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from src.core.hashing import json_digest
from src.core.instruments import KEY
from src.documents.fact_store import FactStore
from src.features.fact_lookup import FactLookup
from src.storage import atomic

if TYPE_CHECKING:
    from src.training.inputs import Inputs
    from src.training.pooled.class_data import ClassBars


def facts_digest(bars: ClassBars, inputs: Inputs, note: Path) -> str | None:
    """Hash the facts that are known at the close of each instrument's last bar.

    Parameters
    ----------
    bars : ClassBars
    inputs : Inputs
        Of the dataset.
    note : Path
        Where the hash is kept beside what it was computed from, so that facts that did not change are not read.

    Returns
    -------
    str or None
        None where no feature looks at facts.
    """
    kinds, root = inputs.fact_kinds, inputs.paths.facts
    if not kinds:
        return None
    buckets = bars.store.buckets()
    content = [[bars.store.digest(b), FactLookup.digests(root, b, kinds)] for b in buckets]
    made_from = json_digest([content, str(bars.until), bars.asset_class, sorted(bars.names), kinds])
    if note.is_file() and (stored := atomic.read_json(note)).get("made_from") == made_from:
        return str(stored["facts"])
    hashed = json_digest(sorted(each for b in buckets for each in _hashes(bars, b, kinds, root)))
    atomic.write_json({"made_from": made_from, "facts": hashed}, note)
    return hashed


def _hashes(bars: ClassBars, b: int, kinds: tuple[str, ...], root: Path) -> list[str]:
    """A hash an instrument, so that the number of buckets changes nothing."""
    until = bars.until
    last = bars.store.read_bucket(b, [*KEY, "date"], [key for key in sorted(bars.names) if key[0] == bars.asset_class])
    if until is not None:
        last = last.filter(pl.col("date").cast(pl.Date) <= until)
    last = last.group_by(KEY, maintain_order=True).agg(pl.col("date").max())
    keys = last.select(KEY).rows()
    lookup = FactLookup.of(FactStore(root), b, kinds, keys=keys)
    return [
        json_digest([list(key), lookup.digest(key, kinds, last["date"].slice(row, 1))]) for row, key in enumerate(keys)
    ]
