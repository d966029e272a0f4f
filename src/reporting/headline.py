"""The top of the page: the result in one or two sentences, its chart, and the counts behind it."""

from __future__ import annotations

import polars as pl

from src.core.instruments import KEY
from src.evaluation.multiple_testing import session_clause
from src.reporting.book_data import BOOK_PAGE
from src.reporting.formatting import about, counted, integer, percent, probability
from src.reporting.luck_chart import luck_chart
from src.reporting.pooled_sentences import pooled_sentence
from src.reporting.quality import QUALITY_PAGE, affected
from src.reporting.rendering import render, trusted
from src.reporting.report_data import Luck, ReportData


def sentence(luck: Luck) -> str:
    """Say how many runs passed and how many would pass without any skill.

    Parameters
    ----------
    luck : Luck
        Of all runs.

    Returns
    -------
    str
        As the evidence states it (`SessionEvidence.sentence`); without a range if that is not computed.
    """
    if luck.sentence:
        return luck.sentence
    session = session_clause(luck.session_number)
    instruments = counted(luck.instruments, "instrument")
    passed = f"{counted(luck.passes, 'run')} passed ({instruments}, {luck.registrable:,} registrable)."
    if luck.expected is None:
        return f"{passed} How many would pass by luck is not computed.{session}"
    return f"{passed} If no model had any skill, {about(luck.expected)} would.{session}"


def first_line(data: ReportData) -> str:
    """Say what came of the session: runs that passed and luck among them, then the portfolios of the pooled scope.

    Parameters
    ----------
    data : ReportData
        The session.

    Returns
    -------
    str
        Without a sentence on a scope that was not trained.
    """
    instruments = [] if data.pooled_only else [sentence(data.luck)]
    pooled = [] if data.pooled is None else [pooled_sentence(data.pooled, data.thresholds)]
    return " ".join([*instruments, *pooled])


def interpretation(luck: Luck, runs: int) -> str:
    """Say what the number of passes means beside the range of luck.

    Parameters
    ----------
    luck : Luck
        Of all runs.
    runs : int
        Number of graded runs.

    Returns
    -------
    str
        A sign of skill is claimed only above the range.
    """
    if not runs:
        return "No run was graded, so there is nothing to interpret yet."
    if luck.expected is None or luck.low is None or luck.high is None:
        return "The range of luck is not computed, so these passes can't be interpreted."
    if luck.passes > luck.high:
        surplus = luck.passes - luck.expected
        return (
            f"More runs passed than luck alone explains, by {about(surplus)}. This doesn't show which ones have skill: "
            "look at the q-values before you believe any single pass."
        )
    if luck.passes < luck.low:
        return "Fewer runs passed than luck alone would give: there is no sign of skill in any model."
    return "Luck alone explains this many passes: the count shows no sign of skill."


def headline_section(data: ReportData) -> str:
    """Write the top of the page.

    Returns
    -------
    str
        HTML.
    """
    return render(
        "headline",
        simulated=data.simulated,
        sentence=first_line(data),
        chart=None if data.pooled_only else trusted(luck_chart(data.luck)),
        interpretation=interpretation(data.luck, data.grades.height),
        untrained=data.train_commands.get("instrument") if data.pooled_only else None,
        facts=_facts(data),
        bars=affected(data),
        quality_page=QUALITY_PAGE,
        book_page=BOOK_PAGE,
    )


def _facts(data: ReportData) -> list[tuple[str, str]]:
    """Counts behind the sentence; of a scope that was not trained none."""
    luck, grades = data.luck, data.grades
    trained = grades.select(KEY).unique().height
    facts = [("instruments", integer(data.universe_size or trained))]
    if not data.pooled_only:
        passed = f"{integer(luck.passes)} ({percent(luck.passes / grades.height)})" if grades.height else "0"
        facts += [
            ("instruments trained", integer(trained)),
            ("runs graded", integer(grades.height)),
            ("runs passed", passed),
            ("registrable runs", integer(int(grades["registrable"].fill_null(False).sum()))),
            ("lowest q-value", probability(_lowest_q(grades))),
        ]
    if data.pooled is not None:
        facts.append(("pooled portfolios passed", f"{data.pooled.passed:,} of {len(data.pooled.portfolios):,}"))
    return facts


def _lowest_q(grades: pl.DataFrame) -> float | None:
    lowest: float | None = grades.select(pl.col("q_value").min()).item()
    return lowest
