"""What training reads of hydrate and featurize: instruments, bars with their features by row, panels, facts, hashes."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection
from functools import cached_property
from typing import TypeVar

import polars as pl

from src.config.commands import command
from src.core.arrays import Matrix
from src.core.errors import StageError
from src.core.hashing import json_digest, table_digest
from src.core.instruments import KEY, Key
from src.documents.fact_store import FactStore
from src.evaluation import labels
from src.features.catalog import code_hash, kinds_of, needs_panel, reach
from src.features.fact_lookup import FactLookup
from src.features.selection import select
from src.features.store import FeatureStore
from src.market import bars as bars_table
from src.market.bars import BarStore
from src.market.panel import panel_hash
from src.storage import atomic
from src.storage.ledger import WAITING
from src.training import run_key
from src.training.settings import TrainingSettings

Read = TypeVar("Read")


class Inputs:
    """Bars and features of one dataset as one session sees them.

    Parameters
    ----------
    settings : TrainingSettings
        Features, the label's panel, and the last date that training may use.

    Attributes
    ----------
    feature_names : list of str
        Features of the session, in the order of the columns of a matrix.
    longest_window : int
        Bars that any of them looks back at, the row's own included.
    price_scaled : list of str
        Those of them that prices times seven change.
    fact_kinds : tuple of str
        Kinds of facts that any of them looks at.
    panel_returns : DataFrame, optional
        Returns of the portfolio that the label compares with, where it is relative.
    buckets : list of int
        Buckets whose features are of the bars that there are, by the code that there is.
    shared : SessionParts
        Parts of the run keys that all instruments share.
    planted : set of (asset_class, symbol)
        Simulated instruments with a known edge.

    Raises
    ------
    StageError
        If all features were computed by other code or from other bars than there are now.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self.paths = settings.paths
        self.bars = BarStore(self.paths.bars)
        self.features = FeatureStore(self.paths.features)
        self._until = dt.date.fromisoformat(settings.split.until) if settings.split.until else None
        chosen = select(settings.features, settings.interval)
        self.feature_names = [item.name for item in chosen]
        self.longest_window = max(item.window for item in chosen)
        self.price_scaled = [item.name for item in chosen if item.scale == "price"]
        self._looks_at_panel = any(needs_panel(item) for item in chosen)
        self.fact_kinds = kinds_of(chosen)
        self._interval = settings.interval
        self._facts_of: tuple[int, FactLookup] | None = None
        self._looks_at_splits = any("split" in reach(item) for item in chosen)
        self.panel_returns = labels.read_market(self.bars, settings.label, self._cut)
        self._hashes = {item.name: code_hash(item) for item in chosen}
        self._panel = self.features.pinned() if self._looks_at_panel else None
        self.buckets = [bucket for bucket in self.features.buckets() if self._is_current(bucket)]
        if not self.buckets:
            self._require_current()
        self.shared = run_key.SessionParts.of(
            settings.label, settings.split, settings.seed, self._hashes, self._panel_hashes()
        )
        manifest = self.bars.manifest
        self.planted = set(map(tuple, manifest.planted))
        self._bucket_count = manifest.buckets

    @cached_property
    def instruments(self) -> pl.DataFrame:
        """State of every instrument before training, sorted by key: asset_class, symbol, state, reason.

        Instruments that featurize has not come to, or has to compute again, wait for it.
        """
        path = self.paths.states("featurize")
        with atomic.read_errors(path, f"run `{command('featurize', stored=self.paths.dataset)}`, which writes it"):
            states = pl.read_parquet(path, glob=False).select(*KEY, "state", "reason")
        hydrated = [self.bars.ledger.states(b).select(KEY) for b in self.bars.buckets() if b not in self.buckets]
        waiting = pl.concat([states.select(KEY).clear(), *hydrated])
        waiting = waiting.with_columns(state=pl.lit("skipped"), reason=pl.lit(WAITING))
        left = states.join(waiting, on=KEY, how="anti")
        kept = states.join(waiting, on=KEY, how="semi").filter(pl.col("state") != "done")
        return pl.concat([left, kept, waiting.join(kept, on=KEY, how="anti")]).sort(KEY)

    def read_bars(self, bucket: int) -> tuple[pl.DataFrame, str] | None:
        """Read the bars of a bucket.

        Parameters
        ----------
        bucket : int
            One of `buckets`.

        Returns
        -------
        (DataFrame, str) or None
            Bars up to ``split.until`` and the digest of their files; None if another command is replacing the bucket.
        """
        digest = self.bars.digest(bucket)
        if not self._is_current(bucket):
            return None
        bars = self._unless_changed(bucket, digest, lambda: self._cut(self.bars.read_bucket(bucket)))
        return None if bars is None else (bars, digest)

    def read_features(
        self, bucket: int, bars: pl.DataFrame, digest: str, keys: Collection[Key]
    ) -> dict[Key, Matrix] | None:
        """Read the features of instruments of a bucket.

        Parameters
        ----------
        bucket : int
            One of `buckets`.
        bars, digest
            What `read_bars` returned for it.
        keys : collection of (asset_class, symbol)
            Instruments that have such bars.

        Returns
        -------
        dict of float32 arrays, shape (bars of the instrument, features), or None
            Row by row the features of its bars, each in memory of its own; None if another command is replacing the
            bucket.

        Raises
        ------
        StageError
            If bars and features do not fit each other although no record says that they changed.
        """
        read = self._unless_changed(
            bucket, digest, lambda: (self.features.read_matrices(bucket, self.feature_names, bars, keys),)
        )
        if read is None:
            return None
        (matrices,) = read
        if matrices is None:
            raise StageError(
                f"bars or features of {self.paths.dataset} changed while training read them: let hydrate and "
                "featurize end, then run the same command"
            )
        return matrices

    def bucket(self, key: Key) -> int:
        """Return the bucket that an instrument belongs to."""
        return bars_table.bucket(*key, self._bucket_count)

    def bars_hash(self, bars: pl.DataFrame) -> str:
        """Hash what a fit takes from the bars of an instrument.

        Parameters
        ----------
        bars : DataFrame
            Its bars up to ``split.until``.

        Returns
        -------
        str
            The split history counts only where a feature looks at it.
        """
        content = bars_table.content_hash(bars, None)
        return json_digest([content, table_digest(bars.select("split"))]) if self._looks_at_splits else content

    def facts_hash(self, key: Key, bars: pl.DataFrame) -> str | None:
        """Hash what a fit takes from the facts of an instrument: those that are known at the close of its last bar.

        Parameters
        ----------
        key : (asset_class, symbol)
        bars : DataFrame
            Its bars up to ``split.until``.

        Returns
        -------
        str or None
            None where no feature looks at facts.
        """
        if not self.fact_kinds:
            return None
        bucket = self.bucket(key)
        if self._facts_of is None or self._facts_of[0] != bucket:
            store = FactStore(self.paths.facts)
            self._facts_of = bucket, FactLookup.of(store, bucket, self.fact_kinds, self._interval)
        return self._facts_of[1].digest(key, self.fact_kinds, bars["date"].tail(1))

    def _require_current(self) -> None:
        """Raise the error that says why a bucket's features are not those of its bars and this code."""
        for bucket in self.features.buckets():
            digest = self.bars.digest(bucket)
            facts = FactLookup.digests(self.paths.facts, bucket, self.fact_kinds)
            self.features.require_current(bucket, digest, self._hashes, looks=self._looks_at_panel, facts=facts)

    def _unless_changed(self, bucket: int, digest: str, read: Callable[[], Read]) -> Read | None:
        """Read, or return None where the files are no longer those of the digest."""
        try:
            content = read()
        except (StageError, OSError, pl.exceptions.PolarsError):
            if self.bars.digest(bucket) == digest and self._is_current(bucket):
                raise
            return None
        return content if self.bars.digest(bucket) == digest and self._is_current(bucket) else None

    def _is_current(self, bucket: int) -> bool:
        """Whether a bucket's features are of its bars and facts, by this code, with the panel seen at the start."""
        pinned = self.features.pinned() if self._looks_at_panel else None
        digest = self.bars.digest(bucket)
        facts = FactLookup.digests(self.paths.facts, bucket, self.fact_kinds)
        return pinned == self._panel and self.features.is_current(bucket, digest, pinned, self._hashes, facts)

    def _cut(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keep the rows that training may use."""
        return rows if self._until is None else rows.filter(pl.col("date").cast(pl.Date) <= self._until)

    def _panel_hashes(self) -> dict[str, str]:
        """Hash what the features and the label know of each class's market."""
        tables = []
        panel = self.features.panel()
        if panel is not None and self._looks_at_panel:
            if panel_hash(panel) != self._panel:
                raise StageError(
                    f"the panel of {self.paths.dataset} is being replaced: let featurize end, then run this"
                )
            tables.append(self._cut(panel))
        if self.panel_returns is not None:
            tables.append(self.panel_returns)
        digests: dict[str, list[str]] = defaultdict(list)
        for table in tables:
            for (asset_class,), rows in table.group_by("asset_class"):
                digests[str(asset_class)].append(table_digest(rows.sort("date")))
        return {asset_class: json_digest(parts) for asset_class, parts in digests.items()}
