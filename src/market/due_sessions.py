"""Which sessions a dataset's next book is for: the last final one of each class, and the next one that closes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

from src.market import calendar


def leading_class(classes: Collection[str]) -> str:
    """Return the class whose closes a dataset waits for: stocks and ETFs before coins, which never close.

    Parameters
    ----------
    classes : collection of str
        Asset classes of the dataset, at least one.
    """
    return next((kind for kind in ("stock", "etf") if kind in classes), "crypto")


def final_sessions(classes: Collection[str], now: dt.datetime, delay: dt.timedelta) -> dict[str, dt.date]:
    """Return the last session of each class that closed at least `delay` ago.

    Parameters
    ----------
    classes : collection of str
    now : datetime
        With a time zone.
    delay : timedelta

    Returns
    -------
    dict of str to date
    """
    return {kind: calendar.last_final_session(kind, now, delay) for kind in sorted(classes)}


def is_covered(final: Mapping[str, dt.date], done: Mapping[str, dt.date]) -> bool:
    """Whether a book covers the final sessions of every class.

    Parameters
    ----------
    final, done : mapping of str to date
        The last final session of each class, and the one that the last book covers.
    """
    return all(kind in done and done[kind] >= day for kind, day in final.items())


def next_begin(classes: Collection[str], now: dt.datetime, delay: dt.timedelta) -> dt.datetime:
    """Return when the next session of the leading class is final.

    Parameters
    ----------
    classes : collection of str
        Asset classes of the dataset, at least one.
    now : datetime
        With a time zone.
    delay : timedelta
        After the session's close.

    Returns
    -------
    datetime
        UTC, later than `now`.

    Examples
    --------
    >>> noon = dt.datetime.fromisoformat("2025-11-28T17:00+00:00")  # the exchange closes at 18:00 UTC
    >>> next_begin(["stock"], noon, dt.timedelta(minutes=60)).isoformat()
    '2025-11-28T19:00:00+00:00'
    """
    kind = leading_class(classes)
    after = calendar.next_session(kind, calendar.last_final_session(kind, now, delay))
    return calendar.session_close(kind, after) + delay
