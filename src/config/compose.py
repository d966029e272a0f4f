"""Hydra behind one door: conf/ and params.yaml become a checked `Config`, and its complaints become one plain line."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.config.constraints import check, values
from src.config.messages import complaint, is_complaint, no_such_key
from src.config.schema import Config, ModelConfig
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES
from src.core.project import ROOT
from src.models.registry import PARAMS

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONF = ROOT / "conf"
_OPEN = ("source.columns.", "source.columns=")
_UNVERSIONED = ("engine.", "tracking.", "data.logs", "fresh", "experiment", "tune.")  # change no output that DVC keeps


def configurations(verb: str) -> list[Config]:
    """The configurations that the command line asks for: one, several with ``--multirun``, none with ``--help``.

    Raises
    ------
    ConfigError
        Where Hydra refuses: an unknown group, option or key, a wrong type, broken YAML.
    SystemExit
        From flags that Hydra does not know, and after its own ``--cfg`` and ``--info``.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(usage(verb, [each for each in sys.argv[1:] if not each.startswith("-")]))
        return []
    import hydra

    _register()
    os.environ["HYDRA_MAIN_MODULE"] = f"src.{verb}"
    shown = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let its exceptions through: they are put in words here
    found: list[Config] = []

    typed, sys.argv[1:] = sys.argv[1:], _opened(sys.argv[1:])

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
    def collect(composed: DictConfig) -> None:
        found.append(_typed(composed))

    try:
        collect()
    except Exception as error:
        if shown == "1" or not is_complaint(error):
            raise
        raise ConfigError(complaint(error)) from error
    finally:
        sys.argv[1:] = typed
        os.environ.pop("HYDRA_FULL_ERROR") if shown is None else os.environ.update(HYDRA_FULL_ERROR=shown)
    return found


def compose(overrides: list[str] | None = None) -> Config:
    """The checked configuration for `overrides`, for verbs that only look and for tests.

    Raises
    ------
    ConfigError
        As `configurations`, and where a rule is broken.
    """
    with _in_words():
        config = _typed(_composed(overrides or []))
    check(config)
    return config


def usage(verb: str, overrides: list[str]) -> str:
    """The answer to ``--help``: purpose, groups with their options, and every value as chosen now.

    Hydra's own would take half a second longer, to list the same groups.
    """
    from omegaconf import OmegaConf

    with _in_words():
        chosen = OmegaConf.to_yaml(_composed(overrides))
    options = {group.name: sorted(path.stem for path in group.glob("*.yaml")) for group in sorted(CONF.glob("*/"))}
    groups = "\n".join(f"{group}: {', '.join(names)}" for group, names in options.items())
    purpose = (sys.modules["__main__"].__doc__ or "").strip()
    return (
        f"python -m src.{verb} [group=option ...] [key=value ...]\n\n{purpose}\n\n"
        f"== Groups: one option of each, a file of conf/ ==\n{groups}\n\n== Values, as chosen now ==\n{chosen}"
    )


def _composed(overrides: list[str]) -> DictConfig:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    _register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra_compose("config", _opened(overrides))


def _opened(overrides: list[str]) -> list[str]:
    """Overrides of the one setting whose keys are the user's own, in the form in which Hydra takes new keys."""
    return [f"++{each}" if each.startswith(_OPEN) else each for each in overrides]


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Turn complaints about the configuration into a `ConfigError` of one line; let the program's faults through."""
    try:
        yield
    except Exception as error:
        if not is_complaint(error):
            raise
        raise ConfigError(complaint(error)) from error


def families(config: Config) -> list[ModelConfig]:
    """Models to train: the chosen one, or the members of ``model=all`` from their files.

    Of several members of one family, one that names asset classes takes them from the one that names none: each
    instrument is trained once by each family.

    Raises
    ------
    ConfigError
        A member that isn't there or can't be read, or two of a family for one class.
    """
    if not config.model.members:
        return [config.model]
    found = [_member(name, config.model.device) for name in config.model.members]
    for model in found:
        check(dataclasses.replace(config, model=model))
    taken = {model.family: set[str]() for model in found}
    for model in found:
        if both := taken[model.family] & set(model.classes):
            raise ConfigError(f"model.members has {model.family} twice for {', '.join(sorted(both))}: leave one out")
        taken[model.family] |= set(model.classes)
    rest = [_for_the_rest(model, taken[model.family]) for model in found]
    general = [model.family for model in found if not model.classes]
    if twice := {name for name in general if general.count(name) > 1}:
        raise ConfigError(f"model.members has {', '.join(sorted(twice))} twice for every class: leave one out")
    return [model for model in rest if model is not None]


def _for_the_rest(model: ModelConfig, taken: set[str]) -> ModelConfig | None:
    """Leave a model that is for all classes those that no other of its family takes."""
    if model.classes or not taken:
        return model
    left = [name for name in ASSET_CLASSES if name not in taken]
    return dataclasses.replace(model, classes=left) if left else None


def _member(name: str, device: str) -> ModelConfig:
    """A family with the settings of a file of its own, as choosing that alone would give."""
    from omegaconf import OmegaConf

    path = CONF / "model" / f"{name}.yaml"
    written = {key: value for key, value in _yaml(path).items() if key != "defaults"} | {"device": device}
    family = written.get("family")
    if family not in PARAMS:
        words = f"is of family {family}" if path.exists() else "is not there"
        raise ConfigError(f"model.members names {name}, but conf/model/{path.name} {words}: name files of one family")
    try:
        merged = OmegaConf.merge({"model": OmegaConf.structured(_schema(family))}, {"model": written})
        typed = OmegaConf.to_object(merged)
    except Exception as error:
        if not is_complaint(error):
            raise
        raise ConfigError(f"conf/model/{path.name}: {complaint(error)}") from error
    assert isinstance(typed, dict)
    return _plain(typed["model"])


def _typed(composed: DictConfig) -> Config:
    from omegaconf import OmegaConf

    _refuse_added(OmegaConf.to_container(composed), Config)
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    return dataclasses.replace(config, model=_plain(config.model))


def _refuse_added(part: Any, schema: type, prefix: str = "") -> None:
    """Refuse keys that ``+key=value`` put past the schema: a misspelt setting must not pass for a set one."""
    known = {each.name: each for each in dataclasses.fields(schema)}
    hints = typing.get_type_hints(schema)
    for name, value in part.items():
        if name not in known:
            raise ConfigError(no_such_key(f"{prefix}{name}", known))
        below = hints[name]
        if prefix == "model." and name == "params":
            below = PARAMS.get(part["family"], object)
        if dataclasses.is_dataclass(below) and isinstance(value, dict):
            assert isinstance(below, type)
            _refuse_added(value, below, f"{prefix}{name}.")


def _plain(model: ModelConfig) -> ModelConfig:
    """A `ModelConfig` of the importable class, which worker processes can unpickle."""
    return ModelConfig(**{each.name: getattr(model, each.name) for each in dataclasses.fields(ModelConfig)})


@functools.cache
def _schema(family: str) -> type[ModelConfig]:
    """`ModelConfig` whose params are those of one family."""
    params = PARAMS[family]
    settings = dataclasses.field(default_factory=params)
    return dataclasses.make_dataclass(f"{family}_model", [("params", params, settings)], bases=(ModelConfig,))


@functools.cache
def _register() -> None:
    """Make the schema and the ``params:`` resolver known to Hydra."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for family in PARAMS:
        store.store(group="schema/model", name=family, node=_schema(family))
    OmegaConf.register_new_resolver("params", _param, replace=True)


def _param(key: str) -> Any:
    """A choice from params.yaml."""
    chosen = _yaml(ROOT / "params.yaml")
    if key not in chosen:
        raise ConfigError(f"params.yaml has no {key}: add it (the committed file shows all of them)")
    return chosen[key]


def _yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds, empty where there is no file."""
    import yaml

    if not path.exists():
        return {}
    with path.open(encoding="utf-8") as stream:
        return yaml.safe_load(stream) or {}


def dvc_hint(verb: str, config: Config) -> str | None:
    """How to make DVC agree after `verb` was run by hand: a commit, or the choice in params.yaml that versions it."""
    if verb not in _yaml(ROOT / "dvc.yaml").get("stages", {}):
        return None
    versioned = compose()
    if config.only or config.dataset != versioned.dataset:
        return None  # part of a dataset, or one that DVC has nothing to do with
    chosen = dict(values(versioned))
    differs = [key for key, value in values(config) if chosen.get(key) != value and not key.startswith(_UNVERSIONED)]
    if not differs:
        return f"DVC does not know of this run yet: dvc commit -f {verb}"
    return (
        f"dvc repro would make {config.dataset} otherwise: {differs[0]} was not what params.yaml and conf/ say."
        " To keep this result, set it there and run dvc repro"
    )
