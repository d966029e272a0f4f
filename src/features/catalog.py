"""What is declared, and what follows from it: the order of columns, the inputs that a feature reaches, its code hash.

Every module of `src.features.families` is a family; a new file there needs no entry anywhere.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache

import src.features.ingredients  # noqa: F401 (its declarations)
from src.core.code_hash import code_digest
from src.core.hashing import text_digest
from src.features import families as package
from src.features import registry
from src.features.fact_lookup import closes, facts_at
from src.features.panel_lookup import as_of
from src.features.registry import (
    FAMILIES,
    FEATURES,
    INGREDIENTS,
    KINDS,
    OWN_FAMILIES,
    PANEL,
    RAW,
    Feature,
    FeatureError,
    FeatureFamily,
    Shelf,
    inputs,
    require_declared,
)
from src.features.windows import Array, finish


def declared() -> dict[str, Feature]:
    """Return every declared feature by name: families in their order, within each the order of its file.

    Raises
    ------
    FeatureError
        A feature names a family that no file declares.
    """
    every = families() | OWN_FAMILIES
    require_declared("family", (item.family for item in FEATURES.values()), every)
    order = list(every)
    return {item.name: item for item in sorted(FEATURES.values(), key=lambda item: order.index(item.family))}


def families() -> dict[str, FeatureFamily]:
    """Return the project's families by name, in the order of their columns."""
    _import_families()
    return {item.name: item for item in sorted(FAMILIES.values(), key=lambda item: (item.order, item.name))}


def is_own(name: str) -> bool:
    """Whether a feature of that name is the user's own: no family of the project declares it."""
    _import_families()
    return name not in FEATURES


@contextmanager
def gathered() -> Iterator[dict[str, Feature | Callable[..., Array]]]:
    """Collect what a user's own file declares inside the block, with every name of the project taken."""
    _import_families()
    with registry.shelf() as shelf:
        yield shelf


def code_hash(item: Feature) -> str:
    """Hash of all that decides the column's values: its code, that of what it uses, its windows.

    A comment, a docstring or formatting changes nothing, nor does another name of an ingredient or a function.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    FeatureError
        An input that is neither a column, an ingredient nor a feature.
    """
    digests = {name: name for name in RAW} | {name: f"{name} {code_digest(as_of)}" for name in PANEL}
    digests |= {name: f"{name} {code_digest(facts_at, closes)}" for name in KINDS}
    for name in reach(item):
        if name not in digests:
            entry = item if name == item.name else lookup(name, item.shelf)
            function, bars = (entry.function, entry.bars) if isinstance(entry, Feature) else (entry, None)
            of_inputs = {needed: digests[needed] for needed in inputs(function)}
            digests[name] = text_digest(bars, code_digest(function, inputs=of_inputs), *of_inputs.values())
    return text_digest(item.window, code_digest(finish), digests[item.name])


def needs_panel(item: Feature) -> bool:
    """Whether the feature looks at the market: the panel is then part of what its values depend on."""
    return any(name in PANEL for name in reach(item))


def kinds_of(features: Iterable[Feature]) -> tuple[str, ...]:
    """Kinds of facts that any of the features looks at: these are then part of what their values depend on."""
    reached = {name for item in features for name in reach(item)}
    return tuple(kind for kind in KINDS if kind in reached)


def reach(item: Feature) -> list[str]:
    """Return every name that the feature's value depends on, each after those that it needs, the feature last.

    Raises
    ------
    FeatureError
        An input that is neither a column, an ingredient nor a feature, or a feature that depends on itself.
    """
    visited: dict[str, None] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise FeatureError(f"{name} depends on itself: {' -> '.join((*path, name))}")
        if name in visited:
            return
        if name not in (*RAW, *PANEL, *KINDS):
            for needed in inputs(_function(name, item.shelf)):
                visit(needed, (*path, name))
        visited[name] = None

    for needed in inputs(item.function):
        visit(needed, (item.name,))
    return [*visited, item.name]


def lookup(name: str, shelf: Shelf | None = None) -> Feature | Callable[..., Array]:
    """Return the feature or the ingredient of that name, the project's or of the shelf.

    Parameters
    ----------
    name : str
    shelf : mapping, optional
        What a user's own file declares.

    Raises
    ------
    FeatureError
        Nothing is declared under that name.
    """
    entry: Feature | Callable[..., Array] | None = (
        FEATURES.get(name) or INGREDIENTS.get(name) or (shelf or {}).get(name)
    )
    if entry is None:
        raise FeatureError(f"input {name!r} is no column of the bars or the panel, kind of fact, ingredient or feature")
    return entry


def _function(name: str, shelf: Shelf) -> Callable[..., Array]:
    entry = lookup(name, shelf)
    return entry.function if isinstance(entry, Feature) else entry


@cache
def _import_families() -> None:
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
