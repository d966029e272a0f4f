"""What a run is: a key that hashes what its fit used and nothing else (contract 5 of the design).

The parts are kept beside the key, so that two runs can be compared and a person can see why one was trained again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from src.core.hashing import json_digest

if TYPE_CHECKING:
    from src.config.schema import Config, LabelConfig, ModelConfig, SplitConfig, StrategyConfig


@dataclass(frozen=True)
class Procedure:
    """What all instruments of a session share: label, split, seed, features with the hash of their code, panel."""

    label: Mapping[str, Any]
    split: Mapping[str, Any]
    seed: int
    features: Mapping[str, str]
    panel: Mapping[str, str]

    @classmethod
    def of(cls, config: Config, features: Mapping[str, str], panel: Mapping[str, str]) -> Procedure:
        """Take from the config what a fit uses.

        Parameters
        ----------
        config : Config
        features : mapping
            Name of each feature used to the hash of its code.
        panel : mapping
            Asset class to the hash of its pinned panel; empty where neither features nor label look at it.
        """
        return cls(_plain(config.label), _plain(config.split), config.seed, dict(features), dict(panel))


def _plain(settings: LabelConfig | SplitConfig) -> dict[str, Any]:
    """Settings without the option's name: renaming a file changes no result. The date `until` acts through the bars."""
    return {key: value for key, value in asdict(settings).items() if key not in ("name", "until")}


def run_parts(
    procedure: Procedure, asset_class: str, features: str, model: ModelConfig, bars: str, library: str, code: str
) -> dict[str, Any]:
    """Everything that the fit of one run depends on, by name.

    `features` is the digest of the procedure's features, `code` that of label, split and fit
    (`src.training.code_keys`).
    """
    return {
        "bars": bars,
        "panel": procedure.panel.get(asset_class),
        "features": features,
        "label": dict(procedure.label),
        "split": dict(procedure.split),
        "model": {"family": model.family, "params": asdict(model.params), "device": model.device},
        "library": library,
        "code": code,
        "seed": procedure.seed,
    }


def run_key(asset_class: str, symbol: str, parts: Mapping[str, Any]) -> str:
    """Key of one run: an instrument under the given parts."""
    return json_digest({"asset_class": asset_class, "symbol": symbol, **parts})


def session_key(config: Config, procedure: Procedure, models: list[ModelConfig]) -> str:
    """Key of one resolved training configuration; data, thresholds and evidence stand outside."""
    strategy = {key: value for key, value in asdict(config.strategy).items() if key != "name"}
    models_part = [
        {"family": m.family, "params": asdict(m.params), "device": m.device}
        | ({"classes": m.classes} if m.classes else {})
        for m in models
    ]
    parts = {"dataset": config.dataset, "models": models_part, "strategy": strategy, "seed": procedure.seed}
    return json_digest(
        {**parts, "label": procedure.label, "split": procedure.split, "features": sorted(procedure.features)}
    )


def strategy_key(strategy: StrategyConfig) -> str:
    """Key of what turns stored predictions into returns: settings and code."""
    from src.training.code_keys import returns_code

    settings = {key: value for key, value in asdict(strategy).items() if key != "name"}
    return json_digest({**settings, "code": returns_code()})


def grade_key(config: Config) -> str:
    """Key of what grades returns: strategy, thresholds, the settings of the evidence, and the code of it all."""
    from src.training.code_keys import grade_code

    return json_digest({"strategy": strategy_key(config.strategy), "grade": asdict(config.grade), "code": grade_code()})
