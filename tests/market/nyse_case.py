"""The exchange's sessions as exchange_calendars has them: an oracle that this project did not write."""

from __future__ import annotations

import datetime as dt
import warnings

import exchange_calendars

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its own, of pandas 3.1
    _exchange = exchange_calendars.get_calendar("XNYS", start="1971-01-01", end="2050-12-31")

CLOSES: dict[dt.date, dt.datetime] = dict(
    zip(_exchange.sessions.date.tolist(), _exchange.closes.dt.to_pydatetime().tolist(), strict=True)
)  # session -> its close in UTC
