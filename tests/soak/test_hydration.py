"""11,000 symbols with 5% faults, killed again and again: ``make soak``, about an hour on two cores."""

import sys

import pytest

from tests.hydration.live import hydration_checks as checks
from tests.hydration.live.hydration_case import FULL, WORKERS, hydration

pytestmark = pytest.mark.timeout(4 * 3600)
_MEMORY = 2048.0  # MiB, of the command and its children


def say(words: str) -> None:
    sys.stdout.write(f"\n{words}\n")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    with hydration(FULL, tmp_path_factory.mktemp("soak")) as made:
        yield made


@pytest.fixture(scope="module")
def whole(case):
    """An undisturbed run."""
    done = case.run("whole")
    assert done.code == 0, done.error
    say(f"{done.last}\n{done.seconds:,.0f} s, {max(done.memory):,.0f} MiB at most, {case.requests():,} requests")
    return done


def test_every_symbol_is_stored_as_served_or_ends_in_the_right_state(case, whole):
    assert checks.every_symbol_ended_right(case, "whole") == []


def test_what_is_published_is_what_the_provider_has(case, whole):
    assert checks.every_bar_is_published_right(case, "whole") == []


def test_no_good_answer_is_asked_for_twice(case, whole):
    assert checks.no_request_was_wasted(case) == []


def test_no_request_goes_beyond_the_budget(case, whole):
    say(f"yahoo: {case.loopback.ask('politeness', provider='yahoo')}")
    assert checks.politeness_was_kept(case) == []


def test_memory_stays_flat(case, whole):
    assert checks.memory_stayed_flat(whole, _MEMORY) == []


def test_nothing_due_asks_nothing(case, whole):
    begun = case.requests()
    done = case.run("whole")
    say(f"nothing due: {done.seconds:.1f} s")
    assert (done.code, case.requests()) == (0, begun)


def test_a_hundred_thousand_option_contracts(case, whole):
    done = case.run("whole", "universe.options=100")
    say(done.last)
    assert done.code == 0, done.error
    rows = sum(checks.rows(path) for path in (case.data("whole") / "options").rglob("*.parquet"))
    assert rows >= 100_000


def test_killed_again_and_again_it_ends_with_the_same_store(case, whole):
    case.loopback.ask("forget")
    moments = case.killed("killed")
    done = case.run("killed")
    say(f"killed {', '.join(moments)}; then {done.seconds:,.0f} s")
    assert done.code == 0, done.error
    assert checks.stores_are_identical(case, "whole", "killed") == [], moments
    lost = FULL.kills * (WORKERS + max(32, 8 * WORKERS))
    assert checks.no_request_was_wasted(case, lost) == [], moments
    assert checks.politeness_was_kept(case) == [], moments
