"""Declarations of features, and everything that follows from one: column, computation, hash, documentation.

A feature is a plain function of float64 arrays. Its name is the column, its parameters are its inputs: a column of the
bars (`RAW`), of the panel (`PANEL`), an ingredient (an intermediate result that several features share, computed once
for an instrument) or another feature. ``bars`` is the one parameter that isn't an input: the declaration names the
windows for which the function is declared, and the window ends the column's name::

    @feature("momentum", bars=(14, 28), window=lambda bars: 8 * bars, tolerance=0.01, source="Wilder (1978), p. 63")
    def rsi(close: Array, bars: int) -> Array:
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from src.core.code_hash import code_digest, declaration
from src.core.errors import ConfigError
from src.core.hashing import text_digest
from src.features.windows import Array, as_of, finish

FAMILIES = {
    "price": "technical",
    "momentum": "technical",
    "trend": "technical",
    "volatility": "technical",
    "volume": "technical",
    "microstructure": "technical",
    "calendar": "technical",
    "session": "technical",
    "pattern": "technical",
    "emotion": "behavioral",
    "crowd": "behavioral",
    "bias": "behavioral",
    "game": "behavioral",
}
OWN_FAMILIES = {"extra": "technical", "own": "technical"}  # indicators named in YAML; declarations in a user's own file
RAW = ("raw_open", "raw_high", "raw_low", "raw_close", "volume", "factor", "split", "day", "always_open")
MARKET = ("market_index", "market_dispersion", "market_csad", "market_breadth")
MEMBERS = ("members_return_21", "members_momentum_12_1", "members_volatility_21", "members_dollar_volume_growth")
PANEL = (*MARKET, *MEMBERS)
Windows = Mapping[str, tuple[int, float]]  # window and tolerance by name
F = TypeVar("F", bound=Callable[..., Array])


class FeatureError(ConfigError):
    """A feature that isn't declared, or a declaration that can't be computed."""


Shelf = Mapping[str, "Feature | Callable[..., Array]"]


@dataclass(frozen=True)
class Feature:
    """One declared column.

    Attributes
    ----------
    window : bars, the row's own included, that the value needs. Earlier rows are null, and the last `window` bars alone
        give the value of the last row: exactly where `tolerance` is 0, else (recursive formulas, whose memory fades) to
        within `tolerance` standard deviations of the column.
    scale : ``none``, or ``price`` where prices times seven change the value; those are not fed to models.
    intraday : whether it needs bars shorter than a day; `select` leaves it out of daily datasets.
    shelf : what stands beside the function in a user's own file, and may be its input as ingredients may.
    """

    name: str
    family: str
    function: Callable[..., Array]
    bars: int | None
    window: int
    scale: str
    tolerance: float
    source: str
    intraday: bool = False
    shelf: Shelf = field(default_factory=dict, compare=False, repr=False)

    @property
    def group(self) -> str:
        """Return technical or behavioral."""
        return (FAMILIES | OWN_FAMILIES)[self.family]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the function's inputs, in its order."""
        return inputs(self.function)

    @property
    def needs_panel(self) -> bool:
        """Whether it looks at the market: the panel is then part of what its values depend on."""
        return any(name in PANEL for name in reach(self))

    @property
    def doc(self) -> str:
        """First paragraph of the docstring on one line: the formula in words."""
        return " ".join((inspect.getdoc(self.function) or "").split("\n\n")[0].split())

    def __call__(self, *values: Array) -> Array:
        """Evaluate the bare formula, warm-up not yet cut."""
        return self.function(*values) if self.bars is None else self.function(*values, bars=self.bars)


_FEATURES: dict[str, Feature] = {}
_INGREDIENTS: dict[str, Callable[..., Array]] = {}
_OPEN: list[dict[str, Feature | Callable[..., Array]]] = []  # takes declarations while a user's own file is read


@declaration
def feature(
    family: str,
    *,
    window: int | Callable[[int], int],
    source: str,
    bars: Sequence[int] | None = None,
    scale: str = "none",
    tolerance: float = 0.0,
    intraday: bool = False,
) -> Callable[[F], F]:
    """Declare the function below as a feature, once for each of `bars`."""
    require_known("family", [family], [*FAMILIES, *OWN_FAMILIES])

    def declare(function: F) -> F:
        stem = function.__name__.rstrip("_")
        for length in bars or (None,):
            name = stem if length is None else f"{stem}_{length}"
            need = window if isinstance(window, int) else window(length or 0)
            _add(_FEATURES, name, Feature(name, family, function, length, need, scale, tolerance, source, intraday))
        return function

    return declare


@declaration
def ingredient(function: F) -> F:
    """Declare the function below as an intermediate result that features may name as an input."""
    _add(_INGREDIENTS, function.__name__, function)
    return function


def declared() -> dict[str, Feature]:
    """Return every declared feature by name, family by family."""
    for family in FAMILIES:
        importlib.import_module(f"src.features.families.{family}")
    order = list(FAMILIES)
    return {item.name: item for item in sorted(_FEATURES.values(), key=lambda item: order.index(item.family))}


@contextmanager
def gathered() -> Iterator[dict[str, Feature | Callable[..., Array]]]:
    """Collect what is declared inside the block, instead of adding it to the project's features and ingredients."""
    declared()
    importlib.import_module("src.features.ingredients")
    _OPEN.append({})
    try:
        yield _OPEN[-1]
    finally:
        _OPEN.pop()


def code_hash(item: Feature) -> str:
    """Hash of all that decides the column's values: its code, that of what it uses, its windows.

    A comment, a docstring or formatting changes nothing, nor does another name of an ingredient or a function.
    """
    digests = {name: name for name in RAW} | {name: f"{name} {code_digest(as_of)}" for name in PANEL}
    for name in reach(item):
        if name not in digests:
            found = item if name == item.name else lookup(name, item.shelf)
            function, bars = (found.function, found.bars) if isinstance(found, Feature) else (found, None)
            known = {each: digests[each] for each in inputs(function)}
            digests[name] = text_digest(bars, code_digest(function, inputs=known), *known.values())
    return text_digest(item.window, code_digest(finish), digests[item.name])


def inputs(function: Callable[..., Array]) -> tuple[str, ...]:
    """Names of a declared function's inputs."""
    return tuple(name for name in inspect.signature(function).parameters if name != "bars")


def reach(item: Feature) -> list[str]:
    """Return every name that the feature's value depends on, each after those that it needs, the feature last.

    Raises
    ------
    FeatureError
        An input that is neither a column, an ingredient nor a feature.
    """
    importlib.import_module("src.features.ingredients")
    seen: dict[str, None] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise FeatureError(f"{name} depends on itself: {' -> '.join((*path, name))}")
        if name in seen:
            return
        if name not in (*RAW, *PANEL):
            for needed in inputs(_function(name, item.shelf)):
                visit(needed, (*path, name))
        seen[name] = None

    for needed in inputs(item.function):
        visit(needed, (item.name,))
    return [*seen, item.name]


def lookup(name: str, shelf: Shelf | None = None) -> Feature | Callable[..., Array]:
    """Return the feature or the ingredient of that name, the project's or of the shelf."""
    found = _FEATURES.get(name) or _INGREDIENTS.get(name) or (shelf or {}).get(name)
    if found is None:
        raise FeatureError(f"input {name!r} is no column of the bars or the panel, no ingredient and no feature")
    return found


def require_known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a name that isn't known, with the nearest that are."""
    known = list(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "docs/features.md lists them all"
            raise FeatureError(f"features: no {what} is named {name!r}: {hint}")


def _function(name: str, shelf: Shelf) -> Callable[..., Array]:
    found = lookup(name, shelf)
    return found.function if isinstance(found, Feature) else found


def _add(table: dict[str, Any], name: str, value: Any) -> None:
    target = _OPEN[-1] if _OPEN else table
    taken = {*_FEATURES, *_INGREDIENTS} if _OPEN else set(table)
    if name in taken or name in target or name in (*RAW, *PANEL):
        raise FeatureError(f"{name} is declared twice: choose another name")
    target[name] = value
