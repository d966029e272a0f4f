"""Explain the errors of Hydra, OmegaConf and YAML in one line: the key, the rule, the value, the remedy."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from src.config.commands import command
from src.config.mistyped import known_word
from src.core.errors import ConfigError
from src.core.project import ROOT
from src.models.registry import FAMILIES

_TYPES = {
    "Integer": "a whole number",
    "Float": "a number",
    "Boolean": "true or false",
    "String": "a text",
    "bool": "true or false",
}


def is_config_error(error: BaseException) -> bool:
    """Tell an error of the configuration from one of the program.

    Parameters
    ----------
    error : BaseException
        What was raised while a configuration was composed.

    Returns
    -------
    bool
        Whether it or one of its causes comes from Hydra, OmegaConf, YAML or our own checks.
    """
    import yaml
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    kinds = (HydraException, OmegaConfBaseException, yaml.YAMLError, ConfigError)
    return any(isinstance(cause, kinds) for cause in _chain(error))


def explanation(error: BaseException) -> str:
    """Explain in one line what is wrong with the configuration.

    Parameters
    ----------
    error : BaseException
        An error of the configuration, as `is_config_error` defines it.

    Returns
    -------
    str
        One line: the key, the rule, the value, the remedy.
    """
    return next((message for message in map(_message, _chain(error)) if message), str(error).splitlines()[0])


def near(name: str, options: Iterable[str]) -> str:
    """Suggest a name, such as `did you mean max_depth? (max_depth, num_leaves)`.

    Parameters
    ----------
    name : str
        What was typed.
    options : iterable of str
        What can be typed.

    Returns
    -------
    str
        The closest option, where one is close, and all of them.
    """
    names = sorted(options)
    if not names:
        return "there is nothing to set here"
    close = known_word(name, names)
    return (f"did you mean {close}? " if close else "known here: ") + f"({', '.join(names)})"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes: our own first, then from the outermost of Hydra's inwards."""
    causes: list[BaseException] = []
    while error is not None and error not in causes:
        causes.append(error)
        error = error.__cause__ or error.__context__
    yield from sorted(causes, key=lambda cause: not isinstance(cause, ConfigError))


def _message(error: BaseException) -> str | None:
    """Explain one error of a chain; None where it says nothing that helps the user."""
    import yaml
    from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    explanations: list[tuple[type | tuple[type, ...], Callable[[Any], str]]] = [
        (ConfigError, str),
        (MissingConfigException, _no_such_option),
        (OverrideParseException, _unreadable),
        (yaml.MarkedYAMLError, _broken_yaml),
        (ConfigCompositionException, _composition),
        (OmegaConfBaseException, _setting),
    ]
    return next((explain(error) for kind, explain in explanations if isinstance(error, kind)), None)


def _unreadable(error: Any) -> str:
    return (
        f"can't read {error.override!r} ({str(error.__cause__ or error).splitlines()[0]}): write key=value, and a "
        "value with spaces, commas or brackets in quotes inside quotes, \"source.path='C:/My files (new)'\""
    )


def _broken_yaml(error: Any) -> str:
    mark = error.problem_mark
    return (
        f"{mark.name}, line {mark.line + 1}: not valid YAML ({error.problem})" if mark else f"not valid YAML: {error}"
    )


def _composition(error: Any) -> str:
    """Explain a failed composition by the setting that OmegaConf names, or else by Hydra's own message."""
    from omegaconf.errors import OmegaConfBaseException

    cause = error.__cause__ or error.__context__
    if not isinstance(cause, OmegaConfBaseException):
        return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    place = re.match(r"In '([^']+)'", str(error))
    return (f"conf/{place[1]}.yaml: " if place else "") + _setting(cause)


def _no_such_option(error: Any) -> str:
    missing = str(error.missing_cfg_file or "")
    group, _, option = missing.rpartition("/")
    if not group:
        return str(error).splitlines()[0]
    written = f"{command('tune', 'model=all')} writes it; " if group == "model" and option.startswith("tuned") else ""
    options = error.options or sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))
    return f"{group}={option}: there is no conf/{missing}.yaml; {written}{near(option, options)}"


def _setting(error: Any) -> str:
    """Explain an unknown key or a value of the wrong type."""
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError

    key, first = error.full_key or error.key, str(error).splitlines()[0]
    if isinstance(error, ConfigAttributeError | ConfigKeyError):
        return no_such_key(key, _siblings(error))
    kind = re.search(r"could not be converted to (\w+)", first) or re.search(r"is not a valid (\w+)", first)
    if kind:
        return f"{key} must be {_TYPES.get(kind[1], kind[1])}, got {error.value!r}"
    if "ListConfig" in first:
        example = f": {key}=[{error.value}]" if error.value is not None else ": write its entries in [ ]"
        return f"{key} must be a list, got {_written(error.value)}{example}"
    if "not Optional" in first:
        return f"{key} must have a value, got null: leave it out to take the default"
    return f"{key}: {first}" if key and str(key) not in first else first


def _written(value: Any) -> str:
    return "something else" if value is None else repr(value)


def no_such_key(key: str, names: Iterable[str]) -> str:
    """Explain that the schema does not have a key.

    Parameters
    ----------
    key : str
        Dotted key that was typed.
    names : iterable of str
        Keys that exist beside it.

    Returns
    -------
    str
        One line.
    """
    parent, _, name = str(key).rpartition(".")
    if parent == "model.params" and not list(names):
        return (
            f"{key}: model=all has no params of its own; choose one family ({', '.join(FAMILIES)}), or edit its "
            "file in conf/model"
        )
    return f"{key} is no setting{f' of {parent}' if parent else ''}; {near(name, names)}"


def _siblings(error: Any) -> list[str]:
    if dataclasses.is_dataclass(error.object_type):
        return [field.name for field in dataclasses.fields(error.object_type)]
    try:
        return [str(name) for name in error.parent_node]
    except TypeError:
        return []
