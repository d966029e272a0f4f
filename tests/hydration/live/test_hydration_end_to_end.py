"""The hydration of 160 symbols from misbehaving providers: the same code as `make soak` runs, which also kills it."""

import pytest

from tests.hydration.live import hydration_checks as checks
from tests.hydration.live.hydration_case import SMALL, hydration


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    with hydration(SMALL, tmp_path_factory.mktemp("hydration")) as made:
        yield made


@pytest.fixture(scope="module")
def whole(case):
    """An undisturbed run."""
    done = case.run("whole")
    assert done.code == 0, done.error
    return done


def test_every_symbol_is_stored_as_served_or_ends_in_the_right_state(case, whole):
    assert checks.every_symbol_ended_right(case, "whole") == []


def test_what_is_published_is_what_the_provider_has(case, whole):
    assert checks.every_bar_is_published_right(case, "whole") == []


def test_no_request_with_a_good_answer_is_repeated(case, whole):
    assert checks.no_request_was_wasted(case) == []


def test_requests_stay_within_the_rate_limits(case, whole):
    assert checks.politeness_was_kept(case) == []


def test_the_counts_add_up_to_the_universe(case, whole):
    assert f"hydrate: {len(case.wanted()):,} instruments of loop" in whole.last


def test_the_world_itself_did_not_fail(case, whole):
    counts = case.loopback.ask("counts")
    assert counts["broken"] == 0
    assert {plan.kind for plan in case.faults.plans.values()} - set(checks.ODD) <= counts["faults"].keys()


def test_no_request_is_sent_if_nothing_is_due(case, whole):
    before, begun = checks.content(case.bars("whole")), case.requests()
    done = case.run("whole")
    assert (done.code, case.requests()) == (0, begun)
    assert checks.content(case.bars("whole")) == before
