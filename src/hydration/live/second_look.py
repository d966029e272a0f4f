"""A second question about a history that came short: to the next provider of the chain, or to the same one.

A history whose beginning the provider's limit cuts off is asked for from the next provider. It is taken whole from
there, never put together: two exchanges have two volumes. One that was cut for once, in the middle or at an end, is
asked for again. The first answer is kept unless the second one is better.
"""

from __future__ import annotations

import datetime as dt
import math

import polars as pl

from src.core.instruments import Key
from src.fetching.fetch_task import BarOutcome, BarTask
from src.fetching.provider import Answer
from src.hydration.live import coverage, sessions
from src.hydration.live.schedule import Schedule, SelectedInstrument
from src.market import calendar

_LONGER_DAYS = 30  # that another provider must go further back
_COMMON = 30  # closes in common
_NEAR, _FAR = math.log(1.02), math.log(1.25)  # between two exchanges: half of the closes, and 95% of them
_CUT, _SPARSE = 3, 0.05  # sessions missing that are worth a question; a share beyond which it is the instrument's way


class SecondLook:
    """Remembers the first answers of one run.

    Parameters
    ----------
    schedule : Schedule
        Makes the questions, and knows the chains.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._first: dict[Key, BarOutcome] = {}
        self._looked: set[tuple[Key, str]] = set()  # and whom it was asked from

    def better(self, outcome: BarOutcome) -> bool:
        """Whether an outcome counts: it is the first one of its instrument, or better than that.

        Parameters
        ----------
        outcome : BarOutcome
            The latest.
        """
        first = self._first.pop(_key(outcome.task), None)
        if first is None or first.answer is None:
            return True
        if outcome.answer is None:
            return False
        if outcome.task.provider == first.task.provider:
            return _days(outcome.answer) > _days(first.answer)
        return _is_longer(outcome.answer, first.answer) and fits(outcome.answer.bars, first.answer.bars)

    def question(self, outcome: BarOutcome, instrument: SelectedInstrument, stored: bool) -> BarTask | None:
        """The second question that an answer calls for.

        Parameters
        ----------
        outcome : BarOutcome
            With an answer.
        instrument : SelectedInstrument
            Which it is about.
        stored : bool
            Whether bars of it are stored already: then no other provider is asked.

        Returns
        -------
        BarTask or None
            None if the answer is whole, or was the second one.
        """
        task, answer = outcome.task, outcome.answer
        if answer is None or not answer.bars.height or task.request.start > self._schedule.beginning:
            return None
        provider: str | None = task.provider
        if answer.facts.get("serves"):
            provider = None if stored else self._schedule.chains[instrument.asset_class].after(task.provider)
        elif not self._is_cut(answer, instrument):
            return None
        if provider is None or (instrument.key, provider) in self._looked:
            return None
        self._looked |= {(instrument.key, task.provider), (instrument.key, provider)}
        self._first[instrument.key] = outcome
        return self._schedule.question(instrument, provider)

    def _is_cut(self, answer: Answer, instrument: SelectedInstrument) -> bool:
        """Whether sessions are missing that the provider probably has. Exchanges were asked for holes already."""
        if instrument.asset_class == "crypto" or self._schedule.interval != "1d":
            return False
        days = answer.bars["date"].drop_nulls()
        first, last = days.min(), days.max()
        if not isinstance(first, dt.date) or not isinstance(last, dt.date):
            return False
        traded = answer.facts.get("first_trade")
        begun = max(dt.date.fromisoformat(traded), self._schedule.beginning) if traded else first
        due = sessions.last_complete(instrument.asset_class, "1d", self._schedule.now)
        lost = [
            calendar.session_count(instrument.asset_class, begun, first) - 1 if begun < first else 0,
            sum(hole.n for hole in coverage.holes(answer.bars).values()),
            calendar.session_count(instrument.asset_class, last, due) - 1 if last < due else 0,
        ]
        inside = lost[1] if lost[1] <= _SPARSE * days.len() else 0
        return max(lost[0], inside, lost[2]) >= _CUT


def fits(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    """Whether the closes of two providers are those of one instrument.

    Parameters
    ----------
    one, other : DataFrame
        Bars with date and close.

    Returns
    -------
    bool
        False with too few days in common: another coin may have the same name.
    """
    both = one.select("date", "close").join(other.select("date", "close"), on="date", suffix="_other")
    apart = both.filter((pl.col("close") > 0) & (pl.col("close_other") > 0)).select(
        (pl.col("close") / pl.col("close_other")).log().abs()
    )
    if apart.height < _COMMON:
        return False
    middle, edge = apart.to_series().quantile(0.5), apart.to_series().quantile(0.95)
    return middle is not None and edge is not None and middle <= _NEAR and edge <= _FAR


def _is_longer(answer: Answer, first: Answer) -> bool:
    """Whether an answer goes further back, and comes as far."""
    days = [each.bars["date"].cast(pl.Date) for each in (answer, first)]
    if not days[0].len() or not days[1].len():
        return False
    (begin, end), (former, until) = ((each.min(), each.max()) for each in days)
    dated = [each for each in (begin, end, former, until) if isinstance(each, dt.date)]
    return len(dated) == 4 and dated[0] <= dated[2] - dt.timedelta(days=_LONGER_DAYS) and dated[1] >= dated[3]


def _days(answer: Answer) -> int:
    return int(answer.bars["date"].n_unique())


def _key(task: BarTask) -> Key:
    return task.request.asset_class, task.request.symbol
