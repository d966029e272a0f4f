"""When `daily` last ran on a dataset, and whether it should have run since: for status and doctor."""

from __future__ import annotations

import datetime as dt
from typing import Any

from src.config.paths import DatasetPaths
from src.config.schema import Config
from src.core.errors import StageError
from src.inspection.diagnostics import Finding
from src.market import calendar
from src.runtime.progress import duration
from src.storage.day_record import DayRecord, read_record

Json = dict[str, Any]
_KEYS = ("good", "ended", "status", "message", "book", "every_hours", "overdue", "missed")
_DAYS_SHOWN = 48 * 3600.0  # seconds, below which a time is given in hours


def last_day(paths: DatasetPaths, now: dt.datetime) -> Json | None:
    """Read when `daily` last ran.

    Parameters
    ----------
    paths : DatasetPaths
    now : datetime
        With a time zone.

    Returns
    -------
    dict or None
        None where it has not run. ``good`` (when it last ended well), ``ended``, ``status`` and ``message`` of the last
        run, ``book``, ``every_hours``, ``overdue`` (no good run for that long), ``missed`` (sessions that were final
        for that long, and are not covered; null for bars that no clock brings). Of a damaged record ``message`` alone.
    """
    try:
        record = read_record(paths.daily)
    except StageError as error:
        return {**dict.fromkeys(_KEYS), "message": str(error), "overdue": False}
    if record is None:
        return None
    missed = _missed(record, now)
    since = None if record.good is None else (now - dt.datetime.fromisoformat(record.good)).total_seconds()
    late = since is None or since > 3600 * record.every_hours
    failed = record.status not in (None, 0) and record.steps
    return {
        "good": record.good,
        "ended": record.ended,
        "status": record.status,
        "message": str(record.steps[-1]["line"]) if failed and record.steps[-1]["status"] else "",
        "book": record.book,
        "every_hours": record.every_hours,
        "overdue": record.live and late,
        "missed": missed,
    }


def sentence(day: Json, now: dt.datetime) -> str:
    """Say when `daily` last ran, and whether it is late.

    Parameters
    ----------
    day : dict
        From `last_day`.
    now : datetime
        With a time zone.
    """
    parts = []
    if day["message"] and not day["ended"]:
        return str(day["message"])
    if day["message"]:
        parts.append(f"failed {_ago(day['ended'], now)}: {day['message']}")
    book = f" with the book of {day['book']}" if day["book"] else ""
    parts.append(f"last ran well {_ago(day['good'], now)}{book}" if day["good"] else "has not ended well yet")
    if day["overdue"]:
        parts.append(f"it should every {day['every_hours']:g} hours: what starts it (docs/daily.md) did not")
    if day["missed"]:
        parts.append(f"{day['missed']:,} session{'s' if day['missed'] > 1 else ''} missed")
    return "; ".join(parts)


def is_late(day: Json) -> bool:
    """Whether `daily` should have run since, or failed."""
    return bool(day["overdue"] or day["missed"] or day["message"])


def daily(config: Config) -> Finding:
    """When `daily` last ran, and whether it should have since.

    Parameters
    ----------
    config : Config
    """
    now = dt.datetime.now(dt.UTC)
    day = last_day(config.paths, now)
    if day is None:
        return Finding(
            "daily", "ok", f"has not run on {config.dataset}; scripts/install_schedule.py has it run every day"
        )
    return Finding("daily", "note" if is_late(day) else "ok", f"{config.dataset}: {sentence(day, now)}")


def _missed(record: DayRecord, now: dt.datetime) -> int | None:
    """Sessions since the last book that have been final for as long as a run may be late."""
    if not record.sessions or not record.live:
        return None
    slack = dt.timedelta(hours=record.every_hours)
    counts = []
    for kind, day in record.sessions.items():
        first = dt.date.fromisoformat(day) + dt.timedelta(days=1)
        counts.append(calendar.session_count(kind, first, calendar.last_final_session(kind, now, slack)))
    return max(counts)


def _ago(moment: str, now: dt.datetime) -> str:
    at = dt.datetime.fromisoformat(moment)
    seconds = max((now - at).total_seconds(), 0.0)
    when = f"{at.astimezone():%Y-%m-%d %H:%M}"
    if seconds < _DAYS_SHOWN:
        return f"{duration(seconds)} ago ({when})"
    return f"{seconds / 86_400:.0f} days ago ({when})"
