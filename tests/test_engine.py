"""The engine: every item ends once, whatever happens to the process that works on it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from src.config import ROOT, EngineConfig
from src.engine import Failure, run

TWO = EngineConfig(workers=2, batch_size=4)


def square(number: int) -> int:
    return number * number


def fail_on_three(number: int) -> int:
    if number == 3:
        raise ValueError("three is not wanted")
    return number


def die_on_three(number: int) -> int:
    if number == 3:
        os._exit(9)
    return number


def test_every_item_is_done_once_at_any_number_of_workers() -> None:
    for workers in (1, 2):
        outcomes = list(run(square, range(12), EngineConfig(workers=workers, batch_size=3)))
        assert sorted((o.item, o.result) for o in outcomes) == [(n, n * n) for n in range(12)]


def test_items_are_taken_only_as_fast_as_they_are_done() -> None:
    taken: list[int] = []

    def items():
        for number in range(50):
            taken.append(number)
            yield number

    stream = run(square, items(), EngineConfig(workers=1, batch_size=4))
    next(stream)
    assert len(taken) <= 5
    stream.close()


def test_an_exception_costs_its_item_and_keeps_its_traceback() -> None:
    results = {o.item: o.result for o in run(fail_on_three, range(6), TWO)}
    failure = results.pop(3)
    assert isinstance(failure, Failure)
    assert failure.reason == "ValueError: three is not wanted"
    assert "fail_on_three" in failure.traceback
    assert results == {n: n for n in (0, 1, 2, 4, 5)}


def test_a_dead_worker_costs_its_item_alone() -> None:
    results = {o.item: o.result for o in run(die_on_three, range(8), TWO)}
    failure = results.pop(3)
    assert isinstance(failure, Failure)
    assert "died twice" in failure.reason
    assert results == {n: n for n in range(8) if n != 3}


SLEEPER = """
import time
from src.config import EngineConfig
from src.engine import run

if __name__ == "__main__":
    print("started", flush=True)
    for _ in run(time.sleep, [60, 60], EngineConfig(workers=2)):
        pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_workers_leave_when_the_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER, encoding="utf-8")
    parent = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 30
    workers: list[psutil.Process] = []
    while time.monotonic() < deadline and sum("spawn_main" in " ".join(w.cmdline()) for w in workers) < 2:
        workers = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=15)
    assert workers and not alive
