"""What the book's own record is made of: the champions' stored decisions, their hedges, and the bars they traded."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.config.schema import EligibilityConfig, LabelConfig, PortfolioConfig, StrategyConfig
from src.core.arrays import DateArray, FloatArray, Matrix
from src.core.instruments import KEY, POOLED, Key
from src.evaluation import labels
from src.evaluation.labels import Decisions
from src.evaluation.strategy import costs
from src.market.bars import BarStore, bucket, tradable
from src.market.calendar import next_session, session_count
from src.market.cross_section import STILL_LISTED
from src.signals.hedges import HedgeMembers
from src.signals.own_book import HedgeWeights, InstrumentBars, Stake
from src.signals.own_decisions import OUTRIGHT, GradedRuns
from src.storage import atomic
from src.training.pooled.outputs import are_of
from src.training.regrading import recorded_config, section
from src.training.run_store import RunStore
from src.training.run_tables import remedy

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.tracking.crowned_versions import CrownedVersion


@dataclass(frozen=True)
class PooledTrading:
    """What a pooled champion was traded by, as far as the book needs it."""

    portfolio: PortfolioConfig
    eligibility: EligibilityConfig

    @property
    def costs(self) -> StrategyConfig:
        """The rules of its costs, as those of single instruments are written."""
        return StrategyConfig(cost_bps=dict(self.portfolio.cost_bps), half_cent=self.portfolio.half_cent)


@dataclass
class OwnInputs:
    """The champions' past.

    Attributes
    ----------
    stakes : list of Stake
    bars : dict of (asset_class, symbol) to InstrumentBars
        Of the instruments that the champions trade; `with_bars` adds others.
    strategies : dict of (asset_class, symbol) to StrategyConfig
        By whose rules each pays its costs: those of the first champion, by name, that trades it.
    labels : dict of str to LabelConfig
        Of the champions of single instruments, by name.
    outcomes, scores : list of arrays
        Labels, float32, and probabilities, float64, of their decisions.
    pooled : dict of str to PooledTrading
        By name.
    pooled_net : dict of str to DataFrame
        Daily table of each pooled champion.
    left_out : dict of str
        Why a champion has no part in the record, by name.
    bars_per_year : float
    """

    stakes: list[Stake] = field(default_factory=list)
    bars: dict[Key, InstrumentBars] = field(default_factory=dict)
    strategies: dict[Key, StrategyConfig] = field(default_factory=dict)
    labels: dict[str, LabelConfig] = field(default_factory=dict)
    outcomes: list[Matrix] = field(default_factory=list)
    scores: list[FloatArray] = field(default_factory=list)
    pooled: dict[str, PooledTrading] = field(default_factory=dict)
    pooled_net: dict[str, pl.DataFrame] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    bars_per_year: float = 0.0

    _dates: dict[tuple[int, str, str], DateArray] = field(default_factory=dict)

    def shared(self, dates: DateArray) -> DateArray:
        """Dates of the bars of an instrument: those of another one where they are the same, for they are many."""
        timed = _timed(dates)
        key = (timed.size, str(timed[:1]), str(timed[-1:]))
        known = self._dates.setdefault(key, timed)
        return known if np.array_equal(known, timed) else timed

    def labels_and_scores(self) -> tuple[FloatArray, FloatArray]:
        """Labels and probabilities of all decisions, by probability; they are given up, so that none is held twice.

        Ranks of sorted scores take a tenth of the time.
        """
        label = np.concatenate([np.empty(0, dtype=np.float32), *self.outcomes])
        self.outcomes.clear()
        score = np.concatenate([np.empty(0), *self.scores])
        self.scores.clear()
        order = np.argsort(score, kind="stable")
        return label[order].astype(np.float64), score[order]

    def release(self) -> None:
        """Give up bars and positions, once the book has been accounted for."""
        self.bars.clear()
        self.stakes[:] = [replace(each, positions=each.positions[:0].copy(), sold=None) for each in self.stakes]

    @property
    def borrow_bps(self) -> float:
        """The dearest loan of the pooled champions, a year; 0 where none is pooled, as in grades of instruments."""
        return max((each.portfolio.borrow_bps for each in self.pooled.values()), default=0.0)

    @property
    def delisting_return(self) -> float:
        """What a delisting costs the long side by the pooled champions' settings; 0 where none is pooled."""
        return min((each.eligibility.delisting_return for each in self.pooled.values()), default=0.0)


def is_pooled(champion: CrownedVersion) -> bool:
    """Whether a champion is one of a cross-section."""
    return champion.name.lower().startswith(f"{POOLED}.")


def own_inputs(champions: Sequence[CrownedVersion], paths: DatasetPaths) -> OwnInputs:
    """Read the stored out-of-sample decisions of champions.

    Parameters
    ----------
    champions : sequence of CrownedVersion
        Those with objections are left out.
    paths : DatasetPaths

    Returns
    -------
    OwnInputs

    Raises
    ------
    StageError
        If bars or runs can't be read.
    """
    found = OwnInputs()
    usable = []
    for champion in sorted(champions, key=lambda each: each.name):
        if champion.objections:
            found.left_out[champion.name] = "; ".join(champion.objections)
        else:
            usable.append(champion)
    _add_instruments([each for each in usable if not is_pooled(each)], paths, found)
    for champion in usable:
        if is_pooled(champion):
            _add_pooled(champion, paths, found)
    found.stakes.sort(key=lambda stake: stake.name)
    return found


def _add_instruments(champions: list[CrownedVersion], paths: DatasetPaths, found: OwnInputs) -> None:
    """Add the champions of single instruments."""
    if not champions:
        return
    names = {champion.record_id: champion.name for champion in champions}
    graded = pl.DataFrame(
        [
            {"record_id": each.record_id, **{name: each.grade.get(name) for name in (*KEY, "graded_by")}}
            for each in champions
        ],
        schema=dict.fromkeys(("record_id", *KEY, "graded_by"), pl.String),
    )
    reader = GradedRuns(paths)
    for run in (run for runs in reader.read(graded) for run in runs):
        name, span = names[run.record_id], slice(int(run.positions[0]), int(run.positions[-1]) + 2)
        position, ratio = np.append(run.position, 0.0), run.ratio
        sold = None if ratio is None else position * np.append(ratio, 0.0)
        dates = found.shared(run.outright.dates)
        found.stakes.append(Stake(name, "instrument", (run.key,), dates[span], position[:, None], sold, name))
        found.bars[run.key] = _traded(run.outright, run.strategy, dates)
        found.strategies[run.key] = run.strategy
        found.labels[name] = run.label
        found.outcomes.append(run.outcome.astype(np.float32))
        found.scores.append(run.probability.copy())
        found.bars_per_year = max(found.bars_per_year, run.outright.bars_per_year)
    found.left_out |= {names[record_id]: reason for record_id, reason in reader.left_out.items()}


def _add_pooled(champion: CrownedVersion, paths: DatasetPaths, found: OwnInputs) -> None:
    """Add a champion of a cross-section, from the stored weights of its portfolio."""
    folder, grade = paths.portfolios / champion.record_id, champion.grade
    if not are_of(folder, str(grade.get("grade_key"))):
        found.left_out[champion.name] = "the tables of its portfolio are gone, or of other settings"
        return
    with atomic.read_errors(folder, remedy()):
        weights = pl.read_parquet(folder / "weights.parquet", glob=False)
        daily = pl.read_parquet(folder / "daily.parquet", glob=False)
    asset_class = str(grade["symbol"]).partition(".")[0]
    config = recorded_config(RunStore(paths.portfolios), str(grade.get("graded_by"))) or {}
    found.pooled[champion.name] = PooledTrading(
        section(PortfolioConfig, config.get("portfolio") or {}),
        section(EligibilityConfig, config.get("eligibility") or {}),
    )
    found.pooled_net[champion.name] = daily
    symbols = weights["symbol"].unique().sort().to_list()
    keys = tuple((asset_class, symbol) for symbol in symbols)
    dates, positions = _from_trade_days(weights, daily, symbols, asset_class)
    days = _timed(daily["date"].sort().to_numpy())
    found.stakes.append(Stake(champion.name, POOLED, keys, dates, positions, decided=days))
    for key in keys:
        found.strategies.setdefault(key, found.pooled[champion.name].costs)


def _from_trade_days(
    weights: pl.DataFrame, daily: pl.DataFrame, symbols: list[str], asset_class: str
) -> tuple[DateArray, Any]:
    """Days on which weights change, and the weights from each on; nothing from the day after the last decision."""
    wide = weights.pivot("symbol", index="date", values="weight").sort("date").fill_null(0.0)
    held, days = wide.select(symbols).to_numpy().astype(np.float32), wide["date"].to_numpy()
    decided = daily.sort("date")
    empty = decided.filter((pl.col("gross_exposure") == 0.0) & ~pl.col("date").is_in(wide["date"].implode()))
    first, last = decided["date"][0], decided["date"][-1]
    out = np.array([*empty["date"], next_session(asset_class, last)], dtype="datetime64[D]")
    dates = np.union1d(np.concatenate((days.astype("datetime64[D]"), [np.datetime64(first)])), out)
    rows = np.zeros((dates.size, len(symbols)), dtype=np.float32)
    rows[np.searchsorted(dates, days.astype("datetime64[D]"))] = held
    return _timed(dates), rows


def with_bars(found: OwnInputs, keys: Iterable[Key], paths: DatasetPaths) -> None:
    """Read the bars of instruments that no champion of a single instrument trades: names and members of hedges.

    Parameters
    ----------
    found : OwnInputs
        Gets them.
    keys : iterable of (asset_class, symbol)
    paths : DatasetPaths
    """
    store = BarStore(paths.bars)
    count, wanted = store.manifest.buckets, defaultdict(list)
    ends = dict(store.instruments().group_by("asset_class").agg(pl.col("last").max()).iter_rows())
    names = {key for stake in found.stakes if stake.scope == POOLED for key in stake.keys}
    for key in sorted({*keys} - found.bars.keys()):
        wanted[bucket(*key, count)].append(key)
    for number, some in sorted(wanted.items()):
        for bars in store.read_bucket(number, symbols=some).partition_by(KEY):
            key = (bars.item(0, "asset_class"), bars.item(0, "symbol"))
            if bars.select(tradable(bars).any()).item():
                decisions = labels.unhedged(bars, OUTRIGHT)
                strategy, dates = found.strategies.get(key, StrategyConfig()), found.shared(decisions.dates)
                ending = _ending(bars, decisions, ends[key[0]]) if key in names else None
                found.bars[key] = _traded(decisions, strategy, dates, ending, found.delisting_return)
    for key in {*keys} - found.bars.keys():  # bars that are gone: nothing is earned of them
        found.bars[key] = InstrumentBars(_timed(np.empty(0, dtype="datetime64[D]")), np.empty(0), np.empty(0))


def _ending(bars: pl.DataFrame, decisions: Decisions, end: dt.date) -> tuple[DateArray, float] | None:
    """Of a delisted name, the day after its last bar and what that bar earned from open to close."""
    asset_class, last = decisions.asset_class, decisions.dates[-1].astype("datetime64[D]").item()
    if session_count(asset_class, last, end) - 1 <= STILL_LISTED:
        return None
    bar = bars.filter(tradable(bars)).row(-1, named=True)
    return np.array([next_session(asset_class, last)], dtype="datetime64[D]"), bar["close"] / bar["open"] - 1.0


def _traded(
    decisions: Decisions,
    strategy: StrategyConfig,
    dates: DateArray,
    ending: tuple[DateArray, float] | None = None,
    loss: float = 0.0,
) -> InstrumentBars:
    """The bars of one instrument; a delisted name is left at its last close, with a `loss`."""
    change, lost = decisions.bar_return[:-2], 0.0
    if ending is not None:
        dates, change, lost = np.append(dates, _timed(ending[0])), np.append(change, ending[1]), loss
    rate = costs(np.arange(change.size, dtype=np.int64), decisions, strategy)
    return InstrumentBars(dates, change, rate, lost)


def hedge_weights(found: OwnInputs, books: DateArray, store: BarStore) -> dict[str, HedgeWeights]:
    """Find what the hedged stakes sell, and give each stake the name of its hedge.

    Parameters
    ----------
    found : OwnInputs
        Its stakes are renamed in place.
    books : datetime64, shape (b,)
    store : BarStore

    Returns
    -------
    dict of str to HedgeWeights
    """
    hedged = {stake.name: stake.keys[0][0] for stake in found.stakes if stake.sold is not None}
    if not hedged:
        return {}
    members = HedgeMembers(store, {name: found.labels[name] for name in hedged})
    names = {name: members.hedge_of(name, asset_class) for name, asset_class in hedged.items()}
    found.stakes[:] = [replace(each, hedge=names[each.name]) if each.name in names else each for each in found.stakes]
    by_day = [members.on(day) for day in books.astype("datetime64[D]").tolist()]
    out = {}
    for name in sorted(set(names.values())):
        keys = sorted({key for day in by_day for key in day.get(name, ())})
        place = {key: at for at, key in enumerate(keys)}
        weights = np.zeros((books.size, len(keys)))
        for row, day in enumerate(by_day):
            for key, weight in day.get(name, {}).items():
                weights[row, place[key]] = weight
        out[name] = HedgeWeights(tuple(keys), weights)
    return out


def _timed(dates: DateArray) -> DateArray:
    """Dates and times of day on one scale."""
    return dates.astype("datetime64[us]")
