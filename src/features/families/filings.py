"""What a company files with the SEC and when: reports, their lateness and text, current reports, earnings dates.

A filing counts from the close after which it was known. Ages are at most the stated days, which is also the value where
the filings of that time are complete and hold none.
"""

from __future__ import annotations

import numpy as np

from src.documents.facts import FILING_FORMS
from src.features.facts import Facts, Mask, Rows, at, count, covered_for, days_since, latest, within
from src.features.registry import family, feature
from src.features.windows import Array

FAMILY = family("filings", group="research", order=140)
_ANNUAL = (FILING_FORMS["10-K"], FILING_FORMS["20-F"], FILING_FORMS["40-F"])
_QUARTERLY, _CURRENT = FILING_FORMS["10-Q"], FILING_FORMS["8-K"]
_NOTICES = (FILING_FORMS["NT 10-K"], FILING_FORMS["NT 10-Q"])
_OLDEST = 400.0  # days after which a report says nothing any more
_YEAR, _QUARTER = 365.0, 90.0
_A_YEAR_ON = 364.0  # whole weeks: companies report on the same weekday
_SOONEST = 45.0  # days between two reports of earnings
_OVERDUE = 30.0  # days by which a report may be late before the date is no longer expected


@feature(FAMILY, window=1, source="17 CFR 249.310; definition")
def annual_report_age(filings: Facts) -> Array:
    """Days since the last annual report (10-K, 20-F, 40-F) was known, at most 500.

    Returns
    -------
    float64, shape (bars,), in [0, 500]
        NaN where filings are not covered.
    """
    return days_since(filings, _plain(filings) & np.isin(filings.fields["form"], _ANNUAL), 500.0)


@feature(FAMILY, window=1, source="17 CFR 249.308a; definition")
def quarterly_report_age(filings: Facts) -> Array:
    """Days since the last quarterly report (10-Q) was known, at most 250.

    Returns
    -------
    float64, shape (bars,), in [0, 250]
        NaN where filings are not covered.
    """
    return days_since(filings, _plain(filings) & (filings.fields["form"] == _QUARTERLY), 250.0)


@feature(FAMILY, window=1, source="Lerman and Livnat (2010), The new Form 8-K disclosures, RAST 15:752; definition")
def current_report_age(filings: Facts) -> Array:
    """Days since the last current report (8-K) was known, at most 365.

    Returns
    -------
    float64, shape (bars,), in [0, 365]
        NaN where filings are not covered.
    """
    return days_since(filings, _current(filings), _YEAR)


@feature(FAMILY, window=1, source="Bartov, DeFond and Konchitchki (2013), Capital market consequences of late filings")
def report_lateness(filings: Facts) -> Array:
    """Days between the legal deadline of the last 10-K or 10-Q and its acceptance; negative if it came early.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where no report is known that is up to 400 days old, or its deadline isn't.
    """
    return at(filings.fields["late"], latest(filings, _reports(filings), _OLDEST))


@feature(FAMILY, window=1, source="Alford, Jones and Zmijewski (1994), Extensions and violations, JAE 17:229")
def late_notice_90(filings: Facts) -> Array:
    """1 if the company gave notice in 90 days that a report would be late (NT 10-K, NT 10-Q), else 0.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        NaN where filings are not covered.
    """
    notices = count(filings, np.isin(filings.fields["form"], _NOTICES), within(filings, _QUARTER))
    return np.where(covered_for(filings, _QUARTER), np.minimum(notices, 1.0), np.nan)


@feature(FAMILY, window=1, source="Palmrose, Richardson and Scholz (2004), Restatement announcements, JAE 37:59")
def amended_reports_365(filings: Facts) -> Array:
    """Number of amended annual and quarterly reports (10-K/A, 10-Q/A) in 365 days.

    Returns
    -------
    float64, shape (bars,), at least 0
        NaN where filings are not covered.
    """
    amended = (filings.fields["amended"] == 1) & np.isin(filings.fields["form"], (*_ANNUAL, _QUARTERLY))
    return np.where(covered_for(filings, _YEAR), count(filings, amended, within(filings, _YEAR)), np.nan)


@feature(FAMILY, window=1, source="Cohen, Malloy and Nguyen (2020), Lazy prices, JF 75:1371")
def report_similarity(filings: Facts) -> Array:
    """Cosine of the word counts of the last 10-K or 10-Q with those of the same form a year before.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        1 where no word changed. NaN where no report is known that is up to 400 days old, or one of the two texts isn't.
    """
    return at(filings.fields["similarity"], latest(filings, _reports(filings), _OLDEST))


@feature(FAMILY, window=1, source="Cohen, Malloy and Nguyen (2020), Lazy prices, JF 75:1371; definition")
def report_length_change(filings: Facts) -> Array:
    """ln of the words of the last 10-K or 10-Q over those of the same form a year before.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where no report is known that is up to 400 days old, or one of the two texts isn't.
    """
    length, before = filings.fields["length"], _year_before(filings)
    change = np.full(len(length), np.nan)
    there = (before >= 0) & (length > 0)
    there[there] = length[before[there]] > 0
    change[there] = np.log(length[there] / length[before[there]])
    return at(change, latest(filings, _reports(filings), _OLDEST))


@feature(FAMILY, window=1, source="Zhao (2017), Does information intensity matter for stock returns?, MS 63:1382")
def current_reports_90(filings: Facts) -> Array:
    """Number of current reports (8-K) in 90 days.

    Returns
    -------
    float64, shape (bars,), at least 0
        NaN where filings are not covered.
    """
    return np.where(
        covered_for(filings, _QUARTER), count(filings, _current(filings), within(filings, _QUARTER)), np.nan
    )


@feature(FAMILY, window=1, source="Lerman and Livnat (2010), RAST 15:752, items by kind; definition")
def distress_signal(filings: Facts) -> Array:
    """2^(-days / 90) since the last 8-K on bankruptcy, a debt that falls due, impairment, delisting or restatement.

    Items 1.03, 2.04, 2.06, 3.01 and 4.02.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0 without one in 365 days. NaN where filings are not covered.
    """
    return _fading(filings, filings.fields["distress"] == 1)


@feature(FAMILY, window=1, source="Lerman and Livnat (2010), RAST 15:752, items by kind; definition")
def departure_signal(filings: Facts) -> Array:
    """2^(-days / 90) since the last 8-K on the departure or election of directors or officers, item 5.02.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0 without one in 365 days. NaN where filings are not covered.
    """
    return _fading(filings, filings.fields["departure"] == 1)


@feature(FAMILY, window=1, source="Bernard and Thomas (1989), Post-earnings-announcement drift, JAR 27:1; definition")
def earnings_age(filings: Facts) -> Array:
    """Days since the last report of results (8-K, item 2.02) was known, at most 200.

    Returns
    -------
    float64, shape (bars,), in [0, 200]
        NaN where filings are not covered.
    """
    return days_since(filings, _earnings(filings), 200.0)


@feature(FAMILY, window=1, source="Frazzini and Lamont (2007), The earnings announcement premium, NBER 13090")
def days_to_earnings(filings: Facts) -> Array:
    """Days to the next report of results as last year's dates let expect: 364 days after the one that it follows.

    Expected is the first of last year's dates that comes 45 days or more after the last report.

    Returns
    -------
    float64, shape (bars,), in [-30, 365]
        Negative where the report is overdue, by up to 30 days. NaN where no date a year before is known.
    """
    rows = np.flatnonzero(_earnings(filings))
    day = np.fmax.accumulate(np.where(np.isnan(_accepted(filings)), filings.known, _accepted(filings))[rows])
    follows = np.searchsorted(day, day + _SOONEST - _A_YEAR_ON, side="left")
    expected = np.full(len(filings.known), np.nan)
    expected[rows] = np.where(follows < np.arange(len(rows)), day[follows] + _A_YEAR_ON, np.nan) if len(rows) else 0.0
    left = at(expected, latest(filings, _earnings(filings), _OLDEST)) - filings.close
    return np.where((left >= -_OVERDUE) & (left <= _YEAR), left, np.nan)


def _plain(filings: Facts) -> Mask:
    """Filings that amend none."""
    return np.asarray(filings.fields["amended"] != 1)


def _reports(filings: Facts) -> Mask:
    """Annual and quarterly reports of companies of the United States."""
    return _plain(filings) & np.isin(filings.fields["form"], (FILING_FORMS["10-K"], _QUARTERLY))


def _current(filings: Facts) -> Mask:
    return np.asarray(_plain(filings) & (filings.fields["form"] == _CURRENT))


def _earnings(filings: Facts) -> Mask:
    return np.asarray(_plain(filings) & (filings.fields["earnings"] == 1))


def _accepted(filings: Facts) -> Array:
    return filings.fields["accepted"]


def _fading(filings: Facts, chosen: Mask) -> Array:
    days = days_since(filings, chosen, _YEAR)
    return np.where(days < _YEAR, 2.0 ** (-days / 90.0), 0.0 * days)


def _year_before(filings: Facts) -> Rows:
    """Row of the report of the same form on the period a year before each report; -1 where none was known before it."""
    rows = np.flatnonzero(_reports(filings))
    form, period = filings.fields["form"][rows], filings.fields["period"][rows]
    apart = np.abs(period[:, None] - 365.25 - period[None, :]) <= 45.0
    match = apart & (form[:, None] == form[None, :]) & (np.arange(len(rows))[None, :] < np.arange(len(rows))[:, None])
    found = np.full(len(filings.known), -1, dtype=np.int64)
    if len(rows):
        last = len(rows) - 1 - match[:, ::-1].argmax(axis=1)
        found[rows] = np.where(match.any(axis=1), rows[last], -1)
    return found
