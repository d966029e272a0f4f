"""The engine: every item ends once, whatever happens to the process that works on it."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import psutil
import pytest

from src.config.schema import EngineConfig
from src.core.errors import StageError
from src.core.project import ROOT
from src.engine.dispatch import run
from src.engine.outcome import Failure

TWO = EngineConfig(workers=2, batch_size=4)


def square(number: int) -> int:
    return number * number


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


def test_a_dead_worker_costs_its_item_alone() -> None:
    results = {o.item: o.result for o in run(die_on_three, range(8), TWO)}
    failure = results.pop(3)
    assert isinstance(failure, Failure)
    assert "died twice" in failure.reason
    assert results == {n: n for n in range(8) if n != 3}


def fail_with_the_time(_item: int) -> None:
    raise ValueError(f"it is {time.monotonic_ns()}")


def take_memory(mebibytes: int) -> int:
    taken = [bytearray(b"x" * 2**20) for _ in range(mebibytes)]
    if mebibytes > 100:
        time.sleep(60)
    return len(taken)


def run_out_of_memory(number: int) -> int:
    if number == 1:
        raise MemoryError("no more")
    return os.getpid()


def kill_itself_on_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def ask_itself_to_end(asked: int) -> int:
    os.kill(os.getpid(), asked)
    return asked


def own_process(_item: int) -> int:
    time.sleep(0.05)
    return os.getpid()


class Unborn:
    """A task that can't be imported where it is to work."""

    def __reduce__(self) -> tuple[object, ...]:
        return import_module, ("src.there_is_no_such_module",)

    def __call__(self, item: int) -> int:
        return item


class Stillborn:
    """A task whose import ends the process."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)

    def __call__(self, item: int) -> int:
        return item


@dataclasses.dataclass(frozen=True)
class Odd:
    """An item with what is odd about it."""

    about: str
    path: Path = Path()


def meet(item: object) -> object:
    """Numbers are fine; the others fail as they say."""
    if not isinstance(item, Odd):
        return item
    if item.about == "first time":
        with contextlib.suppress(FileExistsError):
            item.path.touch(exist_ok=False)
            raise OSError("the disk hiccuped")
        return "done"
    if item.about == "result":
        return lambda: item
    raise ValueError(f"it is {time.monotonic_ns()}" if item.about == "clock" else "not wanted")


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, object]]:
    """What came of numbers and of odd items among them."""
    folder = tmp_path_factory.mktemp("met")
    once = [Odd("first time", folder / str(number)) for number in range(5)]
    items: list[object] = [0, 1, once[0], Odd("always"), 2, *once[1:], Odd("clock"), Odd("result"), lambda: 3, 3]
    return [(o.item, o.result) for o in run(meet, items, TWO)]


def of(met: list[tuple[object, object]], about: str) -> list[object]:
    return [result for item, result in met if isinstance(item, Odd) and item.about == about]


def test_what_fails_costs_its_item_alone(met: list[tuple[object, object]]) -> None:
    assert len(met) == 13
    assert sorted(result for item, result in met if isinstance(item, int)) == [0, 1, 2, 3]  # type: ignore[type-var]


def test_what_fails_once_is_tried_again(met: list[tuple[object, object]]) -> None:
    assert of(met, "first time") == ["done"] * 5


def test_what_fails_twice_keeps_its_traceback(met: list[tuple[object, object]]) -> None:
    (same,), (other,) = of(met, "always"), of(met, "clock")
    assert isinstance(same, Failure) and same.reason == "ValueError: not wanted"
    assert "in meet" in same.traceback
    assert same.traceback.count("Traceback") == 1 and "the same twice" in same.traceback
    assert isinstance(other, Failure) and other.final
    assert other.traceback.count("in meet") == 2
    assert other.traceback.startswith("at first: ValueError: it is")


def test_what_cannot_be_sent_either_way_costs_its_item(met: list[tuple[object, object]]) -> None:
    (back,) = of(met, "result")
    (there,) = (result for item, result in met if callable(item))
    assert isinstance(back, Failure) and "its result can't be sent back" in back.reason
    assert isinstance(there, Failure) and "can't be sent to a worker" in there.reason


def test_failures_do_not_pile_up_until_the_end() -> None:
    taken: list[int] = []

    def items():
        for number in range(40):
            taken.append(number)
            yield number

    stream = run(fail_with_the_time, items(), EngineConfig(workers=1, batch_size=3))
    next(stream)
    assert len(taken) <= 7
    stream.close()


def test_a_worker_that_takes_too_much_memory_costs_its_item_and_says_so() -> None:
    config = EngineConfig(workers=2, batch_size=4, memory_gib=0.25)
    results = {o.item: o.result for o in run(take_memory, [1, 2, 400, 3, 4, 5], config)}
    failure = results.pop(400)
    assert isinstance(failure, Failure)
    assert "took more than 0.25 GiB of memory: raise engine.memory_gib" in failure.reason
    assert results == {n: n for n in (1, 2, 3, 4, 5)}


def test_a_worker_that_ran_out_of_memory_is_replaced() -> None:
    outcomes = {o.item: o.result for o in run(run_out_of_memory, [0, 1, 2], EngineConfig(workers=1, batch_size=1))}
    assert isinstance(outcomes[1], Failure) and outcomes[1].reason == "MemoryError: no more"
    assert outcomes[0] != outcomes[2]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_worker_costs_its_item_and_says_so() -> None:
    results = {o.item: o.result for o in run(kill_itself_on_three, range(8), TWO)}
    failure = results.pop(3)
    assert isinstance(failure, Failure) and "killed: out of memory" in failure.reason
    assert results == {n: n for n in range(8) if n != 3}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_leaves_it_to_its_parent_what_a_signal_to_all_means(asked: signal.Signals) -> None:
    assert [o.result for o in run(ask_itself_to_end, [asked], TWO)] == [asked]


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux's own")
def test_the_kernel_would_end_a_worker_first() -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))
    (outcome,) = run(Path.read_text, [Path("/proc/self/oom_score_adj")], TWO)
    assert isinstance(outcome.result, str)
    assert int(outcome.result) >= max(own, 800)


@pytest.mark.parametrize(("task", "words"), [(Unborn(), "there_is_no_such_module"), (Stillborn(), "exit status 3")])
def test_workers_that_cannot_start_end_the_work_with_clear_words(task: object, words: str) -> None:
    with pytest.raises(StageError, match=words):
        list(run(task, range(4), TWO))  # type: ignore[arg-type]


def test_no_more_workers_are_started_than_there_are_items_in_flight() -> None:
    for workers, batch in ((3, 1), (1, 5)):
        found = {o.result for o in run(own_process, range(8), EngineConfig(workers=workers, batch_size=batch))}
        assert len(found) <= min(workers, batch)


def test_a_worker_tells_how_much_memory_it_took() -> None:
    small, large = (next(run(take_memory, [size], EngineConfig(workers=1))).peak_bytes for size in (1, 90))
    assert 5e6 < small < large - 60e6


SLEEPER = """
import time
from src.config.schema import EngineConfig
from src.engine.dispatch import run

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
