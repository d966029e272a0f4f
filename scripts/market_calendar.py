"""Write src/market/nyse.csv from exchange_calendars and QuantLib: ``.venv/bin/python scripts/market_calendar.py``.

Run it when a test says that the table differs from exchange_calendars: a new holiday was announced, or a past one was
corrected. Every weekday that is not in the table is a full session.
"""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path

TABLE = Path(__file__).resolve().parents[1] / "src" / "market" / "nyse.csv"
FIRST, LAST = dt.date(1953, 1, 1), dt.date(2050, 12, 31)  # until 1952 the exchange also traded on Saturdays
KNOWN = dt.date(1971, 1, 1)  # the holidays of earlier years are missing from exchange_calendars 4.13
_REGULAR = dt.time(16)


def exceptions() -> list[tuple[dt.date, dt.time | None]]:
    """Weekdays on which the New York Stock Exchange was or will be closed (None) or closes early (New York time)."""
    import exchange_calendars
    import QuantLib as ql

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the library's own, of pandas 3.1
        exchange = exchange_calendars.get_calendar("XNYS", start=KNOWN.isoformat(), end=LAST.isoformat())
    local = exchange.closes.dt.tz_convert("America/New_York")
    closes = {when.date(): when.time() for when in local.dt.to_pydatetime()}
    older = ql.UnitedStates(ql.UnitedStates.NYSE)
    found: list[tuple[dt.date, dt.time | None]] = []
    for n in range((LAST - FIRST).days + 1):
        day = FIRST + dt.timedelta(days=n)
        if day.weekday() > 4:
            continue
        if day < KNOWN:
            close = _REGULAR if older.isBusinessDay(ql.Date(day.day, day.month, day.year)) else None
        else:
            close = closes.get(day)
        if close != _REGULAR:
            found.append((day, close))
    return found


def text() -> str:
    """The table as it is stored: day and closing time, empty where the exchange is closed."""
    lines = [f"{day},{close:%H:%M}" if close else f"{day}," for day, close in exceptions()]
    return "\n".join(["day,close", *lines, ""])


if __name__ == "__main__":
    TABLE.write_text(text(), encoding="utf-8", newline="\n")
