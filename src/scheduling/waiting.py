"""When a day's work begins: at once, after the close of today's session, or not at all because it is done."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from src.market.due_sessions import final_sessions, is_covered, leading_class, next_begin
from src.runtime import heartbeat
from src.runtime.progress import duration, terminal
from src.runtime.terminal import notice, redraw

LONGEST = dt.timedelta(hours=12)
"""A session that closes later than this is left to a later command: a process that waits a day is soon forgotten."""
_LOOK = 30.0  # seconds between two looks at the clock, which a machine that slept has moved
_LATE_SHARE = 0.5  # of a class's instruments that must have the session's bar
_ENDED = dt.timedelta(days=14)  # an instrument whose last bar is older than this has ended, and is not late
_PAUSES = (15 * 60.0, 30 * 60.0, 60 * 60.0)  # seconds between tries for late bars; the last one repeats


@dataclass(frozen=True)
class Begin:
    """When the work begins, and for which sessions.

    Attributes
    ----------
    sessions : mapping of str to date
        The session of each class that the bars should reach; empty for bars that no clock brings.
    at : datetime or None
        When to begin; None begins at once.
    idle : str
        Why there is nothing to do; empty where there is.
    """

    sessions: Mapping[str, dt.date]
    at: dt.datetime | None = None
    idle: str = ""


def begin(
    classes: list[str], done: Mapping[str, dt.date], now: dt.datetime, delay: dt.timedelta, *, wait: bool = True
) -> Begin:
    """Decide when a day's work on live bars begins.

    A session that is final and has no book yet is done at once, also the day after. Else the work waits for the close
    of the next session, if that is near.

    Parameters
    ----------
    classes : list of str
        Asset classes of the dataset, at least one.
    done : mapping of str to date
        Session of each class that the last book covers.
    now : datetime
        With a time zone.
    delay : timedelta
        After a close, before its bars are fetched.
    wait : bool
        False begins at once, whatever was done.

    Returns
    -------
    Begin
    """
    final = final_sessions(classes, now, delay)
    if not wait or not is_covered(final, done):
        return Begin(final)
    at = next_begin(classes, now, delay)
    if at - now <= LONGEST:
        return Begin(final_sessions(classes, at, delay), at)
    kind = leading_class(classes)
    return Begin(final, idle=f"the book of the last session, {final[kind]}, exists; the next one begins {_local(at)}")


def wait_until(at: dt.datetime, clock: Callable[[], dt.datetime], sleep: Callable[[float], None]) -> None:
    """Wait, with one line on the time left.

    Parameters
    ----------
    at : datetime
        With a time zone.
    clock : callable
        Gives the time, with a time zone.
    sleep : callable
        Takes seconds.
    """
    drawn = terminal(sys.stderr) is not None
    if not drawn:
        notice(f"daily: waits until {_local(at)}, {duration((at - clock()).total_seconds())}")
    try:
        while (left := (at - clock()).total_seconds()) > 0:
            line = f"waits until {_local(at)}, {duration(left)} left"
            if (beat := heartbeat.current()) is not None:
                beat.update(note=line)
            if drawn:
                redraw(f"daily: {line} (Ctrl+C stops waiting)")
            sleep(min(_LOOK, left))
    finally:
        if drawn:
            redraw("")


@dataclass(frozen=True)
class Arrival:
    """How many instruments have the bar of their class's session.

    Attributes
    ----------
    late : tuple of str
        Classes of which fewer than half of the instruments that still trade have it: the provider is late.
    stale : int
        Instruments that still trade and lack it.
    """

    late: tuple[str, ...]
    stale: int


def arrival(states: pl.DataFrame, sessions: Mapping[str, dt.date]) -> Arrival:
    """Count which instruments have the bar of their class's session.

    Parameters
    ----------
    states : DataFrame
        As hydration leaves it: asset_class, state, last.
    sessions : mapping of str to date
        By class; a class without instruments is left out.

    Returns
    -------
    Arrival
        Instruments whose last bar is more than 14 days older than the session count as ended.
    """
    late, stale = [], 0
    for kind, session in sorted(sessions.items()):
        last = states.filter(asset_class=kind, state="done")["last"].drop_nulls()
        trading = last.filter(last >= session - _ENDED)
        missing = int((trading < session).sum())
        stale += missing
        if len(trading) and (len(trading) - missing) < _LATE_SHARE * len(trading):
            late.append(kind)
    return Arrival(tuple(late), stale)


def pause(tries: int) -> float:
    """Return the seconds to wait before the next try for late bars.

    Parameters
    ----------
    tries : int
        Tries so far, from 1 on.
    """
    return _PAUSES[min(tries, len(_PAUSES)) - 1]


def _local(at: dt.datetime) -> str:
    return f"{at.astimezone():%a %Y-%m-%d %H:%M}"
