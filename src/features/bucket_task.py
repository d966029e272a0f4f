"""The work on one bucket of instruments: its features computed from its bars, its facts and the panel, and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from src.config.schema import FeaturesConfig
from src.documents.fact_store import FactStore
from src.features.compute import KEY, PanelLookup, evaluate_block
from src.features.fact_lookup import FactLookup
from src.features.graph import FeatureGraph
from src.features.look_ahead import TRIALS, Foresight, ForesightError, examiner
from src.features.registry import Windows
from src.features.selection import select
from src.features.store import FeatureStore, Filled
from src.market.bars import BarStore


@dataclass(frozen=True)
class BucketTask:
    """One bucket to compute: plain values, so that any process can take it."""

    bars: Path
    features: Path
    bucket: int
    choice: FeaturesConfig
    interval: str
    windows: Windows  # of the chosen features: a worker doesn't check the user's own once more
    trials: int = TRIALS  # rows of each instrument at which the user's own are tried for look-ahead
    facts: Path | None = None
    digests: Mapping[str, str] = field(default_factory=dict)  # of the facts that the chosen features look at, by kind


def fill(task: BucketTask) -> Filled | Foresight:
    """Compute and write one bucket; the record that it is done is left to the caller.

    Returns
    -------
    Filled or Foresight
        What was found where a column of the user's own looks ahead; nothing is written then.
    """
    store = FeatureStore(task.features)
    bars = BarStore(task.bars).read_bucket(task.bucket)
    graph = FeatureGraph(select(task.choice, task.interval, task.windows))
    facts = FactLookup.of(FactStore(task.facts), task.bucket, graph.kinds, task.interval) if task.facts else None
    try:
        examine = examiner(graph.features, task.trials)
        block, failed = evaluate_block(bars, graph, _panel(task.features, store.pinned()), examine, facts=facts)
    except ForesightError as error:
        return error.found
    names = [item.name for item in graph.features]
    store.write_bucket(task.bucket, names, bars.select(*KEY, "date"), block)
    return Filled(bars.height, failed)


def _panel(root: Path, pinned: str | None) -> PanelLookup:
    """The stored panel, which a worker reads once for all buckets that it computes."""
    return PanelLookup(FeatureStore(root).panel()) if pinned is None else _pinned_panel(root, pinned)


@lru_cache(maxsize=1)
def _pinned_panel(root: Path, pinned: str) -> PanelLookup:  # noqa: ARG001 (by its hash another panel is recognised)
    return PanelLookup(FeatureStore(root).panel())
