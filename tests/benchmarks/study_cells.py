"""The fits of the settings study, each kept in a file of its own, so that an interrupted study goes on where it was."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.config.compose import compose
from src.config.schema import Config, LabelConfig, SplitConfig
from src.core.arrays import FloatArray, IntArray, Matrix
from src.core.instruments import ASSET_CLASSES
from src.evaluation import labels
from src.evaluation.labels import Decisions, decisions
from src.evaluation.splits import Fold, InsufficientData, walk_forward
from src.features.compute import instruments
from src.features.selection import select
from src.features.store import FeatureStore
from src.market.bars import BarStore
from src.storage import atomic
from src.training import expanding_window
from tests.benchmarks.candidates import Shape, fitted
from tests.benchmarks.paired import DayArray, daily_rank_ic

SEED = 7
POOL_SPLIT = SplitConfig(fold_months=24)  # five fits over 2016 to 2024 instead of six: a quarter less to compute


@dataclass(frozen=True)
class Dataset:
    """Bars and features on disk."""

    root: Path
    universe: str = "full"

    @property
    def bars(self) -> BarStore:
        return BarStore(self.root / "bars" / self.universe)

    @property
    def features(self) -> FeatureStore:
        return FeatureStore(self.root / "features" / self.universe)

    def make(self, words: list[str]) -> Dataset:
        """Hydrate and featurize, unless both are there."""
        places = [f"data.root={self.root}", f"data.logs={self.root / 'logs'}", f"data.reports={self.root / 'reports'}"]
        if not self.features.buckets():
            for verb in ("hydrate", "featurize"):
                called = [sys.executable, "-m", f"src.{verb}", f"universe={self.universe}", *words, *places]
                subprocess.run(called, check=True)
        return self


@dataclass(frozen=True)
class Instrument:
    """One instrument with a walk-forward: what a fit needs, and what its predictions are held against."""

    key: tuple[str, str]
    chosen: Decisions
    folds: list[Fold]
    features: Matrix
    names: list[str]

    @property
    def name(self) -> str:
        return ".".join(self.key)

    @property
    def test(self) -> IntArray:
        """Out-of-sample decisions, end to end."""
        return np.concatenate([fold.test[np.isfinite(self.chosen.bar_return[fold.test])] for fold in self.folds])


@cache
def config() -> Config:
    """The project's settings as committed: features, label, split, strategy and grade."""
    return compose(["universe=full"])


@cache
def feature_names() -> list[str]:
    return [item.name for item in select(config().features, config().universe.interval)]


def members(
    dataset: Dataset, bucket: int, wanted: set[tuple[str, str]] | None = None, names: list[str] | None = None
) -> Iterator[Instrument]:
    """Instruments of a bucket that the project would train, in the order of their keys; with these features, or all."""
    bars, names = dataset.bars.read_bucket(bucket), feature_names() if names is None else names
    matrix = (
        dataset.features.read_bucket(bucket, names).select(names).to_numpy() if names else np.empty((bars.height, 0))
    )
    for key, rows in instruments(bars):
        if wanted is None or key in wanted:
            chosen = decisions(bars[rows], LabelConfig())
            try:
                folds = walk_forward(chosen.dates, key[0], config().split, chosen.horizon)
            except InsufficientData:
                continue
            if all(_has_both(chosen.label[fold.train]) for fold in folds):
                yield Instrument(key, chosen, folds, matrix[rows], names)


def walked(instrument: Instrument, shape: Shape) -> tuple[FloatArray, float]:
    """Probabilities of every out-of-sample decision, one row for each number of rounds, and the seconds of CPU."""
    chosen, parts, started = instrument.chosen, [], time.process_time()
    examples = expanding_window.examples(instrument.features, chosen)
    ends = [fold.train.size for fold in instrument.folds]
    models = expanding_window.window_models(examples, ends, shape.model, instrument.names, SEED)
    for fold, model in zip(instrument.folds, models, strict=True):
        test = fold.test[np.isfinite(chosen.bar_return[fold.test])]
        if test.size:
            parts.append(shape.probabilities(model, np.ascontiguousarray(instrument.features[chosen.rows[test]])))
    return np.concatenate(parts, axis=1), time.process_time() - started


def cell(folder: Path, part: str, shape: Shape, name: str) -> Path:
    """File of one fit, or of one instrument's fits."""
    return folder / "cells" / part / shape.id / f"{name}.npz"


def keep(path: Path, **arrays: Any) -> None:
    """Write a cell, whole or not at all."""
    atomic.write_atomic(path, lambda fresh: np.savez(fresh, **arrays), durable=False)


def read(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


@dataclass(frozen=True)
class BucketJob:
    """One bucket of a dataset: each shape on each of its wanted instruments."""

    folder: Path
    part: str
    dataset: Dataset
    bucket: int
    shapes: list[Shape]
    wanted: set[tuple[str, str]] = field(default_factory=set)

    @property
    def name(self) -> str:
        return f"{self.part}, bucket {self.bucket}"

    def missing(self) -> list[tuple[Shape, str]]:
        names = [".".join(key) for key in sorted(self.wanted)]
        return [(s, n) for s in self.shapes for n in names if not _has(cell(self.folder, self.part, s, n), s)]

    def run(self) -> None:
        todo = self.missing()
        keys = {key for key in self.wanted if any(".".join(key) == name for _, name in todo)}
        for instrument in members(self.dataset, self.bucket, keys):
            for shape in (s for s, name in todo if name == instrument.name):
                found, seconds = walked(instrument, shape)
                path = cell(self.folder, self.part, shape, instrument.name)
                keep(path, probability=found.astype(np.float32), rounds=shape.rounds, seconds=seconds)


@dataclass(frozen=True)
class PoolJob:
    """One fit over all instruments before a date, for each shape: daily rank ICs until the next date."""

    folder: Path
    horizon: int
    fold: str
    shapes: list[Shape]

    @property
    def part(self) -> str:
        return f"pooled-{self.horizon}"

    @property
    def name(self) -> str:
        return f"{self.part}, {self.fold}"

    def missing(self) -> list[tuple[Shape, str]]:
        return [(s, self.fold) for s in self.shapes if not _has(cell(self.folder, self.part, s, self.fold), s)]

    def run(self) -> None:
        place, at = self.folder / "pool" / self.fold, f"{self.horizon}.npy"
        x, y = np.load(place / "x-train.npy"), np.load(place / f"y-train-{at}")
        later = np.load(place / "x-test.npy")
        day, outcome = np.load(place / "day.npy"), np.load(place / f"outcome-{at}")
        for shape, _ in self.missing():
            started = time.process_time()
            model = fitted(shape, x, y, feature_names(), SEED)
            seconds = time.process_time() - started
            found = [daily_rank_ic(day, row, outcome) for row in shape.probabilities(model, later)]
            arrays = {"day": found[0][0], "ic": np.stack([ic for _, ic in found])}
            path = cell(self.folder, self.part, shape, self.fold)
            keep(path, **arrays, rounds=shape.rounds, seconds=seconds)


def _has(path: Path, shape: Shape) -> bool:
    """Whether a cell is there and knows the rounds that are asked for."""
    return path.is_file() and set(shape.rounds) <= set(read(path)["rounds"].tolist())


def _has_both(label: FloatArray) -> bool:
    known = label[np.isfinite(label)]
    return known.size > 0 and 0.0 < float(known.mean()) < 1.0


# the pool ---------------------------------------------------------------------------------------------------------


def pool(folder: Path, dataset: Dataset, horizons: list[int], rows: int) -> list[str]:
    """Write each fold's training sample and test rows under ``<folder>/pool``; return the folds' names.

    Stocks and ETFs, which share a calendar. Boundaries are the same dates for all; a label counts for training only
    where it was known, plus the embargo, before the boundary at every horizon. Of those rows a random sample of `rows`
    is fitted on. The label is the project's: above or below the median return of the pinned panel of the class.
    """
    done = folder / "pool" / "done.json"
    if done.is_file():
        return list(atomic.read_json(done))
    market = {h: _panel(dataset, LabelConfig(horizon=h, kind="relative")) for h in horizons}
    found: dict[str, list[tuple[Any, ...]]] = {}
    for bucket in dataset.bars.buckets():
        for fold, *arrays in _pool_rows(dataset, bucket, market):
            found.setdefault(fold, []).append(tuple(arrays))
    random = np.random.default_rng(SEED)
    for fold, parts in sorted(found.items()):
        x, y, later, kind, day, change = (np.concatenate(part) for part in zip(*parts, strict=True))
        sample = np.sort(random.permutation(len(x))[:rows])
        place = folder / "pool" / fold
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / "x-train.npy", x[sample])
        np.save(place / "x-test.npy", later)
        np.save(place / "day.npy", day)
        for column, horizon in enumerate(horizons):
            np.save(place / f"y-train-{horizon}.npy", y[sample, column])
            np.save(place / f"outcome-{horizon}.npy", _excess(kind, day, change[:, column]))
        print(f"pool {fold}: {len(sample):,} of {len(x):,} rows to train on, {len(later):,} to test", flush=True)  # noqa: T201 (progress)
    atomic.write_json(sorted(found), done)
    return sorted(found)


def _panel(dataset: Dataset, label: LabelConfig) -> pl.DataFrame:
    panel = dataset.bars.panel()
    parts = [dataset.bars.read_bucket(bucket, symbols=panel) for bucket in dataset.bars.buckets()]
    market = labels.market_of(pl.concat(parts), label)
    assert market is not None
    return market


def _pool_rows(dataset: Dataset, bucket: int, market: dict[int, pl.DataFrame]) -> Iterator[tuple[Any, ...]]:
    """Yield (fold, training features, labels, test features, class, day, returns) of each instrument and fold."""
    bars, names, longest = dataset.bars.read_bucket(bucket), feature_names(), max(market)
    matrix = dataset.features.read_bucket(bucket, names).select(names).to_numpy()
    for key, rows in instruments(bars):
        if key[0] == "crypto":
            continue
        chosen = {
            h: decisions(bars[rows], LabelConfig(horizon=h, kind="relative"), table) for h, table in market.items()
        }
        one = chosen[longest]
        try:
            folds = walk_forward(one.dates, key[0], POOL_SPLIT, longest)
        except InsufficientData:
            continue
        label = np.stack([each.label for each in chosen.values()], axis=1)
        change = np.stack([ahead(one.bar_return, h) for h in chosen], axis=1)
        day = one.dates.astype("datetime64[D]").astype(np.int64)
        for fold in folds:
            train = fold.train[np.isfinite(label[fold.train]).all(axis=1)]
            kind = np.full(fold.test.size, ASSET_CLASSES.index(key[0]), dtype=np.int8)
            own = matrix[rows]
            yield (
                str(fold.first), own[one.rows[train]], label[train], own[one.rows[fold.test]], kind,
                day[fold.test], change[fold.test],
            )  # fmt: skip


def ahead(bar_return: FloatArray, horizon: int) -> FloatArray:
    """Return over the next `horizon` bars from the entry, from one-bar returns; NaN where not all are known."""
    growth = np.log1p(bar_return)
    out = np.full(growth.size, np.nan)
    if growth.size >= horizon:
        windows = np.lib.stride_tricks.sliding_window_view(growth, horizon)
        out[: len(windows)] = np.expm1(windows.sum(axis=1))
    return out


def _excess(kind: Any, day: DayArray, change: FloatArray) -> FloatArray:
    """Return less the median of the class on that day."""
    table = pl.DataFrame({"kind": kind, "day": day, "change": change}, nan_to_null=True)
    median = pl.col("change").median().over("kind", "day")
    return table.select(pl.col("change") - median).to_series().cast(pl.Float64).fill_null(np.nan).to_numpy()


def only(shapes: list[Shape], rounds: dict[str, tuple[int, ...]]) -> list[Shape]:
    """The named shapes, each fitted no further than given."""
    return [replace(shape, rounds=rounds[shape.name]) for shape in shapes if shape.name in rounds]
