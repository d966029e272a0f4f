"""Compose conf/ and params.yaml into a checked `Config` with Hydra, and turn its errors into one clear line."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.config.constraints import check
from src.config.messages import explanation, is_config_error, no_such_key
from src.config.mistyped import SEVERAL, repaired, slip
from src.config.schema import Config, ModelConfig
from src.config.text_values import command_line_word, read_files_by_schema, read_yaml
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES
from src.core.project import ROOT
from src.models.registry import PARAMS

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONF = ROOT / "conf"
_OPEN = ("source.columns.", "source.columns=")


def configurations(verb: str, show: Callable[[str], None]) -> list[tuple[Config, list[str]]]:
    """Compose the configurations that the command line asks for.

    Parameters
    ----------
    verb : str
        Name of the command, for the help.
    show : callable
        Takes the answer to ``--help``.

    Returns
    -------
    list of (Config, list of str)
        One, several with ``--multirun``, none with ``--help``; each with the command line that chooses it alone.

    Raises
    ------
    ConfigError
        For an unknown group, option or key, a value of the wrong type, or invalid YAML.
    SystemExit
        For flags that Hydra does not know, and after its own ``--cfg`` and ``--info``.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        show(usage(verb, [word for word in sys.argv[1:] if not word.startswith("-")]))
        return []
    _refuse_slips(sys.argv[1:])
    if (config := _at_once(sys.argv[1:])) is not None:
        return [(config, sys.argv[1:])]
    import hydra.core.hydra_config

    _register()
    os.environ["HYDRA_MAIN_MODULE"] = f"src.{verb}"
    full_error = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its exceptions, so that they are explained here
    composed: list[tuple[Config, list[str]]] = []
    arguments, sys.argv[1:] = sys.argv[1:], _opened(sys.argv[1:])

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
    def collect(node: DictConfig) -> None:
        sweeps = {"-m", "--multirun"} & set(arguments)
        words = ["--multirun", *hydra.core.hydra_config.HydraConfig.get().overrides.task] if sweeps else arguments
        composed.append((_typed(node), words))

    try:
        collect()
    except Exception as error:
        if full_error == "1" or not is_config_error(error):
            raise
        raise ConfigError(explanation(error)) from error
    finally:
        sys.argv[1:] = arguments
        if full_error is None:
            os.environ.pop("HYDRA_FULL_ERROR")
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
    return composed


def _at_once(typed: list[str]) -> Config | None:
    """Compose plain words once, not twice as a program of Hydra; None for its flags, settings, sweeps and messages."""
    if any(word.startswith("-") or word.lstrip("+~").startswith("hydra") for word in typed):
        return None
    from hydra.types import RunMode
    from omegaconf import open_dict

    try:
        node = _composed(typed, with_hydra=True)
        with open_dict(node):
            hydra = node.pop("hydra")
        return None if hydra.mode is RunMode.MULTIRUN else _typed(node)
    except Exception as error:
        if is_config_error(error):
            return None
        raise


def compose(overrides: list[str] | None = None) -> Config:
    """Compose and check one configuration, for commands that only read and for tests.

    Parameters
    ----------
    overrides : list of str, optional
        ``group=option`` and ``key=value``, as on the command line.

    Returns
    -------
    Config

    Raises
    ------
    ConfigError
        As `configurations`, and for a setting that breaks a rule.
    """
    with _explained():
        config = _typed(_composed(overrides or []))
    check(config)
    return config


def usage(verb: str, overrides: list[str]) -> str:
    """Return the answer to ``--help``: purpose, groups with their options, and the current value of every setting.

    Hydra's own help would list the same groups and take half a second longer.

    Parameters
    ----------
    verb : str
        Name of the command.
    overrides : list of str
        ``group=option`` and ``key=value``, as on the command line.

    Returns
    -------
    str
        Several lines.

    Raises
    ------
    ConfigError
        As `configurations`.
    """
    from omegaconf import OmegaConf

    with _explained():
        chosen = OmegaConf.to_yaml(_composed(overrides))
    groups = "\n".join(f"{group}: {', '.join(names)}" for group, names in _options().items())
    purpose = (sys.modules["__main__"].__doc__ or "").strip()
    return (
        f"python -m src.{verb} [group=option ...] [key=value ...]\n\n{purpose}\n\n"
        f"== Groups: one option of each, a file of conf/ ==\n{groups}\n\n== Values, as chosen now ==\n{chosen}"
    )


def _composed(overrides: list[str], *, with_hydra: bool = False) -> DictConfig:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    _refuse_slips(overrides)
    _register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra_compose("config", _opened(overrides), return_hydra_config=with_hydra)


def _opened(overrides: list[str]) -> list[str]:
    """Let Hydra read texts as they are typed, and new keys in the one setting whose keys are the user's own."""
    multirun = bool({"-m", "--multirun"} & set(overrides))
    several = [] if multirun else [word for word in overrides if word.partition("=")[0] in SEVERAL and "," in word]
    repaired_words = (
        _listed(word) if word in several else command_line_word(repaired(word, multirun=multirun)) for word in overrides
    )
    return [f"++{word}" if word.startswith(_OPEN) else word for word in repaired_words]


def _listed(word: str) -> str:
    """Write several options of a group as Hydra's list: ``research=edgar,news`` as ``research=[edgar,news]``."""
    key, _, value = word.partition("=")
    return f"{key}=[{value.strip('[]')}]"


def _options() -> dict[str, list[str]]:
    """Names of the files in each group of conf/."""
    return {group.name: sorted(path.stem for path in group.glob("*.yaml")) for group in sorted(CONF.glob("*/"))}


def _refuse_slips(words: list[str]) -> None:
    if message := slip(words, _options()):
        raise ConfigError(message)


@contextlib.contextmanager
def _explained(where: str = "") -> Iterator[None]:
    """Turn errors of the configuration into a `ConfigError` of one line; let errors of the program through."""
    try:
        yield
    except Exception as error:
        if not is_config_error(error):
            raise
        raise ConfigError(f"{where}{explanation(error)}") from error


def families(config: Config) -> list[ModelConfig]:
    """Return the models to train: the chosen one, or the members of ``model=all`` from their files.

    Of several members of one family, those that name asset classes take them from the one that names none, so that each
    family trains each instrument once.

    Parameters
    ----------
    config : Config
        The whole configuration, since each member is checked as if it had been chosen alone.

    Returns
    -------
    list of ModelConfig
        In the order of the members.

    Raises
    ------
    ConfigError
        For a member without a file or with a file that can't be read, and for two members of a family for one class.
    """
    if not config.model.members:
        return [config.model]
    members = [_member(name, config.model.device) for name in config.model.members]
    for model in members:
        check(dataclasses.replace(config, model=model))
    taken = {model.family: set[str]() for model in members}
    for model in members:
        if both := taken[model.family] & set(model.classes):
            raise ConfigError(f"model.members has {model.family} twice for {', '.join(sorted(both))}: leave one out")
        taken[model.family] |= set(model.classes)
    models = [_for_the_rest(model, taken[model.family]) for model in members]
    general = [model.family for model in members if not model.classes]
    if twice := {name for name in general if general.count(name) > 1}:
        raise ConfigError(f"model.members has {', '.join(sorted(twice))} twice for every class: leave one out")
    return [model for model in models if model is not None]


def _for_the_rest(model: ModelConfig, taken: set[str]) -> ModelConfig | None:
    """Restrict a model for all classes to those that no other model of its family takes; None where none is left."""
    if model.classes or not taken:
        return model
    left = [name for name in ASSET_CLASSES if name not in taken]
    return dataclasses.replace(model, classes=left) if left else None


def _member(name: str, device: str) -> ModelConfig:
    """Read a member's file, as choosing that file alone would."""
    from omegaconf import OmegaConf

    path = CONF / "model" / f"{name}.yaml"
    family = _yaml(path).get("family")
    kind = _schema_or_none(str(family))
    written = {key: value for key, value in _yaml(path, kind).items() if key != "defaults"} | {"device": device}
    if family not in PARAMS:
        state = f"is of family {family}" if path.exists() else "does not exist"
        raise ConfigError(f"model.members names {name}, but conf/model/{path.name} {state}: name files of one family")
    with _explained(f"conf/model/{path.name}: "):
        merged = OmegaConf.merge({"model": OmegaConf.structured(_schema(family))}, {"model": written})
        typed = OmegaConf.to_object(merged)
    assert isinstance(typed, dict)
    return _importable(typed["model"])


def _typed(composed: DictConfig) -> Config:
    from omegaconf import OmegaConf

    _refuse_added(OmegaConf.to_container(composed), Config)
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    return dataclasses.replace(config, model=_importable(config.model))


def _refuse_added(part: Any, schema: type, prefix: str = "") -> None:
    """Reject keys that ``+key=value`` added to the schema: a misspelt setting must not look as if it were set."""
    names = [field.name for field in dataclasses.fields(schema)]
    hints = typing.get_type_hints(schema)
    for name, value in part.items():
        if name not in names:
            raise ConfigError(no_such_key(f"{prefix}{name}", names))
        below = hints[name]
        if prefix == "model." and name in ("params", "pooled"):
            below = PARAMS.get(part["family"], object)
        if dataclasses.is_dataclass(below) and isinstance(value, dict):
            assert isinstance(below, type)
            _refuse_added(value, below, f"{prefix}{name}.")


def _importable(model: ModelConfig) -> ModelConfig:
    """Return a `ModelConfig` of the class that worker processes can import, and so unpickle."""
    return ModelConfig(**{field.name: getattr(model, field.name) for field in dataclasses.fields(ModelConfig)})


@functools.cache
def _schema(family: str) -> type[ModelConfig]:
    """Return a `ModelConfig` whose params are those of one family."""
    params = PARAMS[family]
    settings = [(name, params, dataclasses.field(default_factory=params)) for name in ("params", "pooled")]
    return dataclasses.make_dataclass(f"{family}_model", settings, bases=(ModelConfig,))


@functools.cache
def _register() -> None:
    """Register the schema and the ``params:`` resolver with Hydra."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    store = ConfigStore.instance()
    vars(store)["__deepcopy__"] = lambda _known: store  # Hydra copies it for each composition, and only reads the copy
    store.store(name="schema", node=Config)
    for family in PARAMS:
        store.store(group="schema/model", name=family, node=_schema(family))
    read_files_by_schema(lambda: CONF, _schema_or_none)
    OmegaConf.register_new_resolver("params", _param, replace=True)


def _schema_or_none(family: str) -> type[ModelConfig]:
    return _schema(family) if family in PARAMS else ModelConfig


def _param(key: str, *, _root_: Any) -> Any:
    """Read a choice from params.yaml: of its section `pooled` where the pooled scope is chosen and it has the key.

    While Hydra builds the list of defaults, the root holds the groups that the command line or an experiment chose.
    """
    choices = _yaml(ROOT / "params.yaml", dict[str, str | None])
    scope = _root_._get_node("scope") if _root_ is not None else None
    if str(scope or choices.get("scope")) == "pooled":
        choices |= _yaml(ROOT / "params.yaml", dict[str, dict[str, str | None]]).get("pooled") or {}
    if key not in choices:
        raise ConfigError(f"params.yaml has no {key}: add it (the committed file shows all of them)")
    return choices[key]


def _yaml(path: Path, kind: Any = None) -> dict[str, Any]:
    """Read the mapping that a YAML file holds; empty where there is no file."""
    return (read_yaml(path, kind) or {}) if path.exists() else {}
