"""Move ``split_until`` at the first run of a period, train challengers on the bars that this adds, and promote.

Champions are trained on bars up to ``split_until``, which stands in params.yaml so that a daily refresh changes no
model. A refit moves it to the last day before the current period. What is done is recorded before the next thing
begins, so a refit that was killed goes on where it was.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path

from src.core.errors import StageError
from src.storage.atomic import write_text
from src.storage.day_record import Refit

_LINE = re.compile(r"(?m)^(split_until[ \t]*:[ \t]*)(\"[^\"\r\n]*\"|'[^'\r\n]*'|[^#\s]+)")
_MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}


def last_day_before(period: str, day: dt.date) -> dt.date:
    """Return the last day before the period that a day lies in.

    Parameters
    ----------
    period : {'monthly', 'quarterly', 'yearly'}
    day : date

    Returns
    -------
    date

    Examples
    --------
    >>> [last_day_before(period, dt.date(2026, 11, 27)).isoformat() for period in ("monthly", "quarterly", "yearly")]
    ['2026-10-31', '2026-09-30', '2025-12-31']
    """
    months = _MONTHS[period]
    return day.replace(month=(day.month - 1) // months * months + 1, day=1) - dt.timedelta(days=1)


def due_refit(
    period: str, last_bar: dt.date, pinned: str, trained: Mapping[str, str | None], record: Refit | None
) -> Refit | None:
    """Decide whether a refit is due, or one that began has to go on.

    Parameters
    ----------
    period : {'monthly', 'quarterly', 'yearly'}
    last_bar : date
        Last bar of the dataset, which says in what period it is.
    pinned : str
        ``split_until`` of params.yaml, YYYY-MM-DD.
    trained : mapping of str to (str or None)
        By scope that the dataset was trained in: the last date that its last session used.
    record : Refit or None
        The last one.

    Returns
    -------
    Refit or None
        None where nothing is due. ``split_until`` never moves back.
    """
    if record is not None and record.finished is None and pinned in (record.before, record.until):
        return record
    until = last_day_before(period, last_bar).isoformat()
    if not trained or pinned > until or (pinned == until and all(each == until for each in trained.values())):
        return None
    return Refit(until=until, before=pinned)


def with_done(refit: Refit, part: str) -> Refit:
    """Add a part to what is done of a refit."""
    return dataclasses.replace(refit, done=(*refit.done, part))


def pin(path: Path, until: str) -> None:
    """Write ``split_until`` into params.yaml, and change nothing else in it.

    Parameters
    ----------
    path : Path
        The file, with its comments.
    until : str
        YYYY-MM-DD.

    Raises
    ------
    StageError
        If the file can't be read, or has no line ``split_until: <value>`` of its own.
    """
    import yaml

    try:
        with path.open(encoding="utf-8", newline="") as stream:
            before = stream.read()
        expected = {**(yaml.safe_load(before) or {}), "split_until": until}
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        cause = str(error).partition("\n")[0]
        raise StageError(f"{path.name} can't be read ({cause}): restore it, then the same command") from error
    after, count = _LINE.subn(rf'\g<1>"{until}"', before)
    if count != 1 or yaml.safe_load(after) != expected:
        raise StageError(f"{path.name} must have one line split_until: <date>, got {count}: write split_until: {until}")
    if after != before:
        write_text(after, path.resolve())
