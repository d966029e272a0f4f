"""Which bars tuning may read: those before the first day on which any instrument of a class is out of sample."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.core.arrays import DateArray
from src.core.errors import StageError
from src.core.instruments import ASSET_CLASSES, KEY, Key
from src.evaluation.splits import InsufficientData, first_boundary, walk_forward
from src.features.store import FeatureStore
from src.market.bars import BarStore, tradable
from src.training.walk_forward import bars_per_year

if TYPE_CHECKING:
    from src.config.schema import Config, SplitConfig

_READ = ["asset_class", "symbol", "date", "open", "close", "volume"]


@dataclass(frozen=True)
class Candidate:
    """An instrument that settings can be tried on.

    Attributes
    ----------
    liquidity : float
        Median of close times volume over the tradable bars before the window's end.
    bucket : int
    """

    key: Key
    liquidity: float
    bucket: int


@dataclass(frozen=True)
class Window:
    """What one search may read.

    Attributes
    ----------
    scope : str
        An asset class, or ``all``.
    classes : tuple of str
    before : date
        No bar of that day or later is read.
    candidates : tuple of Candidate
        Instruments with a walk-forward of their own inside the window, by key.
    """

    scope: str
    classes: tuple[str, ...]
    before: dt.date
    candidates: tuple[Candidate, ...]


def inner_split(config: Config) -> SplitConfig:
    """Split of the walk-forward inside the window: as the grade's, with shorter folds and an earlier start."""
    return replace(
        config.split,
        until=None,
        fold_months=config.tune.fold_months,
        first_train_bars=config.tune.first_train_bars,
    )


def windows(config: Config) -> list[Window]:
    """Windows of the configured dataset: one for each class that has instruments, or one for all of them.

    The end of a window is the earliest first out-of-sample date of its classes' instruments. Counted by the bars
    before a boundary alone, so that nothing that comes after it can move it.

    Raises
    ------
    StageError
        Where nothing is featurized, or no instrument has a first training window.
    """
    ends = _ends(config)
    if not ends:
        raise StageError(
            f"no instrument of universe={config.dataset} has split.first_train_bars={config.split.first_train_bars} "
            "bars before a fold boundary: there is no training window to tune in"
        )
    scopes: dict[str, tuple[str, ...]] = {name: (name,) for name in ASSET_CLASSES if name in ends}
    if config.tune.by == "all":
        scopes = {"all": tuple(scopes)}
    chosen = dt.date.fromisoformat(config.tune.before) if config.tune.before else None
    before = {scope: chosen or min(ends[name] for name in classes) for scope, classes in scopes.items()}
    of_class = {name: scope for scope, classes in scopes.items() for name in classes}
    kept: dict[str, list[Candidate]] = {scope: [] for scope in scopes}
    for key, bucket, rows in _instruments(config, max(before.values())):
        scope = of_class.get(key[0])
        if scope and (found := _candidate(key, bucket, rows, before[scope], config)):
            kept[scope].append(found)
    return [
        Window(scope, classes, before[scope], tuple(sorted(kept[scope], key=lambda each: each.key)))
        for scope, classes in scopes.items()
    ]


def usable_bars(dates: DateArray, before: dt.date, embargo: int) -> int:
    """Count of the tradable bars that may be read: those before the day, less the embargo."""
    return max(int(np.searchsorted(dates, np.datetime64(before))) - embargo, 0)


def _instruments(config: Config, before: dt.date | None = None) -> Iterator[tuple[Key, int, pl.DataFrame]]:
    """Yield key, bucket and tradable bars (of days before a date) of each instrument that has features."""
    bars = BarStore(Path(config.data.root) / "bars" / config.dataset)
    features = FeatureStore(Path(config.data.root) / "features" / config.dataset)
    day = pl.col("date").cast(pl.Date)
    for bucket in features.buckets():
        done = features.ledger.states(bucket).filter(state="done").select(KEY)
        table = bars.read_bucket(bucket, _READ).filter(tradable()).join(done, on=KEY, how="semi")
        if config.split.until:
            table = table.filter(day <= dt.date.fromisoformat(config.split.until))
        if before:
            table = table.filter(day < before)
        for (kind, symbol), rows in table.group_by(KEY, maintain_order=True):
            yield (str(kind), str(symbol)), bucket, rows


def _ends(config: Config) -> dict[str, dt.date]:
    """Earliest first out-of-sample date of each class: the first boundary that has a training window before it.

    An instrument that ends early, or is too thin to be trained, counts as if its class's last day were its own: that
    can only bring the date forward, and keeps bars after it from having a say.
    """
    last: dict[str, np.datetime64] = {}
    found: dict[str, dt.date] = {}
    states = BarStore(Path(config.data.root) / "bars" / config.dataset).instruments()
    for kind, day in states.group_by("asset_class").agg(pl.col("last").max()).drop_nulls().iter_rows():
        until = config.split.until
        last[kind] = np.datetime64(min(day, dt.date.fromisoformat(until)) if until else day)
    for (kind, _), _, rows in _instruments(config):
        own = rows["date"].to_numpy()
        known = own if own[-1] >= last[kind] else np.append(own, last[kind].astype(own.dtype))
        first = first_boundary(known, config.split, config.label.horizon)
        if first:
            found[kind] = min(found.get(kind, first), first)
    return found


def _candidate(key: Key, bucket: int, rows: pl.DataFrame, before: dt.date, config: Config) -> Candidate | None:
    """Return an instrument that has a walk-forward inside the window."""
    dates = rows["date"].to_numpy()
    usable = usable_bars(dates, before, config.split.embargo)
    inside = dates[:usable]
    try:
        walk_forward(inside, key[0], inner_split(config), config.label.horizon, bars_per_year(rows, key[0]))
    except InsufficientData:
        return None
    turnover = (rows["close"] * rows["volume"]).head(usable)
    return Candidate(key, float(str(turnover.median())), bucket)
