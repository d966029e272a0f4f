"""Every error of Ray's becomes an outcome or a clear message, and a cluster without workers is reported."""

from __future__ import annotations

import contextlib
import logging
import shlex
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from src.config.schema import EngineConfig
from src.core.errors import StageError
from src.core.failure import Failure
from src.engine import ray as engine
from src.engine import ray_cluster
from src.engine.dispatch import run
from src.engine.outcome import DIED, Outcome
from src.engine.ray_worker import Done


def exceptions() -> Any:
    """The module of Ray's errors, which takes seconds to import: no part of the collection of tests."""
    return pytest.importorskip("ray.exceptions")


def errors() -> list[type[Exception]]:
    classes = [value for value in vars(exceptions()).values() if isinstance(value, type)]
    return [value for value in classes if issubclass(value, exceptions().RayError)]


def raised(kind: type[Exception], cause: Exception | None = None) -> Exception:
    """An error of Ray's, made without the arguments of its constructor."""
    error: Any = type(kind.__name__, (kind,), {"__init__": lambda *_: None, "__str__": lambda _: "Ray's message"})()
    error.cause = cause or ValueError("the cause")
    return error  # type: ignore[no-any-return]


class Cluster:
    """Stand-in for Ray: each task's result is the next of a list, after some waits without a result."""

    def __init__(self, *results: Any, waits: int = 0, workers: int = 1) -> None:
        self.exceptions = exceptions()
        self.results, self.waits = list(results), waits
        node = SimpleNamespace(get_logs_dir_path=lambda: "/the/logs")
        worker = SimpleNamespace(global_worker=SimpleNamespace(connected=True, node=node))
        state = SimpleNamespace(workers=lambda: dict.fromkeys(range(workers)))
        self._private = SimpleNamespace(worker=worker, state=state)

    def remote(self, _function: Any) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_: object()))

    def wait(self, references: list[Any], **_options: Any) -> tuple[list[Any], list[Any]]:
        self.waits -= 1
        return ([], references) if self.waits >= 0 else (references[:1], references[1:])

    def get(self, _reference: Any) -> Any:
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def cancel(self, *_: Any, **__: Any) -> None:
        return None


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Function that runs items on a stand-in for Ray and returns their outcomes."""

    def on_cluster(cluster: Cluster, *items: int) -> list[Outcome[int, Any]]:
        monkeypatch.setattr(engine, "_library", lambda: cluster)
        monkeypatch.setattr(engine, "connected", lambda *_: contextlib.nullcontext())
        return list(run(abs, items, EngineConfig(kind="ray")))

    return on_cluster


DONE = Done(1, 7)


def test_every_error_of_rays_becomes_a_failure_or_a_message(outcomes: Any) -> None:
    assert len(errors()) > 20
    for kind in errors():
        _becomes_a_failure_or_a_message(outcomes, kind)


def _becomes_a_failure_or_a_message(outcomes: Any, kind: type[Exception]) -> None:
    cluster = Cluster(*(raised(kind) for _ in range(20)))
    try:
        (outcome,) = outcomes(cluster, 1)
    except StageError as error:
        assert "Ray's message" in str(error) or "Ray on this machine has stopped" in str(error), kind
        assert "the same command" in str(error) or "this project's code" in str(error), kind
    else:
        assert isinstance(outcome.result, Failure) and outcome.result.final, kind
        assert any(part in outcome.result.reason for part in ("Ray's message", "the cause", "died twice")), kind
    assert cluster.results, f"{kind} is not tried forever"


def test_an_item_is_tried_once_more_after_an_error_of_the_system(outcomes: Any) -> None:
    (outcome,) = outcomes(Cluster(raised(exceptions().RaySystemError), DONE), 1)
    assert (outcome.result, outcome.peak_bytes) == (1, 7)


def test_a_full_disk_ends_the_command_with_the_remedy(outcomes: Any) -> None:
    with pytest.raises(StageError, match=r"no room for the items in flight .*RAY_TMPDIR.*engine.batch_size"):
        outcomes(Cluster(raised(exceptions().OutOfDiskError)), 1)


def test_a_library_that_a_node_lacks_is_named(outcomes: Any) -> None:
    with pytest.raises(StageError, match="a node lacks a library that the task imports .*nolib"):
        outcomes(Cluster(raised(exceptions().RayTaskError, ImportError("nolib"))), 1)


def test_an_item_fails_when_its_second_worker_dies(outcomes: Any) -> None:
    died = [raised(exceptions().WorkerCrashedError) for _ in range(2)]
    assert [outcome.result for outcome in outcomes(Cluster(*died, DONE), 1)] == [DIED]


def test_an_item_whose_worker_died_is_tried_again_alone(outcomes: Any) -> None:
    """The first item loses its worker: those in flight end, then it goes alone, then the rest."""
    sent: list[tuple[int, int]] = []
    done: list[int] = []

    class Watched(Cluster):
        def remote(self, _function: Any) -> Any:
            def send(_task: Any, item: int, *_: Any) -> int:
                sent.append((item, len(sent) - len(done)))
                return len(sent)

            return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=send))

        def get(self, reference: Any) -> Any:
            done.append(reference)
            return super().get(reference)

    results = [raised(exceptions().WorkerCrashedError), *[DONE] * 40]
    outcomes_of_all = outcomes(Watched(*results), *range(40))
    assert sorted(outcome.item for outcome in outcomes_of_all) == list(range(40))
    in_flight = EngineConfig().batch_size
    assert sent[in_flight] == (0, 0), "the suspect is next, and alone"
    assert sent[in_flight + 1] == (in_flight, 0), "the rest wait for it"
    assert max(in_flight_then for _, in_flight_then in sent) == in_flight - 1


@pytest.mark.parametrize(("workers", "warnings"), [(0, 2), (1, 0)])
def test_a_warning_names_rays_logs_if_no_worker_starts(
    outcomes: Any, caplog: pytest.LogCaptureFixture, workers: int, warnings: int
) -> None:
    waits = int(2 * engine._SILENCE_SECONDS / engine._POLL_SECONDS)
    with caplog.at_level(logging.WARNING):
        outcomes(Cluster(DONE, waits=waits, workers=workers), 1)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == warnings
    assert all("no Ray worker is alive: see raylet.err and worker-*.err in /the/logs" in line for line in lines)


def test_no_warning_is_logged_while_results_arrive(outcomes: Any, caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster(workers=0)
    driver: Any = engine._Driver(cluster, abs, engine._ObjectStore(cluster))
    for _ in range(3):
        for _ in range(int(engine._SILENCE_SECONDS / engine._POLL_SECONDS) - 1):
            driver._watch(False)
        driver._watch(True)
    assert not caplog.records


def test_no_cluster_is_started_without_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_library", lambda: pytest.fail("Ray was imported"))
    assert list(run(abs, [], EngineConfig(kind="ray"))) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no shell starts the workers on Windows")
def test_a_path_with_a_space_is_quoted_for_the_shell_that_starts_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/a folder/it's/bin/python")
    executable = ray_cluster._settings(EngineConfig(kind="ray"))["runtime_env"]["py_executable"]
    assert shlex.split(f"exec {executable} -u") == ["exec", "/a folder/it's/bin/python", "-u"]
    of_running_cluster = ray_cluster._settings(EngineConfig(kind="ray", address="auto"))
    assert "py_executable" not in of_running_cluster["runtime_env"], "each node uses its own Python"


@pytest.mark.parametrize(("address", "slow", "starts"), [(None, 3, 4), (None, 9, 4), ("auto", 9, 1)])
def test_a_cluster_that_a_busy_machine_starts_too_slowly_is_started_again(
    address: str | None, slow: int, starts: int
) -> None:
    began: list[Any] = []

    def init(**settings: Any) -> str:
        began.append(settings)
        if len(began) <= slow:
            raise RuntimeError("The current node timed out during startup. This could happen because ...")
        return "the context"

    toy, config = SimpleNamespace(init=init, shutdown=lambda: None), EngineConfig(kind="ray", address=address)
    if slow < starts:
        assert ray_cluster._initialised(toy, config) == "the context"
    else:
        with pytest.raises(StageError):
            ray_cluster._initialised(toy, config)
    assert len(began) == starts
