import polars as pl
import pytest

from src.reporting.accounting import accounting_section, balance
from src.reporting.schemas import states_table
from src.storage.state_counts import reason_groups
from tests.reporting.synthetic import report_data


def table(*rows):
    columns = ["asset_class", "symbol", "state", "reason"]
    return states_table(pl.DataFrame(rows, schema=columns, orient="row"), "train")


UNIVERSE = table(("stock", "A", "done", ""), ("stock", "B", "done", ""), ("etf", "B", "done", "")).select(
    "asset_class", "symbol"
)


def test_a_stage_that_covers_the_universe_adds_up():
    states = table(("stock", "A", "done", ""), ("stock", "B", "failed", "x"), ("etf", "B", "skipped", "y"))
    assert balance(states, UNIVERSE) == "adds up"


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([("stock", "A", "done", ""), ("etf", "B", "done", "")], "1 not processed yet"),
        (
            [("stock", "A", "done", ""), ("stock", "B", "done", ""), ("etf", "C", "done", "")],
            "1 not processed yet; 1 not in",
        ),
        ([("stock", "A", "done", ""), ("stock", "A", "failed", "x"), ("etf", "B", "done", "")], "1 instrument counted"),
        ([("stock", "A", "lost", ""), ("stock", "B", "done", ""), ("etf", "B", "done", "")], "1 in an unknown state"),
    ],
)
def test_a_stage_that_does_not_add_up_says_what_is_wrong(rows, fault):
    assert fault in balance(table(*rows), UNIVERSE)


def test_the_same_count_of_other_instruments_does_not_add_up():
    states = table(("stock", "A", "done", ""), ("stock", "B", "done", ""), ("stock", "C", "done", ""))
    assert states.height == UNIVERSE.height
    assert balance(states, UNIVERSE) != "adds up"


def test_reasons_that_differ_in_numbers_or_the_own_symbol_are_one_group():
    states = table(
        ("stock", "AAA", "skipped", "AAA has 612 of 900 bars"),
        ("stock", "BBB", "skipped", "BBB has 34 of 900 bars"),
        ("stock", "CCC", "skipped", "no bars since 2021-03-04"),
        ("stock", "DDD", "done", ""),
    )
    groups = reason_groups(states)
    assert [(r.state, r.reason, r.symbols) for r in groups] == [
        ("skipped", "AAA has 612 of 900 bars", ("AAA", "BBB")),
        ("skipped", "no bars since 2021-03-04", ("CCC",)),
    ]


def test_failures_come_before_skips_and_common_reasons_before_rare_ones():
    states = table(
        ("stock", "A1", "skipped", "thin"),
        ("stock", "A2", "skipped", "short"),
        ("stock", "A3", "skipped", "short"),
        ("stock", "A4", "failed", "truncated"),
        ("stock", "A5", "done", "2 prices repaired"),
    )
    assert [(r.state, r.reason) for r in reason_groups(states)] == [
        ("failed", "truncated"),
        ("skipped", "short"),
        ("skipped", "thin"),
        ("done", "2 prices repaired"),
    ]


def test_a_reason_is_one_reason_whatever_it_holds():
    states = table(
        ("stock", "A1", "failed", "a;b.csv can't be read: 'x; y', line 3"),
        ("stock", "A2", "failed", "a;b.csv can't be read: 'x; y', line 47"),
        ("stock", "A3", "failed", "the provider says: try later; or don't"),
    )
    assert [(r.reason, r.symbols) for r in reason_groups(states)] == [
        ("a;b.csv can't be read: 'x; y', line 3", ("A1", "A2")),
        ("the provider says: try later; or don't", ("A3",)),
    ]


def test_a_stage_that_has_not_processed_all_is_visible_on_the_page():
    shown = report_data()
    states = dict(shown.states)
    states["train"] = states["train"].head(50)
    section = accounting_section(report_data(states=states))
    assert f"{shown.states['train'].height - 50} not processed yet" in section


def test_without_states_the_page_says_so():
    assert "the instruments can't be accounted for" in accounting_section(report_data(states={}))
