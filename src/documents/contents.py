"""Which contents of which ids of one source are stored: what a batch is compared with, 24 bytes a content."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import polars as pl
from numpy.typing import NDArray

_FOLD = 200_000  # new contents after which they are merged into the sorted arrays


class Contents:
    """Contents by the key of their id, with the time of their first sight in microseconds since 1970.

    Parameters
    ----------
    observed : DataFrame
        With key, content and first_seen, as `src.documents.catalogue.OBSERVED`.
    """

    def __init__(self, observed: pl.DataFrame) -> None:
        ordered = observed.select("key", "content", pl.col("first_seen").cast(pl.Int64)).sort("key")
        self._keys: NDArray[np.uint64] = ordered["key"].to_numpy()
        self._contents: NDArray[np.uint64] = ordered["content"].to_numpy()
        self._seen: NDArray[np.int64] = ordered["first_seen"].to_numpy()
        self._new: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._added = 0

    def __len__(self) -> int:
        """Contents in all, revisions included."""
        return len(self._keys) + self._added

    def of(self, key: int) -> list[tuple[int, int]]:
        """Contents of an id.

        Parameters
        ----------
        key : int

        Returns
        -------
        list of (int, int)
            Content and first sight; empty if the id is unknown.
        """
        begin = end = int(np.searchsorted(self._keys, np.uint64(key)))
        while end < len(self._keys) and self._keys[end] == key:
            end += 1
        old = zip(self._contents[begin:end].tolist(), self._seen[begin:end].tolist(), strict=True)
        return [*old, *self._new.get(key, ())]

    def add(self, key: int, content: int, seen: int) -> None:
        """Remember a content.

        Parameters
        ----------
        key, content, seen : int
        """
        self._new[key].append((content, seen))
        self._added += 1
        if self._added >= _FOLD:
            self._fold()

    def _fold(self) -> None:
        rows = [(key, content, seen) for key, each in self._new.items() for content, seen in each]
        keys = np.concatenate([self._keys, np.array([row[0] for row in rows], np.uint64)])
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._contents = np.concatenate([self._contents, np.array([row[1] for row in rows], np.uint64)])[order]
        self._seen = np.concatenate([self._seen, np.array([row[2] for row in rows], np.int64)])[order]
        self._new.clear()
        self._added = 0
