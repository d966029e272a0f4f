"""Session: where an intraday bar stands in its day. Needs bars shorter than a day.

For coins a session is the UTC date. For stocks and ETFs it is the exchange's own: a bar that comes four hours or more
after the one before opens one, whatever the time zone (lunch breaks are shorter, nights longer). Hours are UTC's.
"""

from __future__ import annotations

import numpy as np

from src.features.registry import family, feature, ingredient
from src.features.windows import Array, lag, total

FAMILY = family("session", group="technical", order=80)
CLOSED_HOURS = 4.0
LONGEST = 96  # bars: 24 hours of quarter-hours; bars later in a session than this are not distinguished


@ingredient
def session_start(day: Array, always_open: Array) -> Array:
    """1 at a session's first bar, 0 at others; NaN at the first bar of all, which has none before it."""
    before = lag(day, 1)
    opened = np.where(always_open > 0, np.floor(day) > np.floor(before), day - before >= CLOSED_HOURS / 24 - 1e-9)
    return np.where(np.isnan(before), np.nan, opened.astype(np.float64))


@ingredient
def since_open(session_start: Array) -> Array:
    """Bars since the session's first, at most 96."""
    at = np.arange(len(session_start), dtype=np.float64)
    opened = np.maximum.accumulate(np.where(session_start > 0, at, -np.inf)) if len(at) else at
    return np.minimum(at - opened, float(LONGEST)) + 0.0 * total(session_start, LONGEST)


@ingredient
def opening_bar(since_open: Array) -> Array:
    """Row of the session's first bar; NaN where that is 96 bars ago or more."""
    at = np.arange(len(since_open), dtype=np.float64)
    return np.where(since_open < LONGEST, at - since_open, np.nan)


def at_rows(x: Array, rows: Array) -> Array:
    """Values of other rows, NaN where the row is NaN or before the first."""
    known = rows >= 0
    return np.where(known, x[np.where(known, rows, 0).astype(np.int64)], np.nan) if len(x) else x


@feature(FAMILY, window=1, intraday=True, source="Admati and Pfleiderer (1988), A theory of intraday patterns, RFS 1:3")
def hour_sine(day: Array) -> Array:
    """sin(2 pi h / 24), h the hour at which the bar begins, UTC.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        With `hour_cosine`, the hour as a point on a circle: midnight is close to both its neighbours.
    """
    value: Array = np.sin(2 * np.pi * (day - np.floor(day)))
    return value


@feature(FAMILY, window=1, intraday=True, source="Admati and Pfleiderer (1988), A theory of intraday patterns, RFS 1:3")
def hour_cosine(day: Array) -> Array:
    """cos(2 pi h / 24), h the hour at which the bar begins, UTC.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        With `hour_sine`, the hour as a point on a circle: midnight is close to both its neighbours.
    """
    value: Array = np.cos(2 * np.pi * (day - np.floor(day)))
    return value


@feature(FAMILY, window=LONGEST + 1, intraday=True, source="Wood, McInish and Ord (1985), Transactions data, JF 40:723")
def bars_since_open(since_open: Array) -> Array:
    """Bars since the session's first, at most 96.

    Returns
    -------
    float64, shape (bars,), in [0, 96]
        Bars, 0 at the session's first.
    """
    return since_open.copy()


@feature(FAMILY, window=2, intraday=True, source="Harris (1986), Weekly and intradaily patterns, JFE 16:99")
def session_first(session_start: Array) -> Array:
    """1 at the first bar of a session, else 0.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0 or 1. NaN at the first bar of all, which has none before it to compare with.
    """
    return session_start.copy()


@feature(
    FAMILY, window=2 * LONGEST + 1, intraday=True, source="Harris (1986), Weekly and intradaily patterns, JFE 16:99"
)
def session_last(since_open: Array, opening_bar: Array, session_start: Array) -> Array:
    """1 from the bar on with which the session is as long as the one before, else 0: no timetable is looked at.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0 or 1. NaN where the session before began more than 96 bars earlier or is not known.
    """
    before = at_rows(since_open, opening_bar - 1)
    known = 0.0 * (before + opening_bar) + 0.0 * total(session_start, 2 * LONGEST)
    return np.where(since_open >= before, 1.0, 0.0) + known


@feature(
    FAMILY,
    window=LONGEST + 1,
    intraday=True,
    source="Gao, Han, Li and Zhou (2018), Market intraday momentum, JFE 129:394",
)
def session_return(close: Array, open: Array, opening_bar: Array) -> Array:
    """ln(C / O of the session's first bar).

    Returns
    -------
    float64, shape (bars,), any sign
        Log return since the session's open. NaN from the 97th bar of a session on.
    """
    return np.log(close / at_rows(open, opening_bar))


@feature(FAMILY, window=LONGEST + 1, intraday=True, source="Lou, Polk and Skouras (2019), A tug of war, JFE 134:192")
def session_gap(overnight: Array, opening_bar: Array) -> Array:
    """ln(O of the session's first bar / C before it): the gap with which the session opened.

    Returns
    -------
    float64, shape (bars,), any sign
        Log return, the same at every bar of a session. NaN from the 97th bar of a session on.
    """
    return at_rows(overnight, opening_bar)
