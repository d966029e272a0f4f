"""What `daily` did, for which sessions and when: one small file, read by `daily` itself, by status and by doctor."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.core.errors import StageError
from src.storage.atomic import read_json, write_json

_FORMAT = 1
_KEPT = 60  # days, in the list of past runs


@dataclass(frozen=True)
class Refit:
    """A move of ``split_until`` that is under way, or the last one that ended.

    Attributes
    ----------
    until, before : str
        The date that it is moved to, and the one before; YYYY-MM-DD.
    done : tuple of str
        What is done of it: ``pinned``, a scope that is trained, ``promoted``.
    finished : str or None
        When it ended, UTC; None while something is left to do.
    """

    until: str
    before: str
    done: tuple[str, ...] = ()
    finished: str | None = None


@dataclass(frozen=True)
class DayRecord:
    """Record of a dataset's daily runs.

    Attributes
    ----------
    started, ended : str or None
        Of the last run that had something to do, UTC; `ended` is None while it works, and if it was killed.
    status : int or None
        Its exit status; None while it works.
    steps : list of dict
        Its steps so far: step, started, seconds, status, line.
    sessions : dict of str to str
        Session of each asset class that the last good run covered; YYYY-MM-DD.
    book : str or None
        Date of the last book that a good run left.
    good : str or None
        When the last run that ended well did so, one with nothing to do included; UTC.
    live : bool
        Whether the clock brings the dataset's bars.
    every_hours : float
        Without a good run for this long, `daily` is late: ``daily.heartbeat_hours`` of the last run.
    refit : Refit or None
    runs : list of dict
        Past runs, the last one at the end: started, seconds, status, book, sessions.
    """

    started: str | None = None
    ended: str | None = None
    status: int | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)
    book: str | None = None
    good: str | None = None
    live: bool = False
    every_hours: float = 30.0
    refit: Refit | None = None
    runs: list[dict[str, Any]] = field(default_factory=list)


def read_record(path: Path) -> DayRecord | None:
    """Read the record of a dataset.

    Parameters
    ----------
    path : Path
        ``data/states/<dataset>/daily.json``.

    Returns
    -------
    DayRecord or None
        None where `daily` has not run.

    Raises
    ------
    StageError
        If the file is damaged.
    """
    try:
        content = read_json(path)
        known = {each.name for each in dataclasses.fields(DayRecord)}
        values = {name: value for name, value in content.items() if name in known}
        if values.get("refit"):
            values["refit"] = Refit(**{**values["refit"], "done": tuple(values["refit"]["done"])})
        return DayRecord(**values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        cause = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise StageError(f"{path.as_posix()} can't be read ({cause}): remove it, and daily begins a new one") from None


def write_record(record: DayRecord, path: Path) -> None:
    """Write the record; durable on return.

    Parameters
    ----------
    record : DayRecord
        Its list of past runs is cut to the last 60.
    path : Path
    """
    content = {"format": _FORMAT, **dataclasses.asdict(record), "runs": record.runs[-_KEPT:]}
    write_json(content, path)


def moment(now: dt.datetime) -> str:
    """Write a time for the record: UTC, whole seconds.

    Parameters
    ----------
    now : datetime
        With a time zone.
    """
    return now.astimezone(dt.UTC).isoformat(timespec="seconds")
