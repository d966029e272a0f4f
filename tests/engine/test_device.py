"""A device on which a family can't fit is refused before any work; otherwise each library is given it."""

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


def in_this_process(
    task: Callable[[Any], Any], items: Iterable[Any], _config: EngineConfig
) -> Iterator[Outcome[Any, Any]]:
    """Run the task in this process, in place of the engine."""
    return (Outcome(item, task(item)) for item in items)


def test_nothing_is_tried_if_every_family_fits_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "run", lambda *_: pytest.fail("a trial was made"))
    device.require([ModelConfig(name, params=PARAMS[name]()) for name in PARAMS], EngineConfig())


def test_a_device_on_which_a_family_fails_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        assert arguments[-1] == "cuda"
        raise RuntimeError("no driver\nand a page of text")

    monkeypatch.setattr(dispatch, "run", in_this_process)
    monkeypatch.setattr(family("lightgbm"), "fit", lambda *_: None)
    monkeypatch.setattr(family("xgboost"), "fit", broken)
    with pytest.raises(ConfigError) as refused:
        device.require(CUDA[:2], EngineConfig())
    assert str(refused.value) == ("model.device=cuda cannot be used here (xgboost: no driver): choose model.device=cpu")


def test_a_driver_that_kills_its_worker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "run", lambda _task, items, _config: (Outcome(item, DIED) for item in items))
    with pytest.raises(ConfigError, match="xgboost: its worker process died"):
        device.require(CUDA, EngineConfig())


def test_a_device_on_which_every_family_fits_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "run", in_this_process)
    for model in CUDA:
        monkeypatch.setattr(family(model.family), "fit", lambda *_: None)
    device.require(CUDA, EngineConfig())


@pytest.mark.parametrize("name", PARAMS)
def test_every_family_fits_on_the_cpu(name: str) -> None:
    assert device.fit_error(ModelConfig(name, params=PARAMS[name]())) is None


def test_a_worker_says_that_lightgbm_was_built_without_the_device() -> None:
    model = ModelConfig("lightgbm", params=PARAMS["lightgbm"](), device="cuda")
    if device.fit_error(model) is None:
        pytest.skip("this machine's LightGBM fits on cuda")
    with pytest.raises(ConfigError, match=r"cannot be used here \(lightgbm: .*\): choose model.device=cpu"):
        device.require([model], EngineConfig(workers=1))


def test_each_library_is_given_the_device_under_its_own_parameter() -> None:
    settings = {model.family: _settings(model, "cuda") for model in CUDA}
    assert settings["lightgbm"]["device_type"] == "cuda"
    assert settings["xgboost"]["device"] == "cuda"
    assert settings["catboost"]["task_type"] == "GPU"
    assert "rsm" not in settings["catboost"]
    assert settings["catboost"].keys() | {"rsm"} == _settings(CUDA[2], "cpu").keys()


def _settings(model: ModelConfig, chosen: str) -> dict[str, Any]:
    settings: dict[str, Any] = family(model.family)._settings(model.params, 7, chosen)  # type: ignore[attr-defined]
    return settings


def test_a_family_that_has_no_gpu_support_is_refused_in_one_line() -> None:
    model = compose(["model=hist_gradient_boosting", "model.device=cuda"]).model
    with pytest.raises(ConfigError) as refused:
        device.require([model], EngineConfig(workers=1))
    assert str(refused.value) == (
        "model.device=cuda cannot be used here (hist_gradient_boosting: scikit-learn fits on the CPU alone): "
        "choose model.device=cpu"
    )


def test_it_is_an_error_if_xgboost_falls_back_to_the_cpu() -> None:
    x = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    library: Any = family("xgboost")
    booster = library.fit(x, np.tile([0.0, 1.0], 25), PARAMS["xgboost"](rounds=1), 7, ["a", "b"])
    library._require_device(booster, "cpu")
    with pytest.raises(RuntimeError, match="found no device cuda and fitted on cpu"):
        library._require_device(booster, "cuda")


def test_the_only_devices_are_cpu_and_cuda() -> None:
    assert compose(["model=catboost", "model.device=cuda"]).model.device == "cuda"
    with pytest.raises(ConfigError, match="must be one of cpu, cuda, got 'gpu'"):
        compose(["model=catboost", "model.device=gpu"])


def test_the_doctor_tries_the_chosen_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert diagnostics.device("cpu", list, EngineConfig()).state == "ok"
    config = compose(["model=all", "model.device=cuda"])
    tried: list[str] = []
    monkeypatch.setattr(device, "require", lambda models, _config: tried.extend(model.family for model in models))
    check = partial(diagnostics.device, "cuda", partial(families, config), config.engine)
    assert check().state == "ok"
    assert tried == list(GPU_FAMILIES)

    def refuse(*_: Any) -> None:
        raise ConfigError("no driver")

    monkeypatch.setattr(device, "require", refuse)
    assert (check().state, check().message) == ("bad", "no driver")
