"""Reasons by kind: each instrument once, no reason taken apart."""

import polars as pl

from src.core.instruments import KEY
from src.storage.state_counts import ROW, counted, judged, reason_groups, reasons


def rows(*lines: tuple[str, ...], kinds: list[str] | None = None) -> pl.DataFrame:
    frame = pl.DataFrame(lines, schema=dict.fromkeys(ROW, pl.String()), orient="row")
    return frame if kinds is None else frame.with_columns(kind=pl.Series(kinds, dtype=pl.String))


def test_an_instrument_counts_once_in_a_kind_however_many_of_its_reasons_are_alike():
    found = reason_groups(
        rows(
            ("stock", "A", "done", "gap of 40 days before 2020-01-02"),
            ("stock", "A", "done", "gap of 51 days before 2021-01-02"),
            ("etf", "A", "done", "gap of 33 days before 2022-01-02"),
        )
    )
    assert [(g.kind, g.keys) for g in found] == [("gap of # days before #", (("stock", "A"), ("etf", "A")))]


def test_a_rule_is_the_kind_where_it_is_given_and_a_reason_without_one_is_kept_whole():
    found = reason_groups(
        rows(
            ("stock", "A", "quarantined", "x; y"), ("stock", "B", "quarantined", "z"), ("stock", "C", "failed", "a; b"),
            kinds=["scales", "scales", ""],
        )
    )  # fmt: skip
    assert [(g.state, g.kind, g.symbols, g.reason) for g in found] == [
        ("failed", "a; b", ("C",), "a; b"),
        ("quarantined", "scales", ("A", "B"), "x; y"),
    ]


def test_a_symbol_that_is_a_pattern_is_taken_as_text():
    found = reason_groups(rows(("stock", "A.*", "failed", "A.* is bad"), ("stock", "B[1", "failed", "B[1 is bad")))
    assert [g.symbols for g in found] == [("A.*", "B[1")]


def test_a_failure_that_quotes_an_earlier_stage_is_this_stages_own():
    found = reasons(
        rows(
            ("stock", "A", "failed", "done by hydrate: no such column"),
            ("stock", "B", "skipped", "quarantined by hydrate: x"),
        )
    )
    assert [each["instrument"] for each in found] == ["stock:A"]


def test_no_rows_have_no_reasons():
    assert reason_groups(rows()) == [] and reasons(rows()) == []


def test_an_instrument_whose_runs_promotion_judged_is_done_once_whatever_they_came_to():
    found = judged(rows(("stock", "A", "missed", "auc"), ("stock", "A", "champion", ""), ("etf", "B", "behind", "")))
    counts = counted(found, found.select(KEY))
    assert (counts["all"]["done"], counts["all"]["total"], counts["classes"]["stock"]["done"]) == (2, 2, 1)
