"""What tuning may read of a class's cross-section: its days before the first on which a pooled model is graded.

The names are cut into two halves of like liquidity. Models are fitted to all of them; the portfolio of one half chooses
the settings, and that of the other confirms them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.core.arrays import BoolArray, DateArray
from src.core.errors import StageError
from src.core.instruments import ASSET_CLASSES, KEY, Key
from src.evaluation.pooled.prepared import Prepared, prepare
from src.evaluation.pooled.targets import Targets
from src.evaluation.splits import InsufficientData, first_boundary
from src.features.catalog import code_hash, kinds_of, needs_panel
from src.features.fact_lookup import FactLookup
from src.features.selection import select
from src.features.store import FeatureStore
from src.market.bars import BarStore, tradable
from src.market.calendar import sessions
from src.market.cross_section import CrossSection
from src.training.pooled.categories import categories
from src.training.pooled.class_data import ClassBars, ClassData
from src.training.pooled.folds import PooledFold, pooled_folds
from src.training.pooled.ranks import RankTable, rank_table
from src.training.pooled.settings import refuse_price_scale
from src.tuning.sample import draw
from src.tuning.settings import PooledTuning
from src.tuning.window import EligibleInstrument, usable_bars


@dataclass(frozen=True)
class PooledMarket:
    """A class's cross-section up to the day before which tuning reads, less the embargo.

    Attributes
    ----------
    asset_class : str
    before : date
        No bar of that day or later is read.
    targets : Targets
        Outcomes, where they are known before that day.
    ranks : RankTable
        Features of the eligible names.
    folds : tuple of PooledFold
        The walk-forward inside the window; those without a row to learn from are left out.
    search, confirm : Prepared
        The days after the first fold's boundary, ready to trade scores of one half of the names each.
    days : slice
        Those days, as rows of the cross-section.
    validated : (date, date)
        The first and the last of them.
    shape : (int, int)
        Days and names of the cross-section.
    digest : str
        Hash of everything that is read.
    """

    asset_class: str
    before: dt.date
    targets: Targets
    ranks: RankTable
    folds: tuple[PooledFold, ...]
    search: Prepared
    confirm: Prepared
    days: slice
    validated: tuple[dt.date, dt.date]
    shape: tuple[int, int]
    digest: str


def pooled_markets(settings: PooledTuning) -> tuple[list[PooledMarket], list[str]]:
    """Read the cross-section of each class that can be tuned.

    Parameters
    ----------
    settings : PooledTuning
        The dataset, and how it is cut.

    Returns
    -------
    markets : list of PooledMarket
    reasons : list of str
        Why classes are left out.

    Raises
    ------
    StageError
        If no class can be tuned, or features are missing or older than the bars.
    """
    features = FeatureStore(settings.common.paths.features)
    hashes = _current(settings, features)
    made, reasons = [], []
    for asset_class in ASSET_CLASSES:
        dates = _dates(settings, asset_class)
        if not dates.size:
            continue
        try:
            made.append(_market(settings, asset_class, dates, features, hashes))
        except (InsufficientData, StageError) as error:
            reasons.append(f"{asset_class} is not tuned: {error}")
    if not made:
        raise StageError("; ".join(reasons) or f"universe={settings.common.dataset} has no bars: nothing to tune on")
    return made, reasons


def _current(settings: PooledTuning, features: FeatureStore) -> dict[str, str]:
    """Code hashes of the features, which every bucket must hold."""
    chosen = select(settings.common.features, settings.common.interval)
    refuse_price_scale([item.name for item in chosen if item.scale == "price"])
    hashes = {item.name: code_hash(item) for item in chosen}
    bars = BarStore(settings.common.paths.bars)
    for bucket in bars.buckets():
        looks = any(needs_panel(item) for item in chosen)
        facts = FactLookup.digests(settings.common.paths.facts, bucket, kinds_of(chosen))
        features.require_current(bucket, bars.digest(bucket), hashes, looks=looks, facts=facts)
    return hashes


def _dates(settings: PooledTuning, asset_class: str) -> DateArray:
    """Sessions of the class on which any of its instruments traded: dates alone."""
    bars, until = BarStore(settings.common.paths.bars), settings.common.split.until
    days = pl.col("date").cast(pl.Date)
    parts = [
        bars.read_bucket(bucket, [*KEY, "date", "open", "close", "volume"])
        .filter(tradable(), pl.col("asset_class") == asset_class)
        .select(days.unique())
        for bucket in bars.buckets()
    ]
    table = pl.concat(parts)["date"].unique().sort()
    if until:
        table = table.filter(table <= dt.date.fromisoformat(until))
    dates = table.to_numpy().astype("datetime64[D]")
    return np.intersect1d(dates, sessions(asset_class, str(dates[0]), str(dates[-1]))) if dates.size else dates


def _market(
    settings: PooledTuning, asset_class: str, dates: DateArray, features: FeatureStore, hashes: dict[str, str]
) -> PooledMarket:
    """Cut the class before its first out-of-sample day, and prepare its halves."""
    common, label = settings.common, settings.common.label
    chosen = dt.date.fromisoformat(common.tune.before) if common.tune.before else None
    before = chosen or first_boundary(dates, common.split, label.horizon)
    if before is None:
        raise InsufficientData(f"{len(dates)} sessions have no fold boundary after a first training window")
    last = dates[: usable_bars(dates, before, common.split.embargo)][-1:]
    if not last.size:
        raise InsufficientData(f"no session before {before}")
    names = frozenset(key for key in _featurized(features) if key[0] == asset_class)
    bars = ClassBars(BarStore(common.paths.bars), asset_class, last.astype("O")[0], names)
    data = ClassData(bars, settings.eligibility, label)
    section, among = data.section, data.eligible
    folds = _folds(settings, data)
    days = slice(folds[0].score.start, section.shape[0] - 2)
    halves = _halves(data, common.seed)
    searching, confirming = (
        prepare(days, section, among & half, data.styles, settings.portfolio, settings.eligibility.delisting_return)
        for half in halves
    )
    digest = _digest(section, halves)
    ranks = rank_table(
        common.paths.tuning_ranks / asset_class, section, among, features, hashes, common.seed,
        bars=digest, categories=categories(section, settings.listings),
    )  # fmt: skip
    validated = (section.dates[days.start].item(), section.dates[days.stop - 1].item())
    return PooledMarket(
        asset_class, before, data.targets, ranks, folds, searching, confirming, days, validated, section.shape, digest
    )


def _featurized(features: FeatureStore) -> Iterator[Key]:
    """Yield the instruments that have features."""
    for bucket in features.buckets():
        yield from features.ledger.states(bucket).filter(state="done").select(KEY).rows()


def _folds(settings: PooledTuning, data: ClassData) -> tuple[PooledFold, ...]:
    common, dates = settings.common, data.section.dates
    every = settings.scope.train_every
    folds = pooled_folds(dates, data.section.asset_class, common.inner_split, common.label.horizon, every)
    kept = tuple(fold for fold in folds if np.isfinite(data.targets.value[fold.train]).any())
    if not kept:
        wanted = f"eligibility.min_names={settings.eligibility.min_names}"
        raise InsufficientData(f"no training day before {dates[-1]} has {wanted} eligible names")
    return kept


def _halves(data: ClassData, seed: int) -> list[BoolArray]:
    """Two halves of the names that are ever eligible, shape (N,), neighbours in liquidity apart."""
    section, columns = data.section, np.flatnonzero(data.eligible.any(axis=0))
    value = np.where(data.eligible[:, columns], data.styles.dollar_volume[:, columns], np.nan)
    names = [
        EligibleInstrument((section.asset_class, section.symbols[column]), float(median), 0)
        for column, median in zip(columns, np.nanmedian(value, axis=0), strict=True)
    ]
    drawn = draw(names, len(names) // 2, seed)
    return [np.isin(section.symbols, [instrument.key[1] for instrument in half]) for half in drawn]


def _digest(section: CrossSection, halves: list[BoolArray]) -> str:
    digest = hashlib.blake2b("|".join([section.asset_class, *section.symbols]).encode("utf-8"), digest_size=16)
    tables = (section.open, section.close, section.dollar_volume, section.traded_price, section.half_spread)
    for array in (section.dates.astype("datetime64[D]").astype(np.int64), *tables, *halves):
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
