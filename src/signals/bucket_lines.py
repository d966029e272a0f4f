"""Lines of the champions whose instruments are of one bucket: its bars and features are read once for all of them."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.config.commands import command
from src.config.schema import LabelConfig
from src.core.errors import ConfigError, StageError
from src.evaluation import labels
from src.features.store import FeatureStore
from src.signals.book_dates import book_dates
from src.signals.bucket_features import BucketFeatures
from src.signals.candidates import Candidate, Made, add_decided, refuse
from src.signals.decided import decide, moved_by, predictor, rows_needed
from src.signals.last_bars import BucketBars, Chosen, LastBars, choose, trained_through
from src.signals.line_columns import LineColumns, of_version
from src.signals.native_models import native_model
from src.signals.refusals import LineRefusal, RefusedLine
from src.training.run_store import RunStore

if TYPE_CHECKING:
    from src.core.arrays import DateArray
    from src.evaluation.labels import Decisions
    from src.market.bars import BarStore
    from src.signals.dataset import SignalDataset
    from src.signals.days import BookDays
    from src.signals.graded_settings import GradedSettings


@dataclass
class Shared:
    """What all buckets share.

    Attributes
    ----------
    dataset : SignalDataset
    store : BarStore
    features : FeatureStore
    runs : RunStore
    books : datetime64[D], shape (n,)
        Dates of the books.
    newest : date
        Of the last bar of the dataset.
    explain : bool
    threads : Executor
        Where models are read and asked.
    given : mapping
        Models by record id that take the place of the stored ones, to replay the days of a fold by its model.
    """

    dataset: SignalDataset
    store: BarStore
    features: FeatureStore
    runs: RunStore
    books: DateArray
    newest: dt.date
    explain: bool
    threads: Executor
    given: Mapping[str, Any] = field(default_factory=dict)
    _markets: dict[str, pl.DataFrame | None] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: SignalDataset, store: BarStore, days: BookDays, threads: Executor, *, explain: bool) -> Shared:
        """Find the books of a range of days."""
        paths = dataset.paths
        newest = store.instruments()["last"].max()
        books = book_dates(store, days)
        last = newest if isinstance(newest, dt.date) else days.last
        return cls(dataset, store, FeatureStore(paths.features), RunStore(paths.runs), books, last, explain, threads)

    def cut(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Keep the bars that the last book may know."""
        return bars.filter(pl.col("date").cast(pl.Date) <= self.books[-1].item())

    def model(self, each: Candidate, family: str) -> Any:
        """Return the model that decides, in its library's own form."""
        if each.version.record_id in self.given:
            return self.given[each.version.record_id]
        return native_model(self.runs, each.version, family)

    def market(self, label: LabelConfig) -> pl.DataFrame | None:
        """Table that a relative label compares with, made as training makes it."""
        key = json.dumps(asdict(label), sort_keys=True)
        if key not in self._markets:
            self._markets[key] = labels.read_market(self.store, label, self.cut)
        return self._markets[key]


@dataclass(frozen=True)
class _Work:
    """A champion with the bars that its books are decided on."""

    candidate: Candidate
    settings: GradedSettings
    bars: LastBars
    decisions: Decisions
    chosen: Chosen

    @property
    def first(self) -> int:
        """The first tradable bar that is decided on."""
        return int(self.chosen.decision.min())

    @property
    def last(self) -> int:
        """The last one."""
        return int(self.chosen.decision.max())

    @property
    def start(self) -> int:
        """The first tradable bar whose features are needed."""
        return rows_needed(self.first, self.decisions.horizon)


class BucketLines:
    """Decides for the champions of one bucket.

    Parameters
    ----------
    bucket : int
    shared : Shared
    """

    def __init__(self, bucket: int, shared: Shared) -> None:
        self._bucket, self._shared = bucket, shared
        self._features = BucketFeatures(shared.features, shared.store, bucket, shared.dataset.paths.facts)

    def add(self, candidates: Sequence[Candidate], lines: LineColumns) -> None:
        """Add the lines of champions.

        Parameters
        ----------
        candidates : sequence of Candidate
        lines : LineColumns
        """
        last, todo = self._shared.books[-1].item(), []
        try:
            bars = BucketBars(self._shared.store, self._bucket, last, is_daily=self._shared.dataset.interval == "1d")
        except StageError as error:
            for each in candidates:
                self._refuse_unknown(each, LineRefusal(str(error), holds=True), lines)
            return
        for each in candidates:
            own = bars.of(each.key)
            if own is None:
                self._refuse_unknown(each, self._no_bar(each), lines)
            elif (work := self._begun(each, own, lines)) is not None:
                todo.append(work)
        try:
            self._read_features(todo)
        except StageError as error:
            for work in todo:
                add_decided(work.candidate, work.bars, work.chosen, LineRefusal(str(error), holds=True), lines)
            return
        for work, found in zip(todo, self._shared.threads.map(self._decided, todo), strict=True):
            add_decided(work.candidate, work.bars, work.chosen, found, lines)

    def _no_bar(self, each: Candidate) -> LineRefusal:
        """Why an instrument has no bar: as hydrate says, where it does."""
        states = self._shared.store.ledger.states(self._bucket)
        own = states.filter((pl.col("asset_class") == each.key[0]) & (pl.col("symbol") == each.key[1]))
        said = f" ({own.item(0, 'state')}: {own.item(0, 'reason')})" if own.height and own.item(0, "reason") else ""
        hydrate = command("hydrate", stored=self._shared.dataset.paths.dataset)
        return LineRefusal(f"there is no bar of {':'.join(each.key)}{said}: run `{hydrate}`", holds=True)

    def _refuse_unknown(self, each: Candidate, refusal: LineRefusal, lines: LineColumns) -> None:
        """Refuse the last book alone of a champion whose instrument has no bar that could be read."""
        about = of_version(each.version, "instrument") | {"asset_class": each.key[0], "symbol": each.key[1]}
        why = LineRefusal(each.reason) if each.reason else refusal
        about |= {"book_date": self._shared.books[-1:], "reason": why.reason, "holds": why.holds or None}
        lines.add(1, about | {"state": "refused"})

    def _begun(self, each: Candidate, bars: LastBars, lines: LineColumns) -> _Work | None:
        """Choose the bars, and refuse what can be refused without the model; None where nothing is left to decide."""
        settings, market = each.settings, None
        against = LineRefusal(each.reason) if each.reason else None
        try:
            if settings is not None and against is None:
                self._features.require(each.key, settings.features)
                market = self._shared.market(settings.label)
        except (RefusedLine, StageError, ConfigError) as error:
            against = LineRefusal(str(error), holds=True)
        label = settings.label if settings is not None and against is None else LabelConfig()
        decisions = bars.decisions(label, market, last_oos(each))
        chosen = _due(each, bars, decisions, self._shared)
        refusals = [against] * chosen.books.size if against else _refusals(chosen, self._shared.dataset)
        is_refused = np.array([each is not None for each in refusals], dtype=bool)
        refuse(each, bars, chosen.where(is_refused), [each for each in refusals if each], lines)
        left = chosen.where(~is_refused)
        return _Work(each, settings, bars, decisions, left) if settings is not None and left.books.size else None

    def _read_features(self, todo: list[_Work]) -> None:
        """Read the features that all of them need, once for each set of features."""
        sets: dict[str, list[_Work]] = defaultdict(list)
        for work in todo:
            sets[work.settings.features.digest].append(work)
        for members in sets.values():
            since = min(work.decisions.dates[work.start].astype("datetime64[D]").item() for work in members)
            self._features.read(members[0].settings.features, {work.candidate.key for work in members}, since)

    def _decided(self, work: _Work) -> Made | LineRefusal:
        """Decide by the native model; the reason where it can't be vouched for."""
        settings, decisions = work.settings, work.decisions
        try:
            model = self._shared.model(work.candidate, settings.family)
        except RefusedLine as refusal:
            return LineRefusal(str(refusal))
        times = decisions.dates[work.start : work.last + 1].astype("datetime64[us]")
        x, is_missing = self._features.rows(work.candidate.key, settings.features, times)
        predict = predictor(settings.family, model)
        found = decide(predict, x, decisions, work.first, work.last, settings.strategy)
        at = work.chosen.decision - work.first
        names = list(settings.features.hashes)
        moved = moved_by(settings.family, model, found.x[at], names) if self._shared.explain else None
        missing = np.convolve(is_missing, np.ones(decisions.horizon + 1))[: is_missing.size] > 0
        return Made(found, at, moved, missing[work.chosen.decision - work.start])


def last_oos(each: Candidate) -> dt.date | None:
    """Day of the last decision by which a champion was graded; None where it is not known."""
    day = each.version.grade.get("last_oos")
    return day if isinstance(day, dt.date) else None


def _due(each: Candidate, bars: LastBars, decisions: Decisions, shared: Shared) -> Chosen:
    """Books that have a line: those decided on bars that training did not use, and those whose bars are too old."""
    chosen = choose(bars, decisions, shared.books)
    graded = last_oos(each)
    if graded is None:
        return chosen.where(shared.books == shared.books[-1])
    until = each.until if each.until and each.until <= shared.newest else None
    used = trained_through(decisions, graded, until)
    limit = np.datetime64(until or graded, "D")
    if used >= 0:
        limit = max(limit, bars.days[decisions.rows[used]])
    is_new = (chosen.row >= 0) & (bars.days[np.maximum(chosen.row, 0)] > limit)
    if used >= 0:
        is_new &= chosen.row > decisions.rows[used]
    is_old = (chosen.age > shared.dataset.max_bar_age) & (chosen.books > limit)
    return chosen.where(is_new | is_old)


def _refusals(chosen: Chosen, dataset: SignalDataset) -> list[LineRefusal | None]:
    """Why books can't be decided on their bars; None where they can."""
    found: list[LineRefusal | None] = []
    for age, decision in zip(chosen.age.tolist(), chosen.decision.tolist(), strict=True):
        reason = None
        if age > dataset.max_bar_age:
            reason = (
                f"its last bar is {age} session{'s' * (age != 1)} old, and book.max_bar_age={dataset.max_bar_age} "
                f"allows no more: run `{command('hydrate', stored=dataset.paths.dataset)}`"
            )
        elif decision < 0:
            reason = "its last bar has no price or no volume: nothing is decided on a bar that did not trade"
        found.append(LineRefusal(reason, holds=True) if reason else None)
    return found
