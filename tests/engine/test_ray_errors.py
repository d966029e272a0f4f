"""Whatever Ray raises becomes an outcome or words; and what it keeps silent about is said."""

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

ray = pytest.importorskip("ray")
KINDS = [each for each in vars(ray.exceptions).values() if isinstance(each, type)]
ERRORS = [each for each in KINDS if issubclass(each, ray.exceptions.RayError)]


def raised(kind: type[Exception], cause: Exception | None = None) -> Exception:
    """An error of Ray's, made without what its own constructor asks for."""
    made: Any = type(kind.__name__, (kind,), {"__init__": lambda *_: None, "__str__": lambda _: "in its own words"})()
    made.cause = cause or ValueError("the cause")
    return made  # type: ignore[no-any-return]


class Cluster:
    """What the engine uses of Ray: each task's result is the next of a list, after some waiting."""

    exceptions = ray.exceptions

    def __init__(self, *results: Any, waits: int = 0, workers: int = 1) -> None:
        self.results, self.waits = list(results), waits
        node = SimpleNamespace(get_logs_dir_path=lambda: "/the/logs")
        worker = SimpleNamespace(global_worker=SimpleNamespace(connected=True, node=node))
        state = SimpleNamespace(workers=lambda: dict.fromkeys(range(workers)))
        self._private = SimpleNamespace(worker=worker, state=state)

    def remote(self, _function: Any) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_: object()))

    def wait(self, references: list[Any], **_how: Any) -> tuple[list[Any], list[Any]]:
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
    """The engine's outcomes on a cluster of ours, without its own."""

    def found(cluster: Cluster, *items: int) -> list[Outcome[int, Any]]:
        monkeypatch.setattr(engine, "_library", lambda: cluster)
        monkeypatch.setattr(engine, "connected", lambda *_: contextlib.nullcontext())
        return list(run(abs, items, EngineConfig(kind="ray")))

    return found


DONE = Done(1, 7)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_no_error_of_rays_escapes(outcomes: Any, kind: type[Exception]) -> None:
    cluster = Cluster(*(raised(kind) for _ in range(20)))
    try:
        (outcome,) = outcomes(cluster, 1)
    except StageError as error:
        assert "in its own words" in str(error) or "Ray on this machine has stopped" in str(error)
        assert "the same command" in str(error) or "this project's code" in str(error)
    else:
        assert isinstance(outcome.result, Failure) and outcome.result.final
        assert any(words in outcome.result.reason for words in ("in its own words", "the cause", "died twice"))
    assert cluster.results, "it is not tried for ever"


def test_an_error_that_ray_knows_no_more_of_is_tried_once_more(outcomes: Any) -> None:
    (outcome,) = outcomes(Cluster(raised(ray.exceptions.RaySystemError), DONE), 1)
    assert (outcome.result, outcome.peak_bytes) == (1, 7)


def test_a_disk_that_is_full_ends_the_command_with_the_remedy(outcomes: Any) -> None:
    with pytest.raises(StageError, match=r"no room for what is in flight .*RAY_TMPDIR.*engine.batch_size"):
        outcomes(Cluster(raised(ray.exceptions.OutOfDiskError)), 1)


def test_what_a_node_lacks_is_named(outcomes: Any) -> None:
    with pytest.raises(StageError, match="a node lacks what a task imports .*nolib"):
        outcomes(Cluster(raised(ray.exceptions.RayTaskError, ImportError("nolib"))), 1)


def test_the_second_death_is_the_end(outcomes: Any) -> None:
    died = [raised(ray.exceptions.WorkerCrashedError) for _ in range(2)]
    assert [each.result for each in outcomes(Cluster(*died, DONE), 1)] == [DIED]


def test_an_item_whose_worker_died_is_tried_again_with_nothing_beside_it(outcomes: Any) -> None:
    """The first to end has lost its worker: what is in flight ends, it goes alone, and then the rest."""
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

    results = [raised(ray.exceptions.WorkerCrashedError), *[DONE] * 40]
    found = outcomes(Watched(*results), *range(40))
    assert sorted(each.item for each in found) == list(range(40))
    in_flight = EngineConfig().batch_size
    assert sent[in_flight] == (0, 0), "the suspect is next, and alone"
    assert sent[in_flight + 1] == (in_flight, 0), "the rest waits for it"
    assert max(beside for _, beside in sent) == in_flight - 1


@pytest.mark.parametrize(("workers", "said"), [(0, 2), (1, 0)])
def test_workers_that_never_start_are_told_of_with_rays_logs(
    outcomes: Any, caplog: pytest.LogCaptureFixture, workers: int, said: int
) -> None:
    waits = int(2 * engine._SILENCE / engine._WAIT)
    with caplog.at_level(logging.WARNING):
        outcomes(Cluster(DONE, waits=waits, workers=workers), 1)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == said
    assert all("no worker of Ray's is alive: see raylet.err and worker-*.err in /the/logs" in line for line in lines)


def test_results_that_come_now_and_then_are_no_silence(outcomes: Any, caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster(workers=0)
    driver: Any = engine._Driver(cluster, abs, engine._ObjectStore(cluster))
    for _ in range(3):
        for _ in range(int(engine._SILENCE / engine._WAIT) - 1):
            driver._watch(False)
        driver._watch(True)
    assert not caplog.records


def test_nothing_to_do_starts_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_library", lambda: pytest.fail("Ray was imported"))
    assert list(run(abs, [], EngineConfig(kind="ray"))) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no shell starts the workers there")
def test_a_path_with_a_space_is_quoted_for_the_shell_that_starts_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/a folder/it's/bin/python")
    told = ray_cluster._settings(EngineConfig(kind="ray"))["runtime_env"]["py_executable"]
    assert shlex.split(f"exec {told} -u") == ["exec", "/a folder/it's/bin/python", "-u"]
    joined = ray_cluster._settings(EngineConfig(kind="ray", address="auto"))
    assert "py_executable" not in joined["runtime_env"], "each node has a Python of its own"
