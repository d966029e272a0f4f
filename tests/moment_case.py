"""Programs with the clock set: what they do must depend neither on the time of day nor on the day of the week.

The clock that Python reads is shifted in the program and in every program that it starts. Clocks of other libraries
(OpenSSL, SQLite, Arrow), the dates of files and clocks that only run on (`time.monotonic`) stay as they are.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path

SHIFT = "ALPHA_TEST_SHIFT"
"""Seconds by which the clock is shifted."""

FOLDER = str(Path(__file__).with_name("moment"))
OPEN = dt.datetime(2026, 3, 12, 18, 0, tzinfo=dt.UTC)
"""A Thursday, 14:00 in New York: bars of this day are in the making, and no session ends within the hour."""


def clock_set_to(moment: dt.datetime) -> dict[str, str]:
    """Variables of the environment that set a program's clock to a moment, from which it goes on.

    Parameters
    ----------
    moment : datetime
        With a time zone.
    """
    actual = time.time() - float(os.environ.get(SHIFT, "0"))  # this process may have its clock set as well
    path = [FOLDER, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {SHIFT: str(moment.timestamp() - actual), "PYTHONPATH": os.pathsep.join(path)}
