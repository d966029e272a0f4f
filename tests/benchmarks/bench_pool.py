"""What asking costs beside the request itself, printed and not asserted: `make bench`."""

import sys
import time
import tracemalloc

from src.config.schema import LiveSource
from src.fetching.pool import Pool
from src.fetching.rate_gate import RateGate
from tests.hydration.live.world_case import answer, task

TASKS = 11_000


def test_overhead_of_gate_and_pool_for_each_task(capsys):
    settings = LiveSource(rates={"yahoo": 1e9}, ceilings={"yahoo": 1e9})
    gate = RateGate("yahoo", settings)

    def fetch(asked):
        gate.enter()
        gate.answered()
        return answer(asked)

    began, wall = time.process_time(), time.perf_counter()
    with Pool(settings, {"yahoo": gate}) as pool:
        done = sum(outcome.kind == "ok" for outcome in pool.results((task(f"S{i}") for i in range(TASKS)), fetch))
    spent, wall = time.process_time() - began, time.perf_counter() - wall
    assert done == TASKS
    tracemalloc.start()
    with Pool(settings, {"yahoo": RateGate("yahoo", settings), "kraken": RateGate("kraken", settings)}) as pool:
        for i in range(TASKS):
            pool.add(task(f"S{i}"))
        held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    with capsys.disabled():
        sys.stdout.write(
            f"\npool: {TASKS:,} tasks, {spent / TASKS * 1e6:.0f} us of CPU, {wall / TASKS * 1e6:.0f} us of time each;"
            f" {held / TASKS:,.0f} bytes for one that waits, {held / 2**20:.1f} MiB for all\n"
        )
