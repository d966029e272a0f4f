"""300 symbols from misbehaving providers, killed three times, interrupted and started twice at once: ``make soak``."""

import os

import pytest

from tests.hydration.live import hydration_checks as checks
from tests.hydration.live.hydration_case import SMALL, WORKERS, hydration


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


def test_kills_and_interruptions_lead_to_the_same_store(case, whole):
    case.loopback.ask("forget")
    moments = case.killed("killed")
    if os.name != "nt":  # Windows has no way to press Ctrl+C in another process
        done = case.interrupted("killed")
        assert done.code == 130, done.error
        assert "same command" in done.error, done.error
    rivals = [case.begin("killed"), case.begin("killed")]  # two at once: one waits
    ends = [case.finish("killed", each) for each in rivals]
    assert [done.code for done in ends] == [0, 0], moments
    assert checks.stores_are_identical(case, "whole", "killed") == [], moments
    lost = SMALL.kills * (WORKERS + max(32, 8 * WORKERS))  # in flight, and answered but not yet kept
    assert checks.no_request_was_wasted(case, lost) == [], moments
    assert checks.politeness_was_kept(case) == [], moments
