"""What can be typed as a setting: every key of the schema, with the values that are known and what else is allowed."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from src.config.schema import Config
from src.config.text_values import hints
from src.core.field_rules import Choice, constraint_of
from src.models.registry import PARAMS

Key = tuple[list[str], str]
"""The values of a key as far as they are few, and the rule that others follow."""


def keys() -> dict[str, Key]:
    """List the settings.

    Returns
    -------
    dict of str to (list of str, str)
        By dotted key, such as ``split.embargo``; sections themselves are left out. The settings of all model families
        stand below ``model.params``.
    """
    found = dict(_below(Config, ""))
    for params in PARAMS.values():
        found |= dict(_below(params, "model.params."))
    return found


def _below(section: type, prefix: str) -> typing.Iterator[tuple[str, Key]]:
    kinds = hints(section)
    for declared in dataclasses.fields(section):
        kind, name = kinds[declared.name], f"{prefix}{declared.name}"
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            yield from _below(kind, f"{name}.")
        elif name not in ("model.params", "model.pooled", "experiment"):
            yield name, _described(declared, kind)


def _described(declared: dataclasses.Field[Any], kind: Any) -> Key:
    rule = constraint_of(declared)
    plain = kind in (bool, int, float, str)
    values = ["true", "false"] if kind is bool else list(rule.options) if isinstance(rule, Choice) else []
    if isinstance(kind, types.UnionType) and not plain and values:
        values.append("null")
    return values, "" if values or rule is None else str(rule)
