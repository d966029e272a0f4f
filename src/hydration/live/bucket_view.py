"""A bucket of raw bars with its ledger, both of one moment: what is published from it, and how its entries are read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import polars as pl

from src.core.instruments import Key
from src.hydration.live.history import History
from src.hydration.live.raw_bucket import RawBucket, entries_digest


class BucketView:
    """The entries of a bucket whose bars are on disk, and these bars.

    Parameters
    ----------
    bucket : RawBucket
        Its files.
    history, entries : optional
        All that the bucket has, if it was just written. Otherwise they are read from disk, the bars when first needed.
    """

    def __init__(
        self, bucket: RawBucket, history: History | None = None, entries: dict[Key, dict[str, Any]] | None = None
    ) -> None:
        self.bucket = bucket
        self.verified = bucket.verified() if entries is None else entries
        self._complete = history is not None and entries is not None
        self._given = history

    def history(self, keys: Iterable[Key]) -> History:
        """Bars and events of some instruments.

        Parameters
        ----------
        keys : iterable of (asset_class, symbol)
            Instruments wanted; those whose entry isn't verified are left out.

        Returns
        -------
        History
            In the order of the store.
        """
        wanted = self.verified.keys() & set(keys)
        everything = self._complete and len(wanted) == len(self.verified)
        return self._history if everything else self._history.of(wanted)

    @cached_property
    def entries(self) -> pl.DataFrame:
        """The ledger as a table: columns of `raw_bucket.ENTRY`, sorted by key, `facts` as JSON text."""
        rows = (
            {**entry, "facts": json.dumps(entry["facts"], ensure_ascii=False, sort_keys=True)}
            for entry in self.verified.values()
        )
        return self.bucket.ledger.table(rows)

    def digest(self) -> str:
        """Hash over all entries; when it changes, the bucket is published again.

        Returns
        -------
        str
            Of content, state and class of error; empty if there is no entry.
        """
        return entries_digest(self.verified.values())

    @cached_property
    def _history(self) -> History:
        return self._given or self.bucket.history()
