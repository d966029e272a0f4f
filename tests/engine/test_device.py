"""A device that can't fit is refused before any work; one that can is passed through to each library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from src.config.compose import compose, families
from src.config.schema import EngineConfig, ModelConfig
from src.core.errors import ConfigError
from src.engine import device, dispatch
from src.engine.outcome import DIED, Outcome
from src.inspection import diagnostics
from src.models.registry import PARAMS, family

GPU_FAMILIES = ("lightgbm", "xgboost", "catboost")
CUDA = [ModelConfig(name, params=PARAMS[name](), device="cuda") for name in GPU_FAMILIES]


def here(task: Callable[[Any], Any], items: Iterable[Any], _config: EngineConfig) -> Iterator[Outcome[Any, Any]]:
    """The engine without its processes."""
    return (Outcome(item, task(item)) for item in items)


def test_the_cpu_needs_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "run", lambda *_: pytest.fail("a trial was made"))
    device.require([ModelConfig(name, params=PARAMS[name]()) for name in PARAMS], EngineConfig())


def test_a_device_on_which_a_family_fails_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        assert arguments[-1] == "cuda"
        raise RuntimeError("no driver\nand a page of text")

    monkeypatch.setattr(dispatch, "run", here)
    monkeypatch.setattr(family("lightgbm"), "fit", lambda *_: None)
    monkeypatch.setattr(family("xgboost"), "fit", broken)
    with pytest.raises(ConfigError) as refused:
        device.require(CUDA[:2], EngineConfig())
    assert str(refused.value) == ("model.device=cuda cannot be used here (xgboost: no driver): choose model.device=cpu")


def test_a_driver_that_kills_its_worker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "run", lambda _task, items, _config: (Outcome(item, DIED) for item in items))
    with pytest.raises(ConfigError, match="xgboost: the worker process died"):
        device.require(CUDA, EngineConfig())


def test_where_every_family_fits_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "run", here)
    for model in CUDA:
        monkeypatch.setattr(family(model.family), "fit", lambda *_: None)
    device.require(CUDA, EngineConfig())


@pytest.mark.parametrize("name", PARAMS)
def test_the_trial_succeeds_where_the_device_can_fit(name: str) -> None:
    assert device.tried(ModelConfig(name, params=PARAMS[name]())) is None


def test_a_worker_says_that_lightgbm_was_built_without_the_device() -> None:
    model = ModelConfig("lightgbm", params=PARAMS["lightgbm"](), device="cuda")
    if device.tried(model) is None:
        pytest.skip("this machine's LightGBM fits on cuda")
    with pytest.raises(ConfigError, match=r"cannot be used here \(lightgbm: .*\): choose model.device=cpu"):
        device.require([model], EngineConfig(workers=1))


def test_each_library_is_told_the_device_in_its_own_words() -> None:
    told = {model.family: _settings(model, "cuda") for model in CUDA}
    assert told["lightgbm"]["device_type"] == "cuda"
    assert told["xgboost"]["device"] == "cuda"
    assert told["catboost"]["task_type"] == "GPU"
    assert "rsm" not in told["catboost"]
    assert told["catboost"].keys() | {"rsm"} == _settings(CUDA[2], "cpu").keys()


def _settings(model: ModelConfig, chosen: str) -> dict[str, Any]:
    found: dict[str, Any] = family(model.family)._settings(model.params, 7, chosen)  # type: ignore[attr-defined]
    return found


def test_a_family_without_a_gpu_is_refused_in_one_line() -> None:
    model = compose(["model=hist_gradient_boosting", "model.device=cuda"]).model
    with pytest.raises(ConfigError) as refused:
        device.require([model], EngineConfig(workers=1))
    assert str(refused.value) == (
        "model.device=cuda cannot be used here (hist_gradient_boosting: scikit-learn fits on the CPU alone): "
        "choose model.device=cpu"
    )


def test_xgboost_turning_to_the_cpu_by_itself_is_an_error() -> None:
    x = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    library: Any = family("xgboost")
    booster = library.fit(x, np.tile([0.0, 1.0], 25), PARAMS["xgboost"](rounds=1), 7, ["a", "b"])
    library._require_device(booster, "cpu")
    with pytest.raises(RuntimeError, match="found no device cuda and fitted on cpu"):
        library._require_device(booster, "cuda")


def test_the_setting_takes_cpu_and_cuda_alone() -> None:
    assert compose(["model=catboost", "model.device=cuda"]).model.device == "cuda"
    with pytest.raises(ConfigError, match="must be one of cpu, cuda, got 'gpu'"):
        compose(["model=catboost", "model.device=gpu"])


def test_the_doctor_tries_the_device_that_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert diagnostics.device("cpu", list, EngineConfig()).state == "ok"
    config = compose(["model=all", "model.device=cuda"])
    tried: list[str] = []
    monkeypatch.setattr(device, "require", lambda models, _config: tried.extend(each.family for each in models))
    check = partial(diagnostics.device, "cuda", partial(families, config), config.engine)
    assert check().state == "ok"
    assert tried == list(GPU_FAMILIES)

    def refuse(*_: Any) -> None:
        raise ConfigError("no driver")

    monkeypatch.setattr(device, "require", refuse)
    assert (check().state, check().message) == ("bad", "no driver")
