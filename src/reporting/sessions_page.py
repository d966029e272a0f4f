"""The page of a dataset's sessions."""

from __future__ import annotations

from src.reporting.frame import Section, framed
from src.reporting.page import links
from src.reporting.report_data import ReportData
from src.reporting.sessions_section import (
    SESSIONS_PAGE,
    changes_section,
    differences_section,
    listed_section,
    sessions_headline,
    settings_section,
)

SECTIONS = (
    Section("differences", "Differences", "Whether they differ beyond chance", differences_section),
    Section("changes", "Runs", "Which passes were gained and lost", changes_section),
    Section("settings", "Settings", "Which settings differ", settings_section),
    Section("sessions", "Sessions", "All sessions", listed_section),
)


def sessions_page(data: ReportData) -> str:
    """Write the page.

    Parameters
    ----------
    data : ReportData

    Returns
    -------
    str
        HTML in the frame of the report, with its guarantees.
    """
    lead = "This session against the last, run by run."
    title = f"Alpha Loop: sessions of {data.dataset}"
    return framed(title, lead, sessions_headline(data), SECTIONS, data, links(data, SESSIONS_PAGE))
