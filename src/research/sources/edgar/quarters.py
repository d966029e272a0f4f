"""Quarters and days of EDGAR, which are those of New York."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from src.market.calendar import NEW_YORK

_PUBLISHED = dt.time(22)  # New York: when EDGAR closes and the day's index is made
_MADE = dt.timedelta(minutes=15)  # after that the index is looked for
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, order=True)
class Quarter:
    """A calendar quarter.

    Attributes
    ----------
    year, number : int
        2024 and 1 to 4.
    """

    year: int
    number: int

    @classmethod
    def of(cls, day: dt.date) -> Quarter:
        """The quarter that a day is in.

        Parameters
        ----------
        day : date
        """
        return cls(day.year, (day.month + 2) // 3)

    @property
    def first(self) -> dt.date:
        """Its first day."""
        return dt.date(self.year, 3 * self.number - 2, 1)

    @property
    def last(self) -> dt.date:
        """Its last day."""
        return self.next.first - _DAY

    @property
    def next(self) -> Quarter:
        """The quarter after it."""
        return Quarter(self.year + self.number // 4, self.number % 4 + 1)

    @property
    def lower(self) -> str:
        """``2024q1``."""
        return f"{self.year}q{self.number}"

    def __str__(self) -> str:
        return f"{self.year}Q{self.number}"

    def until(self, end: Quarter) -> Iterator[Quarter]:
        """Quarters from this one to the one before `end`.

        Parameters
        ----------
        end : Quarter
        """
        quarter = self
        while quarter < end:
            yield quarter
            quarter = quarter.next


def closing(day: dt.date) -> dt.datetime:
    """When EDGAR closes on a day, 22:00 in New York, as UTC.

    Parameters
    ----------
    day : date
        In New York.
    """
    return dt.datetime.combine(day, _PUBLISHED, NEW_YORK).astimezone(dt.UTC)


def new_york_day(moment: dt.datetime) -> dt.date:
    """The date in New York.

    Parameters
    ----------
    moment : datetime
        With a time zone.
    """
    return moment.astimezone(NEW_YORK).date()


def last_indexed(now: dt.datetime) -> dt.date:
    """The last day whose index can be there: today from 22:15 in New York on, else yesterday.

    Parameters
    ----------
    now : datetime
        With a time zone.
    """
    today = new_york_day(now)
    return today if now >= closing(today) + _MADE else today - _DAY


def weekdays(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """Days from Monday to Friday; EDGAR has no filings of others.

    Parameters
    ----------
    first, last : date
        Both are included.
    """
    for n in range((last - first).days + 1):
        day = first + n * _DAY
        if day.weekday() < 5:
            yield day
