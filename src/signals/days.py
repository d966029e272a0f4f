"""The days of which decisions are asked."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class BookDays:
    """Consecutive dates of books, both included.

    Attributes
    ----------
    first, last : date
        A book of a date holds the latest decision of each champion on bars up to that date.
    """

    first: dt.date
    last: dt.date
