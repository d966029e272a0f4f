"""engine=ray on a running cluster: same contract as on local processes, same bits, whatever dies."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest

from src.config.schema import EngineConfig, GradeConfig, LabelConfig, ModelConfig, SplitConfig, StrategyConfig
from src.core.errors import StageError
from src.core.failure import Failure
from src.engine import ray as engine
from src.engine.dispatch import run
from src.engine.ray_cluster import connected
from src.models.registry import PARAMS
from src.training.walk_forward import InstrumentTask, RunPlan, TrainedInstrument, train_instrument
from src.tuning.trial import Attempt
from tests.engine import ray_case
from tests.engine.ray_case import AWS, BUCKET, Block, on_posix, until
from tests.market_case import series

pytestmark = on_posix


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """An S3 server on the loopback, known to this process and to the nodes that start after it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**AWS, "AWS_ENDPOINT_URL": url}.items():
            patch.setenv(name, value)
        import boto3

        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield url
    server.stop()


@pytest.fixture(scope="module")
def cluster(store: str) -> Iterator[Any]:
    """A node with a GPU by its own word, and a connection that all tests of this module share: workers start once."""
    with ray_case.nodes(1, by_value=(sys.modules[__name__], ray_case), gpus=1) as made:
        before = signal.getsignal(signal.SIGTERM)
        with connected(engine._library(), EngineConfig(kind="ray", address=made.address)):
            assert signal.getsignal(signal.SIGTERM) == before, "Ray's answer to SIGTERM in place of the stage's"
            yield made


@pytest.fixture
def config(cluster: Any) -> EngineConfig:
    return EngineConfig(kind="ray", address=cluster.address, batch_size=4)


# the same bits ----------------------------------------------------------------------------------------------------


def task(symbol: str) -> InstrumentTask:
    """A small instrument's work: random features, a few trees, two folds; the soak has every family."""
    bars = series(symbol, 900).drop("adj_close").with_columns(
        factor=pl.lit(1.0), split=pl.lit(1.0), repaired=pl.lit(False)
    )  # fmt: skip
    random = np.random.default_rng(sum(symbol.encode()))
    features = random.standard_normal((900, 30)).astype(np.float32)
    features[random.uniform(size=features.shape) < 0.05] = np.nan
    plan = RunPlan(f"{symbol}-lightgbm", ModelConfig("lightgbm", params=PARAMS["lightgbm"](rounds=5)), {})
    names = [f"f{k}" for k in range(30)]
    split = SplitConfig(first_train_bars=300, fold_months=12)
    grade = GradeConfig(min_auc=0.0, min_accuracy=0.0, min_sharpe=-10, max_drawdown=1.0, min_oos=1)
    return InstrumentTask(
        "stock", symbol, 0, bars, features, names, [plan], 3, 7, LabelConfig(), split, StrategyConfig(), grade
    )  # fmt: skip


def exact(value: Any) -> Any:
    """A value with every bit of its numbers, but for the seconds that fits took."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: exact(each) for key, each in value.items() if key != "fit_seconds"}
    if isinstance(value, list | tuple):
        return [exact(each) for each in value]
    return value.hex() if isinstance(value, float) else value


def instruments() -> list[InstrumentTask]:
    return [task("AAA"), task("BBB")]


def digests(trained: Any, one: InstrumentTask) -> dict[tuple[str, str], str]:
    """What training gave for an instrument: grades, predictions and models to the last bit."""
    assert isinstance(trained, TrainedInstrument), trained
    assert len(trained.grades) == len(trained.runs) == len(trained.models) == len(one.plans)
    found = (("grades", trained.grades), ("runs", trained.runs), ("models", trained.models))
    return {(one.symbol, what): hashlib.sha256(repr(exact(value)).encode()).hexdigest() for what, value in found}


def results(config: EngineConfig) -> dict[tuple[str, str], str]:
    found = {}
    for outcome in run(train_instrument, instruments(), config):
        found |= digests(outcome.result, outcome.item)
        assert outcome.peak_bytes > 20e6, "what a worker took at most travels with its result"
    return found


@pytest.fixture(scope="module")
def alone() -> dict[tuple[str, str], str]:
    return {key: value for one in instruments() for key, value in digests(train_instrument(one), one).items()}


def test_ray_gives_the_bits_of_this_process(config: EngineConfig, alone: dict[tuple[str, str], str]) -> None:
    assert results(config) == alone


def test_data_by_a_shared_folder_give_the_same_bits_and_leave_nothing(
    config: EngineConfig, alone: dict[tuple[str, str], str], tmp_path: Path
) -> None:
    assert results(replace(config, data=str(tmp_path))) == alone
    assert list(tmp_path.iterdir()) == []


def test_data_by_s3_give_the_same_bits_and_leave_nothing(
    config: EngineConfig, alone: dict[tuple[str, str], str]
) -> None:
    import boto3

    assert results(replace(config, data=f"s3://{BUCKET}/staged")) == alone
    assert boto3.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


# deaths -----------------------------------------------------------------------------------------------------------


def fateful(number: int) -> int:
    """Item 4 kills its worker; item 5 raises."""
    if number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 5:
        raise ValueError("five is not wanted")
    return number


def named(function: Callable[..., Any], *arguments: Any) -> Callable[[Any], Any]:
    """A partial function with a name."""
    made = partial(function, *arguments)
    made.__name__ = function.__name__  # type: ignore[attr-defined]
    return made


def test_an_item_that_kills_its_workers_is_failed_alone(
    config: EngineConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    found = {o.item: o.result for o in run(fateful, range(8), config)}
    died, raised = found.pop(4), found.pop(5)
    assert isinstance(died, Failure)
    assert "died twice" in died.reason
    assert isinstance(raised, Failure)
    assert raised.reason == "ValueError: five is not wanted"
    assert "fateful" in raised.traceback
    assert found == {number: number for number in (0, 1, 2, 3, 6, 7)}
    assert capfd.readouterr().out == "", "stdout is for a stage's answer"


def waiting(folder: Path, number: int) -> int:
    """Say who works on it, and wait for the word."""
    (folder / f"{number}-{os.getpid()}").touch()
    while not (folder / "go").exists():
        time.sleep(0.05)
    return number


def test_a_killed_node_costs_nothing(cluster: Any, config: EngineConfig, tmp_path: Path) -> None:
    victim = cluster.add_node(num_cpus=1, **ray_case.LEAN)

    def kill() -> None:
        until(lambda: len(list(tmp_path.iterdir())) == 2)
        ray_case.kill_node(cluster, victim)
        (tmp_path / "go").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    found = sorted((o.item, o.result) for o in run(named(waiting, tmp_path), range(4), config))
    killer.join()
    assert found == [(number, number) for number in range(4)]
    began = [path.name.split("-")[0] for path in tmp_path.iterdir() if path.name != "go"]
    assert len(began) == 5, "one item was begun on the node that died, and again elsewhere"


# twice ------------------------------------------------------------------------------------------------------------


def test_what_fails_at_last_is_tried_again_on_the_same_cluster(
    config: EngineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[EngineConfig] = []

    @contextlib.contextmanager
    def counted(ray: Any, config: EngineConfig) -> Iterator[None]:
        connections.append(config)
        with connected(ray, config):
            yield

    monkeypatch.setattr(engine, "connected", counted)
    assert [o.result for o in run(named(failing_once, tmp_path), [3], config)] == [3]
    assert connections == [config], "a second cluster of the command's own would have been started"


def failing_once(folder: Path, number: int) -> int:
    if not (folder / "tried").exists():
        (folder / "tried").touch()
        raise OSError("the disk hiccuped")
    return number


def test_what_cannot_be_sent_either_way_costs_its_item(config: EngineConfig) -> None:
    items = [threading.Lock(), 1, 2]
    given, *_ = found = [o.result for o in run(returned, items, config)]
    assert isinstance(given, Failure) and "can't be sent to a worker: TypeError" in given.reason
    (result,) = [each for each in found[1:] if each != 2]
    assert isinstance(result, Failure) and "TypeError" in result.reason


def returned(item: object) -> object:
    return threading.Lock() if item == 1 else item


# GPUs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    device: str


def gpus(_fit: Fit) -> list[int]:
    import ray

    found: list[int] = ray.get_gpu_ids()
    return found


def test_what_fits_on_cuda_has_a_gpu_to_itself_and_the_rest_has_none(config: EngineConfig) -> None:
    found = [(o.item.device, o.result) for o in run(gpus, map(Fit, ("cuda", "cpu", "cuda")), config)]
    assert sorted(found) == [("cpu", []), ("cuda", [0]), ("cuda", [0])]
    plan = RunPlan("x", ModelConfig("xgboost", params=PARAMS["xgboost"](), device="cuda"), {})
    assert replace(task("AAA"), plans=[plan]).device == "cuda"
    assert Attempt(model=plan.model).device == "cuda"


def test_a_cluster_without_a_gpu_is_refused_where_one_is_asked_for(
    config: EngineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(StageError, match=r"model.device=cuda: no node of the Ray cluster has a GPU.*model.device=cpu"):
        list(run(gpus, [Fit("cuda")], config))


# the stream -------------------------------------------------------------------------------------------------------


def total(block: Block) -> float:
    return float(block.values.sum() + block.shared.sum())


def test_items_are_taken_as_they_are_done_and_their_data_are_freed(config: EngineConfig) -> None:
    taken: list[int] = []
    shared = np.ones(1_000_000)

    def blocks() -> Iterator[Block]:
        for number in range(24):
            taken.append(number)
            yield Block(number, np.full(1_000_000, float(number)), shared)

    ended = 0
    for outcome in run(total, blocks(), config):
        ended += 1
        assert len(taken) <= ended + config.batch_size
        assert outcome.result == 1_000_000 * (outcome.item.number + 1)
        # What does not fit into the store is spilled to disk: twice what it holds went through it.
        spilled = [path for path in Path(os.environ["RAY_TMPDIR"]).rglob("ray_spilled_objects*/*") if path.is_file()]
        assert not spilled, f"{len(spilled)} objects outlived their items after {ended}"
    assert ended == 24


def test_closing_the_stream_ends_what_is_in_flight_and_frees_the_cluster(config: EngineConfig, tmp_path: Path) -> None:
    stream = run(named(late, tmp_path), range(2), config)
    assert next(stream).result == 0
    until(lambda: any(tmp_path.iterdir()))
    stream.close()
    (pid,) = [int(path.name.split("-")[1]) for path in tmp_path.iterdir()]
    until(lambda: not psutil.pid_exists(pid))
    assert [o.result for o in run(abs, [-1], config)] == [1]


def late(folder: Path, number: int) -> int:
    """The first item at once, the other never."""
    return waiting(folder, number) if number else 0


# nodes ------------------------------------------------------------------------------------------------------------


def where(_: int) -> tuple[str, str, dict[str, str | None]]:
    import src.engine.cores
    import src.engine.dispatch

    mlflow = [name for name in sys.modules if name.partition(".")[0] == "mlflow"]
    return (
        str(src.engine.dispatch.__file__),
        ",".join(mlflow),
        {name: os.environ.get(name) for name in src.engine.cores.ONE_THREAD},
    )


def nothing(_item: int) -> None:
    return None


def test_a_task_that_returns_nothing_is_done_once(config: EngineConfig) -> None:
    assert [outcome.result for outcome in run(nothing, range(3), config)] == [None] * 3


def test_the_drivers_code_travels_and_workers_run_one_thread(config: EngineConfig) -> None:
    (outcome,) = run(where, [0], config)
    assert isinstance(outcome.result, tuple), outcome.result
    path, mlflow, threads = outcome.result
    assert "runtime_resources" in path, "an older checkout under the same path on a node must not be taken"
    assert mlflow == ""
    assert set(threads.values()) == {"1"}


def test_a_node_with_other_libraries_is_refused(config: EngineConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [(name, "0.1" if name == "lightgbm" else value) for name, value in engine.environment()]
    monkeypatch.setattr(engine, "environment", lambda: tuple(ours))
    with pytest.raises(StageError, match=r"node .* has lightgbm .* where this machine has lightgbm 0\.1.*requirements"):
        list(run(abs, [1], config))


def test_data_that_a_node_cannot_read_end_the_command_with_their_address(
    config: EngineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = engine.SharedFolder.put
    monkeypatch.setattr(
        engine.SharedFolder, "put", lambda self, part: replace(put(self, part), url=f"file://{tmp_path}/gone.npy")
    )
    for name in ("hold", "release"):
        monkeypatch.setattr(engine.SharedFolder, name, lambda *_: None)
    block = Block(0, np.ones(100_000), np.ones(1))
    with pytest.raises(StageError, match=r"engine.data: node .* could not read file://.*gone.npy.*every node"):
        list(run(total, [block], replace(config, data=str(tmp_path))))
