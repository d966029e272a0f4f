"""Check that the chosen device can fit: each library fits a few rows where the fits will be made."""

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
    """Refuse a device on which a family cannot fit, before any work; nothing is tried if all families fit on the CPU.

    Parameters
    ----------
    models : list of ModelConfig
        Families with their devices.
    config : EngineConfig
        Where the fits will be made.

    Raises
    ------
    ConfigError
        Names the families, the libraries' reasons and the remedy.
    """
    asked = {model.family: model for model in models if model.device != "cpu"}
    if not asked:
        return
    # In workers, wherever they run: a driver that crashes takes a worker with it and not the session.
    reasons: dict[str, str] = {}
    for outcome in dispatch.run(tried, asked.values(), config):
        result = outcome.result
        if reason := result.reason if isinstance(result, Failure) else result:
            reasons[outcome.item.family] = reason
    if reasons:
        listed = "; ".join(f"{name}: {reasons[name]}" for name in sorted(reasons))
        devices = ", ".join(sorted({model.device for model in asked.values()}))
        raise ConfigError(f"model.device={devices} cannot be used here ({listed}): choose model.device=cpu")


def tried(model: ModelConfig) -> str | None:
    """Fit a small model to a few rows on the model's device.

    Parameters
    ----------
    model : ModelConfig
        Family, hyperparameters and device.

    Returns
    -------
    str or None
        First line of the error; None where the fit worked.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    y = (x[:, 0] > 0.0).astype(np.float64)
    names = [f"feature_{each}" for each in range(FEATURES)]
    params = replace(model.params, rounds=2) if hasattr(model.params, "rounds") else model.params
    try:
        family(model.family).fit(x, y, params, 0, names, model.device)
    except Exception as error:  # noqa: BLE001 - each library raises its own, and all mean the same
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return None
