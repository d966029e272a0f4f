"""Which bars tuning may read: those before the first day on which any instrument of a class is out of sample."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.core.arrays import DateArray
from src.core.errors import StageError
from src.core.instruments import ASSET_CLASSES, KEY, Key
from src.evaluation.splits import InsufficientData, first_boundary, walk_forward
from src.features.store import FeatureStore
from src.market.bars import BarStore, tradable
from src.training.walk_forward import bars_per_year
from src.tuning.settings import TuningSettings

_READ = [*KEY, "date", "open", "close", "volume"]


@dataclass(frozen=True)
class EligibleInstrument:
    """An instrument that settings can be tried on.

    Attributes
    ----------
    key : (asset_class, symbol)
    liquidity : float
        Median of close times volume over the tradable bars before the window's end.
    bucket : int
        Bucket of the instrument in the stores.
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
        Asset classes of the scope.
    before : date
        No bar of that day or later is read.
    eligible : tuple of EligibleInstrument
        Instruments with a walk-forward of their own inside the window, sorted by key.
    """

    scope: str
    classes: tuple[str, ...]
    before: dt.date
    eligible: tuple[EligibleInstrument, ...]


def windows(settings: TuningSettings) -> list[Window]:
    """Find the windows of a dataset.

    The end of a window is the earliest first out-of-sample date of its classes' instruments. Only bars before a
    boundary count, so nothing that comes after it can move it.

    Parameters
    ----------
    settings : TuningSettings
        The dataset, its split, and whether there is one window for each class or one for all of them.

    Returns
    -------
    list of Window
        One for each class that has instruments, or one for all classes.

    Raises
    ------
    StageError
        If nothing is featurized, or no instrument has a first training window.
    """
    ends = _ends(settings)
    if not ends:
        raise StageError(
            f"no instrument of universe={settings.dataset} has "
            f"split.first_train_bars={settings.split.first_train_bars} bars before a fold boundary: there is no "
            "training window to tune in"
        )
    scopes: dict[str, tuple[str, ...]] = {name: (name,) for name in ASSET_CLASSES if name in ends}
    if settings.tune.by == "all":
        scopes = {"all": tuple(scopes)}
    chosen = dt.date.fromisoformat(settings.tune.before) if settings.tune.before else None
    before = {scope: chosen or min(ends[name] for name in classes) for scope, classes in scopes.items()}
    scope_of = {name: scope for scope, classes in scopes.items() for name in classes}
    eligible: dict[str, list[EligibleInstrument]] = {scope: [] for scope in scopes}
    for key, bucket, rows in _instruments(settings, max(before.values())):
        scope = scope_of.get(key[0])
        if scope and (instrument := _eligible(key, bucket, rows, before[scope], settings)):
            eligible[scope].append(instrument)
    return [
        Window(scope, classes, before[scope], tuple(sorted(eligible[scope], key=lambda instrument: instrument.key)))
        for scope, classes in scopes.items()
    ]


def usable_bars(dates: DateArray, before: dt.date, embargo: int) -> int:
    """Count the tradable bars that may be read.

    Parameters
    ----------
    dates : datetime64, shape (n,), ascending
        Days of the tradable bars.
    before : date
        End of the window.
    embargo : int
        Bars before the end that are left out.

    Returns
    -------
    int
        Number of bars before the day, less the embargo; at least 0.
    """
    return max(int(np.searchsorted(dates, np.datetime64(before))) - embargo, 0)


def _instruments(settings: TuningSettings, before: dt.date | None = None) -> Iterator[tuple[Key, int, pl.DataFrame]]:
    """Yield key, bucket and tradable bars (of days before a date) of each instrument that has features."""
    bars = BarStore(settings.paths.bars)
    features = FeatureStore(settings.paths.features)
    day = pl.col("date").cast(pl.Date)
    for bucket in features.buckets():
        done = features.ledger.states(bucket).filter(state="done").select(KEY)
        table = bars.read_bucket(bucket, _READ).filter(tradable()).join(done, on=KEY, how="semi")
        if settings.split.until:
            table = table.filter(day <= dt.date.fromisoformat(settings.split.until))
        if before:
            table = table.filter(day < before)
        for (kind, symbol), rows in table.group_by(KEY, maintain_order=True):
            yield (str(kind), str(symbol)), bucket, rows


def _ends(settings: TuningSettings) -> dict[str, dt.date]:
    """Earliest first out-of-sample date of each class: the first boundary that has a training window before it.

    An instrument that ends early, or is too thin to be trained, counts as if its class's last day were its own. That
    can only bring the date forward, and keeps bars after it from having a say.
    """
    last: dict[str, np.datetime64] = {}
    ends: dict[str, dt.date] = {}
    states = BarStore(settings.paths.bars).instruments()
    until = settings.split.until
    for kind, day in states.group_by("asset_class").agg(pl.col("last").max()).drop_nulls().iter_rows():
        last[kind] = np.datetime64(min(day, dt.date.fromisoformat(until)) if until else day)
    for (kind, _), _, rows in _instruments(settings):
        own = rows["date"].to_numpy()
        dates = own if own[-1] >= last[kind] else np.append(own, last[kind].astype(own.dtype))
        first = first_boundary(dates, settings.split, settings.label.horizon)
        if first:
            ends[kind] = min(ends.get(kind, first), first)
    return ends


def _eligible(
    key: Key, bucket: int, rows: pl.DataFrame, before: dt.date, settings: TuningSettings
) -> EligibleInstrument | None:
    """Return an instrument that has a walk-forward inside the window."""
    dates = rows["date"].to_numpy()
    usable = usable_bars(dates, before, settings.split.embargo)
    inside = dates[:usable]
    try:
        walk_forward(inside, key[0], settings.inner_split, settings.label.horizon, bars_per_year(rows, key[0]))
    except InsufficientData:
        return None
    turnover = (rows["close"] * rows["volume"]).head(usable)
    return EligibleInstrument(key, float(str(turnover.median())), bucket)
