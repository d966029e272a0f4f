"""Sessions that grade invented series, reduced to what the ledger of trials sees of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from src.config.paths import DatasetPaths
from src.config.schema import FeaturesConfig, GradeConfig, LabelConfig, ModelConfig, SplitConfig, StrategyConfig
from src.core.hashing import json_digest
from src.core.instruments import Key
from src.market.bars import content_hash
from src.training import run_key
from src.training.planned_bars import PlannedInstrument
from src.training.settings import TrainingSettings
from src.training.trials import TrialCounter
from src.training.trials_ledger import TrialsLedger
from src.training.walk_forward import RunPlan

FIRST = dt.date(2014, 1, 2)


def bars(
    number: int = 0, count: int = 1500, *, symbol: str = "AAA", kind: str = "stock", volatility: float = 0.02
) -> pl.DataFrame:
    """A random walk of daily bars: the same number gives the same returns."""
    rng = np.random.default_rng(number)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, volatility, count)))
    opens = close * np.exp(rng.normal(0.0, volatility / 4, count))
    days = pl.date_range(FIRST, FIRST + dt.timedelta(days=count - 1), eager=True)
    prices = {"open": opens, "high": np.maximum(opens, close), "low": np.minimum(opens, close), "close": close}
    return pl.DataFrame({"date": days, **prices}).with_columns(
        asset_class=pl.lit(kind), symbol=pl.lit(symbol), volume=pl.lit(1e6), factor=pl.lit(1.0), split=pl.lit(1.0)
    )


@dataclass(frozen=True)
class Command:
    """One session: which dataset, which settings, and over which days."""

    root: Path
    dataset: str = "one"
    seed: int = 7
    families: tuple[str, ...] = ("lightgbm", "xgboost", "catboost")
    strategy: StrategyConfig = field(default_factory=StrategyConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    universe: tuple[Key, ...] = ()

    @property
    def key(self) -> str:
        return json_digest([self.dataset, self.seed, self.families, run_key.strategy_settings_key(self.strategy)])

    def counter(self, tables: Sequence[pl.DataFrame]) -> TrialCounter:
        paths = DatasetPaths(self.root / "data", self.dataset)
        models = [ModelConfig(name) for name in self.families]
        settings = TrainingSettings(
            paths, "1d", models, FeaturesConfig(), LabelConfig(), self.split, self.strategy, GradeConfig(), self.seed
        )
        ledger = TrialsLedger(paths.trials, self.dataset)
        ledger.merge()
        strategy = run_key.strategy_settings_key(self.strategy)
        universe = self.universe or [key_of(table) for table in tables]
        return TrialCounter(ledger, settings, self.key, strategy, universe, content_hash)

    def planned(self, table: pl.DataFrame) -> PlannedInstrument:
        plans, digest = [], content_hash(table)
        for family in self.families:
            parts = {"seed": self.seed, "model": family, "bars": digest, "panel": self.dataset}
            key = run_key.run_key(*key_of(table), {**parts, "panel": None})
            identity = {"run_key": key, "settings_key": run_key.settings_key(parts)}
            plans.append(RunPlan(f"{key}.0", ModelConfig(family), identity))
        return PlannedInstrument(key_of(table), table, digest, plans)

    def __call__(self, *tables: pl.DataFrame, buckets: int = 1, killed_after: int | None = None) -> list[int]:
        """Number of trials of each instrument; with `killed_after`, only so many buckets are graded."""
        counter = self.counter(tables)
        found: list[int] = []
        for bucket in range(buckets):
            planned = [self.planned(table) for table in tables[bucket::buckets]]
            found += counter.counts(planned)
            if killed_after is not None and bucket >= killed_after:
                return found
            counter.record(f"b{bucket:03d}", pl.concat([self.graded(each) for each in planned]))
        counter.close()
        return found

    def number(self, *tables: pl.DataFrame) -> int:
        """Which session on these bars it is."""
        counter = self.counter(tables)
        counter.counts([self.planned(table) for table in tables])
        return counter.session_number()

    def graded(self, each: PlannedInstrument) -> pl.DataFrame:
        dates = each.bars["date"]
        return pl.DataFrame(
            {
                "asset_class": each.key[0],
                "symbol": each.key[1],
                "run_key": [plan.identity["run_key"] for plan in each.plans],
                "family": self.families,
                "first_oos": dates[min(600, len(dates) - 3)],
                "last_oos": dates[-3],
            }
        )

    def but(self, **changes: object) -> Command:
        return replace(self, **changes)  # type: ignore[arg-type]


def key_of(table: pl.DataFrame) -> Key:
    return table.item(0, "asset_class"), table.item(0, "symbol")
