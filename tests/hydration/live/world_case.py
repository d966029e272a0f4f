"""A provider that answers according to a plan, for tests of the queue and the pool."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable

import polars as pl

from src.fetching.fetch_queue import FetchQueue
from src.fetching.fetch_task import FetchOutcome, FetchTask
from src.fetching.provider import Answer, BarRequest, Malformed, Refusal, Stopped, Unavailable, Unfit, Unknown

FAULTS = {"unavailable": Unavailable, "malformed": Malformed, "unknown": Unknown, "unfit": Unfit, "refused": Refusal}
EMPTY = pl.DataFrame()


def task(symbol: str, order: int = 0, provider: str = "yahoo") -> FetchTask:
    return FetchTask(provider, BarRequest("stock", symbol, dt.date(2014, 1, 1)), order)


def answer(asked: FetchTask) -> Answer:
    return Answer(EMPTY, EMPTY, {"symbol": asked.request.symbol})


def found(asked: FetchTask, kind: str) -> Answer | Exception:
    """A provider's answer: ok, one of the faults, or a crash."""
    if kind == "ok":
        return answer(asked)
    return FAULTS[kind](f"{kind}: {asked.request.symbol}") if kind in FAULTS else KeyError(asked.request.symbol)


class Script:
    """Answers by symbol and attempt: the planned kinds in order, the last one repeated; ok without a plan."""

    def __init__(self, plans: dict[str, list[str]]) -> None:
        self.plans = plans
        self.asked: Counter[str] = Counter()
        self.served: dict[str, list[str]] = defaultdict(list)

    def __call__(self, asked: FetchTask) -> Answer | Exception:
        symbol = asked.request.symbol
        plan = self.plans.get(symbol, ["ok"])
        kind = plan[min(self.asked[symbol], len(plan) - 1)]
        self.asked[symbol] += 1
        self.served[symbol].append(kind)
        return found(asked, kind)


def drive(
    queue: FetchQueue, serve: Callable[[FetchTask], Answer | Exception], clock, at_once: int = 1
) -> list[FetchOutcome]:
    """Do all requests in one thread, with `at_once` of them in flight, through the queue's gate."""
    outcomes: list[FetchOutcome] = []
    for _ in range(200_000):
        jobs = [job for _ in range(at_once) if (job := queue.take()) is not None]
        if not jobs:
            if queue.settled:
                return outcomes
            clock.wait(queue.wait() or 1e-3)
        for job in jobs:
            try:
                queue.gate.enter()
                what = serve(job.task)
            except Stopped as error:
                what = error
            if isinstance(what, Refusal):
                queue.gate.refused(what.retry_after)
            elif not isinstance(what, Unavailable):
                queue.gate.answered()
            outcomes += queue.settle(job, what, 1.0)
    raise AssertionError("the queue never ends")
