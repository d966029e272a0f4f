"""The self-contained page: its sections, in the order in which a reader who will bet money asks for them."""

from __future__ import annotations

from src.reporting.accounting import accounting_section
from src.reporting.all_runs import runs_section
from src.reporting.distributions import distributions_section
from src.reporting.evidence import evidence_section
from src.reporting.frame import Section, framed
from src.reporting.headline import headline_section
from src.reporting.importance import importance_section
from src.reporting.methodology import limits_section, method_section
from src.reporting.passing_runs import equity_section
from src.reporting.planted_edges import planted_section
from src.reporting.pooled_section import pooled_section
from src.reporting.quality import parts_section, quality_headline, rules_section
from src.reporting.quality_instruments import instruments_section
from src.reporting.quality_worst import worst_section
from src.reporting.report_data import ReportData

SECTIONS = (
    Section("evidence", "Evidence", "What to believe", evidence_section),
    Section("pooled", "Pooled", "Pooled models", pooled_section),
    Section("metrics", "Metrics", "The metrics and their thresholds", distributions_section),
    Section("best", "Best passes", "The best passes", equity_section),
    Section("planted", "Planted edges", "Planted edges found and missed", planted_section),
    Section("runs", "All runs", "All runs", runs_section),
    Section("importance", "Features", "Which features the models use", importance_section),
    Section("accounting", "Accounting", "Every instrument accounted for", accounting_section),
    Section("limits", "Limits", "What this page can't tell you", limits_section),
    Section("method", "Method", "How the results were made", method_section),
)

OF_INSTRUMENTS = ("evidence", "metrics", "best", "planted", "runs", "importance")
"""Sections on models of one instrument, which are left out where pooled models alone were trained."""

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
    lead = "Which runs passed, and how many passes are luck."
    shown = [section for section in SECTIONS if not (data.pooled_only and section.anchor in OF_INSTRUMENTS)]
    return framed(f"Alpha Loop: {data.dataset}", lead, headline_section(data), shown, data)


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
    links = [("index.html", "What was trained on them")]
    return framed(f"Alpha Loop: bars of {data.dataset}", lead, quality_headline(data), QUALITY_SECTIONS, data, links)
