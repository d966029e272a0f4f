"""engine=ray on a running cluster: the contract and the bits of local processes, even if workers or nodes die."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sys
import threading
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
from tests import process_case
from tests.engine import ray_case
from tests.engine.ray_case import AWS, BUCKET, Block, on_posix
from tests.market_case import series
from tests.process_case import until

pytestmark = on_posix


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """An S3 server on the loopback, set in the environment of this process and of nodes started later."""
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
    """A node that claims a GPU, and one connection for all tests of this module, so that workers start once."""
    with ray_case.nodes(1, by_value=(sys.modules[__name__], ray_case, process_case), gpus=1) as made:
        before = signal.getsignal(signal.SIGTERM)
        with connected(engine._library(), EngineConfig(kind="ray", address=made.address)):
            assert signal.getsignal(signal.SIGTERM) == before, "Ray replaced the stage's handler of SIGTERM"
            yield made


@pytest.fixture
def config(cluster: Any) -> EngineConfig:
    return EngineConfig(kind="ray", address=cluster.address, batch_size=4)


# the same bits ----------------------------------------------------------------------------------------------------


def task(symbol: str) -> InstrumentTask:
    """Training of a small instrument: random features, a few trees, two folds. The soak test has every family."""
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
    """A value with every bit of its numbers, without the seconds that fits took."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items() if key != "fit_seconds"}
    if isinstance(value, list | tuple):
        return [exact(item) for item in value]
    return value.hex() if isinstance(value, float) else value


def instruments() -> list[InstrumentTask]:
    return [task("AAA"), task("BBB")]


def digests(trained: Any, instrument: InstrumentTask) -> dict[tuple[str, str], str]:
    """Hashes of an instrument's grades, predictions and models, to the last bit."""
    assert isinstance(trained, TrainedInstrument), trained
    assert len(trained.grades) == len(trained.runs) == len(trained.models) == len(instrument.plans)
    outputs = (("grades", trained.grades), ("runs", trained.runs), ("models", trained.models))
    return {
        (instrument.symbol, name): hashlib.sha256(repr(exact(value)).encode()).hexdigest() for name, value in outputs
    }


def results(config: EngineConfig) -> dict[tuple[str, str], str]:
    hashes = {}
    for outcome in run(train_instrument, instruments(), config):
        hashes |= digests(outcome.result, outcome.item)
        assert outcome.peak_bytes > 20e6, "the worker's peak memory travels with its result"
    return hashes


@pytest.fixture(scope="module")
def expected() -> dict[tuple[str, str], str]:
    """Hashes of what this process gives without an engine."""
    hashes = {}
    for instrument in instruments():
        hashes |= digests(train_instrument(instrument), instrument)
    return hashes


def test_ray_gives_the_bits_of_this_process(config: EngineConfig, expected: dict[tuple[str, str], str]) -> None:
    assert results(config) == expected


def test_data_through_a_shared_folder_give_the_same_bits_and_leave_no_files(
    config: EngineConfig, expected: dict[tuple[str, str], str], tmp_path: Path
) -> None:
    assert results(replace(config, data=str(tmp_path))) == expected
    assert list(tmp_path.iterdir()) == []


def test_data_through_s3_give_the_same_bits_and_leave_no_files(
    config: EngineConfig, expected: dict[tuple[str, str], str]
) -> None:
    import boto3

    assert results(replace(config, data=f"s3://{BUCKET}/staged")) == expected
    assert boto3.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


# deaths -----------------------------------------------------------------------------------------------------------


def kill_worker_on_four(number: int) -> int:
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


def test_only_an_item_that_kills_its_workers_or_raises_fails(
    config: EngineConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    outcomes = {o.item: o.result for o in run(kill_worker_on_four, range(8), config)}
    died, raised = outcomes.pop(4), outcomes.pop(5)
    assert isinstance(died, Failure)
    assert "died twice" in died.reason
    assert isinstance(raised, Failure)
    assert raised.reason == "ValueError: five is not wanted"
    assert "kill_worker_on_four" in raised.traceback
    assert outcomes == {number: number for number in (0, 1, 2, 3, 6, 7)}
    assert capfd.readouterr().out == "", "stdout is for a stage's closing line"


def waiting(folder: Path, number: int) -> int:
    """Leave a file named by the item and the process, and wait for the file `go`."""
    (folder / f"{number}-{os.getpid()}").touch()
    until((folder / "go").exists)
    return number


def test_items_of_a_killed_node_are_done_elsewhere(cluster: Any, config: EngineConfig, tmp_path: Path) -> None:
    victim = cluster.add_node(num_cpus=1, **ray_case.LEAN)

    def kill() -> None:
        until(lambda: len(list(tmp_path.iterdir())) == 2)
        ray_case.kill_node(cluster, victim)
        (tmp_path / "go").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    results = sorted((o.item, o.result) for o in run(named(waiting, tmp_path), range(4), config))
    killer.join()
    assert results == [(number, number) for number in range(4)]
    began = [path.name.split("-")[0] for path in tmp_path.iterdir() if path.name != "go"]
    assert len(began) == 5, "one item was begun on the node that died, and once more elsewhere"


# retries ----------------------------------------------------------------------------------------------------------


def test_a_last_item_that_fails_is_tried_again_on_the_same_cluster(
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
    assert connections == [config], "without an address, a second cluster would have been started"


def failing_once(folder: Path, number: int) -> int:
    if not (folder / "tried").exists():
        (folder / "tried").touch()
        raise OSError("the disk hiccuped")
    return number


def test_an_item_or_result_that_cannot_be_pickled_fails_alone(config: EngineConfig) -> None:
    items = [threading.Lock(), 1, 2]
    of_item, *results = [o.result for o in run(returned, items, config)]
    assert isinstance(of_item, Failure) and "can't be sent to a worker: TypeError" in of_item.reason
    (of_result,) = [result for result in results if result != 2]
    assert isinstance(of_result, Failure) and "TypeError" in of_result.reason


def returned(item: object) -> object:
    return threading.Lock() if item == 1 else item


# GPUs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    device: str


def gpus(_fit: Fit) -> list[int]:
    import ray

    ids: list[int] = ray.get_gpu_ids()
    return ids


def test_an_item_with_device_cuda_has_a_gpu_to_itself_and_others_have_none(config: EngineConfig) -> None:
    results = [(o.item.device, o.result) for o in run(gpus, map(Fit, ("cuda", "cpu", "cuda")), config)]
    assert sorted(results) == [("cpu", []), ("cuda", [0]), ("cuda", [0])]
    plan = RunPlan("x", ModelConfig("xgboost", params=PARAMS["xgboost"](), device="cuda"), {})
    assert replace(task("AAA"), plans=[plan]).device == "cuda"
    assert Attempt(model=plan.model).device == "cuda"


def test_device_cuda_is_refused_on_a_cluster_without_a_gpu(
    config: EngineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(StageError, match=r"model.device=cuda: Ray knows of no GPU on any node.*model.device=cpu"):
        list(run(gpus, [Fit("cuda")], config))


# the stream -------------------------------------------------------------------------------------------------------


def total(block: Block) -> float:
    return float(block.values.sum() + block.shared.sum())


def test_items_are_taken_lazily_and_their_data_are_freed(config: EngineConfig) -> None:
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
        # Twice the store's size goes through it; what does not fit is spilled to disk.
        spilled = [path for path in Path(os.environ["RAY_TMPDIR"]).rglob("ray_spilled_objects*/*") if path.is_file()]
        assert not spilled, f"{len(spilled)} objects outlived their items after {ended}"
    assert ended == 24


def test_closing_the_stream_cancels_items_in_flight_and_frees_the_cluster(config: EngineConfig, tmp_path: Path) -> None:
    stream = run(named(late, tmp_path), range(2), config)
    assert next(stream).result == 0
    until(lambda: any(tmp_path.iterdir()))
    stream.close()
    (pid,) = [int(path.name.split("-")[1]) for path in tmp_path.iterdir()]
    until(lambda: not psutil.pid_exists(pid))
    assert [o.result for o in run(abs, [-1], config)] == [1]


def late(folder: Path, number: int) -> int:
    """Return the first item at once; the other waits forever."""
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
    assert "runtime_resources" in path, "an older checkout at the same path on a node must not be used"
    assert mlflow == ""
    assert set(threads.values()) == {"1"}


def test_a_node_with_other_libraries_is_refused(config: EngineConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [(name, "0.1" if name == "lightgbm" else value) for name, value in engine.environment()]
    monkeypatch.setattr(engine, "environment", lambda: tuple(ours))
    with pytest.raises(StageError, match=r"node .* has lightgbm .* where this machine has lightgbm 0\.1.*requirements"):
        list(run(abs, [1], config))


def test_data_that_a_node_cannot_read_end_the_command_with_the_address(
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
