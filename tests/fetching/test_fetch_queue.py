"""What an answer, a fault and a refusal mean for the instrument and for the provider."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.fetching.fetch_queue import FetchQueue
from src.fetching.provider import Stopped, Unavailable, Unreachable
from src.fetching.rate_gate import RateGate
from tests.hydration.live.clock_case import Clock, settings
from tests.hydration.live.world_case import FAULTS, Script, answer, drive, found, task


def queue(clock: Clock, known=None, **changes) -> FetchQueue:
    live = settings(**{"rates": {"yahoo": 10.0}, "ceilings": {"yahoo": 10.0}} | changes)
    return FetchQueue(RateGate("yahoo", live, clock, clock.wait), live, clock, known)


def run(plans: dict[str, list[str]], good: int = 20, at_once: int = 1, **changes):
    """Outcomes by symbol: of the planned instruments, which come first, and of a number of good ones."""
    clock = Clock()
    one, script = queue(clock, **changes), Script(plans)
    for symbol in (*plans, *(f"GOOD{i}" for i in range(good))):
        one.put(task(symbol))
    outcomes = drive(one, script, clock, at_once)
    by_symbol = {outcome.task.request.symbol: outcome for outcome in outcomes}
    assert len(by_symbol) == len(outcomes) == len(plans) + good
    return by_symbol, script, one, clock


def test_a_temporary_fault_is_retried_after_other_work():
    outcomes, _, _, _ = run({"AAA": ["unavailable", "malformed", "ok"]})
    assert (outcomes["AAA"].kind, outcomes["AAA"].tries) == ("ok", 3)
    assert list(outcomes)[-1] == "AAA"
    assert outcomes["AAA"].answer.facts == {"symbol": "AAA"}
    assert outcomes["AAA"].seconds == 3.0


@pytest.mark.parametrize("kind", ["unavailable", "malformed"])
def test_a_lasting_fault_fails_after_the_last_try_with_the_providers_message(kind):
    outcomes, script, one, _ = run({"AAA": [kind]})
    assert (outcomes["AAA"].kind, outcomes["AAA"].tries) == (kind, 4)
    assert outcomes["AAA"].reason == f"{kind}: AAA"
    assert outcomes["AAA"].answer is None
    assert script.asked["AAA"] == 4
    assert one.gate.counts.paused == 0


def test_delays_between_tries_grow():
    clock = Clock()
    one, times = queue(clock), []

    def serve(asked):
        if asked.request.symbol == "AAA":
            times.append(clock.now)
        return found(asked, "unavailable" if asked.request.symbol == "AAA" else "ok")

    for symbol in ("AAA", "BBB"):
        one.put(task(symbol))
    drive(one, serve, clock)
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == pytest.approx([15, 30, 60], abs=1)


def test_a_symbol_is_unknown_only_after_two_such_answers():
    outcomes, script, _, _ = run({"GONE": ["unknown"], "BACK": ["unknown", "ok"]}, tries=1)
    assert (outcomes["GONE"].kind, script.asked["GONE"]) == ("unknown", 2)
    assert (outcomes["BACK"].kind, script.asked["BACK"]) == ("ok", 2)


def test_an_unfit_answer_is_final_at_once():
    outcomes, script, _, _ = run({"EUR": ["unfit"]})
    assert (outcomes["EUR"].kind, script.asked["EUR"]) == ("unfit", 1)


def test_an_error_in_our_code_is_an_outcome_with_its_traceback():
    outcomes, _, _, _ = run({"BUG": ["crash"]})
    assert (outcomes["BUG"].kind, outcomes["BUG"].reason) == ("error", "KeyError: 'BUG'")
    assert "KeyError: 'BUG'" in outcomes["BUG"].failure.traceback


def test_refusals_do_not_count_as_tries():
    outcomes, script, _, _ = run({"AAA": ["refused"] * 5 + ["unavailable", "ok"]})
    assert (outcomes["AAA"].kind, outcomes["AAA"].tries, script.asked["AAA"]) == ("ok", 2, 7)


def test_an_instrument_that_is_always_refused_is_given_up_and_stops_no_other():
    outcomes, script, one, _ = run({"AAA": ["refused"]}, good=400)
    assert (outcomes["AAA"].kind, outcomes["AAA"].reason) == ("refused", "refused: AAA")
    assert script.asked["AAA"] == 6
    assert one.gate.counts.paused <= 6 * 6 + 0.001  # this never counts as a storm
    assert all(outcomes[f"GOOD{i}"].kind == "ok" for i in range(400))


@pytest.mark.parametrize("at_once", [1, 6])
def test_a_request_for_another_symbol_distinguishes_a_refused_last_instrument_from_a_block(at_once):
    outcomes, _, _, clock = run({"AAA": ["refused"], "BBB": ["refused"]}, good=3, at_once=at_once)
    assert {outcomes[symbol].kind for symbol in ("AAA", "BBB")} == {"refused"}
    assert clock.now - 1000 < 1800


def test_a_block_of_all_requests_gives_no_instrument_up():
    clock, asked = Clock(), []
    one = queue(clock)

    def serve(each):
        asked.append(each.request.symbol)
        return found(each, "refused" if 1003 < clock.now < 8 * 3600 else "ok")

    for i in range(300):
        one.put(task(f"S{i}"))
    outcomes = drive(one, serve, clock, at_once=6)
    assert {(o.kind, o.tries) for o in outcomes} == {("ok", 1)}
    assert len(outcomes) == 300
    assert len(asked) <= 300 + 40


def test_the_lowest_order_goes_first_and_a_retry_takes_its_old_place():
    clock = Clock()
    one, script = queue(clock), Script({"A": ["unavailable", "ok"]})
    for symbol, order in (("D", 2), ("C", 1), ("A", 0), ("B", 0)):
        one.put(task(symbol, order))
    one.put(task("E", 2))
    one.put(task("F", 3))

    def serve(asked):
        clock.now += 10
        return script(asked)

    assert [o.task.request.symbol for o in drive(one, serve, clock)] == ["B", "C", "D", "A", "E", "F"]


class Router:
    """Down from `began` to `ended`; then it answers for every instrument except those in `bad`."""

    def __init__(self, clock, began, ended, bad=()):
        self.clock, self.began, self.ended, self.bad = clock, began, ended, bad
        self.in_vain = 0

    def __call__(self, asked):
        if self.began <= self.clock.now < self.ended:
            self.in_vain += 1
            return Unavailable("no route to host")
        return found(asked, "unavailable" if asked.request.symbol in self.bad else "ok")


@pytest.mark.parametrize("at_once", [1, 6])
@pytest.mark.parametrize("began", [0, 1030])
def test_no_instrument_fails_because_of_an_outage_of_hours(began, at_once):
    clock = Clock()
    one = queue(clock)
    router = Router(clock, began, 1000 + 6 * 3600)
    for i in range(1000):
        one.put(task(f"S{i}"))
    outcomes = drive(one, router, clock, at_once)
    assert {o.kind for o in outcomes} == {"ok"}
    assert len({o.task for o in outcomes}) == len(outcomes) == 1000
    assert (
        router.in_vain <= 6 + 6 + 12
    )  # the failures that revealed the outage, requests in flight, and one probe a pause
    assert {o.tries for o in outcomes} == {1}
    assert one.gate.counts.paused > 5 * 3600


def test_no_instrument_fails_because_of_an_outage_during_the_last_tries():
    clock = Clock()
    bad = {f"S{i}" for i in range(8)}
    one = queue(clock)
    router = Router(clock, 1035, 1000 + 3600, bad)
    for i in range(300):
        one.put(task(f"S{i}"))
    outcomes = drive(one, router, clock)
    kinds = {o.task.request.symbol: (o.kind, o.tries) for o in outcomes}
    assert {symbol for symbol, (kind, _) in kinds.items() if kind != "ok"} == bad
    assert {kinds[symbol] for symbol in bad} == {("unavailable", 4)}


def test_an_instrument_answered_in_an_earlier_run_can_be_the_probe():
    clock = Clock()
    one, asked = queue(clock, known=task("OLD")), []

    def serve(each):
        asked.append(each.request.symbol)
        return found(each, "ok" if each.request.symbol == "OLD" else "unavailable")

    for i in range(60):
        one.put(task(f"S{i}"))
    outcomes = drive(one, serve, clock)
    assert [o.kind for o in outcomes] == ["unavailable"] * 60
    assert one.gate.counts.paused == 0
    assert "OLD" not in {o.task.request.symbol for o in outcomes}
    assert asked.count("OLD") <= 60


def test_a_probe_instrument_that_goes_bad_stops_no_other():
    outcomes, _, _, clock = run({"ONE": ["ok", "malformed"], "TWO": ["unavailable"]}, good=0)
    assert [outcomes[symbol].kind for symbol in ("ONE", "TWO")] == ["ok", "unavailable"]
    assert clock.now - 1000 < 12 * 3600


def test_a_tail_of_bad_instruments_is_not_taken_for_an_outage():
    bad = {f"BAD{i}": ["unavailable"] for i in range(110)}
    clock = Clock()
    one, script = queue(clock), Script(bad)
    for i in range(3000):
        one.put(task(f"GOOD{i}"))
        if i % 30 == 0:
            one.put(task(f"BAD{i // 30}"))
    outcomes = drive(one, script, clock, at_once=6)
    assert sum(o.kind == "unavailable" for o in outcomes) == 100
    assert one.gate.counts.paused == 0
    assert {script.asked[o.task.request.symbol] for o in outcomes if o.kind == "unavailable"} == {4}
    assert sum(script.asked.values()) <= 3000 + 400 + 400 / 6 + 10


@pytest.mark.parametrize("many", [1, 3, 5, 6, 7, 50])
@pytest.mark.parametrize("kind", ["unavailable", "malformed"])
def test_a_universe_without_one_good_instrument_comes_to_an_end(many, kind):
    outcomes, script, _, _ = run({f"S{i}": [kind] for i in range(many)}, good=0, patience_hours=1e6)
    assert {o.kind for o in outcomes.values()} == {kind}
    assert max(script.asked.values()) <= 8


@pytest.mark.parametrize("share", [0.65, 0.8])
def test_a_provider_that_fails_half_the_time_is_paused_and_few_instruments_fail(share):
    clock, chance = Clock(), random.Random(5)
    one = queue(clock)

    def serve(asked):
        flaky = clock.now < 20_000 and chance.random() < share
        return found(asked, "unavailable" if flaky else "ok")

    for i in range(1000):
        one.put(task(str(i)))
    outcomes = drive(one, serve, clock)
    assert sum(o.kind != "ok" for o in outcomes) <= 4  # of 1,000; without pauses 180 or more would fail
    assert one.gate.counts.paused > 15_000


def test_instruments_left_when_patience_ends_are_stopped_with_the_reason():
    clock = Clock()
    one = queue(clock, patience_hours=3.0)
    router = Router(clock, 1002.5, 1e9)
    for i in range(100):
        one.put(task(f"S{i}"))
    outcomes = drive(one, router, clock, at_once=3)
    assert len({o.task for o in outcomes}) == len(outcomes) == 100
    stopped = [o for o in outcomes if o.kind != "ok"]
    assert {o.kind for o in stopped} == {"stopped"}
    assert "no good answer in 3 hours" in stopped[0].reason
    assert "no route to host" in stopped[0].reason
    assert one.take() is None
    one.put(task("LATE"))
    assert [(o.task.request.symbol, o.kind) for o in one.stopped()] == [("LATE", "stopped")]


def test_a_stop_yields_the_instruments_in_flight_and_those_that_waited():
    clock = Clock()
    one = queue(clock)
    for i in range(5):
        one.put(task(f"S{i}"))
    first, second, third = one.take(), one.take(), one.take()
    assert one.settle(first, Unavailable("reset"), 1.0) == []
    outcomes = one.settle(second, Stopped("the run is ending"), 1.0)
    assert [o.task.request.symbol for o in outcomes] == ["S0", "S1", "S3", "S4"]
    assert not one.settled
    assert [o.kind for o in one.settle(third, answer(third.task), 1.0)] == ["ok"]
    assert one.settled


def no_name() -> Unreachable:
    return Unreachable("Could not resolve host", "name", "query1.finance.yahoo.com")


def test_an_absent_network_costs_no_task_a_try_and_its_pauses_stay_short():
    clock = Clock()
    one = queue(clock, known=task("OLD"), tries=1)
    for i in range(3):
        one.put(task(f"S{i}"))
    until = clock.now + 3 * 3600
    outcomes = drive(one, lambda asked: no_name() if clock.now < until else answer(asked), clock)
    assert [outcome.kind for outcome in outcomes] == ["ok"] * 3
    assert clock.now < until + 10 * 60, "the network was back, and no request showed it"


def test_a_name_that_does_not_resolve_for_one_task_alone_ends_it_in_time():
    clock = Clock()
    one = queue(clock, known=task("OLD"), tries=2)
    for i in range(3):
        one.put(task(f"S{i}"))
    outcomes = drive(one, lambda asked: no_name() if asked.request.symbol == "S1" else answer(asked), clock)
    assert {o.task.request.symbol: (o.kind, o.tries) for o in outcomes} == {
        "S0": ("ok", 1), "S1": ("unavailable", 2), "S2": ("ok", 1),
    }  # fmt: skip


kinds = st.sampled_from(["ok", "ok", *FAULTS, "crash"])


@given(
    plans=st.lists(st.lists(kinds, min_size=1, max_size=7), min_size=1, max_size=30),
    at_once=st.integers(1, 6),
    tries=st.integers(1, 5),
    proof=st.booleans(),
)
def test_each_task_has_one_outcome_with_a_reason_whatever_is_served(plans, at_once, tries, proof):
    clock = Clock()
    script = Script({f"S{i}": plan if plan[-1] != "refused" else [*plan, "ok"] for i, plan in enumerate(plans)})
    one = queue(clock, known=task("OLD") if proof else None, tries=tries, patience_hours=1e9)
    for symbol in script.plans:
        one.put(task(symbol))
    outcomes = drive(one, script, clock, at_once)
    assert sorted(o.task.request.symbol for o in outcomes) == sorted(script.plans)
    for outcome in outcomes:
        served = script.served[outcome.task.request.symbol]
        faults = served.count("unavailable") + served.count("malformed")
        if outcome.kind == "ok":
            assert outcome.answer.facts["symbol"] == outcome.task.request.symbol
            assert "ok" in served
        elif outcome.kind in ("unavailable", "malformed"):
            assert faults + served.count("unknown") >= tries
        elif outcome.kind == "unknown":
            assert served.count("unknown") >= 2
        else:
            assert {"error": "crash"}.get(outcome.kind, outcome.kind) in served
        assert outcome.tries <= len(served)
