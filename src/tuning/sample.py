"""The instruments that settings are tried on, with what may be read of them: drawn by liquidity, in two halves."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray, IntArray, Matrix
from src.core.errors import StageError
from src.core.instruments import KEY, Key
from src.evaluation import labels
from src.evaluation.splits import Fold, walk_forward
from src.features.selection import select
from src.features.store import FeatureStore
from src.market.bars import BarStore, tradable
from src.training.walk_forward import bars_per_year
from src.tuning.settings import TuningSettings
from src.tuning.window import EligibleInstrument, Window, usable_bars

BLOCKS = 8
"""Calendar blocks of the validation days: the noise of a mean is measured by leaving each of them out in turn."""


@dataclass(frozen=True)
class SampledInstrument:
    """What tuning may read of one instrument, and how it is cut for validation.

    Attributes
    ----------
    key : (asset_class, symbol)
    x : float32, shape (n, features)
        Features of the decisions before the window's end, less the embargo.
    label : float64, shape (n,), in {0, 1, NaN}
        NaN where the return is zero or lies beyond the window.
    folds : tuple of Fold
        The walk-forward inside the window.
    block : int64, shape (n,)
        Calendar block of each decision, the same days for all instruments of a search.
    """

    key: Key
    x: Matrix
    label: FloatArray
    folds: tuple[Fold, ...]
    block: IntArray


@dataclass(frozen=True)
class Sample:
    """Instruments of one search and, apart from them, those that confirm its winner.

    Attributes
    ----------
    search, confirm : tuple of SampledInstrument
        The two halves; no instrument is in both.
    first, last : date
        First and last day of which a prediction is validated.
    feature_names : tuple of str
        Names of the columns of every ``x``.
    digest : str
        Hash of everything that is read.
    """

    search: tuple[SampledInstrument, ...]
    confirm: tuple[SampledInstrument, ...]
    first: dt.date
    last: dt.date
    feature_names: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class _Read:
    """What is read of one instrument, before the days of all instruments are divided into blocks."""

    x: Matrix
    dates: DateArray
    label: FloatArray
    folds: list[Fold]


def draw(
    eligible: Sequence[EligibleInstrument], wanted: int, seed: int
) -> tuple[list[EligibleInstrument], list[EligibleInstrument]]:
    """Draw two halves, with every stratum of liquidity once in each.

    The instruments are ranked by liquidity and cut into pairs of neighbouring strata. From each stratum one instrument
    is drawn, and chance says which of a pair searches and which confirms.

    Parameters
    ----------
    eligible : sequence of EligibleInstrument
        Instruments of a window.
    wanted : int
        Most instruments of a half.
    seed : int
        Seed of the draw.

    Returns
    -------
    (list, list) of EligibleInstrument
        The half that searches and the half that confirms.
    """
    ranked = sorted(eligible, key=lambda instrument: (-instrument.liquidity, instrument.key))
    pairs = min(wanted, len(ranked) // 2)
    random = np.random.default_rng(seed)
    strata = np.array_split(np.arange(len(ranked)), 2 * pairs) if pairs else []
    halves: tuple[list[EligibleInstrument], list[EligibleInstrument]] = ([], [])
    for upper, lower in zip(strata[::2], strata[1::2], strict=True):
        pair = [ranked[int(random.choice(stratum))] for stratum in (upper, lower)]
        first = int(random.integers(2))
        halves[0].append(pair[first])
        halves[1].append(pair[1 - first])
    return halves


def sample(settings: TuningSettings, window: Window) -> Sample:
    """Draw the instruments of a search and read what it may of them.

    An instrument is left out if it has no score: if its labels are of one class in a fold's training, or in all its
    validation days.

    Parameters
    ----------
    settings : TuningSettings
        Number of instruments, features, label, split and seed.
    window : Window
        What may be read.

    Returns
    -------
    Sample

    Raises
    ------
    StageError
        If bars or features change meanwhile.
    """
    halves = draw(window.eligible, settings.tune.instruments, settings.seed)
    names = [item.name for item in select(settings.features, settings.interval)]
    read = _read(settings, window, [instrument for half in halves for instrument in half], names)
    folds = [(own.dates, fold) for own in read.values() for fold in own.folds]
    if not folds:
        return Sample((), (), window.before, window.before, tuple(names), "")
    first = min(dates[fold.test[0]] for dates, fold in folds)
    last = max(dates[fold.test[-1]] for dates, fold in folds)
    divided = [[_sampled(instrument.key, read[instrument.key], first, last) for instrument in half] for half in halves]
    scored = [tuple(instrument for instrument in half if _is_scored(instrument)) for half in divided]
    return Sample(scored[0], scored[1], _day(first), _day(last), tuple(names), _digest(scored, names))


def _sampled(key: Key, own: _Read, first: np.datetime64, last: np.datetime64) -> SampledInstrument:
    """Divide the days from first to last into blocks; days before the first are never validated."""
    share = (own.dates - first) / max(last - first, np.timedelta64(1, "D"))
    edges = np.linspace(0.0, 1.0, BLOCKS + 1)[1:-1]
    return SampledInstrument(key, own.x, own.label, tuple(own.folds), np.searchsorted(edges, share, side="right"))


def _read(
    settings: TuningSettings, window: Window, chosen: list[EligibleInstrument], names: list[str]
) -> dict[Key, _Read]:
    """Read the chosen instruments: nothing of the day on which the window ends, or later."""
    bars = BarStore(settings.paths.bars)
    features = FeatureStore(settings.paths.features)
    panel = labels.read_market(bars, settings.label, lambda rows: _before(rows, window))
    by_bucket: dict[int, list[Key]] = defaultdict(list)
    for instrument in chosen:
        by_bucket[instrument.bucket].append(instrument.key)
    read = {}
    for bucket, keys in sorted(by_bucket.items()):
        digest = bars.digest(bucket)
        rows = _before(bars.read_bucket(bucket, symbols=keys), window)
        columns = features.read_bucket(bucket, names, keys, window.before)
        place = [*KEY, "date"]
        if bars.digest(bucket) != digest or not rows.select(place).equals(columns.select(place)):
            raise StageError(
                f"bars or features of {settings.dataset} changed while tuning read them: let hydrate and featurize "
                "end, then run the same command"
            )
        for kind, symbol in keys:
            own = (pl.col("asset_class") == kind) & (pl.col("symbol") == symbol)
            read[(kind, symbol)] = _cut(settings, window, rows.filter(own), columns.filter(own).select(names), panel)
    return read


def _cut(
    settings: TuningSettings, window: Window, rows: pl.DataFrame, columns: pl.DataFrame, panel: pl.DataFrame | None
) -> _Read:
    """Leave the embargo out, and fix decisions and folds on what remains."""
    traded = rows.select(tradable(rows)).to_series().arg_true()
    usable = usable_bars(rows["date"].gather(traded).to_numpy(), window.before, settings.split.embargo)
    rows = rows.head(int(traded[usable - 1]) + 1)
    yearly = bars_per_year(rows, rows.item(0, "asset_class"))
    decisions = labels.decisions(rows, settings.label, panel, yearly)
    folds = walk_forward(decisions.dates, decisions.asset_class, settings.inner_split, settings.label.horizon, yearly)
    x = np.ascontiguousarray(columns.to_numpy()[decisions.rows], dtype=np.float32)
    return _Read(x, decisions.dates, decisions.label, folds)


def _before(rows: pl.DataFrame, window: Window) -> pl.DataFrame:
    return rows.filter(pl.col("date").cast(pl.Date) < window.before)


def _is_scored(instrument: SampledInstrument) -> bool:
    """Whether both directions are among the labels of each fold's training, and of all validation days together."""
    folds, label = instrument.folds, instrument.label
    parts = [np.concatenate([fold.test for fold in folds]), *(fold.train for fold in folds)]
    return all(np.unique(label[part][np.isfinite(label[part])]).size == 2 for part in parts)


def _day(moment: np.datetime64) -> dt.date:
    day: dt.date = moment.astype("datetime64[D]").item()
    return day


def _digest(halves: list[tuple[SampledInstrument, ...]], names: list[str]) -> str:
    state = hashlib.blake2b("\0".join(names).encode(), digest_size=12)
    for instrument in (instrument for half in halves for instrument in half):
        state.update(":".join(instrument.key).encode())
        cuts = [part for fold in instrument.folds for part in (fold.train, fold.test)]
        for values in (instrument.x, instrument.label, instrument.block, *cuts):
            state.update(np.ascontiguousarray(values).tobytes())
    return state.hexdigest()
