"""Calendar: known in advance from the bar's own date, so no later bar is looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from src.features.registry import family, feature
from src.features.windows import Array, lag

FAMILY = family("calendar", group="technical", order=70)


def month_start(day: Array) -> NDArray[np.datetime64]:
    """First of the month of each day; `day` counts from 1970-01-01."""
    return np.floor(day).astype("datetime64[D]").astype("datetime64[M]")


def days(moment: NDArray[np.datetime64]) -> Array:
    """Days since 1970-01-01."""
    return moment.astype("datetime64[D]").astype(np.float64)


@feature(FAMILY, window=1, source="French (1980), Stock returns and the weekend effect, JFE 8:55")
def day_of_week(day: Array) -> Array:
    """0 on Monday to 6 on Sunday.

    Returns
    -------
    float64, shape (bars,), in [0, 6]
        A whole number; of the UTC day where bars are intraday.
    """
    return (np.floor(day) + 3) % 7


@feature(FAMILY, window=1, source="Rozeff and Kinney (1976), Capital market seasonality, JFE 3:379")
def month(day: Array) -> Array:
    """1 in January to 12.

    Returns
    -------
    float64, shape (bars,), in [1, 12]
        A whole number.
    """
    return month_start(day).astype(np.float64) % 12 + 1


@feature(FAMILY, window=1, source="Lakonishok and Smidt (1988), Are seasonal anomalies real?, RFS 1:403")
def turn_of_month(day: Array) -> Array:
    """Calendar days to the nearest first of a month.

    Returns
    -------
    float64, shape (bars,), in [0, 15]
        Days, 0 on a first of the month; of the bar's own date, trading day or not.
    """
    start = month_start(day)
    value: Array = np.minimum(np.floor(day) - days(start), days(start + 1) - np.floor(day))
    return value


@feature(FAMILY, window=1, source="Carhart, Kaniel, Musto and Reed (2002), Leaning for the tape, JF 57:661")
def days_to_quarter_end(day: Array) -> Array:
    """Calendar days to the first of the next quarter.

    Returns
    -------
    float64, shape (bars,), in [1, 92]
        Days, weekends and holidays included.
    """
    start = month_start(day)
    ahead = 3 - start.astype(np.int64) % 3
    value: Array = days(start + ahead) - np.floor(day)
    return value


@feature(FAMILY, window=2, source="French and Roll (1986), Stock return variances, JFE 17:5")
def days_since_last_bar(day: Array) -> Array:
    """Days from the last bar to this one: 3 on a Monday, 4 after a long weekend.

    Returns
    -------
    float64, shape (bars,), at least 0
        Days, with a fraction where bars are intraday; long after a gap.
    """
    return day - lag(day, 1)
