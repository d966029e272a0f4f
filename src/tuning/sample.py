"""The instruments that settings are tried on, with what may be read of them: drawn by liquidity, in two halves."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray, IntArray, Matrix
from src.core.errors import StageError
from src.core.instruments import KEY, Key
from src.evaluation import labels
from src.evaluation.label_kinds.registry import label_kind
from src.evaluation.splits import Fold, walk_forward
from src.features.selection import select
from src.features.store import FeatureStore
from src.market.bars import BarStore, tradable
from src.training.walk_forward import bars_per_year
from src.tuning.window import Candidate, Window, inner_split, usable_bars

if TYPE_CHECKING:
    from src.config.schema import Config

BLOCKS = 8
"""Calendar blocks of the validation days: the noise of a mean is measured by leaving each of them out in turn."""


@dataclass(frozen=True)
class Instrument:
    """What tuning may read of one instrument, and how it is cut for validation.

    Attributes
    ----------
    x : float32, shape (n, features)
        Of the decisions before the window's end, less the embargo.
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
    first, last : date
        First and last day of which a prediction is validated.
    digest : str
        Hash of all that is read.
    """

    search: tuple[Instrument, ...]
    confirm: tuple[Instrument, ...]
    first: dt.date
    last: dt.date
    names: tuple[str, ...]
    digest: str


def drawn(candidates: tuple[Candidate, ...], wanted: int, seed: int) -> tuple[list[Candidate], list[Candidate]]:
    """Draw two halves of at most `wanted` instruments each, every stratum of liquidity once in each.

    Ranked by liquidity and cut into pairs of neighbouring strata; from each stratum one instrument is drawn, and chance
    says which of a pair searches and which confirms.
    """
    ranked = sorted(candidates, key=lambda each: (-each.liquidity, each.key))
    pairs = min(wanted, len(ranked) // 2)
    random = np.random.default_rng(seed)
    strata = np.array_split(np.arange(len(ranked)), 2 * pairs) if pairs else []
    halves: tuple[list[Candidate], list[Candidate]] = ([], [])
    for upper, lower in zip(strata[::2], strata[1::2], strict=True):
        two = [ranked[int(random.choice(stratum))] for stratum in (upper, lower)]
        first = int(random.integers(2))
        halves[0].append(two[first])
        halves[1].append(two[1 - first])
    return halves


def sample(config: Config, window: Window) -> Sample:
    """Draw the instruments of a search and read what it may of them.

    One whose labels are of one class, in a fold's training or in all its validation days, has no score and is left out.
    """
    halves = drawn(window.candidates, config.tune.instruments, config.seed)
    names = [item.name for item in select(config.features, config.universe.interval)]
    read = _read(config, window, [each for half in halves for each in half], names)
    folds = [(dates, fold) for _, dates, _, found in read.values() for fold in found]
    if not folds:
        return Sample((), (), window.before, window.before, tuple(names), "")
    first = min(dates[fold.test[0]] for dates, fold in folds)
    last = max(dates[fold.test[-1]] for dates, fold in folds)
    made = [[_instrument(each.key, *read[each.key], first, last) for each in half] for half in halves]
    scored = [tuple(one for one in half if _is_scored(one)) for half in made]
    return Sample(scored[0], scored[1], _day(first), _day(last), tuple(names), _digest(scored, names))


def _instrument(
    key: Key,
    x: Matrix,
    dates: DateArray,
    label: FloatArray,
    folds: list[Fold],
    first: np.datetime64,
    last: np.datetime64,
) -> Instrument:
    """Divide the days from first to last into blocks; what lies before is never validated."""
    share = (dates - first) / max(last - first, np.timedelta64(1, "D"))
    edges = np.linspace(0.0, 1.0, BLOCKS + 1)[1:-1]
    return Instrument(key, x, label, tuple(folds), np.searchsorted(edges, share, side="right"))


def _read(
    config: Config, window: Window, chosen: list[Candidate], names: list[str]
) -> dict[Key, tuple[Matrix, DateArray, FloatArray, list[Fold]]]:
    """Features, dates, labels and folds of the chosen instruments, nothing of the window's end or later.

    Raises
    ------
    StageError
        Where bars or features change meanwhile.
    """
    bars = BarStore(Path(config.data.root) / "bars" / config.dataset)
    features = FeatureStore(Path(config.data.root) / "features" / config.dataset)
    panel = _panel(config, window, bars) if label_kind(config.label.kind).market else None
    by_bucket: dict[int, list[Key]] = defaultdict(list)
    for each in chosen:
        by_bucket[each.bucket].append(each.key)
    found = {}
    for bucket, keys in sorted(by_bucket.items()):
        digest = bars.digest(bucket)
        rows = _before(bars.read_bucket(bucket, symbols=keys), window)
        columns = features.read_bucket(bucket, names, keys, window.before)
        place = [*KEY, "date"]
        if bars.digest(bucket) != digest or not rows.select(place).equals(columns.select(place)):
            raise StageError(
                f"bars or features of {config.dataset} changed while tuning read them: let hydrate and featurize end, "
                "then run the same command"
            )
        for kind, symbol in keys:
            mine = (pl.col("asset_class") == kind) & (pl.col("symbol") == symbol)
            found[(kind, symbol)] = _cut(config, window, rows.filter(mine), columns.filter(mine).select(names), panel)
    return found


def _cut(
    config: Config, window: Window, rows: pl.DataFrame, columns: pl.DataFrame, panel: pl.DataFrame | None
) -> tuple[Matrix, DateArray, FloatArray, list[Fold]]:
    """Leave the embargo out, and fix decisions and folds on what remains."""
    traded = rows.select(tradable(rows)).to_series().arg_true()
    usable = usable_bars(rows["date"].gather(traded).to_numpy(), window.before, config.split.embargo)
    rows = rows.head(int(traded[usable - 1]) + 1)
    yearly = bars_per_year(rows, rows.item(0, "asset_class"))
    chosen = labels.decisions(rows, config.label, panel, yearly)
    folds = walk_forward(chosen.dates, chosen.asset_class, inner_split(config), config.label.horizon, yearly)
    x = np.ascontiguousarray(columns.to_numpy()[chosen.rows], dtype=np.float32)
    return x, chosen.dates, chosen.label, folds


def _before(rows: pl.DataFrame, window: Window) -> pl.DataFrame:
    return rows.filter(pl.col("date").cast(pl.Date) < window.before)


def _panel(config: Config, window: Window, bars: BarStore) -> pl.DataFrame | None:
    """Returns of the pinned panel over the label's horizon, their ends inside the window."""
    members = bars.panel()
    parts = [_before(bars.read_bucket(bucket, symbols=members), window) for bucket in bars.buckets()]
    return labels.market_of(pl.concat(parts), config.label)


def _is_scored(one: Instrument) -> bool:
    """Whether both directions are among the labels of each fold's training, and of all validation days together."""
    parts = [np.concatenate([fold.test for fold in one.folds]), *(fold.train for fold in one.folds)]
    return all(np.unique(one.label[part][np.isfinite(one.label[part])]).size == 2 for part in parts)


def _day(moment: np.datetime64) -> dt.date:
    day: dt.date = moment.astype("datetime64[D]").item()
    return day


def _digest(halves: list[tuple[Instrument, ...]], names: list[str]) -> str:
    state = hashlib.blake2b("\0".join(names).encode(), digest_size=12)
    for one in (one for half in halves for one in half):
        state.update(":".join(one.key).encode())
        cuts = [part for fold in one.folds for part in (fold.train, fold.test)]
        for values in (one.x, one.label, one.block, *cuts):
            state.update(np.ascontiguousarray(values).tobytes())
    return state.hexdigest()
