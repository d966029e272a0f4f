"""The self-contained page: its sections, in the order in which a reader who will bet money asks for them."""

from __future__ import annotations

from src.reporting.accounting import accounting_section
from src.reporting.all_runs import runs_section
from src.reporting.best_passes import best_passes_section
from src.reporting.book_data import BOOK_PAGE
from src.reporting.distributions import distributions_section
from src.reporting.drift_section import drift_section
from src.reporting.evidence import evidence_section
from src.reporting.frame import Link, Section, framed
from src.reporting.headline import headline_section
from src.reporting.importance import importance_section
from src.reporting.methodology import (
    METHOD_PAGE,
    figures_section,
    limits_in_full,
    limits_section,
    made_section,
    settings_section,
)
from src.reporting.planted_edges import planted_section
from src.reporting.pooled_section import pooled_section
from src.reporting.quality import QUALITY_PAGE, parts_section, quality_headline, rules_section
from src.reporting.quality_instruments import instruments_section
from src.reporting.quality_worst import worst_section
from src.reporting.report_data import ReportData
from src.reporting.sessions_section import SESSIONS_PAGE, compared_section

SECTIONS = (
    Section("evidence", "Evidence", "What to believe", evidence_section),
    Section("pooled", "Pooled", "Pooled models", pooled_section),
    Section("metrics", "Metrics", "The metrics and their thresholds", distributions_section),
    Section("best", "Best passes", "The best passes", best_passes_section),
    Section("planted", "Planted edges", "Planted edges found and missed", planted_section),
    Section("runs", "All runs", "All runs", runs_section),
    Section("importance", "Features", "Which features the models use", importance_section),
    Section("drift", "Drift", "Whether features drift between training and test", drift_section),
    Section("compared", "Compared", "Sessions and model families compared", compared_section),
    Section("accounting", "Accounting", "Every instrument accounted for", accounting_section),
    Section("limits", "Limits", "What this page can't tell you", limits_section),
)

OF_INSTRUMENTS = ("evidence", "metrics", "best", "planted", "runs", "importance", "drift", "compared")
"""Sections on models of one instrument, which are left out where pooled models alone were trained."""

METHOD_SECTIONS = (
    Section("made", "How", "How the results were made", made_section),
    Section("limits", "Limits", "What these pages can't tell you", limits_in_full),
    Section("figures", "Figures", "What each figure means", figures_section),
    Section("settings", "Settings", "All settings", settings_section),
)

QUALITY_SECTIONS = (
    Section("worst", "Worst", "The ten worst to look at", worst_section),
    Section("rules", "Rules", "What was found, by rule", rules_section),
    Section("parts", "Parts", "Where it was found", parts_section),
    Section("instruments", "Instruments", "Every instrument", instruments_section),
)


def page(data: ReportData) -> str:
    """Write the whole page.

    Parameters
    ----------
    data : ReportData
        The session.

    Returns
    -------
    str
        HTML with styles, drawings and script inside. It fetches nothing and contains no time of day, so the same data
        gives the same bytes. Its content security policy allows only its own script, so that markup in a symbol or a
        reason could not run even if it were not escaped.
    """
    shown = [section for section in SECTIONS if not (data.pooled_only and section.anchor in OF_INSTRUMENTS)]
    return framed(f"Alpha Loop: {data.dataset}", "", headline_section(data), shown, data, links(data, ""))


def links(data: ReportData, here: str) -> list[Link]:
    """List the other pages of a report.

    Parameters
    ----------
    data : ReportData
    here : str
        File of the page that they stand on; empty for the report itself.

    Returns
    -------
    list of (str, str)
        Address and text.
    """
    pages = [("index.html", "Report"), (BOOK_PAGE, "Book"), (METHOD_PAGE, "Method")]
    if data.sessions is not None:
        pages.insert(1, (SESSIONS_PAGE, "Sessions"))
    if data.quality is not None:
        pages.insert(1, (QUALITY_PAGE, "Bars"))
    return [(address, text) for address, text in pages if address != (here or "index.html")]


def method_page(data: ReportData) -> str:
    """Write how the results were made, what they can't tell, and what each figure means.

    Parameters
    ----------
    data : ReportData
        The session.

    Returns
    -------
    str
        HTML in the frame of `page`, with its guarantees.
    """
    lead = "How the results were made, and what they can't tell."
    return framed(f"Alpha Loop: method of {data.dataset}", lead, "", METHOD_SECTIONS, data, links(data, METHOD_PAGE))


def quality_page(data: ReportData) -> str:
    """Write the page on the quality of the bars.

    Parameters
    ----------
    data : ReportData
        The session; what hydration found is there.

    Returns
    -------
    str
        HTML in the frame of `page`, with its guarantees.
    """
    lead = "What hydration found in the bars, and what was done about it."
    return framed(
        f"Alpha Loop: bars of {data.dataset}",
        lead,
        quality_headline(data),
        QUALITY_SECTIONS,
        data,
        links(data, QUALITY_PAGE),
    )
