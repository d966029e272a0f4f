"""Every kind of label, found by its module."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from src.core.errors import ConfigError
from src.evaluation import label_kinds
from src.evaluation.label_kinds.declaration import LabelKind


@functools.cache
def declarations() -> Mapping[str, LabelKind]:
    """Import the modules of ``src/evaluation/label_kinds`` and return what they declare, by name, sorted.

    Raises
    ------
    ValueError
        If a name is declared twice.
    """
    declared: dict[str, LabelKind] = {}
    for module in pkgutil.iter_modules(label_kinds.__path__, f"{label_kinds.__name__}."):
        kind = getattr(importlib.import_module(module.name), "LABEL", None)
        if kind is None:
            continue
        if kind.name in declared:
            raise ValueError(f"{module.name} declares a label named {kind.name}, a name that is taken")
        declared[kind.name] = kind
    return MappingProxyType(dict(sorted(declared.items())))


def label_kind(name: str) -> LabelKind:
    """Return the declaration of a kind of label.

    Parameters
    ----------
    name : str
        As ``label.kind`` names it.

    Raises
    ------
    ConfigError
        If no such kind is declared: names the nearest.
    """
    kind = declarations().get(name)
    if kind is None:
        close = difflib.get_close_matches(name, declarations(), n=1)
        hint = f": did you mean {close[0]}?" if close else ""
        raise ConfigError(
            f"label.kind of scope=instrument must be one of {', '.join(declarations())}, got {name}{hint}"
        )
    return kind
