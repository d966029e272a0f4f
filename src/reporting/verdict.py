"""What to believe first: passes against luck, in one sentence, one picture and a few checked statements."""

from __future__ import annotations

import polars as pl

from src.reporting.charts import luck_picture, luck_strip, reach, z_histogram
from src.reporting.formatting import about, chance, counted, expected_count, listed, share, two_digits, whole
from src.reporting.rendering import drawn, render
from src.reporting.session_data import KEY, Group, Luck, Material
from src.reporting.tables import Column, Row, Table, table

CREDIBLE_Q = 0.10
CREDIBLE_DEFLATED_SHARPE = 0.95

# What may speak for or against passes: the column that must be known, the rule that counts them, and its words.
_CHECKS = (
    (
        "majority_accuracy",
        pl.col("accuracy") <= pl.col("majority_accuracy"),
        "no more accurate than always naming the commoner direction of the same days",
    ),
    (
        "buy_hold_sharpe",
        pl.col("sharpe") <= pl.col("buy_hold_sharpe"),
        "no better in Sharpe ratio than always long with the same sizing, costs and days",
    ),
    (
        "luck_rate",
        pl.col("luck_rate") > 0.05,
        "such that more than one in twenty shifted, skill-less copies of the run pass as well (luck rate above 5%)",
    ),
    (
        "deflated_sharpe",
        pl.col("deflated_sharpe") >= CREDIBLE_DEFLATED_SHARPE,
        f"at a deflated Sharpe ratio of {CREDIBLE_DEFLATED_SHARPE} or more, the usual bar for a real active return",
    ),
)


def sentence(luck: Luck) -> str:
    """Say how many runs passed and how many would without any skill, as the evidence words it where it does."""
    if luck.sentence:
        return luck.sentence
    passed = f"{counted(luck.passes, 'run')} passed, on {counted(luck.instruments, 'instrument')}."
    if luck.expected is None:
        return f"{passed} How many would pass by luck is not computed."
    return f"{passed} If no model had any skill, {about(luck.expected)} would pass."


def reading(luck: Luck, runs: int) -> str:
    """Say what the passes mean beside the range of luck, in plain words."""
    if not runs:
        return "No run was graded, so there is nothing to believe or to doubt yet."
    if luck.expected is None or luck.low is None or luck.high is None:
        return "Without the range of luck nobody can say whether these passes mean anything."
    if luck.passes > luck.high:
        surplus = luck.passes - luck.expected
        return (
            f"More passed than luck alone explains, by {about(surplus)}. The picture can't tell which "
            "ones: look at q-values before believing any single pass."
        )
    if luck.passes < luck.low:
        return "Even fewer passed than luck alone would give: nothing here says that any model has skill."
    return "This many pass by luck alone: nothing in this count says that any model has skill."


def headline(material: Material) -> str:
    """Write the top of the page: the sentence, its picture, and the counts behind it."""
    luck, grades = material.luck, material.grades
    universe = max((table.height for table in material.states.values()), default=0)
    tried = grades.select(KEY).unique().height
    facts = [
        ("instruments", whole(universe or tried)),
        ("of them trained", whole(tried)),
        ("runs graded", whole(grades.height)),
        ("runs passed", f"{whole(luck.passes)} ({share(luck.passes / grades.height)})" if grades.height else "0"),
        ("may be registered", whole(int(grades["registrable"].fill_null(False).sum()))),
        ("lowest q-value", chance(_lowest_q(grades))),
    ]
    return render(
        "headline",
        simulated=material.simulated,
        sentence=sentence(luck),
        drawing=drawn(luck_picture(luck)),
        reading=reading(luck, grades.height),
        facts=facts,
    )


def believe(material: Material) -> str:
    """Write the evidence on single runs, and passes against luck for each family and asset class."""
    z = material.grades["z"].drop_nulls().to_list()
    return render(
        "believe",
        statements=statements(material),
        histogram=drawn(z_histogram(z)) if len(z) > 1 else None,
        mean=two_digits(sum(z) / len(z)) if z else "",
        groups=_group_table(material.groups),
    )


def statements(material: Material) -> list[str]:
    """Give the statements on the session's passes that its own figures support, the most telling first."""
    grades, passing = material.grades, material.passing
    said = [*_instrument_statement(material.luck), _q_statement(grades)]
    if passing.is_empty():
        return [*said, "No run cleared all four thresholds."] if grades.height else said
    passes = counted(passing.height, "pass", "passes")
    for column, rule, words in _CHECKS:
        measured = passing.filter(pl.col(column).is_not_null())
        if measured.height:
            hits = measured.filter(rule).height
            of = f"of {passes}" if measured.height == passing.height else f"of the {measured.height:,} passes measured"
            said.append(f"{hits:,} {of} {'is' if hits == 1 else 'are'} {words}.")
    flagged = passing["suspicious"].count()
    if flagged:
        said.append(
            f"{flagged:,} of {passes} {'is' if flagged == 1 else 'are'} flagged as too good to be true: see below why."
        )
    return said


def _instrument_statement(luck: Luck) -> list[str]:
    """Count by instrument: three families that agree on one instrument are one finding."""
    if luck.by_instrument is None:
        return []
    expected, low, high = luck.by_instrument
    return [
        f"By instrument: {counted(luck.instruments, 'has a pass', 'have a pass')}; luck alone gives {about(expected)} "
        f"(90% range {whole(low)} to {whole(high)})."
    ]


def _q_statement(grades: pl.DataFrame) -> str:
    """Say how many instruments stand out once all instruments looked at are counted."""
    known = grades.filter(pl.col("q_value").is_not_null()).sort("q_value", *KEY)
    if known.is_empty():
        return "q-values are not computed: no single pass can be told from luck."
    first = known.unique(KEY, keep="first", maintain_order=True)
    credible = first.filter(pl.col("q_value") < CREDIBLE_Q)
    of = f"of {counted(first.height, 'graded instrument')}"
    if credible.is_empty():
        best = first.row(0, named=True)
        return (
            f"None {of} has a q-value under {CREDIBLE_Q:.2f} (the lowest is {chance(best['q_value'])}, "
            f"{best['symbol']}): no single pass can be told from luck."
        )
    names = listed(credible["symbol"].to_list(), 8)
    passed = credible.join(grades.filter("passed"), on=KEY, how="semi").height
    return (
        f"{credible.height:,} {of} {'has' if credible.height == 1 else 'have'} a q-value under {CREDIBLE_Q:.2f}: "
        f"{names}. Among such instruments at most about one in ten owes it to luck; {passed:,} of them passed."
    )


def _lowest_q(grades: pl.DataFrame) -> float | None:
    lowest: float | None = grades.select(pl.col("q_value").min()).item()
    return lowest


def _group_table(groups: tuple[Group, ...]) -> Table | None:
    if not groups:
        return None
    lucks = {(group.kind, group.name): group.luck for group in groups}
    top = reach(list(lucks.values()))
    rows: list[Row] = [
        {
            "kind": group.kind,
            "name": group.name,
            "runs": group.runs,
            "passed": group.luck.passes,
            "rate": group.pass_rate,
            "expected": group.luck.expected,
        }
        for group in groups
    ]
    columns = [
        Column("group", lambda r: r["name"]),
        Column("passed against luck", lambda r: drawn(luck_strip(lucks[r["kind"], r["name"]], top))),
        Column("passed", lambda r: whole(r["passed"]), lambda r: r["passed"]),
        Column("by luck", lambda r: expected_count(r["expected"]), lambda r: r["expected"], "expected lucky passes"),
        Column("9 in 10", lambda r: _range(lucks[r["kind"], r["name"]]), lambda r: lucks[r["kind"], r["name"]].high),
        Column("runs", lambda r: whole(r["runs"]), lambda r: r["runs"]),
        Column("pass rate", lambda r: share(r["rate"]), lambda r: r["rate"]),
    ]
    return table(columns, rows, "Passes against luck by asset class and model family", "groups")


def _range(luck: Luck) -> str:
    return f"{whole(luck.low)} to {whole(luck.high)}"
