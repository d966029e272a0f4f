"""What training takes from hydrate and featurize: instruments, bars with their features row by row, panels, hashes."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from src import bars as bars_table
from src import identity, labels
from src.bars import KEY, BarStore
from src.config import Config
from src.errors import StageError
from src.features.choice import select
from src.features.registry import reach
from src.features.store import FeatureStore
from src.ledger import WAITING
from src.models import Matrix


class Inputs:
    """Bars and features of one dataset as one configuration sees them.

    Parameters
    ----------
    config : Config
        The resolved configuration: its features, its label's panel, and the last date that training may use.

    Raises
    ------
    StageError
        Where features were computed by other code or from other bars than there are now.
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
        self._looks_at_panel = any(item.needs_panel for item in chosen)
        self._looks_at_splits = any("split" in reach(item) for item in chosen)
        self.panel_returns = self._read_panel() if config.label.relative else None
        self._hashes, _ = self.features.identity(config)
        self.procedure = identity.Procedure.of(config, self._hashes, self._panel_hashes())
        self.planted = set(map(tuple, self.bars.manifest.planted))

    def buckets(self) -> list[int]:
        """Buckets that have their features, ascending."""
        return self.features.buckets()

    @cached_property
    def instruments(self) -> pl.DataFrame:
        """State of every instrument before training; what featurize has not come to waits for it."""
        ready = self.buckets()
        states = pl.read_parquet(self.states_folder / "featurize.parquet").select(*KEY, "state", "reason")
        hydrated = [self.bars.ledger.states(b).select(KEY) for b in self.bars.buckets() if b not in ready]
        waiting = pl.concat([states.select(KEY).clear(), *hydrated])
        waiting = waiting.with_columns(state=pl.lit("skipped"), reason=pl.lit(WAITING))
        left = states.join(waiting, on=KEY, how="anti")
        kept = states.join(waiting, on=KEY, how="semi").filter(pl.col("state") != "done")
        return pl.concat([left, kept, waiting.join(kept, on=KEY, how="anti")]).sort(KEY)

    def read_bars(self, bucket: int) -> tuple[pl.DataFrame, str]:
        """Bars of a bucket, with the digest of the files that they come from.

        Raises
        ------
        StageError
            The bucket's features are not of these bars.
        """
        digest = self.bars.digest(bucket)
        self.features.require_current(bucket, digest, self._hashes, self._looks_at_panel)
        return self._cut(self.bars.read_bucket(bucket)), digest

    def read_features(self, bucket: int, bars: pl.DataFrame, digest: str) -> Matrix:
        """Features of a bucket, row by row those of its bars as `read_bars` gave them.

        Raises
        ------
        StageError
            Another command is changing them.
        """
        if bars.is_empty():
            return np.empty((0, len(self.names)), dtype=np.float32)
        features = self._cut(self.features.read_bucket(bucket, self.names))
        key = [*KEY, "date"]
        if self.bars.digest(bucket) != digest or not bars.select(key).equals(features.select(key)):
            raise StageError(
                f"bars or features of {self.config.dataset} changed while training read them: let hydrate and "
                "featurize end, then run the same command"
            )
        return features.select(self.names).to_numpy()

    def bars_hash(self, bars: pl.DataFrame) -> str:
        """Hash of what a fit takes from the bars: the split history counts where a feature looks at it."""
        found = bars_table.content_hash(bars, None)
        return identity.digest([found, identity.table_digest(bars.select("split"))]) if self._looks_at_splits else found

    def _cut(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keep the rows that training may use."""
        return rows if self._until is None else rows.filter(pl.col("date").cast(pl.Date) <= self._until)

    def _panel_hashes(self) -> dict[str, str]:
        """Hash what the features and the label know of each class's market."""
        tables = []
        panel = self.features.panel()
        if panel is not None and self._looks_at_panel:
            tables.append(self._cut(panel))
        if self.panel_returns is not None:
            tables.append(self.panel_returns)
        found: dict[str, list[str]] = defaultdict(list)
        for table in tables:
            for (asset_class,), rows in table.group_by("asset_class"):
                found[str(asset_class)].append(identity.table_digest(rows.sort("date")))
        return {asset_class: identity.digest(parts) for asset_class, parts in found.items()}

    def _read_panel(self) -> pl.DataFrame:
        """Read the pinned panel's returns over the label's horizon."""
        members = self.bars.panel()
        parts = [self._cut(self.bars.read_bucket(bucket, symbols=members)) for bucket in self.bars.buckets()]
        return labels.panel_returns(pl.concat(parts), self.config.label)
