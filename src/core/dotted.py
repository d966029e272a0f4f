"""Nested values by dotted key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Name each value of nested mappings by its dotted key.

    Parameters
    ----------
    values : mapping
        Of values and further mappings.
    prefix : str
        Before each key.

    Returns
    -------
    dict

    Examples
    --------
    >>> dotted({"split": {"embargo": 5}, "seed": 7})
    {'split.embargo': 5, 'seed': 7}
    """
    flat: dict[str, object] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= dotted(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat
