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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from src.features.syntax import code_parts, digest
from src.features.windows import Array, as_of, finish

if TYPE_CHECKING:
    from src.config import FeaturesConfig

FAMILIES = {
    "price": "technical",
    "momentum": "technical",
    "trend": "technical",
    "volatility": "technical",
    "volume": "technical",
    "microstructure": "technical",
    "calendar": "technical",
    "pattern": "technical",
    "emotion": "behavioral",
    "crowd": "behavioral",
    "bias": "behavioral",
    "game": "behavioral",
}
RAW = ("raw_open", "raw_high", "raw_low", "raw_close", "volume", "factor", "split", "day")
PANEL = ("market_index", "market_dispersion", "market_csad", "market_breadth")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Array])


class FeatureError(ValueError):
    """A feature that isn't declared, or a declaration that can't be computed."""


@dataclass(frozen=True)
class Feature:
    """One declared column.

    Attributes
    ----------
    window : bars, the row's own included, that the value needs. Earlier rows are null, and the last `window` bars alone
        give the value of the last row: exactly where `tolerance` is 0, else (recursive formulas, whose memory fades) to
        within `tolerance` standard deviations of the column.
    scale : ``none``, or ``price`` where prices times seven change the value; those are not fed to models.
    """

    name: str
    family: str
    function: Callable[..., Array]
    bars: int | None
    window: int
    scale: str
    tolerance: float
    source: str

    @property
    def group(self) -> str:
        """Return technical or behavioral."""
        return FAMILIES[self.family]

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


def feature(
    family: str,
    *,
    window: int | Callable[[int], int],
    source: str,
    bars: Sequence[int] | None = None,
    scale: str = "none",
    tolerance: float = 0.0,
) -> Callable[[F], F]:
    """Declare the function below as a feature, once for each of `bars`."""

    def declare(function: F) -> F:
        stem = function.__name__.rstrip("_")
        for length in bars or (None,):
            name = stem if length is None else f"{stem}_{length}"
            need = window if isinstance(window, int) else window(length or 0)
            _add(_FEATURES, name, Feature(name, family, function, length, need, scale, tolerance, source))
        return function

    return declare


def ingredient(function: F) -> F:
    """Declare the function below as an intermediate result that features may name as an input."""
    _add(_INGREDIENTS, function.__name__, function)
    return function


def declared() -> dict[str, Feature]:
    """Return every declared feature by name, family by family."""
    for family in FAMILIES:
        importlib.import_module(f"src.features.{family}")
    order = list(FAMILIES)
    return {item.name: item for item in sorted(_FEATURES.values(), key=lambda item: order.index(item.family))}


def select(choice: FeaturesConfig) -> list[Feature]:
    """Return the features that the configuration names, in declared order.

    With neither families nor names every feature is chosen. Those with a price scale come by name only.

    Raises
    ------
    FeatureError
        A family or a name that isn't declared (with the nearest that are), or a choice that leaves nothing.
    """
    every = declared()
    _check("family", choice.families, FAMILIES)
    _check("feature", [*choice.names, *choice.exclude], [*every, *FAMILIES])
    families = choice.families or ([] if choice.names else list(FAMILIES))
    left_out = set(choice.exclude)
    chosen = [
        item
        for item in every.values()
        if (item.name in choice.names or (item.family in {*families, *choice.names} and item.scale == "none"))
        and not left_out & {item.name, item.family}
    ]
    if not chosen:
        raise FeatureError(f"features={choice.name} leaves no feature: name families or names, and exclude fewer")
    return chosen


def code_hash(item: Feature) -> str:
    """Hash of all that decides the column's values: its code, that of what it uses, its windows.

    A comment, a docstring or formatting changes nothing.
    """
    parts = code_parts(finish) | code_parts(item.function)
    for name in reach(item)[:-1]:
        parts |= code_parts(as_of if name in PANEL else _function(name)) if name not in RAW else {}
    return digest(item.bars, item.window, *(f"{name}={text}" for name, text in sorted(parts.items())))


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
            for needed in inputs(_function(name)):
                visit(needed, (*path, name))
        seen[name] = None

    for needed in inputs(item.function):
        visit(needed, (item.name,))
    return [*seen, item.name]


def lookup(name: str) -> Feature | Callable[..., Array]:
    """Return the feature or the ingredient of that name."""
    found = _FEATURES.get(name) or _INGREDIENTS.get(name)
    if found is None:
        raise FeatureError(f"input {name!r} is no column of the bars or the panel, no ingredient and no feature")
    return found


def _function(name: str) -> Callable[..., Array]:
    found = lookup(name)
    return found.function if isinstance(found, Feature) else found


def _add(table: dict[str, Any], name: str, value: Any) -> None:
    if name in table or name in (*RAW, *PANEL):
        raise FeatureError(f"{name} is declared twice")
    table[name] = value


def _check(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "docs/features.md lists them all"
            raise FeatureError(f"features: no {what} is named {name!r}: {hint}")
