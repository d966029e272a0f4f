"""What a run knows of its companies, and what it has yet to read before a stream is complete."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from src.documents.document import Ask
from src.research.source import CollectContext
from src.research.sources.edgar.quarters import Quarter

NAME = "edgar"
INDEX, SETS, FUNDAMENTALS = "index", "insider-sets", "fundamentals"  # streams
OWNERSHIP = frozenset(("3", "4", "5"))
REPORTS = frozenset(("10-K", "10-KT", "10-Q", "10-QT", "20-F", "40-F"))  # forms that bring new figures
_FIRST_SET = Quarter(2006, 1)
_FIRST_FACTS = dt.date(2011, 7, 1)  # from then on small companies too file their figures as data
_VARIANTS = {"10-K": ("10-K", "10-KT"), "10-Q": ("10-Q", "10-QT")}


@dataclass
class EdgarRun:
    """The state of one run.

    Attributes
    ----------
    ciks : frozenset of int
        Companies of the universe.
    left : dict of str to set of str
        By stream, the units that are not complete.
    """

    ciks: frozenset[int] = frozenset()
    left: dict[str, set[str]] = field(default_factory=dict)

    def settle(self, stream: str, unit: str) -> None:
        """Take note that a unit is complete.

        Parameters
        ----------
        stream, unit : str
        """
        self.left.get(stream, set()).discard(unit)

    def asks(self, stream: str, context: CollectContext, asked: dt.datetime) -> list[Ask]:
        """The ask that says that a stream is complete since the beginning of its history, if it is.

        Parameters
        ----------
        stream : str
        context : CollectContext
        asked : datetime
            When its latest reply arrived.
        """
        if stream not in self.left or self.left[stream]:
            return []
        return [Ask(NAME, stream, asked, midnight(beginning(stream, context)))]


def beginning(stream: str, context: CollectContext) -> dt.date:
    """First day that a stream covers: indexes and insider sets are taken by whole quarters.

    Parameters
    ----------
    stream : str
    context : CollectContext
    """
    start = dt.date.fromisoformat(context.settings.start)
    if stream == FUNDAMENTALS:
        return max(start, _FIRST_FACTS)
    quarter = Quarter.of(start)
    return max(quarter, _FIRST_SET).first if stream == SETS else quarter.first


def midnight(day: dt.date) -> dt.datetime:
    """A day's beginning, UTC.

    Parameters
    ----------
    day : date
    """
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def base_form(form: str) -> str:
    """The form that an amendment amends.

    Parameters
    ----------
    form : str
        ``4/A``.
    """
    return form.strip().removesuffix("/A")


def wanted_forms(context: CollectContext) -> frozenset[str]:
    """Forms whose documents are taken, without ``/A``: their amendments are taken too.

    Parameters
    ----------
    context : CollectContext
    """
    return frozenset(each for form in context.settings.edgar.forms for each in _VARIANTS.get(form, (form,)))


def taken(unit: str, context: CollectContext) -> dt.date | None:
    """The day in New York up to which a company's submissions or facts were read; None if they never were.

    Parameters
    ----------
    unit : str
        Of their first reading.
    context : CollectContext
    """
    day = context.notes(unit).get("asked")
    return dt.date.fromisoformat(day) if day else None
