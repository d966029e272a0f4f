"""Keys of runs, sessions and grades; a run's key hashes what its fit used and nothing else (contract 5 of the design).

The parts of a run's key are stored beside it, so that two runs can be compared and a person can see why a run was
trained again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from src.core.hashing import json_digest

if TYPE_CHECKING:
    from src.config.schema import GradeConfig, LabelConfig, ModelConfig, SplitConfig, StrategyConfig


@dataclass(frozen=True)
class SessionParts:
    """Parts of the run keys that all instruments of a session share.

    Attributes
    ----------
    label, split : mapping
        Settings that a fit uses, by name.
    seed : int
        Seed of every fit.
    features : mapping
        Name of each feature to the hash of its code.
    panel : mapping
        Asset class to the hash of its pinned panel; empty where neither features nor label look at it.
    """

    label: Mapping[str, Any]
    split: Mapping[str, Any]
    seed: int
    features: Mapping[str, str]
    panel: Mapping[str, str]

    @classmethod
    def of(
        cls,
        label: LabelConfig,
        split: SplitConfig,
        seed: int,
        features: Mapping[str, str],
        panel: Mapping[str, str],
    ) -> SessionParts:
        """Keep of the settings what a fit uses.

        Parameters
        ----------
        label, split : LabelConfig, SplitConfig
            Sections of the configuration.
        seed, features, panel
            As in the attributes.

        Returns
        -------
        SessionParts
        """
        return cls(_used(label), _used(split), seed, dict(features), dict(panel))


def _used(section: LabelConfig | SplitConfig) -> dict[str, Any]:
    """Settings without the option's name, whose change alters no result, and ``until``, which acts through the bars."""
    return {name: value for name, value in asdict(section).items() if name not in ("name", "until")}


def run_parts(
    shared: SessionParts,
    asset_class: str,
    features: str,
    model: ModelConfig,
    bars: str,
    library: str,
    code: str,
    facts: str | None = None,
) -> dict[str, Any]:
    """Collect by name everything that the fit of one run depends on.

    Parameters
    ----------
    shared : SessionParts
        What all instruments of the session share.
    asset_class : str
        Decides which panel counts.
    features : str
        Digest of ``shared.features``.
    model : ModelConfig
        Family, hyperparameters and device.
    bars : str
        Hash of the instrument's bars.
    library : str
        Name and version of the model's library.
    code : str
        Hash of the code of label, split and fit (`src.training.code_keys`).
    facts : str, optional
        Hash of the instrument's facts, where a feature looks at any: otherwise they are no part of the key.

    Returns
    -------
    dict
        Plain values, as stored beside the run.
    """
    return {
        "bars": bars,
        "panel": shared.panel.get(asset_class),
        "features": features,
        "label": dict(shared.label),
        "split": dict(shared.split),
        "model": {"family": model.family, "params": asdict(model.params), "device": model.device},
        "library": library,
        "code": code,
        "seed": shared.seed,
    } | ({"facts": facts} if facts else {})


def run_key(asset_class: str, symbol: str, parts: Mapping[str, Any]) -> str:
    """Return the key of one run.

    Parameters
    ----------
    asset_class, symbol : str
        Key of the instrument.
    parts : mapping
        What `run_parts` collected.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    return json_digest({"asset_class": asset_class, "symbol": symbol, **parts})


def session_key(dataset: str, models: Sequence[ModelConfig], strategy: StrategyConfig, shared: SessionParts) -> str:
    """Return the key of one resolved training configuration; data, thresholds and evidence are no part of it.

    Parameters
    ----------
    dataset : str
        Name of the dataset.
    models : sequence of ModelConfig
        Families, with hyperparameters, device and the classes that each is for.
    strategy : StrategyConfig
        All but the name of the option.
    shared : SessionParts
        Label, split, seed and names of the features.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    families = [
        {"family": m.family, "params": asdict(m.params), "device": m.device}
        | ({"classes": m.classes} if m.classes else {})
        for m in models
    ]
    parts = {"dataset": dataset, "models": families, "strategy": _settings(strategy), "seed": shared.seed}
    return json_digest({**parts, "label": shared.label, "split": shared.split, "features": sorted(shared.features)})


def strategy_key(strategy: StrategyConfig) -> str:
    """Return the key of what turns stored predictions into returns: settings and code.

    Parameters
    ----------
    strategy : StrategyConfig
        All but the name of the option.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    from src.training.code_keys import returns_code

    return json_digest({**_settings(strategy), "code": returns_code()})


def strategy_settings_key(strategy: StrategyConfig) -> str:
    """Return the key of the settings that turn stored predictions into returns, whatever the code.

    Parameters
    ----------
    strategy : StrategyConfig
        All but the name of the option.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    return json_digest(_settings(strategy))


def trial_key(run_key: str, strategy: str) -> str:
    """Return the key of a trial: a run under the settings of one strategy.

    Parameters
    ----------
    run_key : str
    strategy : str
        What `strategy_settings_key` returned.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    return json_digest([run_key, strategy])


def settings_key(parts: Mapping[str, Any]) -> str:
    """Return the key of everything that a fit depends on, but for the data.

    Parameters
    ----------
    parts : mapping
        What `run_parts` collected.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    return json_digest({name: value for name, value in parts.items() if name not in ("bars", "panel", "facts")})


def grade_key(strategy: StrategyConfig, grade: GradeConfig) -> str:
    """Return the key of what grades returns: strategy, thresholds, the settings of the evidence, and the code of all.

    Parameters
    ----------
    strategy : StrategyConfig
        What turns predictions into returns.
    grade : GradeConfig
        Thresholds and the settings of the evidence.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    from src.training.code_keys import grade_code

    return json_digest({"strategy": strategy_key(strategy), "grade": asdict(grade), "code": grade_code()})


def _settings(strategy: StrategyConfig) -> dict[str, Any]:
    return {name: value for name, value in asdict(strategy).items() if name != "name"}
