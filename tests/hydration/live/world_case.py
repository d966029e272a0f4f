"""A provider that answers by a plan, for tests of the lane and the pool."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable

import polars as pl

from src.fetching.lane import Lane, Outcome, Task
from src.fetching.provider import Answer, Malformed, Refusal, Stopped, Unavailable, Unfit, Unknown, Wanted

FAULTS = {"unavailable": Unavailable, "malformed": Malformed, "unknown": Unknown, "unfit": Unfit, "refused": Refusal}
EMPTY = pl.DataFrame()


def task(symbol: str, order: int = 0, provider: str = "yahoo") -> Task:
    return Task(provider, Wanted("stock", symbol, dt.date(2014, 1, 1)), order)


def answer(asked: Task) -> Answer:
    return Answer(EMPTY, EMPTY, {"symbol": asked.wanted.symbol})


def found(asked: Task, kind: str) -> Answer | Exception:
    """What a provider hands back: ok, one of the faults, or a crash."""
    if kind == "ok":
        return answer(asked)
    return FAULTS[kind](f"{kind}: {asked.wanted.symbol}") if kind in FAULTS else KeyError(asked.wanted.symbol)


class Script:
    """Answers by symbol and attempt: the plan's kinds one after the other, the last one for ever; ok without a plan."""

    def __init__(self, plans: dict[str, list[str]]) -> None:
        self.plans = plans
        self.asked: Counter[str] = Counter()
        self.served: dict[str, list[str]] = defaultdict(list)

    def __call__(self, asked: Task) -> Answer | Exception:
        symbol = asked.wanted.symbol
        plan = self.plans.get(symbol, ["ok"])
        kind = plan[min(self.asked[symbol], len(plan) - 1)]
        self.asked[symbol] += 1
        self.served[symbol].append(kind)
        return found(asked, kind)


def drive(lane: Lane, serve: Callable[[Task], Answer | Exception], clock, at_once: int = 1) -> list[Outcome]:
    """Ask everything in one thread, `at_once` questions under way together, through the lane's gate."""
    outcomes: list[Outcome] = []
    for _ in range(200_000):
        jobs = [job for _ in range(at_once) if (job := lane.take()) is not None]
        if not jobs:
            if lane.over:
                return outcomes
            clock.wait(lane.wait() or 1e-3)
        for job in jobs:
            try:
                lane.gate.enter()
                what = serve(job.task)
            except Stopped as error:
                what = error
            if isinstance(what, Refusal):
                lane.gate.refused(what.retry_after)
            elif not isinstance(what, Unavailable):
                lane.gate.answered()
            outcomes += lane.settle(job, what, 1.0)
    raise AssertionError("the lane never ends")
