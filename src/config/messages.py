"""What Hydra, OmegaConf and YAML complain about, in one plain line: the key, the rule, the value, the remedy."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from src.core.errors import ConfigError
from src.models.registry import FAMILIES

_TYPES = {
    "Integer": "a whole number",
    "Float": "a number",
    "Boolean": "true or false",
    "String": "a text",
    "bool": "true or false",
}


def is_complaint(error: BaseException) -> bool:
    """Whether the configuration is at fault, and not the program."""
    import yaml
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    kinds = (HydraException, OmegaConfBaseException, yaml.YAMLError, ConfigError)
    return any(isinstance(each, kinds) for each in _chain(error))


def complaint(error: BaseException) -> str:
    """One line for what is wrong with the configuration."""
    return next((words for words in map(_words, _chain(error)) if words), str(error).splitlines()[0])


def near(name: str, known: Iterable[str]) -> str:
    """`did you mean max_depth? (max_depth, num_leaves)`: the close match if there is one, and all that there is."""
    names = sorted(known)
    if not names:
        return "there is nothing to set here"
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return (f"did you mean {close[0]}? " if close else "known here: ") + f"({', '.join(names)})"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, our own word first, then Hydra's outermost."""
    found = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    yield from sorted(found, key=lambda each: not isinstance(each, ConfigError))


def _words(error: BaseException) -> str | None:
    """The words for one error of a chain, or None where it has nothing to say to a person."""
    import yaml
    from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    words: list[tuple[type | tuple[type, ...], Callable[[Any], str]]] = [
        (ConfigError, str),
        (MissingConfigException, _no_such_option),
        (OverrideParseException, _unreadable),
        (yaml.MarkedYAMLError, _broken_yaml),
        (ConfigCompositionException, _composition),
        (OmegaConfBaseException, _setting),
    ]
    return next((say(error) for kind, say in words if isinstance(error, kind)), None)


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
    """Hydra's own words, or better ones where OmegaConf said which setting is at fault."""
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
    written = "python -m src.tune writes it; " if group == "model" and option.startswith("tuned") else ""
    return f"{group}={option}: there is no conf/{missing}.yaml; {written}{near(option, error.options or ())}"


def _setting(error: Any) -> str:
    """An unknown key, or a value of the wrong type."""
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError

    key, first = error.full_key or error.key, str(error).splitlines()[0]
    if isinstance(error, ConfigAttributeError | ConfigKeyError):
        return no_such_key(key, _siblings(error))
    kind = re.search(r"could not be converted to (\w+)", first) or re.search(r"is not a valid (\w+)", first)
    if kind:
        return f"{key} must be {_TYPES.get(kind[1], kind[1])}, got {error.value!r}"
    if "ListConfig" in first:
        return f"{key} must be a list, got {error.value!r}: {key}=[{error.value}]"
    if "not Optional" in first:
        return f"{key} must have a value, got null: leave it out to take the default"
    return f"{key}: {first}" if key and str(key) not in first else first


def no_such_key(key: str, known: Iterable[str]) -> str:
    """The words for a key that the schema does not have."""
    parent, _, name = str(key).rpartition(".")
    if parent == "model.params" and not list(known):
        return (
            f"{key}: model=all has no params of its own; choose one family ({', '.join(FAMILIES)}), or edit its "
            "file in conf/model"
        )
    return f"{key} is no setting{f' of {parent}' if parent else ''}; {near(name, known)}"


def _siblings(error: Any) -> list[str]:
    if dataclasses.is_dataclass(error.object_type):
        return [each.name for each in dataclasses.fields(error.object_type)]
    try:
        return [str(each) for each in error.parent_node]
    except TypeError:
        return []
