"""What ``acceptanceDateTime`` in a company's submissions means: UTC for most companies, New York time for others.

The value always ends in ``Z``. Comparisons with the headers, which have New York time, show that about a fifth of the
companies have the clock of New York there, the same for all filings of a company: dgunning/edgartools #557 and
theOGognf/finagg #64 (64,936 filings of 808 companies, 181 of them with New York time, 3 mixed). Nothing in the value
says which one it is, but EDGAR's hours do, over all filings of a company: it accepts from 6:00 to 22:00 in New York,
and what comes after 17:30 has the next business day as its filing date, except for insiders' forms.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from src.market.calendar import NEW_YORK

_OPEN, _SAME_DAY, _SHUT = dt.time(6), dt.time(17, 30), dt.time(22)
_MIDNIGHT = dt.time()  # stands for an unknown time, before May 2002
_INSIDERS = ("3", "4", "5")  # dated the same day until 22:00
_EITHER = ("144", "SC 13", "SCHEDULE 13")  # so only since 2023 and 2024


def acceptance_times(stamps: Sequence[str], filed: Sequence[str], forms: Sequence[str]) -> list[dt.datetime | None]:
    """Acceptance times of a company's filings.

    The reading that contradicts EDGAR's hours for fewer filings is taken for all of them. Where both contradict them
    equally often, it is New York time, the later one: nothing is then known too early.

    Parameters
    ----------
    stamps : sequence of str
        ``acceptanceDateTime``, such as ``2025-04-30T16:32:30.000Z``.
    filed : sequence of str
        ``filingDate``, such as ``2025-04-30``.
    forms : sequence of str
        ``form``.

    Returns
    -------
    list of datetime or None
        UTC; None where the stamp is no time, or has midnight for an unknown one.

    Examples
    --------
    A quarterly report at 16:32, dated the same day, can't have come at 20:32 in New York:

    >>> acceptance_times(["2025-04-30T20:32:30.000Z"], ["2025-04-30"], ["10-Q"])
    [datetime.datetime(2025, 4, 30, 20, 32, 30, tzinfo=datetime.timezone.utc)]

    One at 6:05 can't have come at 2:05:

    >>> acceptance_times(["2025-04-30T06:05:00.000Z"], ["2025-04-30"], ["10-Q"])
    [datetime.datetime(2025, 4, 30, 10, 5, tzinfo=datetime.timezone.utc)]
    """
    clocks = [_clock(stamp) for stamp in stamps]
    wrong_utc = wrong_local = 0
    for clock, day, form in zip(clocks, filed, forms, strict=True):
        if clock is not None:
            wrong_utc += not _possible(clock.replace(tzinfo=dt.UTC).astimezone(NEW_YORK), day, form)
            wrong_local += not _possible(clock, day, form)
    zone = dt.UTC if wrong_utc < wrong_local else NEW_YORK
    return [clock.replace(tzinfo=zone).astimezone(dt.UTC) if clock else None for clock in clocks]


def _clock(stamp: str) -> dt.datetime | None:
    try:
        clock = dt.datetime.fromisoformat(stamp).replace(tzinfo=None)
    except ValueError:
        return None
    return None if clock.time() == _MIDNIGHT else clock


def _possible(local: dt.datetime, filed: str, form: str) -> bool:
    """Whether a filing can have been accepted at this time of New York and have this filing date."""
    day, time = local.date().isoformat(), local.time()
    if not _OPEN <= time <= _SHUT:
        return False
    if time <= _SAME_DAY:
        return day == filed
    if form.startswith(_EITHER):
        return day <= filed
    return day == filed if form.removesuffix("/A") in _INSIDERS else day < filed
