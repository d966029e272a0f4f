"""The gate: it respects the rate and the times that a provider names, and reacts to refusals in proportion."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.fetching.provider import Stopped
from src.fetching.rate_gate import RateGate
from tests.hydration.live.clock_case import Clock, settings
from tests.process_case import HANG, until


def gate(clock: Clock, **changes) -> RateGate:
    return RateGate("yahoo", settings(**changes), clock, clock.wait)


def sent(gate: RateGate, clock: Clock) -> float:
    """Time at which the next request may start."""
    gate.enter()
    return clock.now


def clean(gate: RateGate, times: int) -> None:
    for _ in range(times):
        gate.enter()
        gate.answered()


def storm(gate: RateGate) -> None:
    for _ in range(3):
        gate.enter()
        gate.refused(None)


def test_requests_start_one_by_one_at_the_initial_rate():
    clock = Clock()
    times = [sent(gate_, clock) for gate_ in [gate(clock)] for _ in range(5)]
    assert [b - a for a, b in pairwise(times)] == pytest.approx([2.0] * 4)


def test_a_provider_without_a_rate_gets_one_request_a_second_at_most():
    clock = Clock()
    one = RateGate("elsewhere", settings(), clock, clock.wait)
    clean(one, 500)
    assert one.rate == 1.0
    began = clock.now
    clean(one, 10)
    assert clock.now - began == pytest.approx(10.0)


def test_the_rate_grows_up_to_the_ceiling():
    clock = Clock()
    one = gate(clock)
    clean(one, 50)
    assert one.rate == pytest.approx(0.75)
    clean(one, 500)
    assert one.rate == 1.0


def test_a_single_refusal_with_a_time_holds_all_requests_for_that_long_and_keeps_the_rate():
    clock = Clock()
    one = gate(clock)
    one.enter()
    one.refused(17.0)
    began = clock.now
    assert one.pausing == (17.0, "yahoo asked to be left alone for 17 s")
    assert sent(one, clock) - began == pytest.approx(17.0)
    assert one.rate == 0.5
    assert one.pausing is None


def test_a_single_refusal_without_a_time_pauses_briefly_and_lowers_the_rate():
    clock = Clock()
    one = gate(clock)
    one.enter()
    one.refused(None)
    began = clock.now
    assert sent(one, clock) - began == pytest.approx(6.0)
    assert one.rate == pytest.approx(0.4)


def test_a_named_time_is_limited_to_the_longest_pause():
    clock = Clock()
    one = gate(clock, max_pause=100.0)
    one.enter()
    one.refused(1e9)
    began = clock.now
    assert sent(one, clock) - began == pytest.approx(100.0)


@pytest.mark.parametrize("nonsense", [-5.0, 0.0, float("nan"), float("inf")])
def test_an_invalid_named_time_is_ignored(nonsense):
    clock = Clock()
    one = gate(clock)
    one.enter()
    one.refused(nonsense)
    assert one.pausing == (6.0, "yahoo refused once")


def test_refusals_far_apart_do_not_count_as_a_storm():
    clock = Clock()
    one = gate(clock)
    for _ in range(10):
        clean(one, 10)
        one.enter()
        one.refused(None)
        assert one.pausing == (pytest.approx(6.0), "yahoo refused once")


def test_several_refusals_among_the_last_answers_pause_and_halve_the_rate():
    clock = Clock()
    one = gate(clock)
    clean(one, 100)
    before = one.rate
    for _ in range(2):
        one.enter()
        one.refused(1.0)
        clean(one, 3)
    one.enter()
    one.refused(None)
    assert one.pausing == (60.0, "yahoo refuses")
    assert one.rate == pytest.approx(before / 2)


def test_pauses_double_up_to_the_longest_and_the_first_refusal_after_one_is_enough():
    clock = Clock()
    one = gate(clock, max_pause=300.0)
    storm(one)
    lengths = [one.pausing[0]]
    for _ in range(4):
        one.enter()
        one.refused(None)
        lengths.append(one.pausing[0])
    assert lengths == [60.0, 120.0, 240.0, 300.0, 300.0]


def test_a_named_time_that_is_longer_than_the_pause_is_used():
    clock = Clock()
    one = gate(clock)
    storm(one)
    one.enter()
    one.refused(500.0)
    assert one.pausing[0] == 500.0


def test_after_good_answers_the_next_storm_starts_with_a_short_pause():
    clock = Clock()
    one = gate(clock)
    storm(one)
    one.enter()
    one.refused(None)
    assert one.pausing[0] == 120.0
    clean(one, 9)
    storm(one)
    assert one.pausing[0] == 240.0
    clean(one, 10)
    storm(one)
    assert one.pausing[0] == 60.0


def test_the_rate_never_falls_below_an_eighth():
    clock = Clock()
    one = gate(clock, patience_hours=1e6)
    storm(one)
    for _ in range(30):
        one.enter()
        one.refused(None)
    assert one.rate == pytest.approx(0.5 / 8)
    assert one.pausing[0] == 3600.0


def test_refusals_of_requests_sent_together_count_as_one():
    clock = Clock()
    one = gate(clock)
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(4)]
        pauses = []
        for _ in range(4):
            for thread in threads if not pauses or pauses[-1] < 60 else threads[:1]:
                thread.submit(one.enter).result()
                clock.now += 1
            for thread in threads:  # three of these answers, which come after the storm, are to requests sent before it
                thread.submit(one.refused, None).result()
            pauses.append(round(one.pausing[0], 6))
    assert pauses == [6.0, 6.0, 60.0, 120.0]
    assert one.counts.refused == 16


def test_after_a_storm_all_requests_wait_for_the_answer_to_a_first_one():
    clock = Clock()
    one = gate(clock, timeout=30.0)
    storm(one)
    began = clock.now
    assert sent(one, clock) - began == pytest.approx(60.0)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(sent, one, clock).result() - began == pytest.approx(90.0)  # it ended without an answer
        other.submit(one.answered).result()
    assert sent(one, clock) - began == pytest.approx(90.0 + 1 / one.rate, abs=0.5)


def test_an_outage_pauses_longer_each_time_and_keeps_the_rate():
    clock = Clock()
    one = gate(clock)
    one.enter()
    one.down("yahoo can't be used: no route")
    assert one.pausing == (60.0, "yahoo can't be used: no route")
    one.enter()
    one.down("yahoo can't be used: no route")
    assert one.pausing[0] == 120.0
    assert one.rate == 0.5
    assert one.counts.refused == 0


def test_the_end_of_patience_stops_the_run_with_the_reason():
    clock = Clock()
    one = gate(clock, patience_hours=2.0)
    clean(one, 3)
    began = clock.now
    storm(one)
    with pytest.raises(Stopped, match=r"no good answer in 2 hours .*last: yahoo refuses"):
        for _ in range(1000):
            one.enter()
            one.refused(None)
    assert 2 * 3600 <= clock.now - began <= 2 * 3600 + 60
    assert "source.live.patience_hours" in one.gave_up
    assert one.stopped
    with pytest.raises(Stopped, match="no good answer"):
        one.enter()


def test_useless_answers_do_not_reset_patience_and_idle_hours_do_not_use_it_up():
    clock = Clock()
    one = gate(clock, patience_hours=1.0)
    clean(one, 1)
    clock.now += 50 * 3600
    clean(one, 1)
    with pytest.raises(Stopped):
        for _ in range(1000):
            one.enter()
            one.answered()  # an answer with status 503
            one.down("yahoo can't be used: 503")


def test_stop_releases_every_waiting_thread_at_once():
    one = RateGate("yahoo", settings(rates={"yahoo": 0.001}))
    one.enter()
    with ThreadPoolExecutor(4) as threads:
        waiters = [threads.submit(one.enter) for _ in range(4)]
        until(lambda: threading.active_count() >= 5)
        one.stop()
        for waiter in waiters:
            with pytest.raises(Stopped, match="yahoo: the run is ending"):
                waiter.result(timeout=HANG)


def test_requests_and_refusals_are_counted():
    clock = Clock()
    one = gate(clock)
    clean(one, 4)
    one.enter()
    one.refused(10.0)
    assert (one.counts.requests, one.counts.refused, one.counts.paused) == (5, 1, 0.0)
    clock.now += 4
    assert one.counts.paused == pytest.approx(4.0)
    one.refused(2.0)  # ends before the other one
    clean(one, 1)
    assert one.counts.paused == pytest.approx(10.0)


def test_several_threads_together_respect_the_rate():
    one = RateGate("yahoo", settings(rates={"yahoo": 200.0}, ceilings={"yahoo": 200.0}))
    began = time.monotonic()

    def ask() -> None:
        for _ in range(10):
            one.enter()
            one.answered()

    with ThreadPoolExecutor(6) as threads:
        for asked in [threads.submit(ask) for _ in range(6)]:
            asked.result()
    assert one.counts.requests == 60
    assert (time.monotonic() - began) * 200 + 1 >= 60


answers = st.tuples(
    st.sampled_from(["answered", "answered", "answered", "refused", "lost", "down"]),
    st.one_of(st.none(), st.floats(0, 5000)),
    st.floats(0, 20),
)


@given(schedule=st.lists(answers, max_size=60), rate=st.floats(0.05, 5), growth=st.floats(1, 10))
def test_no_window_exceeds_the_rate_and_no_request_starts_within_a_named_time(schedule, rate, growth):
    clock = Clock()
    limits = {"rates": {"yahoo": rate}, "ceilings": {"yahoo": rate * growth}, "timeout": 5.0}
    one = gate(clock, patience_hours=1e6, **limits)
    times, closed, allowed = [], [], []
    for kind, named, latency in schedule:
        allowed.append(one.rate)
        times.append(sent(one, clock))
        clock.now += latency
        if kind == "answered":
            one.answered()
        elif kind == "down":
            one.down("no route")
        elif kind == "refused":
            one.refused(named)
            closed.append((clock.now, clock.now + min(named or 0.0, 3600.0)))
    for i, first in enumerate(times):
        for j in range(i + 1, len(times)):
            assert j - i + 1 <= rate * growth * (times[j] - first) + 1 + 1e-6
    for (before, after), at_most in zip(pairwise(times), allowed, strict=False):
        assert after - before >= 1 / at_most - 1e-6
    for began, ended in closed:
        assert not any(began < each < ended - 1e-6 for each in times)
