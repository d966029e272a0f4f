"""Declarations of features: the decorators that families and users' own files use, and the tables that they fill.

A feature is a plain function of float64 arrays. Its name is the column, its parameters are its inputs: a column of the
bars (`RAW`), of the panel (`PANEL`), a kind of fact (`KINDS`, as `src.features.facts.Facts`), an ingredient (an
intermediate result that several features share, computed once for an instrument) or another feature. ``bars`` is the
one parameter that isn't an input: the declaration names the windows for which the function is declared, and the window
ends the column's name::

    FAMILY = family("momentum", group="technical", order=20)

    @feature(FAMILY, bars=(14, 28), window=lambda bars: 8 * bars, tolerance=0.01, source="Wilder (1978), p. 63")
    def rsi(close: Array, bars: int) -> Array:

`src.features.catalog` finds the files that declare, and answers everything that follows from the declarations.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, TypeVar

from src.core.code_hash import declaration
from src.core.errors import ConfigError
from src.documents.facts import FACTS
from src.features.windows import Array

RAW = ("raw_open", "raw_high", "raw_low", "raw_close", "volume", "factor", "split", "day", "always_open")
MARKET = ("market_index", "market_dispersion", "market_csad", "market_breadth")
MEMBERS = ("members_return_21", "members_momentum_12_1", "members_volatility_21", "members_dollar_volume_growth")
PANEL = (*MARKET, *MEMBERS)
KINDS = tuple(FACTS)  # facts of research, by kind
GROUPS = ("technical", "behavioral", "research")
DEFAULT_GROUPS = GROUPS[:2]  # chosen where neither families nor names are
Windows = Mapping[str, tuple[int, float]]  # window and tolerance by name
F = TypeVar("F", bound=Callable[..., Array])


class FeatureError(ConfigError):
    """A feature that isn't declared, or a declaration that can't be computed."""


class Declarations(dict[str, Any]):
    """Declarations by name, in the order in which they were made."""

    def code(self) -> dict[str, str]:
        """Nothing: a declaration counts where it is computed, and not in the code that looks it up."""
        return {}


@dataclass(frozen=True)
class FeatureFamily:
    """A family of features: one file of `src/features/families`.

    Attributes
    ----------
    name : as configurations and the reference name it.
    group : ``technical``, ``behavioral`` or ``research``.
    order : place of its columns and of its table in the reference; equal places go by name.
    """

    name: str
    group: str
    order: int


Shelf = Mapping[str, "Feature | Callable[..., Array]"]


@dataclass(frozen=True)
class Feature:
    """One declared column.

    Attributes
    ----------
    name : of the column.
    family : name of its family.
    function : the formula.
    bars : what the function takes as ``bars``; None where it takes none.
    window : bars, the row's own included, that the value needs. Earlier rows are null, and the last `window` bars alone
        give the value of the last row: exactly where `tolerance` is 0, else (recursive formulas, whose memory fades) to
        within `tolerance` standard deviations of the column.
    scale : ``none``, or ``price`` where prices times seven change the value; those are not fed to models.
    source : paper, book or page that the formula comes from.
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
        """Return technical, behavioral or research."""
        own: FeatureFamily = FAMILIES.get(self.family) or OWN_FAMILIES[self.family]
        return own.group

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the function's inputs, in its order."""
        return inputs(self.function)

    @property
    def doc(self) -> str:
        """Formula: the first paragraph of the docstring, on one line."""
        return " ".join((inspect.getdoc(self.function) or "").split("\n\n")[0].split())

    def __call__(self, *values: Array) -> Array:
        """Evaluate the bare formula, warm-up not yet cut."""
        return self.function(*values) if self.bars is None else self.function(*values, bars=self.bars)


FAMILIES = Declarations()
FEATURES = Declarations()
INGREDIENTS = Declarations()
OWN_FAMILIES = {
    "extra": FeatureFamily("extra", "technical", 1000),  # indicators named in YAML
    "own": FeatureFamily("own", "technical", 1001),  # declarations in a user's own file
}
_OPEN: list[dict[str, Feature | Callable[..., Array]]] = []  # takes declarations while a user's own file is read


def family(name: str, *, group: Literal["technical", "behavioral", "research"], order: int) -> str:
    """Declare the family of the features in this file.

    Parameters
    ----------
    name : str
        As ``features.families=[...]`` names it.
    group : {"technical", "behavioral", "research"}
        Which of the sets its features belong to.
    order : int
        Place of its columns among those of other families: the lowest first.

    Returns
    -------
    str
        The name, for `feature`.

    Raises
    ------
    FeatureError
        Another file has declared a family of that name.
    """
    if name in FAMILIES or name in OWN_FAMILIES:
        raise FeatureError(f"family {name} is declared twice: choose another name")
    FAMILIES[name] = FeatureFamily(name, group, order)
    return name


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
    """Declare the function below as a feature, once for each of `bars`.

    Parameters
    ----------
    family : str
        A family of `src/features/families`, or ``own`` in a user's own file.
    window : int or callable
        Bars that a value needs, the row's own included; a function of the length where `bars` names several.
    source : str
        Paper, book or page that the formula comes from.
    bars : sequence of int, optional
        Lengths for which the function is declared; each ends the name of its column.
    scale : {"none", "price"}
        ``price`` where the value changes with the unit of the price.
    tolerance : float
        For recursive formulas: what may be left of the bars before the window, in standard deviations of the column.
    intraday : bool
        Whether it needs bars shorter than a day.

    Raises
    ------
    FeatureError
        The family does not exist, or the name is taken.
    """
    if _OPEN:
        require_declared("family", [family], [*FAMILIES, *OWN_FAMILIES])

    def declare(function: F) -> F:
        stem = function.__name__.rstrip("_")
        for length in bars or (None,):
            name = stem if length is None else f"{stem}_{length}"
            need = window if isinstance(window, int) else window(length or 0)
            _add(FEATURES, name, Feature(name, family, function, length, need, scale, tolerance, source, intraday))
        return function

    return declare


@declaration
def ingredient(function: F) -> F:
    """Declare the function below as an intermediate result that features may name as an input.

    Raises
    ------
    FeatureError
        The name is taken.
    """
    _add(INGREDIENTS, function.__name__, function)
    return function


@declaration
def whole_series(function: F) -> F:
    """Declare that the function below looks at more than a window of bars: at the first one, or at all before.

    It is then evaluated on each instrument alone, as are features that state a tolerance.
    """
    function.__dict__["whole_series"] = True
    return function


def looks_at_all(entry: Feature | Callable[..., Array]) -> bool:
    """Whether a feature or an ingredient looks at more than a window of bars."""
    if isinstance(entry, Feature):
        return entry.tolerance > 0 or looks_at_all(entry.function)
    return bool(getattr(entry, "whole_series", False))


@contextmanager
def shelf() -> Iterator[dict[str, Feature | Callable[..., Array]]]:
    """Collect what is declared inside the block, instead of adding it to the project's features and ingredients."""
    _OPEN.append({})
    try:
        yield _OPEN[-1]
    finally:
        _OPEN.pop()


@cache
def inputs(function: Callable[..., Array]) -> tuple[str, ...]:
    """Names of a declared function's inputs, in its order."""
    return tuple(name for name in inspect.signature(function).parameters if name != "bars")


def require_declared(what: str, names: Iterable[str], declared: Iterable[str]) -> None:
    """Refuse a name that isn't declared, with the nearest that are.

    Parameters
    ----------
    what : str
        Kind of the names, for the message: ``family`` or ``feature``.
    names, declared : iterable of str
        Names to check, and all that there are.

    Raises
    ------
    FeatureError
        For the first name that isn't among `declared`.
    """
    declared = list(declared)
    for name in names:
        if name not in declared:
            near = difflib.get_close_matches(name, declared, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "docs/features.md lists them all"
            raise FeatureError(f"features: no {what} is named {name!r}: {hint}")


def _add(table: dict[str, Any], name: str, value: Any) -> None:
    target = _OPEN[-1] if _OPEN else table
    taken = {*FEATURES, *INGREDIENTS} if _OPEN else set(table)
    if name in taken or name in target or name in (*RAW, *PANEL, *KINDS):
        raise FeatureError(f"{name} is declared twice: choose another name")
    target[name] = value
