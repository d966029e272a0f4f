"""What to believe: statements that the session's own figures support, and passes against luck by group."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from src.core.instruments import KEY
from src.evaluation.placebo import PlaceboEvidence
from src.evaluation.significance import CREDIBLE_DEFLATED_SHARPE
from src.reporting.charts import z_histogram
from src.reporting.formatting import about, counted, expected_count, integer, joined, percent, probability, two_decimals
from src.reporting.luck_chart import axis_end, luck_sparkline
from src.reporting.rendering import render, trusted
from src.reporting.report_data import STEPDOWN_LEVEL, Group, Luck, Overfitting, ReportData
from src.reporting.tables import Column, Row, Table, table

CREDIBLE_Q = 0.10


@dataclass(frozen=True)
class _Check:
    """A rule that speaks for or against passes.

    Attributes
    ----------
    column : str
        Passes where this column is null are not counted.
    rule : Expr
        Counts the passes for which it is true.
    singular, plural : str
        The statement on one pass and on several.
    """

    column: str
    rule: pl.Expr
    singular: str
    plural: str


_LUCKY = "a luck rate above 5%: more than one in twenty shifted copies of the run, which have no skill, also pass"
_DEFLATED = f"a deflated Sharpe ratio of {CREDIBLE_DEFLATED_SHARPE} or more, the usual bar for a real active return"
_CHECKS = (
    _Check(
        "majority_accuracy",
        pl.col("accuracy") > pl.col("majority_accuracy"),
        "is more accurate than always predicting the more common direction of the same days",
        "are more accurate than always predicting the more common direction of the same days",
    ),
    _Check(
        "buy_hold_sharpe",
        pl.col("sharpe") > pl.col("buy_hold_sharpe"),
        "has a higher Sharpe ratio than always long with the same sizing, costs and days",
        "have a higher Sharpe ratio than always long with the same sizing, costs and days",
    ),
    _Check("luck_rate", pl.col("luck_rate") > 0.05, f"has {_LUCKY}", f"have {_LUCKY}"),
    _Check(
        "deflated_sharpe",
        pl.col("deflated_sharpe") >= CREDIBLE_DEFLATED_SHARPE,
        f"has {_DEFLATED}",
        f"have {_DEFLATED}",
    ),
)


def evidence_section(data: ReportData) -> str:
    """Write the statements, the histogram of z-values, and passes against luck by group.

    Returns
    -------
    str
        HTML; without the histogram if fewer than two runs have a z-value.
    """
    z = data.grades["z"].drop_nulls().to_list()
    return render(
        "evidence",
        statements=statements(data),
        histogram=trusted(z_histogram(z)) if len(z) > 1 else None,
        mean=two_decimals(sum(z) / len(z)) if z else "",
        groups=_group_table(data.groups),
    )


def statements(data: ReportData) -> list[str]:
    """Give the statements on the session's passes that its own figures support.

    Parameters
    ----------
    data : ReportData
        The session.

    Returns
    -------
    list of str
        Sentences, the most informative first. Missing evidence is left out or stated as missing.
    """
    grades, passing = data.grades, data.passing
    sentences = [*_instrument_statement(data.luck), _q_statement(grades), *_placebo_statement(data.placebo)]
    sentences += [*_stepdown_statement(grades), *_overfitting_statement(data.overfitting)]
    if passing.is_empty():
        return [*sentences, "No run cleared all thresholds."] if grades.height else sentences
    passes = counted(passing.height, "pass", "passes")
    for check in _CHECKS:
        measured = passing.filter(pl.col(check.column).is_not_null())
        if measured.height:
            hits = measured.filter(check.rule).height
            of = f"of {passes}" if measured.height == passing.height else f"of the {measured.height:,} passes measured"
            sentences.append(f"{hits:,} {of} {check.singular if hits == 1 else check.plural}.")
    sentences += _deflated_statement(data.luck)
    flagged = passing["suspicious"].count()
    if flagged:
        verb = "is" if flagged == 1 else "are"
        sentences.append(f"{flagged:,} of {passes} {verb} flagged as too good to be true (see below).")
    return sentences


def _instrument_statement(luck: Luck) -> list[str]:
    """Count by instrument: three families that agree on one instrument are one finding."""
    if luck.by_instrument is None:
        return []
    expected, low, high = luck.by_instrument
    return [
        f"{counted(luck.instruments, 'instrument has a passing run', 'instruments have a passing run')}; luck alone "
        f"gives {about(expected)} (90% range {integer(low)} to {integer(high)})."
    ]


def _placebo_statement(found: PlaceboEvidence | None) -> list[str]:
    """Say what the placebo arm shows of the luck rates: a burst in one session is no surprise, one in the total is."""
    if found is None:
        return []
    passed, total = found.total.passed, found.total
    if passed > total.high:
        meaning = "More pass than the luck rates explain: they may be too low here."
    elif passed < total.low:
        meaning = "Fewer pass than the luck rates say: they may be too high here."
    else:
        meaning = "The luck rates agree with this."
    return [f"Placebo arm: {found.sentence()} {meaning}"]


def _q_statement(grades: pl.DataFrame) -> str:
    """Say how many instruments stand out once all graded instruments are taken into account."""
    known = grades.filter(pl.col("q_value").is_not_null()).sort("q_value", *KEY)
    if known.is_empty():
        return "q-values are not computed, so no single pass can be distinguished from luck."
    lowest = known.unique(KEY, keep="first", maintain_order=True)
    credible = lowest.filter(pl.col("q_value") < CREDIBLE_Q)
    of = f"of {counted(lowest.height, 'graded instrument')}"
    if credible.is_empty():
        best = lowest.row(0, named=True)
        return (
            f"None {of} has a q-value below {CREDIBLE_Q:.2f} (the lowest is {probability(best['q_value'])}, "
            f"{best['symbol']}): no single pass can be distinguished from luck."
        )
    names = joined(credible["symbol"].to_list(), 8)
    passed = credible.join(grades.filter("passed"), on=KEY, how="semi").height
    return (
        f"{credible.height:,} {of} {'has' if credible.height == 1 else 'have'} a q-value below {CREDIBLE_Q:.2f}: "
        f"{names}. At most about one in ten of such instruments owes this to luck; {passed:,} of them passed."
    )


def _stepdown_statement(grades: pl.DataFrame) -> list[str]:
    """Say which instruments stand out when the best are compared with the best of luck."""
    known = grades.filter(pl.col("stepdown_p").is_not_null())
    if known.is_empty():
        return []
    out = known.filter(pl.col("stepdown_p") <= STEPDOWN_LEVEL).select(KEY).unique().sort(KEY)
    rule = f"at a chance of {STEPDOWN_LEVEL:.0%} that any is luck (stepdown by the largest z of the common shifts)"
    if out.is_empty():
        return [f"No run stands out of the whole session {rule}."]
    verb = counted(out.height, "instrument stands", "instruments stand")
    return [f"{verb} out of the whole session {rule}: {joined(out['symbol'].to_list(), 8)}."]


def _deflated_statement(luck: Luck) -> list[str]:
    """Set the credible deflated Sharpe ratios beside those of luck: they know of one instrument's trials alone."""
    if luck.expected_deflated is None:
        return []
    return [
        f"If no model had any skill, {about(luck.expected_deflated)} would pass with a deflated Sharpe ratio of "
        f"{CREDIBLE_DEFLATED_SHARPE} or more; {counted(luck.deflated, 'run')} did."
    ]


def _overfitting_statement(found: Overfitting | None) -> list[str]:
    if found is None:
        return []
    sample = "" if found.instruments == found.total else f", a sample of {found.total:,}"
    return [
        f"Probability of backtest overfitting: median {found.median:.2f}, mean {found.mean:.2f}, over "
        f"{counted(found.instruments, 'instrument')} tried with several settings{sample}. It is the chance that the "
        "best setting on one half of the days is below the middle on the other; at 0.5, choosing the best says nothing."
    ]


def _group_table(groups: tuple[Group, ...]) -> Table | None:
    if not groups:
        return None
    end = axis_end([group.luck for group in groups])
    rows: list[Row] = [
        {
            "name": group.name,
            "runs": group.runs,
            "passed": group.luck.passes,
            "rate": group.pass_rate,
            "expected": group.luck.expected,
            "luck": group.luck,
        }
        for group in groups
    ]
    columns = [
        Column("group", lambda r: r["name"]),
        Column("passed against luck", lambda r: trusted(luck_sparkline(r["luck"], end))),
        Column("passed", lambda r: integer(r["passed"]), lambda r: r["passed"]),
        Column("by luck", lambda r: expected_count(r["expected"]), lambda r: r["expected"], "expected lucky passes"),
        Column("90% range", lambda r: _range(r["luck"]), lambda r: r["luck"].high, "of lucky passes"),
        Column("runs", lambda r: integer(r["runs"]), lambda r: r["runs"]),
        Column("pass rate", lambda r: percent(r["rate"]), lambda r: r["rate"]),
    ]
    return table(columns, rows, "Passes against luck by asset class and model family", "groups")


def _range(luck: Luck) -> str:
    return f"{integer(luck.low)} to {integer(luck.high)}"
