"""Local worker processes: every item has one outcome, whatever happens to its worker."""

import contextlib
import dataclasses
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

import psutil
import pytest

from src.config.schema import EngineConfig
from src.core.errors import StageError
from src.core.failure import Failure
from src.core.project import ROOT
from src.engine.dispatch import run
from tests.process_case import HANG, begin, hang, pause, still_running, until

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


def test_no_more_items_are_taken_than_may_be_in_flight() -> None:
    taken: list[int] = []

    def items():
        for number in range(50):
            taken.append(number)
            yield number

    stream = run(square, items(), EngineConfig(workers=1, batch_size=4))
    next(stream)
    assert len(taken) <= 5
    stream.close()


def test_only_the_item_of_a_worker_that_dies_fails() -> None:
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
        hang()
    return len(taken)


def raise_memory_error_on_one(number: int) -> int:
    if number == 1:
        raise MemoryError("no more")
    return os.getpid()


def kill_own_worker_on_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def signal_own_worker(number: int) -> int:
    os.kill(os.getpid(), number)
    return number


def own_process(_item: int) -> int:
    pause(0.05)  # so that the other workers get items too
    return os.getpid()


class Unimportable:
    """A task that a worker can't import."""

    def __reduce__(self) -> tuple[object, ...]:
        return import_module, ("src.no_such_module",)

    def __call__(self, item: int) -> int:
        return item


class ExitsOnImport:
    """A task whose import ends the process."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)

    def __call__(self, item: int) -> int:
        return item


@dataclasses.dataclass(frozen=True)
class Faulty:
    """An item that makes its task fail in a stated way."""

    fault: str
    path: Path = Path()


def fail_as_asked(item: object) -> object:
    """Return a number; for a faulty item, fail in its way."""
    if not isinstance(item, Faulty):
        return item
    if item.fault == "first time":
        with contextlib.suppress(FileExistsError):
            item.path.touch(exist_ok=False)
            raise OSError("the disk hiccuped")
        return "done"
    if item.fault == "unpicklable result":
        return lambda: item
    raise ValueError(f"it is {time.monotonic_ns()}" if item.fault == "changing error" else "not wanted")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, object]]:
    """Numbers and faulty items among them, with their results."""
    folder = tmp_path_factory.mktemp("results")
    once = [Faulty("first time", folder / str(number)) for number in range(5)]
    constant, changing, result = Faulty("constant error"), Faulty("changing error"), Faulty("unpicklable result")
    items: list[object] = [0, 1, once[0], constant, 2, *once[1:], changing, result, lambda: 3, 3]
    return [(o.item, o.result) for o in run(fail_as_asked, items, TWO)]


def of(results: list[tuple[object, object]], fault: str) -> list[object]:
    return [result for item, result in results if isinstance(item, Faulty) and item.fault == fault]


def test_failed_items_leave_the_others_untouched(results: list[tuple[object, object]]) -> None:
    assert len(results) == 13
    assert sorted(result for item, result in results if isinstance(item, int)) == [0, 1, 2, 3]  # type: ignore[type-var]


def test_an_item_that_fails_once_is_tried_again(results: list[tuple[object, object]]) -> None:
    assert of(results, "first time") == ["done"] * 5


def test_an_item_that_fails_twice_keeps_its_tracebacks(results: list[tuple[object, object]]) -> None:
    (same,), (other,) = of(results, "constant error"), of(results, "changing error")
    assert isinstance(same, Failure) and same.reason == "ValueError: not wanted"
    assert "in fail_as_asked" in same.traceback
    assert same.traceback.count("Traceback") == 1 and "the same twice" in same.traceback
    assert isinstance(other, Failure) and other.final
    assert other.traceback.count("in fail_as_asked") == 2
    assert other.traceback.startswith("first try: ValueError: it is")


def test_an_item_or_result_that_cannot_be_pickled_fails_alone(results: list[tuple[object, object]]) -> None:
    (of_result,) = of(results, "unpicklable result")
    (of_item,) = (result for item, result in results if callable(item))
    assert isinstance(of_result, Failure) and "its result can't be sent back" in of_result.reason
    assert isinstance(of_item, Failure) and "can't be sent to a worker" in of_item.reason


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


def test_an_item_that_takes_too_much_memory_fails_with_that_reason() -> None:
    config = EngineConfig(workers=2, batch_size=4, memory_gib=0.25)
    results = {o.item: o.result for o in run(take_memory, [1, 2, 400, 3, 4, 5], config)}
    failure = results.pop(400)
    assert isinstance(failure, Failure)
    assert "took more than 0.25 GiB of memory: raise engine.memory_gib" in failure.reason
    assert results == {n: n for n in (1, 2, 3, 4, 5)}


def test_a_worker_is_replaced_after_a_memory_error() -> None:
    outcomes = {
        o.item: o.result for o in run(raise_memory_error_on_one, [0, 1, 2], EngineConfig(workers=1, batch_size=1))
    }
    assert isinstance(outcomes[1], Failure) and outcomes[1].reason == "MemoryError: no more"
    assert outcomes[0] != outcomes[2]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_item_of_a_killed_worker_fails_with_that_reason() -> None:
    results = {o.item: o.result for o in run(kill_own_worker_on_three, range(8), TWO)}
    failure = results.pop(3)
    assert isinstance(failure, Failure) and "killed: out of memory" in failure.reason
    assert results == {n: n for n in range(8) if n != 3}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_ignores_signals_that_its_parent_handles(number: signal.Signals) -> None:
    assert [o.result for o in run(signal_own_worker, [number], TWO)] == [number]


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux only")
def test_the_kernel_would_kill_a_worker_before_its_parent() -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))
    (outcome,) = run(Path.read_text, [Path("/proc/self/oom_score_adj")], TWO)
    assert isinstance(outcome.result, str)
    assert int(outcome.result) >= max(own, 800)


@pytest.mark.parametrize(("task", "cause"), [(Unimportable(), "no_such_module"), (ExitsOnImport(), "exit status 3")])
def test_workers_that_cannot_start_end_the_command_with_the_cause(task: object, cause: str) -> None:
    with pytest.raises(StageError, match=cause):
        list(run(task, range(4), TWO))  # type: ignore[arg-type]


def test_no_more_workers_are_started_than_there_are_items_in_flight() -> None:
    for workers, batch in ((3, 1), (1, 5)):
        processes = {o.result for o in run(own_process, range(8), EngineConfig(workers=workers, batch_size=batch))}
        assert len(processes) <= min(workers, batch)


def test_an_outcome_has_the_peak_memory_of_its_worker() -> None:
    small, large = (next(run(take_memory, [size], EngineConfig(workers=1))).peak_bytes for size in (1, 90))
    assert 5e6 < small < large - 60e6


def never_done(_item: int) -> None:
    hang()


def workers_of(parent: int) -> list[psutil.Process]:
    """Its worker processes; one that ends while we look is none."""
    found = []
    with contextlib.suppress(psutil.Error):
        for each in psutil.Process(parent).children(recursive=True):
            if "spawn_main" in " ".join(each.cmdline()):
                found.append(each)
    return found


SLEEPER = """
from src.config.schema import EngineConfig
from src.engine.dispatch import run
from tests.engine.test_dispatch import never_done

if __name__ == "__main__":
    print("started", flush=True)
    for _ in run(never_done, [1, 2], EngineConfig(workers=2)):
        pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_workers_exit_when_the_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER, encoding="utf-8")
    parent = begin([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    until(lambda: len(workers_of(parent.pid)) == 2, parent)
    workers = workers_of(parent.pid)
    parent.kill()
    parent.wait(HANG)
    assert len(workers) == 2 and not still_running(workers, HANG)
