"""What training takes from hydrate and featurize: instruments, bars with their features row by row, panels, hashes."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import polars as pl

from src.config.schema import Config
from src.core.arrays import Matrix
from src.core.errors import StageError
from src.core.hashing import json_digest, table_digest
from src.core.instruments import KEY
from src.evaluation import labels
from src.evaluation.label_kinds.registry import label_kind
from src.features.catalog import code_hash, needs_panel, reach
from src.features.selection import select
from src.features.store import FeatureStore
from src.market import bars as bars_table
from src.market.bars import BarStore
from src.market.panel import panel_hash
from src.storage import atomic
from src.storage.ledger import WAITING
from src.training import run_key

Read = TypeVar("Read")


class Inputs:
    """Bars and features of one dataset as one configuration sees them.

    Parameters
    ----------
    config : Config
        The resolved configuration: its features, its label's panel, and the last date that training may use.

    Raises
    ------
    StageError
        Where all features were computed by other code or from other bars than there are now.
    """

    def __init__(self, config: Config) -> None:
        data = Path(config.data.root)
        self.config = config
        self.bars = BarStore(data / "bars" / config.dataset)
        self.features = FeatureStore(data / "features" / config.dataset)
        self.states_folder = data / "states" / config.dataset
        self._until = dt.date.fromisoformat(config.split.until) if config.split.until else None
        chosen = select(config.features, config.universe.interval)
        self.names = [item.name for item in chosen]
        self._looks_at_panel = any(needs_panel(item) for item in chosen)
        self._looks_at_splits = any("split" in reach(item) for item in chosen)
        self.panel_returns = self._read_panel() if label_kind(config.label.kind).market else None
        self._hashes = {item.name: code_hash(item) for item in chosen}
        self._panel = self.features.pinned() if self._looks_at_panel else None
        self.buckets = [b for b in self.features.buckets() if self._is_current(b)]
        if not self.buckets:
            self.features.identity(config)  # says why none is
        self.procedure = run_key.Procedure.of(config, self._hashes, self._panel_hashes())
        manifest = self.bars.manifest
        self.planted = set(map(tuple, manifest.planted))
        self._buckets = manifest.buckets

    @cached_property
    def instruments(self) -> pl.DataFrame:
        """State of every instrument before training; what featurize has not come to, or not again, waits for it."""
        path = self.states_folder / "featurize.parquet"
        with atomic.read_errors(path, "run `python -m src.featurize` again, which makes it anew"):
            states = pl.read_parquet(path).select(*KEY, "state", "reason")
        hydrated = [self.bars.ledger.states(b).select(KEY) for b in self.bars.buckets() if b not in self.buckets]
        waiting = pl.concat([states.select(KEY).clear(), *hydrated])
        waiting = waiting.with_columns(state=pl.lit("skipped"), reason=pl.lit(WAITING))
        left = states.join(waiting, on=KEY, how="anti")
        kept = states.join(waiting, on=KEY, how="semi").filter(pl.col("state") != "done")
        return pl.concat([left, kept, waiting.join(kept, on=KEY, how="anti")]).sort(KEY)

    def read_bars(self, bucket: int) -> tuple[pl.DataFrame, str] | None:
        """Bars of a bucket and the digest of their files; None where another command is making the bucket anew."""
        digest = self.bars.digest(bucket)
        if not self._is_current(bucket):
            return None
        bars = self._unless_changed(bucket, digest, lambda: self._cut(self.bars.read_bucket(bucket)))
        return None if bars is None else (bars, digest)

    def read_features(self, bucket: int, bars: pl.DataFrame, digest: str) -> Matrix | None:
        """Features of a bucket, row by row those of its bars as `read_bars` gave them; None as there.

        Raises
        ------
        StageError
            They don't fit each other although nobody says that they changed.
        """
        found = self._unless_changed(bucket, digest, lambda: (self.features.read_matrix(bucket, self.names, bars),))
        if found is None:
            return None
        if found[0] is None:
            raise StageError(
                f"bars or features of {self.config.dataset} changed while training read them: let hydrate and "
                "featurize end, then run the same command"
            )
        return found[0]

    def _unless_changed(self, bucket: int, digest: str, read: Callable[[], Read]) -> Read | None:
        """Read, or None where the files are no longer those of the digest."""
        try:
            found = read()
        except (StageError, OSError, pl.exceptions.PolarsError):
            if self.bars.digest(bucket) == digest and self._is_current(bucket):
                raise
            return None
        return found if self.bars.digest(bucket) == digest and self._is_current(bucket) else None

    def bucket(self, key: tuple[str, str]) -> int:
        """Bucket that an instrument belongs to."""
        return bars_table.bucket(*key, self._buckets)

    def _is_current(self, bucket: int) -> bool:
        """Whether a bucket's features are of its bars, by the code that there is, with the panel seen at the start."""
        pinned = self.features.pinned() if self._looks_at_panel else None
        digest = self.bars.digest(bucket)
        return pinned == self._panel and self.features.is_current(bucket, digest, pinned, self._hashes)

    def bars_hash(self, bars: pl.DataFrame) -> str:
        """Hash of what a fit takes from the bars: the split history counts where a feature looks at it."""
        found = bars_table.content_hash(bars, None)
        return json_digest([found, table_digest(bars.select("split"))]) if self._looks_at_splits else found

    def _cut(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keep the rows that training may use."""
        return rows if self._until is None else rows.filter(pl.col("date").cast(pl.Date) <= self._until)

    def _panel_hashes(self) -> dict[str, str]:
        """Hash what the features and the label know of each class's market."""
        tables = []
        panel = self.features.panel()
        if panel is not None and self._looks_at_panel:
            if panel_hash(panel) != self._panel:
                raise StageError(f"the panel of {self.config.dataset} is made anew: let featurize end, then run this")
            tables.append(self._cut(panel))
        if self.panel_returns is not None:
            tables.append(self.panel_returns)
        found: dict[str, list[str]] = defaultdict(list)
        for table in tables:
            for (asset_class,), rows in table.group_by("asset_class"):
                found[str(asset_class)].append(table_digest(rows.sort("date")))
        return {asset_class: json_digest(parts) for asset_class, parts in found.items()}

    def _read_panel(self) -> pl.DataFrame | None:
        """Read the pinned panel's returns over the label's horizon."""
        members = self.bars.panel()
        parts = [self._cut(self.bars.read_bucket(bucket, symbols=members)) for bucket in self.bars.buckets()]
        return labels.market_of(pl.concat(parts), self.config.label)
