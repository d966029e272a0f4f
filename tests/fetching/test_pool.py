"""The pool: every task has one outcome, providers do not wait for each other, and it ends when it is stopped."""

import random
import sys
import textwrap
import threading
import weakref
from collections import Counter
from itertools import count

import polars as pl
import pytest

from src.config.schema import LiveSource
from src.core.project import ROOT
from src.fetching.pool import Pool
from src.fetching.provider import Answer, Refusal, Unavailable
from src.fetching.rate_gate import RateGate
from tests import process_case
from tests.hydration.live.clock_case import Clock
from tests.hydration.live.world_case import FAULTS, answer, task
from tests.process_case import HANG, pause, until

FAST = {"yahoo": 1e5, "kraken": 1e5}


def quick(**changes) -> LiveSource:
    fixed = {"rates": FAST, "ceilings": FAST, "pause": 0.02, "max_pause": 0.1, "patience_hours": 1.0}
    return LiveSource(**(fixed | changes))


def gates(settings: LiveSource) -> dict[str, RateGate]:
    return {name: RateGate(name, settings) for name in FAST}


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith(tuple(FAST))]


class World:
    """Faults by a seeded plan for each instrument and attempt; counts the requests."""

    def __init__(self, doors: dict[str, RateGate], share: float = 0.05) -> None:
        self.doors, self.share = doors, share
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()

    def plan(self, symbol: str) -> list[str]:
        chance = random.Random(symbol)
        if chance.random() >= self.share:
            return ["ok"]
        return chance.choice(
            [
                ["unavailable"],
                ["malformed", "ok"],
                ["unknown"],
                ["unknown", "ok"],
                ["unfit"],
                ["crash"],
                ["refused", "ok"],
            ]
        )

    def __call__(self, asked):
        door, symbol = self.doors[asked.provider], asked.request.symbol
        door.enter()
        plan = self.plan(symbol)
        with self.lock:
            kind = plan[min(self.asked[symbol], len(plan) - 1)]
            self.asked[symbol] += 1
        if kind == "refused":
            door.refused(0.001)
        else:
            door.answered()
        if kind == "ok":
            return answer(asked)
        raise FAULTS.get(kind, KeyError)(kind)


def test_thousands_of_tasks_of_two_faulty_providers_have_the_planned_outcomes():
    settings = quick(pause=0.005)
    doors = gates(settings)
    world = World(doors, share=0.2)
    tasks = [task(f"S{i}", i // 200, ("yahoo", "kraken")[i % 3 == 0]) for i in range(3000)]
    with Pool(settings, doors) as pool:
        outcomes = list(pool.results(iter(tasks), world))
        assert not any(pool.waiting().values())
    assert Counter(o.task for o in outcomes) == Counter(tasks)
    expected = {"crash": "error"}
    for outcome in outcomes:
        last = world.plan(outcome.task.request.symbol)[-1]
        assert outcome.kind == expected.get(last, last)
        if outcome.kind == "ok":
            assert outcome.answer.facts == {"symbol": outcome.task.request.symbol}
    until(lambda: not threads())


def test_a_provider_that_pauses_for_an_hour_does_not_delay_others():
    settings = quick(pause=3600.0, max_pause=3600.0, rates={"yahoo": 1e-4, "kraken": 1e5}, ceilings={})
    doors = gates(settings)
    doors["yahoo"].enter()
    tasks = [task(f"Y{i}", 0, "yahoo") for i in range(500)] + [task(f"K{i}", 9, "kraken") for i in range(100)]
    seen = []
    with Pool(settings, doors) as pool:
        for outcome in pool.results(iter(tasks), World(doors, share=0)):
            seen.append(outcome.task.provider)
            if len(seen) == 100:
                break
    assert seen == ["kraken"] * 100
    until(lambda: not threads())
    assert doors["yahoo"].stopped


def test_follow_up_tasks_join_while_results_are_iterated_even_after_the_last():
    settings = quick()
    doors, seen = gates(settings), []
    with Pool(settings, doors) as pool:
        for outcome in pool.results([task("A0", 0, "yahoo")], World(doors, share=0)):
            symbol = outcome.task.request.symbol
            seen.append(symbol)
            if len(symbol) < 12:
                pool.add(task(symbol + "x", 0, ("yahoo", "kraken")[len(symbol) % 2]))
    assert seen == ["A0" + "x" * i for i in range(11)]


def test_tasks_added_before_the_first_result_are_done_and_a_pool_can_be_used_again():
    settings = quick()
    doors = gates(settings)
    with Pool(settings, doors) as pool:
        for symbol in ("A", "B", "C"):
            pool.add(task(symbol))
        for wanted in (["A", "B", "C"], ["D"]):
            more = [task("D")] if wanted == ["D"] else []
            assert sorted(o.task.request.symbol for o in pool.results(more, World(doors, share=0))) == wanted
        assert not doors["yahoo"].stopped


def test_a_task_for_a_provider_without_a_gate_is_refused_with_a_clear_message():
    settings = quick()
    with Pool(settings, gates(settings)) as pool, pytest.raises(ValueError, match=r"'okx' has no gate .*yahoo, kraken"):
        list(pool.results([task("A", 0, "okx")], answer))
    until(lambda: not threads())


def test_a_slow_consumer_slows_the_threads_and_answers_are_freed():
    settings = quick(workers=3)
    doors, lock = gates(settings), threading.Lock()
    made: list[weakref.ref] = []

    def fetch(asked):
        doors["yahoo"].enter()
        doors["yahoo"].answered()
        served = Answer(pl.DataFrame(), pl.DataFrame())
        with lock:
            made.append(weakref.ref(served))
        return served

    most = 0
    with Pool(settings, doors) as pool:
        results = pool.results((task(f"S{i}") for i in range(2000)), fetch)
        next(results)
        until(lambda: len(made) >= 32)
        pause(0.05)
        assert len(made) <= 1 + 32 + 3
        for _ in results:
            most = max(most, sum(each() is not None for each in made[-500:]))
    assert most <= 32 + 3 + 3
    assert len(made) == 2000


def test_tasks_are_read_lazily_in_the_thread_that_iterates():
    settings = quick()
    doors, read = gates(settings), []

    def feed():
        for i in count():
            read.append(threading.current_thread())
            yield task(f"S{i}", i)

    with Pool(settings, {"yahoo": doors["yahoo"]}) as pool:
        for i, _ in enumerate(pool.results(feed(), World(doors, share=0))):
            if i == 500:
                break
    assert set(read) == {threading.current_thread()}
    assert len(read) <= 501 + 54 + 6 + 48 + 64  # yielded, waiting, in flight, ready


def test_an_error_in_the_feed_or_the_consumer_ends_the_threads():
    settings = quick()
    doors = gates(settings)

    def feed():
        yield from (task(f"S{i}") for i in range(100))
        raise OSError("the ledger can't be read")

    with Pool(settings, doors) as pool, pytest.raises(OSError, match="the ledger"):
        list(pool.results(feed(), World(doors, share=0)))
    until(lambda: not threads())
    doors = gates(settings)
    with pytest.raises(ZeroDivisionError), Pool(settings, doors) as pool:
        for _ in pool.results([task("A"), task("B")], World(doors, share=0)):
            raise ZeroDivisionError
    until(lambda: not threads())
    with pytest.raises(RuntimeError, match="the pool was closed"):
        next(pool.results([], answer))


def test_two_iterations_at_once_are_refused():
    settings = quick()
    doors = gates(settings)
    with Pool(settings, doors) as pool:
        first = pool.results([task("A"), task("B")], World(doors, share=0))
        next(first)
        with pytest.raises(RuntimeError, match="one loop at a time"):
            next(pool.results([task("C")], World(doors, share=0)))
        assert [o.kind for o in first] == ["ok"]


def test_closing_from_another_thread_ends_the_iteration():
    settings = quick(rates={"yahoo": 1e-4}, ceilings={})
    doors = gates(settings)
    doors["yahoo"].enter()
    pool = Pool(settings, doors)
    closer = threading.Thread(target=lambda: (until(lambda: pool.waiting()["yahoo"]), pool.close()))
    closer.start()
    assert list(pool.results([task("A")], World(doors, share=0))) == []
    closer.join()
    until(lambda: not threads())


def test_a_system_exit_inside_a_fetch_is_an_outcome_and_ends_no_thread():
    settings = quick(workers=1)
    doors = gates(settings)

    def fetch(asked):
        if asked.request.symbol == "EXIT":
            raise SystemExit(3)
        return answer(asked)

    with Pool(settings, doors) as pool:
        outcomes = list(pool.results([task("EXIT"), task("A")], fetch))
    assert {o.task.request.symbol: o.kind for o in outcomes} == {"EXIT": "error", "A": "ok"}


def test_every_task_has_an_outcome_when_patience_ends_and_other_providers_continue():
    settings = quick(patience_hours=0.3 / 3600)
    clocks = {name: Clock() for name in FAST}  # patience is counted in the seconds that a gate waits
    doors = {name: RateGate(name, settings, clock, clock.wait) for name, clock in clocks.items()}

    def fetch(asked):
        door = doors[asked.provider]
        door.enter()
        if asked.provider == "yahoo":
            raise Unavailable("no route to host")
        door.answered()
        return answer(asked)

    tasks = [task(f"S{i}", i, ("yahoo", "kraken")[i % 2]) for i in range(2000)]
    kinds, late = Counter(), [task("LATE")]
    with Pool(settings, doors) as pool:
        for outcome in pool.results(tasks, fetch):
            kinds[outcome.task.provider, outcome.kind] += 1
            if outcome.kind == "stopped" and late:
                pool.add(late.pop())
    assert kinds["kraken", "ok"] == 1000
    assert kinds["yahoo", "stopped"] > 0  # a few may have ended by their own tries before
    assert kinds["yahoo", "stopped"] + kinds["yahoo", "unavailable"] == 1001
    assert kinds.total() == 2001
    assert "no route to host" in doors["yahoo"].gave_up


def test_requests_that_are_all_refused_at_once_are_repeated_and_none_is_lost():
    settings = quick(workers=6)
    doors = gates(settings)
    meeting, met = threading.Barrier(6), Counter()

    def fetch(asked):
        symbol = asked.request.symbol
        doors["yahoo"].enter()
        met[symbol] += 1
        if met[symbol] == 1 and int(symbol) < 6:
            meeting.wait(HANG)
            doors["yahoo"].refused(None)
            raise Refusal("429")
        doors["yahoo"].answered()
        return answer(asked)

    with Pool(settings, doors) as pool:
        outcomes = list(pool.results((task(str(i)) for i in range(100)), fetch))
    assert Counter(o.kind for o in outcomes) == {"ok": 100}
    assert {o.tries for o in outcomes} == {1}
    assert doors["yahoo"].counts.refused == 6
    assert doors["yahoo"].counts.paused <= 0.1 * settings.pause + 1e-6


INTERRUPTED = """
    import _thread, signal, sys, threading
    from src.config.schema import LiveSource
    from src.fetching.rate_gate import RateGate
    from src.fetching.pool import Pool
    from tests.hydration.live.world_case import answer, task
    from tests.process_case import hang, pause

    def main():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the process that started the tests may ignore it
        settings = LiveSource(rates={"yahoo": 1e-4, "kraken": 1000.0}, workers=4)
        gates = {name: RateGate(name, settings) for name in ("yahoo", "kraken")}
        gates["yahoo"].enter()
        hanging = threading.Event()

        def fetch(asked):
            gates[asked.provider].enter()
            if asked.provider == "kraken":
                hanging.set()
                hang()  # a request
            return answer(asked)

        def interrupt():
            hanging.wait()
            pause(0.3)
            _thread.interrupt_main()

        threading.Thread(target=interrupt, daemon=True).start()
        tasks = [task(f"S{i}", 0, ("yahoo", "kraken")[i % 2]) for i in range(50)]
        try:
            with Pool(settings, gates) as pool:
                for _ in pool.results(tasks, fetch):
                    pass
        except KeyboardInterrupt:
            sys.exit(130)

    if __name__ == "__main__":
        main()
"""


def test_ctrl_c_ends_at_once_while_one_provider_pauses_and_another_hangs():
    command = [sys.executable, "-c", textwrap.dedent(INTERRUPTED)]
    ended = process_case.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 130, ended.stderr
    assert not ended.stderr
