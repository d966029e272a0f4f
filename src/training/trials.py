"""Count the trials that the evidence on an instrument has to allow for, and which session on its bars this one is.

A trial is a run key and the settings of the strategy that turned its predictions into returns; thresholds are no part
of it. Those count that were made on the same series, under whatever names of universe and symbol, and whose
out-of-sample dates overlap the instrument's. Bars that a later refresh only prolongs make no new trial: the run on the
longer bars takes over the trial of the run on the shorter ones.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import BoolArray, DateArray, IntArray
from src.core.instruments import KEY, Key
from src.evaluation.splits import first_boundary
from src.training.planned_bars import Beginnings, Days, PlannedInstrument
from src.training.run_key import trial_key
from src.training.series_match import Fingerprint, SeriesIndex
from src.training.settings import TrainingSettings
from src.training.trials_ledger import SERIES_SCHEMA, TRIALS_SCHEMA, TrialsLedger

_Window = tuple[int, int]
_NONE = np.zeros(0, dtype=np.int64)
_PROLONGED = dt.timedelta(days=365)  # by which bars may outgrow a fingerprint before they get one of their own


@dataclass(frozen=True)
class _Counted:
    """What the ledger is to hold of an instrument once its runs are graded."""

    bars: str
    last_bar: dt.datetime | None
    series: str
    sample: Fingerprint
    trials: Mapping[str, tuple[str, str]]  # run key to trial and settings


class TrialCounter:
    """Trials on the instruments of one session.

    The ledger is read once, at the start: what a session counts does not depend on the order of its own work, and its
    own trials on the other instruments of its universe are left out. So a resumed session counts as a whole one does.

    Parameters
    ----------
    ledger : TrialsLedger
        Of the data folder.
    settings : TrainingSettings
        Dataset, interval, label and split of the session.
    session_key, strategy : str
        Keys of the session and of its strategy's settings.
    instruments : sequence of (asset_class, symbol)
        Of the universe.
    hash_bars : callable
        Hashes what a fit takes from bars.

    Attributes
    ----------
    rows : DataFrame
        The ledger as the session found it.
    tried_by : set of str
        Sessions that tried any series of the last `counts`, the own one perhaps among them.
    """

    def __init__(
        self,
        ledger: TrialsLedger,
        settings: TrainingSettings,
        session_key: str,
        strategy: str,
        instruments: Sequence[Key],
        hash_bars: Callable[[pl.DataFrame], str],
    ) -> None:
        self._ledger, self._settings, self._session_key = ledger, settings, session_key
        self._strategy, self._hash_bars = strategy, hash_bars
        self._opened = dt.datetime.now(dt.UTC)
        self._classes = sorted({asset_class for asset_class, _ in instruments})
        self.rows = self.stored()
        series = ledger.series(self._classes, settings.interval)
        self._index = SeriesIndex(series)
        self._series: list[Key] = series.select("asset_class", "series").rows()
        self._number = {name: number for number, name in enumerate(self._series)}
        self._series_of_bars = dict(self.rows.select("bars", "series").iter_rows())
        self._by_key = _positions(self.rows, KEY)
        self._by_series = _positions(self.rows, ["asset_class", "series"])
        self._first, self._last = (self.rows[name].to_physical().to_numpy() for name in ("first_oos", "last_oos"))
        self._texts = {name: self.rows[name] for name in ("run_key", "trial", "settings", "series")}
        self._trial, self._session = (self.rows[name].rank("dense").to_numpy() for name in ("trial", "session_key"))
        self._same_dataset = (self.rows["dataset"] == ledger.dataset).to_numpy()
        self._same_strategy = (self.rows["strategy"] == strategy).to_numpy()
        self._is_twin = self._own_rows_of(set(instruments))
        self._recorded = set(self.rows.filter(pl.col("session_key") == session_key)["run_key"])
        self._planned: dict[Key, _Counted] = {}
        numbers = self.rows.select("session_key", number=pl.Series(self._session)).unique()
        self._session_names = {number: name for name, number in numbers.iter_rows()}
        self._sessions: set[str] = set()  # those that tried any of the series
        self.tried_by: set[str] = set()
        self._windows: dict[tuple[int, int], _Window | None] = {}

    def _own_rows_of(self, instruments: set[Key]) -> BoolArray:
        """Whether each row is the session's own, on an instrument of its universe."""
        own = (self.rows["session_key"] == self._session_key).to_numpy()
        here = [key in instruments for key in self.rows.select(KEY).iter_rows()]
        mask: BoolArray = own & np.array(here, dtype=np.bool_)
        return mask

    # counting -----------------------------------------------------------------------------------------------------

    def counts(self, planned: Sequence[PlannedInstrument]) -> list[int]:
        """Count the trials on some instruments, those of their plans included.

        Parameters
        ----------
        planned : sequence of PlannedInstrument
            All instruments of a bucket, for speed.

        Returns
        -------
        list of int
            For each, at least the number of its plans.
        """
        days = [Days(each.bars) for each in planned]
        samples = [self._sample(each, own) for each, own in zip(planned, days, strict=True)]
        matched = self._index.matches(samples, [self._named(each.key) for each in planned])
        self.tried_by = set()
        found = [self._count(*each) for each in zip(planned, days, samples, matched, strict=True)]
        self.also_tried(self.tried_by)
        return found

    def also_tried(self, sessions: Iterable[str]) -> None:
        """Note sessions that tried series which are not counted here, for `session_number`."""
        self._sessions.update(sessions)

    def _sample(self, each: PlannedInstrument, days: Days) -> Fingerprint:
        """Fingerprint of an instrument: the stored one where its bars were tried before."""
        number = self._number.get((each.key[0], self._series_of_bars.get(each.bars_hash, "")))
        return days.fingerprint() if number is None else self._index.at(number)

    def _named(self, key: Key) -> set[int]:
        """Numbers of the fingerprints under the same symbol."""
        names = {(key[0], name) for name in self._texts["series"][self._by_key.get(key, _NONE)]}
        return {self._number[name] for name in names if name in self._number}

    def _count(self, each: PlannedInstrument, days: Days, sample: Fingerprint, numbers: list[int]) -> int:
        own = self._by_key.get(each.key, _NONE)
        # Also the session's own: whatever its source was then, it is the same instrument.
        counted = [own[self._same_dataset[own]]]
        for number in numbers:
            rows = self._by_series.get(self._series[number], _NONE)
            twins = self._is_twin[rows]
            counted.append(rows[~twins] if twins.any() else rows)
        rows = self._overlapping(np.concatenate(counted), days)
        self.tried_by.update(self._session_names[number] for number in set(self._session[rows].tolist()))
        begins = Beginnings(each, self._hash_bars)
        trials = self._own_trials(each, own, begins)
        series = self._series_of_bars.get(each.bars_hash) or self._prolonged_series(own, begins) or sample.key
        self._planned[each.key] = _Counted(each.bars_hash, begins.last, series, sample, trials)
        known = {trial for trial, _ in trials.values()}
        own = own[self._same_strategy[own]]
        repeated = {
            number
            for number, trial in zip(self._trial[own].tolist(), self._texts["trial"][own], strict=True)
            if trial in known
        }
        return len(known) + len(set(self._trial[rows].tolist()) - repeated)

    def _overlapping(self, rows: IntArray, days: Days) -> IntArray:
        """Keep the rows whose out-of-sample dates overlap those that the bars will have."""
        dates = days.dates
        known = (dates.size, hash(dates.tobytes()))  # most instruments of a class trade on the same days
        if known not in self._windows:
            self._windows[known] = _window(dates, self._settings)
        window = self._windows[known]
        if window is None:
            return rows[:0]
        overlapping: IntArray = rows[(self._first[rows] <= window[1]) & (self._last[rows] >= window[0])]
        return overlapping

    # trials of the plans ------------------------------------------------------------------------------------------

    def _own_trials(self, each: PlannedInstrument, own: IntArray, begins: Beginnings) -> dict[str, tuple[str, str]]:
        """Trial and settings of each planned run, by its key."""
        own = own[self._same_strategy[own]]
        known = dict(zip(*(self._texts[name][own] for name in ("run_key", "trial")), strict=True))
        found = {}
        for plan in each.plans:
            run_key, settings = plan.identity["run_key"], plan.identity["settings_key"]
            trial = known.get(run_key) or self._prolonged(own, settings, begins) or trial_key(run_key, self._strategy)
            found[run_key] = (trial, settings)
        return found

    def _prolonged(self, own: IntArray, settings: str, begins: Beginnings) -> str | None:
        """Trial whose first bars are an exact beginning of the present ones: all its later bars begin with these."""
        if settings not in set(self._texts["settings"][own]):
            return None
        tried = self.rows.select("trial", "settings", "bars", "last_bar")[own].filter(pl.col("settings") == settings)
        origins = tried.sort("last_bar", "bars").unique("trial", keep="first", maintain_order=True).reverse()
        for trial, bars, last in origins.select("trial", "bars", "last_bar").iter_rows():
            if begins.has(bars, last):
                return str(trial)
        return None

    def _prolonged_series(self, own: IntArray, begins: Beginnings) -> str | None:
        """Fingerprint of bars that the present ones prolong by less than a year."""
        rows = self.rows.select("series", "bars", "last_bar")[own].sort("last_bar", "bars")
        for series, bars, last in rows.unique("series", keep="first", maintain_order=True).reverse().iter_rows():
            if begins.last and last and begins.last - last < _PROLONGED and begins.has(bars, last):
                return str(series)
        return None

    # the ledger ---------------------------------------------------------------------------------------------------

    def record(self, piece: str, grades: pl.DataFrame) -> None:
        """Add what is graded to the ledger, durable on return; what it holds already is not written again.

        Parameters
        ----------
        piece : str
            Name of the bucket, such as ``b007``.
        grades : DataFrame
            asset_class, symbol, run_key, family, first_oos, last_oos of runs whose trials were counted.
        """
        new = grades.filter(pl.Series([key not in self._recorded for key in grades["run_key"]], dtype=pl.Boolean))
        columns = new.select(*KEY, "run_key", "family", "first_oos", "last_oos")
        trials = pl.DataFrame([self._row(*row) for row in columns.iter_rows()], schema=TRIALS_SCHEMA, orient="row")
        self._ledger.add(
            self._session_key, piece, trials, self._new_series(new.select(KEY).unique(maintain_order=True))
        )
        self._recorded.update(new["run_key"])
        for key in grades.select(KEY).unique().iter_rows():
            self._planned.pop(key, None)

    def _row(
        self, asset_class: str, symbol: str, run_key: str, family: str, first: dt.date, last: dt.date
    ) -> dict[str, Any]:
        counted, settings = self._planned[asset_class, symbol], self._settings
        trial, settings_key = counted.trials[run_key]
        return {
            "asset_class": asset_class,
            "symbol": symbol,
            "interval": settings.interval,
            "dataset": self._ledger.dataset,
            "session_key": self._session_key,
            "run_key": run_key,
            "trial": trial,
            "settings": settings_key,
            "strategy": self._strategy,
            "label": settings.label.name,
            "family": family,
            "first_oos": first,
            "last_oos": last,
            "bars": counted.bars,
            "last_bar": counted.last_bar,
            "series": counted.series,
            "seen": self._opened,
        }

    def _new_series(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Fingerprints of instruments that the ledger lacks."""
        rows: dict[Key, tuple[Any, ...]] = {}
        for asset_class, symbol in keys.iter_rows():
            counted = self._planned[asset_class, symbol]
            name = (asset_class, counted.series)
            if name not in self._number and counted.series == counted.sample.key:
                sample = counted.sample
                rows[name] = (counted.series, asset_class, self._settings.interval, sample.minutes, sample.returns)
        return pl.DataFrame(list(rows.values()), schema=SERIES_SCHEMA, orient="row")

    def stored(self) -> pl.DataFrame:
        """Return the ledger as it is now: `rows` and what was recorded since."""
        return self._ledger.trials(self._classes, self._settings.interval)

    def close(self) -> None:
        """Merge what the session has written into one file."""
        self._ledger.merge()

    def session_number(self) -> int:
        """Return which session this is among all that graded any of the same series on overlapping dates.

        Returns
        -------
        int
            From 1, by the time at which each was first seen; the same whenever the session is repeated.
        """
        first = dict(self.rows.group_by("session_key").agg(pl.col("seen").min()).iter_rows())
        own = (first.get(self._session_key, self._opened), self._session_key)
        return 1 + sum((first[session], session) < own for session in self._sessions - {self._session_key})


def _window(dates: DateArray, settings: TrainingSettings) -> _Window | None:
    """First and last day on which an instrument is graded, in days since 1970."""
    first = first_boundary(dates, settings.split, settings.label.horizon)
    if first is None or dates.size < 3:
        return None
    return int(np.datetime64(first, "D").astype(int)), int(dates[-3].astype("datetime64[D]").astype(int))


def _positions(rows: pl.DataFrame, names: list[str]) -> dict[Key, IntArray]:
    """Numbers of the rows of each group."""
    grouped = rows.select(names).with_row_index("row").group_by(names, maintain_order=True).agg("row")
    return {(a, b): np.array(found, dtype=np.int64) for a, b, found in grouped.iter_rows()}
