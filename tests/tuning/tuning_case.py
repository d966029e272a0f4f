"""A small invented market with features on disk, tuned in this process: for tests of what tuning reads and leaves."""

from __future__ import annotations

import datetime as dt
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from src.config import compose as composing
from src.config.schema import Config, ModelConfig
from src.core.project import ROOT
from src.engine.outcome import Outcome
from src.features.store import FeatureStore
from src.featurize import featurize
from src.hydrate import hydrate
from src.market.bars import BarStore
from src.models.lightgbm import LightGBMParams

PLANTED = [f"SIM{number:02d}" for number in range(1, 73, 3)]
FEATURES = ["rsi_14", "stochastic_14", "ema_distance_20", "sma_distance_200", "loss_aversion_63"]
POOR = LightGBMParams(rounds=1, num_leaves=2, max_depth=1, min_child_samples=150, feature_fraction=0.2)
"""Settings that a search has no trouble to beat where there is an edge."""


def market(
    root: Path,
    edge: float,
    symbols: list[str],
    last: str = "2018-03-29",
    pooled_edge: float = 0.0,
    names: Sequence[str] = FEATURES,
) -> Config:
    """Hydrate and featurize invented stocks; their first out-of-sample day is 2017-01-01."""
    made = Config()
    made.universe.name, made.universe.buckets, made.universe.symbols = "small", 3, symbols
    made.universe.allow_simulated = True
    made.source.simulated.stock, made.source.simulated.edge = 72, edge
    made.source.simulated.pooled_edge = pooled_edge
    made.data.root, made.data.logs, made.data.until = str(root / "data"), str(root / "logs"), last
    made.features.names, made.features.exclude = list(names), []
    made.tune.folder = str(root / "conf" / "model")
    made.engine.workers, made.tracking.enabled = 1, False
    hydrate(made)
    featurize(made)
    return made


def moved(config: Config, to: Path) -> Config:
    """A copy of a market that a test may change, without its trials."""
    shutil.copytree(config.data.root, to / "data", ignore=shutil.ignore_patterns("tuning"))
    made = replace(config, data=replace(config.data, root=str(to / "data")))
    return replace(made, tune=replace(made.tune, folder=str(to / "conf" / "model")))


def scrambled(config: Config, first: dt.date, to: Path) -> Config:
    """The market with all bars from a day on at other prices, and its features computed again."""
    made = moved(config, to)
    store = BarStore(Path(made.data.root) / "bars" / made.dataset)
    late = pl.col("date") >= first
    jump = pl.when(pl.col("symbol").rank("dense") % 2 == pl.col("date").dt.ordinal_day() % 2).then(4.0).otherwise(0.25)
    for b in store.buckets():
        rows = store.read_bucket(b).with_columns(
            pl.col("open", "high", "low", "close") * pl.when(late).then(jump).otherwise(1.0)
        )
        store.record(b, str(store.ledger.fact(b)), store.ledger.states(b), digest=store.write_bucket(b, rows))
    featurize(made)
    return made


def tuned(config: Config, params: LightGBMParams | None = None, **settings: Any) -> Config:
    """The configuration with settings of `tune` and LightGBM's defaults."""
    model = ModelConfig("lightgbm", params=params or LightGBMParams())
    return replace(config, model=model, tune=replace(config.tune, **settings))


def serial(task: Callable[[Any], Any], items: Iterable[Any], engine: Any) -> Iterator[Outcome[Any, Any]]:
    """The engine's contract in this process: items in flight come back in an order of chance."""
    pending, flight, order = iter(items), [], random.Random(5)
    exhausted = False
    while flight or not exhausted:
        while not exhausted and len(flight) < engine.batch_size:
            item = next(pending, None)
            exhausted = item is None
            if item is not None:
                flight.append(item)
        if flight:
            item = flight.pop(order.randrange(len(flight)))
            yield Outcome(item, task(item))


def trials(config: Config) -> pl.DataFrame:
    """What the studies of a dataset hold of finished trials, in order, but for the CPU."""
    import optuna

    path = Path(config.data.root) / "tuning" / config.dataset / "studies.db"
    rows = []
    for study in optuna.study.get_all_study_summaries(f"sqlite:///{path}"):
        loaded = optuna.load_study(study_name=study.study_name, storage=f"sqlite:///{path}")
        done = [each for each in loaded.trials if "params" in each.user_attrs]
        rows += [
            (*(study.user_attrs[name] for name in ("family", "scope")), index, each.state.name,
             str(each.user_attrs["params"]), [each.intermediate_values[k] for k in sorted(each.intermediate_values)])
            for index, each in enumerate(done)
        ]  # fmt: skip
    return pl.DataFrame(rows, schema=["family", "scope", "index", "state", "params", "scores"], orient="row")


def copied_conf(root: Path, monkeypatch: Any) -> Path:
    """A copy of conf/ beside the data, where tuning writes and from which commands compose."""
    shutil.copytree(ROOT / "conf", root / "conf")
    monkeypatch.setattr(composing, "CONF", root / "conf")
    return root / "conf"


def features(config: Config) -> FeatureStore:
    return FeatureStore(Path(config.data.root) / "features" / config.dataset)
