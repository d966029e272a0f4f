"""What to believe: what speaks for and against the passes, passes against luck by group, and the z-values."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from src.core.instruments import KEY
from src.evaluation.placebo import PlaceboEvidence
from src.evaluation.significance import CREDIBLE_DEFLATED_SHARPE
from src.reporting.charts import z_histogram
from src.reporting.formatting import (
    about,
    counted,
    expected_count,
    integer,
    joined,
    percent,
    probability,
    two_decimals,
)
from src.reporting.glossary import explained
from src.reporting.luck_chart import groups_chart
from src.reporting.rendering import render
from src.reporting.report_data import CREDIBLE_Q, STEPDOWN_LEVEL, Group, Luck, Overfitting, ReportData
from src.reporting.tables import Column, Row, Table, table
from src.reporting.vega import figure

_NAMED = 3


@dataclass(frozen=True)
class Check:
    """One thing that speaks for or against the passes.

    Attributes
    ----------
    name : str
        HTML, with its definition.
    found : str
        The count or figure.
    note : str
        What to compare it with, or which ones.
    """

    name: str
    found: str
    note: str = ""


@dataclass(frozen=True)
class _Rule:
    """A rule that is counted over passes; those where `column` is null are not counted."""

    column: str
    rule: pl.Expr
    term: str
    name: str


_RULES = (
    _Rule(
        "majority_accuracy",
        pl.col("accuracy") > pl.col("majority_accuracy"),
        "majority_accuracy",
        "passes above the majority",
    ),
    _Rule(
        "buy_hold_sharpe",
        pl.col("sharpe") > pl.col("buy_hold_sharpe"),
        "buy_hold_sharpe",
        "passes above always long",
    ),
    _Rule("luck_rate", pl.col("luck_rate") <= 0.05, "luck_rate", "luck rate up to 5%"),
    _Rule(
        "deflated_sharpe",
        pl.col("deflated_sharpe") >= CREDIBLE_DEFLATED_SHARPE,
        "deflated_sharpe",
        f"deflated Sharpe from {CREDIBLE_DEFLATED_SHARPE}",
    ),
)


def evidence_section(data: ReportData) -> str:
    """Write the checks, passes against luck by group, and the histogram of z-values.

    Returns
    -------
    str
        HTML; without the histogram if fewer than two runs have a z-value.
    """
    z = data.grades["z"].drop_nulls().to_list()
    return render(
        "evidence",
        checks=checks(data),
        histogram=figure(z_histogram(z)) if len(z) > 1 else None,
        mean=two_decimals(sum(z) / len(z)) if z else "",
        groups=figure(groups_chart(data.groups)) if data.groups else None,
        listing=_group_table(data.groups),
    )


def checks(data: ReportData) -> list[Check]:
    """List what the session's own figures say for and against its passes.

    Parameters
    ----------
    data : ReportData
        The session.

    Returns
    -------
    list of Check
        The most informative first. Missing evidence is left out or named as missing.
    """
    grades = data.grades
    of_all = [_q_check(grades), *_stepdown_check(grades), *_instrument_check(data.luck)]
    of_all += [*_placebo_check(data.placebo), *_overfitting_check(data.overfitting)]
    return [*of_all, *_pass_checks(data)]


def _q_check(grades: pl.DataFrame) -> Check:
    """Instruments that stand out once all graded instruments are taken into account."""
    name = explained("q_value", f"q-value below {CREDIBLE_Q:.2f}")
    known = grades.filter(pl.col("q_value").is_not_null()).sort("q_value", *KEY)
    if known.is_empty():
        return Check(name, "not computed", "No single pass can be distinguished from luck.")
    lowest = known.unique(KEY, keep="first", maintain_order=True)
    credible = lowest.filter(pl.col("q_value") < CREDIBLE_Q)
    found = f"{credible.height:,} of {counted(lowest.height, 'instrument')}"
    if credible.is_empty():
        best = lowest.row(0, named=True)
        note = (
            f"Lowest {probability(best['q_value'])}, {best['symbol']}: no single pass can be distinguished from luck."
        )
        return Check(name, found, note)
    passed = credible.join(grades.filter("passed"), on=KEY, how="semi").height
    flagged = credible["suspicious"].count()
    marked = f", {flagged:,} flagged" if flagged else ""
    return Check(name, found, f"{joined(credible['symbol'].to_list(), _NAMED)}: {passed:,} passed{marked}.")


def _stepdown_check(grades: pl.DataFrame) -> list[Check]:
    """Instruments that stand out when the best are compared with the best of luck."""
    known = grades.filter(pl.col("stepdown_p").is_not_null())
    if known.is_empty():
        return []
    out = known.filter(pl.col("stepdown_p") <= STEPDOWN_LEVEL).select(KEY).unique().sort(KEY)
    name = explained("stepdown_p", f"stepdown p up to {STEPDOWN_LEVEL:.0%}")
    return [Check(name, counted(out.height, "instrument"), joined(out["symbol"].to_list(), _NAMED))]


def _instrument_check(luck: Luck) -> list[Check]:
    """Count by instrument: three families that agree on one instrument are one finding."""
    if luck.by_instrument is None:
        return []
    expected, low, high = luck.by_instrument
    note = f"Luck alone gives {about(expected)} ({integer(low)} to {integer(high)})."
    return [Check("with a passing run", counted(luck.instruments, "instrument"), note)]


def _placebo_check(found: PlaceboEvidence | None) -> list[Check]:
    """What the placebo arm shows of the luck rates: a burst in one session is no surprise, one in the total is."""
    if found is None:
        return []
    passed, total = found.total.passed, found.total
    if passed > total.high:
        meaning = "More pass than the luck rates explain: they may be too low here."
    elif passed < total.low:
        meaning = "Fewer pass than the luck rates say: they may be too high here."
    else:
        meaning = "The luck rates agree."
    luck = f"Luck gives {about(total.expected)} ({total.low:,} to {total.high:,}). {meaning}"
    return [Check(explained("placebo", "placebo runs passed"), f"{passed:,} of {total.runs:,}", luck)]


def _overfitting_check(found: Overfitting | None) -> list[Check]:
    if found is None:
        return []
    sample = "" if found.instruments == found.total else f", a sample of {found.total:,}"
    note = f"Mean {found.mean:.2f}, over {counted(found.instruments, 'instrument')}{sample}."
    return [Check(explained("overfitting"), f"median {found.median:.2f}", note)]


def _pass_checks(data: ReportData) -> list[Check]:
    """What holds of how many passes."""
    passing, luck = data.passing, data.luck
    if passing.is_empty():
        return [Check("passes", "0", "No run cleared all thresholds.")] if data.grades.height else []
    rows = []
    for rule in _RULES:
        measured = passing.filter(pl.col(rule.column).is_not_null())
        if measured.height:
            of = "" if measured.height == passing.height else " passes measured"
            found = f"{measured.filter(rule.rule).height:,} of {measured.height:,}{of}"
            rows.append(
                Check(
                    explained(rule.term, rule.name),
                    found,
                    _deflated_note(luck) if rule.term == "deflated_sharpe" else "",
                )
            )
    flagged = passing["suspicious"].count()
    if flagged:
        rows.append(Check(explained("suspicious"), f"{flagged:,} of {passing.height:,}"))
    return rows


def _deflated_note(luck: Luck) -> str:
    """What luck alone gives: the ratio knows of one instrument's trials alone."""
    return "" if luck.expected_deflated is None else f"Luck alone gives {about(luck.expected_deflated)}."


def _group_table(groups: tuple[Group, ...]) -> Table | None:
    """The figures of the chart of groups."""
    if not groups:
        return None
    rows: list[Row] = [
        {"name": group.name, "runs": group.runs, "rate": group.pass_rate, "luck": group.luck} for group in groups
    ]
    columns = [
        Column("group", lambda r: r["name"]),
        Column("passed", lambda r: integer(r["luck"].passes), lambda r: r["luck"].passes),
        Column("by luck", lambda r: expected_count(r["luck"].expected), lambda r: r["luck"].expected),
        Column("90% range", lambda r: _range(r["luck"]), lambda r: r["luck"].high),
        Column("runs", lambda r: integer(r["runs"]), lambda r: r["runs"]),
        Column("pass rate", lambda r: percent(r["rate"]), lambda r: r["rate"]),
    ]
    return table(columns, rows, "The same in figures", "groups")


def _range(luck: Luck) -> str:
    return f"{integer(luck.low)} to {integer(luck.high)}"
