"""What the report's first line says of the pooled scope, and the sentences that stand beside every pooled figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from src.reporting.formatting import counted, is_finite, significant
from src.reporting.pooled_results import GradedPortfolio, PooledResults
from src.reporting.report_data import Threshold

NAMED = 3
"""Portfolios that the first line names."""
_NO_SKILL = {"auc": 0.5, "accuracy": 0.5, "sharpe": 0.0}
_MOST_MISSED = 2


def pooled_sentence(results: PooledResults, thresholds: Sequence[Threshold]) -> str:
    """Say how many portfolios passed, and how much the best ones are worth.

    Parameters
    ----------
    results : PooledResults
        The pooled scope's last session.
    thresholds : sequence of Threshold
        Of the grade.

    Returns
    -------
    str
        ``Pooled: 1 of 2 portfolios passed (stock.neutral: Sharpe 0.58, t 1.4 after 66 trials: weak; ...).`` and what
        stands against any such figure.
    """
    portfolios = results.portfolios
    if not portfolios:
        return "Pooled: no portfolio was graded."
    named = "; ".join(_brief(each, thresholds) for each in portfolios[:NAMED])
    more = f"; and {len(portfolios) - NAMED:,} more" if len(portfolios) > NAMED else ""
    return (
        f"Pooled: {results.passed:,} of {counted(len(portfolios), 'portfolio')} passed ({named}{more}). "
        f"{reservations(results)}"
    )


def reservations(results: PooledResults) -> str:
    """Say what a pooled figure stands on: survivors alone, where it does, and an assumed cost of borrowing.

    Parameters
    ----------
    results : PooledResults
        The pooled scope's last session.

    Returns
    -------
    str
        ``Survivors only; borrowing is assumed to cost 50 bp a year.``
    """
    assumed = borrowing(results)
    return f"Survivors only; {assumed[0].lower()}{assumed[1:]}" if results.survivors_only else assumed


def borrowing(results: PooledResults) -> str:
    """Say what borrowing the names that are short is assumed to cost.

    Parameters
    ----------
    results : PooledResults
        The pooled scope's last session.

    Returns
    -------
    str
        ``Borrowing is assumed to cost 50 bp a year.``
    """
    cost = results.settings.get("portfolio.borrow_bps")
    amount = f"{significant(float(str(cost)))} bp a year" if cost is not None else "a fixed rate"
    return f"Borrowing is assumed to cost {amount}."


def strength(row: Mapping[str, Any]) -> str:
    """Say how strong the evidence for a portfolio is, in letters that every terminal has.

    Parameters
    ----------
    row : mapping
        Of the grades: adjusted_t, n_trials and weak are read; unknown evidence is weak.

    Returns
    -------
    str
        ``Sharpe 0.58, t 1.4 after 66 trials: weak``.
    """
    ratio, t = _number(row["sharpe"], ".2f"), _number(row["adjusted_t"], ".1f")
    trials = counted(row["n_trials"], "trial") if row["n_trials"] is not None else "an unknown number of trials"
    return f"Sharpe {ratio}, t {t} after {trials}{'' if row['weak'] is False else ': weak'}"


def missed(portfolio: GradedPortfolio, thresholds: Sequence[Threshold]) -> list[Threshold]:
    """List the thresholds that a portfolio misses.

    Parameters
    ----------
    portfolio : GradedPortfolio
    thresholds : sequence of Threshold
        Of the grade.

    Returns
    -------
    list of Threshold
        An undefined metric misses.
    """
    return [each for each in thresholds if not each.clears(portfolio.row[each.metric])]


def is_near_miss(portfolio: GradedPortfolio, thresholds: Sequence[Threshold]) -> bool:
    """Whether a failing portfolio came near: it misses at most two thresholds, and covers a third of the way to each.

    Parameters
    ----------
    portfolio : GradedPortfolio
    thresholds : sequence of Threshold
        Of the grade.

    Returns
    -------
    bool
        The way begins at no skill: an AUC or an accuracy of one half, a Sharpe ratio of 0; for a drawdown, it is half
        of the limit beyond it.
    """
    out = missed(portfolio, thresholds)
    return 0 < len(out) <= _MOST_MISSED and all(_is_near(portfolio.row[each.metric], each) for each in out)


def verdict(portfolio: GradedPortfolio, thresholds: Sequence[Threshold]) -> str:
    """Say whether a portfolio passed, with every reason where it did not.

    Parameters
    ----------
    portfolio : GradedPortfolio
    thresholds : sequence of Threshold
        Of the grade.

    Returns
    -------
    str
        ``Failed, a near miss: auc 0.51 is below 0.52.``
    """
    if portfolio.passed:
        against = str(portfolio.row["suspicious"] or "")
        return f"Passed all thresholds; flagged: {against}." if against else "Passed all thresholds."
    near = ", a near miss" if is_near_miss(portfolio, thresholds) else ""
    return f"Failed{near}: {'; '.join(portfolio.row['reasons'] or ['no reason is stored'])}."


def _brief(portfolio: GradedPortfolio, thresholds: Sequence[Threshold]) -> str:
    """What the first line says of one portfolio; a near miss is named by what it misses."""
    text = f"{portfolio.title}: {strength(portfolio.row)}"
    if is_near_miss(portfolio, thresholds):
        return f"{text}, near miss: {' and '.join(portfolio.row['reasons'] or [])}"
    return text


def _number(value: float | None, form: str) -> str:
    return format(value, form) if is_finite(value) else "unknown"


def _is_near(value: float | None, threshold: Threshold) -> bool:
    if value is None:
        return False
    if not threshold.at_least:
        return value <= 1.5 * threshold.limit
    start = _NO_SKILL.get(threshold.metric, 0.0)
    return value >= start + (threshold.limit - start) / 3
