"""Lines of the champions of the pooled scope: one for each instrument that the portfolio holds or ranks."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import FloatArray, IntArray, Matrix
from src.core.errors import ConfigError, StageError
from src.core.hashing import json_digest
from src.core.instruments import KEY
from src.evaluation.pooled.costs import rates
from src.evaluation.pooled.live_weights import LiveWeights, live_weights
from src.evaluation.pooled.neutralising import centred_ranks
from src.market.calendar import latest_session, next_session, session_count
from src.signals.pooled_bars import LatestBars, SeenBars
from src.signals.pooled_model import PooledModel
from src.signals.pooled_moves import moved_by
from src.signals.pooled_scores import ModelScores, PooledScores
from src.signals.tables import LINES
from src.training.pooled.class_data import ClassData

if TYPE_CHECKING:
    from src.signals.dataset import SignalDataset
    from src.signals.days import BookDays
    from src.tracking.crowned_versions import CrownedVersion

log = logging.getLogger(__name__)
LEAST_PRESENT = 0.9
"""Share of the names ranked on the session before that must have a bar of the day: with fewer, the day is not whole."""
_GRADE = (
    "auc", "accuracy", "sharpe", "max_drawdown", "n_oos", "p_value", "q_value", "luck_rate", "deflated_sharpe",
)  # fmt: skip


def pooled_lines(
    champions: Sequence[CrownedVersion], dataset: SignalDataset, days: BookDays, *, explain: bool = True
) -> pl.DataFrame:
    """Decide for each pooled champion on each day.

    Parameters
    ----------
    champions : sequence of CrownedVersion
        Of scope=pooled.
    dataset : SignalDataset
    days : BookDays
        Books are of the sessions among them, and of the last day.
    explain : bool
        Whether the features that moved each score are found, on the last day.

    Returns
    -------
    DataFrame
        Columns of `src.signals.tables.LINES`, sorted by book_date, name and symbol: one row for each instrument that is
        ranked, held or just left; one row with an empty symbol where the whole champion is refused.
    """
    parts = [pl.DataFrame(schema=LINES)]
    classes: dict[str, ClassData] = {}
    for champion in sorted(champions, key=lambda each: each.name):
        try:
            model = PooledModel.load(champion, dataset.paths)
            parts += PooledDecisions(model, class_data(model, days, classes), dataset, explain=explain).lines(days)
        except (StageError, ValueError, KeyError, OSError, pl.exceptions.PolarsError) as error:
            reason = str(error) if isinstance(error, StageError | ConfigError) else f"it can't be asked: {error!r}"
            log.warning("%s decides nothing: %s", champion.name, reason)
            parts.append(refused_whole(champion, days.last, reason, holds=False))
    return pl.concat(parts).sort("book_date", "name", "symbol")


def class_data(model: PooledModel, days: BookDays, made: dict[str, ClassData]) -> ClassData:
    """The cross-section of a champion, which those of the same class and eligibility share; one at a time in memory."""
    names = model.inputs.instruments.filter(state="done", asset_class=model.asset_class).select(KEY)
    settings = model.settings
    eligibility = {name: value for name, value in vars(settings.eligibility).items() if name != "name"}
    key, since = json_digest([model.asset_class, eligibility]), max(days.first, model.trained_until)
    bars = SeenBars(model.inputs.bars, model.asset_class, days.last, frozenset(names.iter_rows()), since)
    known = made.get(key)
    if (
        known is None or not isinstance(known.bars, SeenBars) or known.bars.since > since
    ):  # closes are kept from then on
        made.clear()
        made[key] = ClassData(bars, settings.eligibility, settings.label)
    return made[key]


@dataclass(frozen=True)
class PooledDecisions:
    """Decisions of one champion on consecutive days.

    Attributes
    ----------
    model : PooledModel
    data : ClassData
        Its bars are `SeenBars` up to the last day.
    dataset : SignalDataset
    explain : bool
        Whether the features that moved each score are found, on the last day.
    """

    model: PooledModel
    data: ClassData
    dataset: SignalDataset
    explain: bool

    def lines(self, days: BookDays) -> list[pl.DataFrame]:
        """Lines of the books of consecutive dates, a table a book.

        Raises
        ------
        StageError
            If the scores of the graded days are gone.
        """
        section = self.data.section
        first = int(np.searchsorted(section.dates, np.datetime64(self.model.trained_until, "D"), side="right"))
        asked = max(first, int(np.searchsorted(section.dates, np.datetime64(days.first, "D"))))
        books = [(date, row) for date, row in self._books(days) if row >= first]
        if not books:
            return self._too_early(days)
        rows = np.unique([row for _, row in books])
        decided = self._decided(min(asked, int(rows[0])), rows)
        found = [self._book(date, row, decided) for date, row in books]
        return found

    def _books(self, days: BookDays) -> list[tuple[dt.date, int]]:
        """Date of each book and row of the bar that it is decided on: of each session, and of the last day."""
        dates = self.data.section.dates.astype("datetime64[D]")
        within = dates[(dates >= np.datetime64(days.first, "D")) & (dates <= np.datetime64(days.last, "D"))]
        books = sorted({*within.tolist(), days.last})
        return [(day, int(np.searchsorted(dates, np.datetime64(day, "D"), side="right")) - 1) for day in books]

    def _too_early(self, days: BookDays) -> list[pl.DataFrame]:
        until = self.model.trained_until
        reason = f"it decides on bars after {until}, the last it was trained on, and there are none up to {days.last}"
        return [refused_whole(self.model.champion, days.last, reason, holds=False)]

    def _decided(self, asked: int, rows: IntArray) -> _Decided:
        model, data = self.model, self.data
        scores = PooledScores(model, data, self.dataset.paths.signals)
        table, made = scores.up_to_now(asked)
        portfolio, lost = model.settings.portfolio, model.settings.eligibility.delisting_return
        weights = live_weights(table, scores.first, data.section, data.eligible, data.styles, portfolio, lost)
        every = np.unique([scores.first, *rows])
        cost = rates(data.section, weights.columns, every, portfolio)[np.searchsorted(every, rows)]
        assert isinstance(data.bars, SeenBars)
        bars = LatestBars.of(data.section, data.bars, int(rows[0]))
        return _Decided(data, scores.first, table, made, weights, dict(zip(rows.tolist(), cost, strict=True)), bars)

    def _book(self, date: dt.date, row: int, decided: _Decided) -> pl.DataFrame:
        """Lines of one book."""
        kind, session = self.model.asset_class, decided.date(row)
        late = session_count(kind, session + dt.timedelta(days=1), date)
        if late > self.dataset.max_bar_age:
            sessions = "session" if late == 1 else "sessions"
            reason = f"bars of {kind} end at {session}, {late} {sessions} before {date}: hydrate and featurize again"
            return refused_whole(self.model.champion, date, reason, holds=True)
        if gap := decided.gap(row):
            return refused_whole(self.model.champion, date, gap, holds=True)
        bar_age = late + row - decided.bars.rows[row - decided.bars.first, decided.weights.columns]
        lines = decided.lines(row, bar_age, self.dataset.max_bar_age)
        if self.explain and row == len(self.data.section.dates) - 1:
            lines = moved_by(lines, self.model, decided.ranked(row), decided.made.of_day(row))
        champion = self.model.champion
        return _complete(
            lines,
            {
                **identity(champion),
                "book_date": date,
                "family": self.model.family,
                "asset_class": kind,
                "decided_on": dt.datetime.combine(session, dt.time()),
                "trade_on": next_session(kind, date),
            },
        )


@dataclass(frozen=True)
class _Decided:
    """What a champion decided, by row of the cross-section."""

    data: ClassData
    first: int
    scores: Matrix
    made: ModelScores
    weights: LiveWeights
    costs: dict[int, Matrix]
    bars: LatestBars

    def date(self, row: int) -> dt.date:
        day: dt.date = self.data.section.dates[row].astype("datetime64[D]").item()
        return day

    def symbols(self, columns: IntArray) -> pl.Series:
        return pl.Series(self.data.section.symbols, dtype=pl.String).gather(columns)

    def ranked(self, row: int) -> pl.Series:
        """Names that the model was asked about on a day."""
        return self.symbols(self.made.rows.names[self.made.rows.span(row)].astype(np.int64))

    def gap(self, row: int) -> str | None:
        """Why a day is not whole: most names that were ranked on the session before lack a bar of it."""
        ranked, traded = self.data.eligible[row - 1], np.isfinite(self.data.section.close[row])
        present, count = int(np.count_nonzero(ranked & traded)), int(np.count_nonzero(ranked))
        if present >= LEAST_PRESENT * count:
            return None
        missing, day = f"{count - present:,} of the {count:,} names ranked before", self.date(row)
        return f"{missing} have no bar of {day}: hydrate and featurize again"

    def lines(self, row: int, bar_age: IntArray, max_bar_age: int) -> pl.DataFrame:
        """What is said of each name that is ranked, held or just left."""
        day, columns = row - self.first, self.weights.columns
        fresh = bar_age <= max_bar_age
        position, before = self.weights.decided(day, fresh), self.weights.before(day)
        score = self._places(row)
        kept = np.flatnonzero(np.isfinite(score) | (position != 0) | (before != 0))
        left = (position == 0) & ~fresh  # delisted: there is nothing to order
        said, rate = (fresh | left)[kept], self.costs[row][kept].astype(np.float64)
        now, then = (weights[kept].astype(np.float64) + 0.0 for weights in (position, before))  # no negative zero
        lines = pl.DataFrame(
            {
                "symbol": self.symbols(columns[kept]),
                "state": np.where(said, "said", "refused"),
                "holds": pl.Series(~said).replace_strict({False: None, True: True}, return_dtype=pl.Boolean),
                "bar_age": bar_age[kept],
                "score": score[kept],
                "exposure": np.sign(now),
                "size": np.abs(now),
                "position": now,
                "before": then,
                "cost_rate": rate,
                "cost": np.abs(now - then) * rate,
            }
        )
        reason = pl.format("its last bar is {} session(s) old: it can't be ordered, and its weight stays", "bar_age")
        lines = lines.with_columns(reason=pl.when(state="refused").then(reason))
        day, names = row - self.bars.first, columns[kept]
        lines = lines.with_columns(close=self.bars.close[day, names], factor=self.bars.factor[day, names])
        return lines.with_columns(inputs_sha256=pl.Series(self._digests(row, lines), dtype=pl.String))

    def _places(self, row: int) -> FloatArray:
        """(rank - 1/2) / names of the day of the scores, shape (M,), ties by their mean rank; NaN without a score."""
        found = self.scores[row - self.first, self.weights.columns]
        known = self.data.eligible[row, self.weights.columns] & np.isfinite(found)
        out = np.full(found.size, np.nan)
        out[known] = (centred_ranks(found[known]) + 1.0) / 2.0
        return out

    def _digests(self, row: int, lines: pl.DataFrame) -> Iterator[str]:
        """SHA-256 of the ranks and the bar's prices of each line."""
        ranks = dict(zip(self.ranked(row), self.made.of_day(row), strict=True))
        for symbol, close, factor in lines.select("symbol", "close", "factor").iter_rows():
            own = ranks[symbol].tobytes() if symbol in ranks else b""
            yield hashlib.sha256(own + np.array([close, factor], dtype="<f8").tobytes()).hexdigest()


def identity(champion: CrownedVersion) -> dict[str, Any]:
    """Columns of a line that are the champion's own, its grade included."""
    own = {"name": champion.name, "version": champion.version, "scope": "pooled", "record_id": champion.record_id}
    grade = {name: champion.grade.get(name) for name in _GRADE}
    return own | grade | {"model_sha256": champion.model_sha256, "family": champion.grade.get("family")}


def refused_whole(champion: CrownedVersion, date: dt.date, reason: str, *, holds: bool) -> pl.DataFrame:
    """Line of a champion that decides nothing on a day.

    Parameters
    ----------
    champion : CrownedVersion
    date : date
        Of the book.
    reason : str
    holds : bool
        Whether its positions stay, because the bars are missing or late.
    """
    kind = str(champion.grade.get("symbol") or champion.name.partition(".")[2]).partition(".")[0]
    decided_on = dt.datetime.combine(latest_session(kind, date), dt.time())
    lines = pl.DataFrame({"symbol": [""], "state": ["refused"], "reason": [reason], "holds": [holds or None]})
    dates = {"book_date": date, "asset_class": kind, "decided_on": decided_on, "trade_on": next_session(kind, date)}
    return _complete(lines, identity(champion) | dates)


def _complete(lines: pl.DataFrame, shared: dict[str, Any]) -> pl.DataFrame:
    """Give lines all columns: those that all have in common, and null for what they lack."""
    values = [pl.lit(value, LINES[name]).alias(name) for name, value in shared.items()]
    lacking = [pl.lit(None, kind).alias(name) for name, kind in LINES.items() if name not in {*lines.columns, *shared}]
    lines = lines.with_columns(*values, *lacking).select(pl.col(name).cast(kind) for name, kind in LINES.items())
    return lines.with_columns(pl.selectors.float().fill_nan(None))
