"""The Retry-After header of an answer."""

from __future__ import annotations

import datetime as dt
import math
from email.utils import parsedate_to_datetime


def retry_after(text: str | None, now: dt.datetime | None = None) -> float | None:
    """Parse a Retry-After header.

    Parameters
    ----------
    text : str or None
        A number of seconds, or a date as in other HTTP headers.
    now : datetime or None
        UTC; None reads the clock.

    Returns
    -------
    float or None
        Seconds from now, at least 0; None if the text is missing, or neither a finite number nor a date.

    Source
    ------
    RFC 9110, HTTP Semantics (2022), section 10.2.3.

    Examples
    --------
    >>> retry_after("120"), retry_after("soon")
    (120.0, None)
    """
    try:
        seconds = float(text or "")
    except ValueError:
        try:
            moment = parsedate_to_datetime(text or "")
        except (ValueError, TypeError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        seconds = (moment - (now or dt.datetime.now(dt.UTC))).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None
