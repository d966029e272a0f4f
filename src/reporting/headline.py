"""The first screen: the verdict, passes against luck, five figures, and what to do next."""

from __future__ import annotations

import polars as pl

from src.core.instruments import KEY
from src.evaluation.multiple_testing import passes_at_shifts, session_clause
from src.reporting.formatting import (
    about,
    counted,
    expected_count,
    integer,
    joined,
    percent,
    three_decimals,
    two_decimals,
)
from src.reporting.glossary import explained
from src.reporting.luck_chart import luck_chart
from src.reporting.next_steps import next_steps
from src.reporting.pooled_results import PooledResults
from src.reporting.pooled_sentences import pooled_sentence
from src.reporting.rendering import render
from src.reporting.report_data import CREDIBLE_Q, Luck, ReportData
from src.reporting.vega import figure

Fact = tuple[str, str, str]
"""Name (HTML), value and what stands below it."""


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


def verdict(data: ReportData) -> str:
    """Say in one short sentence what the session comes to.

    Parameters
    ----------
    data : ReportData

    Returns
    -------
    str
        A sign of skill is claimed only above the range of luck.
    """
    if data.pooled_only and data.pooled is not None:
        return _portfolios(data.pooled)
    luck = data.luck
    if not data.grades.height:
        return "No run was graded, so there is nothing to interpret yet."
    if luck.expected is None or luck.low is None or luck.high is None:
        return "The range of luck is not computed, so these passes can't be interpreted."
    if luck.passes > luck.high:
        return "More runs passed than luck alone explains."
    if luck.passes < luck.low:
        return "Fewer runs passed than luck alone would give: the count shows no skill."
    return "Luck alone explains this many passes."


def _portfolios(pooled: PooledResults) -> str:
    strong = sum(each.passed and not each.weak for each in pooled.portfolios)
    if strong:
        return f"{counted(strong, 'pooled portfolio')} passed with strong evidence."
    if pooled.passed:
        return f"{counted(pooled.passed, 'pooled portfolio')} passed; the evidence is weak."
    return "No pooled portfolio passed."


def headline_section(data: ReportData) -> str:
    """Write the first screen.

    Returns
    -------
    str
        HTML.
    """
    chart = None if data.pooled_only else figure(luck_chart(data.luck, passes_at_shifts(data.grades)))
    facts = _portfolio_facts(data.pooled) if data.pooled_only and data.pooled is not None else _facts(data)
    return render(
        "headline",
        simulated=data.simulated,
        verdict=verdict(data),
        sentence=first_line(data),
        chart=chart,
        facts=[*facts, _champions(data)],
        steps=next_steps(data),
    )


def _facts(data: ReportData) -> list[Fact]:
    """What stands beside the picture."""
    luck, runs = data.luck, data.grades.height
    rate = f"{percent(luck.passes / runs)} of {integer(runs)} runs" if runs else "of no runs"
    span = "range not computed"
    if luck.low is not None and luck.high is not None:
        span = f"90% range {integer(luck.low)} to {integer(luck.high)}"
    return [
        (explained("passed", "passes"), integer(luck.passes), rate),
        (explained("expected_lucky_passes"), expected_count(luck.expected), span),
        (
            explained("registrable"),
            integer(luck.registrable),
            f"on {counted(luck.instruments, 'instrument')} with a pass",
        ),
        _credible(data.grades),
    ]


def _credible(grades: pl.DataFrame) -> Fact:
    """Instruments that stand out, flagged ones apart."""
    known = grades.filter(pl.col("q_value").is_not_null(), pl.col("suspicious").is_null()).sort("q_value", *KEY)
    lowest = known.unique(KEY, keep="first", maintain_order=True)
    credible = lowest.filter(pl.col("q_value") < CREDIBLE_Q)
    names = joined(credible["symbol"].to_list(), 1) if credible.height else "no instrument"
    number = integer(credible.height) if lowest.height else integer(None)
    return explained("q_value", f"q below {CREDIBLE_Q:.2f}"), number, names if lowest.height else "not computed"


def _portfolio_facts(pooled: PooledResults) -> list[Fact]:
    """The same where pooled models alone were trained: the best portfolio's figures."""
    passed = ("portfolios passed", f"{pooled.passed:,}", f"of {len(pooled.portfolios):,}")
    if not pooled.portfolios:
        return [passed]
    row = pooled.portfolios[0].row
    name = str(row["symbol"])
    return [
        passed,
        (explained("sharpe"), two_decimals(row["sharpe"]), name),
        (explained("adjusted_t"), two_decimals(row["adjusted_t"]), counted(row["n_trials"] or 0, "trial")),
        (explained("auc"), three_decimals(row["auc"]), name),
    ]


def _champions(data: ReportData) -> Fact:
    return (
        explained("champion", "champions"),
        integer(len(data.champion_runs)),
        _promoted(data) if len(data.champion_runs) else "none promoted yet",
    )


def _promoted(data: ReportData) -> str:
    """Say how many of the champions are portfolios, which the table of runs does not hold."""
    rows = data.pooled.portfolios if data.pooled is not None else ()
    pooled = sum(each.row.get("record_id") in data.champion_runs for each in rows)
    own = len(data.champion_runs) - pooled
    return f"{own:,} and {counted(pooled, 'portfolio')}" if own and pooled else "promoted"
