"""Stored features of one bucket for decisions: refused where they are not of the bars and the code that there are."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.core.errors import StageError
from src.core.instruments import KEY, Key
from src.features.fact_lookup import FactLookup
from src.features.store import FeatureStore
from src.signals.refusals import RefusedLine

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from src.core.arrays import BoolArray, DateArray, Matrix
    from src.market.bars import BarStore
    from src.signals.graded_settings import ChosenFeatures


class BucketFeatures:
    """Features of one bucket.

    Parameters
    ----------
    features : FeatureStore
    bars : BarStore
    bucket : int
    facts : Path
        Folder of the facts of research.
    """

    def __init__(self, features: FeatureStore, bars: BarStore, bucket: int, facts: Path) -> None:
        self._features, self._bars, self._bucket, self._facts = features, bars, bucket, facts
        self._digest = bars.digest(bucket)
        self._reasons: dict[str, str | None] = {}
        self._read: dict[str, tuple[Matrix, dict[Key, tuple[int, DateArray]]]] = {}
        states = features.ledger.states(bucket)
        left = states.filter(pl.col("state") != "done").select(*KEY, "state", "reason")
        self._left = {(kind, symbol): f"{state}: {reason}" for kind, symbol, state, reason in left.iter_rows()}

    def require(self, key: Key, chosen: ChosenFeatures) -> None:
        """Make sure that an instrument's features may be used.

        Parameters
        ----------
        key : (asset_class, symbol)
        chosen : ChosenFeatures

        Raises
        ------
        RefusedLine
            If they are not of the bars, facts, panel and code that there are, or featurize failed on the instrument.
        """
        if chosen.digest not in self._reasons:
            self._reasons[chosen.digest] = self._reason(chosen)
        if reason := self._reasons[chosen.digest] or self._left.get(key):
            raise RefusedLine(reason)

    def read(self, chosen: ChosenFeatures, keys: Iterable[Key], since: dt.date) -> None:
        """Read features of instruments from a day on, once for all of them.

        Parameters
        ----------
        chosen : ChosenFeatures
        keys : iterable of (asset_class, symbol)
        since : date

        Raises
        ------
        StageError
            If a file can't be read, or another command replaces the bucket.
        """
        names = list(chosen.hashes)
        rows = self._features.read_rows(self._bucket, names, list(keys), since=since)
        if self._bars.digest(self._bucket) != self._digest or self._reason(chosen):
            raise StageError("bars or features are being replaced: let that command end, then run this one again")
        times = rows.dates.astype("datetime64[us]")
        places = {key: (own.start, times[own]) for key, own in rows.instruments}
        self._read[chosen.digest] = rows.values, places

    def rows(self, key: Key, chosen: ChosenFeatures, times: DateArray) -> tuple[Matrix, BoolArray]:
        """Return the rows of an instrument's bars.

        Parameters
        ----------
        key : (asset_class, symbol)
        chosen : ChosenFeatures
        times : datetime64[us], shape (n,)
            Of the bars, ascending.

        Returns
        -------
        x : float32, shape (n, features), C-contiguous
            NaN where a feature is undefined.
        is_missing : bool, shape (n,)
            Bars that have no row at all.
        """
        matrix, places = self._read[chosen.digest]
        start, known = places.get(key, (0, times[:0]))
        x = np.full((times.size, len(chosen.hashes)), np.nan, dtype=np.float32)
        at = np.searchsorted(known, times)
        found = at < known.size
        found[found] = known[at[found]] == times[found]
        x[found] = matrix[start + at[found]]
        return x, ~found

    def _reason(self, chosen: ChosenFeatures) -> str | None:
        try:
            facts = FactLookup.digests(self._facts, self._bucket, chosen.kinds)
            self._features.require_current(self._bucket, self._digest, chosen.hashes, looks=chosen.looks, facts=facts)
        except StageError as error:
            return str(error)
        return None
