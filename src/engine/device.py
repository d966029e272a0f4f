"""Check that every model family can fit on the chosen device, by fitting a few rows on the machines that will fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from src.config.schema import EngineConfig, ModelConfig
from src.core.errors import ConfigError
from src.core.failure import Failure
from src.engine import dispatch
from src.models.registry import family

ROWS, FEATURES = 256, 4


def require(models: list[ModelConfig], config: EngineConfig) -> None:
    """Refuse a device on which a family can't fit, before any work starts.

    Parameters
    ----------
    models : list of ModelConfig
        The families to check. Those with ``device="cpu"`` are not tried.
    config : EngineConfig
        The engine that will run the fits; the trial fits run on it too.

    Raises
    ------
    ConfigError
        If a family can't fit. The message names the families, the libraries' reasons and the remedy.
    """
    to_try = {model.family: model for model in models if model.device != "cpu"}
    if not to_try:
        return
    # In workers: a driver that crashes ends a worker, not the session.
    reasons: dict[str, str] = {}
    for outcome in dispatch.run(fit_error, to_try.values(), config):
        result = outcome.result
        if reason := result.reason if isinstance(result, Failure) else result:
            reasons[outcome.item.family] = reason
    if reasons:
        listed = "; ".join(f"{name}: {reasons[name]}" for name in sorted(reasons))
        devices = ", ".join(sorted({model.device for model in to_try.values()}))
        raise ConfigError(f"model.device={devices} cannot be used here ({listed}): choose model.device=cpu")


def fit_error(model: ModelConfig) -> str | None:
    """Fit a small model to random data on the model's device and return the error, if any.

    Parameters
    ----------
    model : ModelConfig
        Family, parameters and device. Boosted families fit two rounds.

    Returns
    -------
    str or None
        First line of the library's error, or the error's type if it has no message. None if the fit succeeds.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    y = (x[:, 0] > 0.0).astype(np.float64)
    names = [f"feature_{column}" for column in range(FEATURES)]
    params = replace(model.params, rounds=2) if hasattr(model.params, "rounds") else model.params
    try:
        family(model.family).fit(x, y, params, 0, names, model.device)
    except Exception as error:  # noqa: BLE001 - each library raises its own class, and all mean the same
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return None
