"""When a periodic report was due, and how many days after that it came."""

from __future__ import annotations

import datetime as dt
from functools import cache

import numpy as np
import polars as pl

from src.documents.facts import FILING_FORMS
from src.research.reading.dating import NEW_YORK

DAYS = {FILING_FORMS["10-K"]: 90, FILING_FORMS["10-Q"]: 45}
"""Days after the period that the slowest class of filers has; see `late_days`."""
_FIRST, _LAST = 1993, 2060  # years of EDGAR
_SAME_DAY = dt.time(17, 30)  # what is accepted later has the next business day as its filing date


def late_days(code: pl.Series, period: pl.Series, filed: pl.Series) -> pl.Series:
    """Days between the deadline of a report and its filing date; negative if it came early.

    Annual reports are due 60, 75 or 90 days after the fiscal year (large accelerated, accelerated, other filers),
    quarterly ones 40 or 45. Neither the index nor the documents say which class a filer was in at the time, so that
    of the others counts for all: a positive number is late under every rule. A deadline that falls on a Saturday,
    Sunday or federal holiday moves to the next business day. The extension that a form NT gives is not counted.

    Parameters
    ----------
    code : Series of Float64, shape (n,)
        Of `FILING_FORMS`.
    period, filed : Series of Date, shape (n,)
        Last day of the period, and filing date.

    Returns
    -------
    Series of Float64, shape (n,)
        Null for other forms, and where a date is not known.

    Notes
    -----
    Source: Form 10-K, general instruction A (17 CFR 249.310); Form 10-Q, general instruction A.1 (17 CFR 249.308a);
    Rule 0-3 (17 CFR 240.0-3) on weekends and holidays.
    """
    table = pl.DataFrame({"code": code, "period": period, "filed": filed}).with_row_index("place")
    days = pl.col("code").replace_strict(DAYS, default=None, return_dtype=pl.Int64())
    known = table.with_columns(days=days).drop_nulls()
    due = known["period"].to_numpy().astype("datetime64[D]") + known["days"].to_numpy()
    due = np.busday_offset(due, 0, roll="forward", busdaycal=_business_days())
    late = (known["filed"].to_numpy().astype("datetime64[D]") - due).astype(np.float64)
    found = known.select("place", late=pl.Series(late, dtype=pl.Float64))
    return table.join(found, on="place", how="left", maintain_order="left")["late"]


def filing_dates(accepted: pl.Series) -> pl.Series:
    """Filing date of reports: that of New York; after 17:30, or on a day without business, the next business day.

    Parameters
    ----------
    accepted : Series of Datetime("us", "UTC"), shape (n,)

    Returns
    -------
    Series of Date, shape (n,)
        Null where the time is not known.

    Notes
    -----
    Source: Regulation S-T, rule 13 (17 CFR 232.13).
    """
    local = accepted.dt.convert_time_zone(NEW_YORK)
    table = pl.DataFrame({"day": local.dt.date(), "evening": local.dt.time() > _SAME_DAY}).with_row_index("place")
    known = table.drop_nulls()
    days = known["day"].to_numpy().astype("datetime64[D]") + known["evening"].to_numpy().astype("timedelta64[D]")
    days = np.busday_offset(days, 0, roll="forward", busdaycal=_business_days())
    found = known.select("place", filed=pl.Series(days).cast(pl.Date))
    return table.join(found, on="place", how="left", maintain_order="left")["filed"]


def federal_holidays(year: int) -> list[dt.date]:
    """Days on which the SEC is closed: federal holidays, on Friday or Monday where they fall on a weekend.

    Parameters
    ----------
    year : int

    Notes
    -----
    Source: 5 U.S.C. 6103; Juneteenth since 2021. Single closures (funerals, storms) are not among them.
    """
    fixed = [(1, 1), (7, 4), (11, 11), (12, 25), *([(6, 19)] if year >= 2021 else [])]
    days = [_observed(dt.date(year, month, day)) for month, day in fixed]
    if (new_year := dt.date(year + 1, 1, 1)).weekday() == 5:
        days.append(_observed(new_year))
    days += [_nth(year, 1, 0, 3), _nth(year, 2, 0, 3), _nth(year, 9, 0, 1), _nth(year, 10, 0, 2), _nth(year, 11, 3, 4)]
    last_may = dt.date(year, 5, 31)
    return sorted(day for day in (*days, last_may - dt.timedelta(days=last_may.weekday())) if day.year == year)


@cache
def _business_days() -> np.busdaycalendar:
    return np.busdaycalendar(holidays=[day for year in range(_FIRST, _LAST) for day in federal_holidays(year)])


def _observed(day: dt.date) -> dt.date:
    return day + dt.timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def _nth(year: int, month: int, weekday: int, nth: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))
