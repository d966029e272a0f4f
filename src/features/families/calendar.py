"""Calendar: known in advance from the bar's own date, so no later bar is looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from src.features.registry import family, feature, ingredient
from src.features.windows import Array, lag

FAMILY = family("calendar", group="technical", order=70)


def days(moment: NDArray[np.datetime64]) -> Array:
    """Days since 1970-01-01."""
    return moment.astype("datetime64[D]").astype(np.float64)


@ingredient
def date(day: Array) -> Array:
    """Month in the year, days since its first, to the next one's, and to the next quarter's, shape (4, bars)."""
    whole = np.floor(day).astype(np.int64)
    first, last = (int(whole.min()), int(whole.max())) if len(whole) else (0, 0)
    if last - first < len(whole):  # instruments share days: each is converted once
        whole -= first
        out = np.empty((4, len(whole)))
        for row, of_day in zip(out, _of_days(np.arange(first, last + 1)), strict=True):
            of_day.take(whole, out=row, mode="clip")  # none is out of range: other modes copy the output once more
        return out
    return np.stack(_of_days(whole))


def _of_days(day: NDArray[np.int64]) -> list[Array]:
    month = day.astype("datetime64[D]").astype("datetime64[M]")
    number = month.astype(np.int64)
    to_quarter = (3 - number % 3).astype("timedelta64[M]")
    return [
        (number % 12 + 1).astype(np.float64),
        day - days(month),
        days(month + 1) - day,
        days(month + to_quarter) - day,
    ]


@feature(FAMILY, window=1, source="French (1980), Stock returns and the weekend effect, JFE 8:55")
def day_of_week(day: Array) -> Array:
    """0 on Monday to 6 on Sunday.

    Returns
    -------
    float64, shape (bars,), in [0, 6]
        A whole number; of the UTC day where bars are intraday.
    """
    whole = np.floor(day) + 3
    value: Array = whole - 7 * np.floor(whole / 7)
    return value


@feature(FAMILY, window=1, source="Rozeff and Kinney (1976), Capital market seasonality, JFE 3:379")
def month(date: Array) -> Array:
    """1 in January to 12.

    Returns
    -------
    float64, shape (bars,), in [1, 12]
        A whole number.
    """
    row: Array = date[0]
    return row


@feature(FAMILY, window=1, source="Lakonishok and Smidt (1988), Are seasonal anomalies real?, RFS 1:403")
def turn_of_month(date: Array) -> Array:
    """Calendar days to the nearest first of a month.

    Returns
    -------
    float64, shape (bars,), in [0, 15]
        Days, 0 on a first of the month; of the bar's own date, trading day or not.
    """
    value: Array = np.minimum(date[1], date[2])
    return value


@feature(FAMILY, window=1, source="Carhart, Kaniel, Musto and Reed (2002), Leaning for the tape, JF 57:661")
def days_to_quarter_end(date: Array) -> Array:
    """Calendar days to the first of the next quarter.

    Returns
    -------
    float64, shape (bars,), in [1, 92]
        Days, weekends and holidays included.
    """
    row: Array = date[3]
    return row


@feature(FAMILY, window=2, source="French and Roll (1986), Stock return variances, JFE 17:5")
def days_since_last_bar(day: Array) -> Array:
    """Days from the last bar to this one: 3 on a Monday, 4 after a long weekend.

    Returns
    -------
    float64, shape (bars,), at least 0
        Days, with a fraction where bars are intraday; long after a gap.
    """
    return day - lag(day, 1)
