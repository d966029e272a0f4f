"""Indicators of pandas-ta and TA-Lib that a user names in YAML, as features.

``{pandas_ta: supertrend, length: 10}`` gives a column for each output of the indicator, computed on total-return prices
and volume. `src.features.custom_checks` decides whether it may become one.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import io
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from types import ModuleType
from typing import Any

import numpy as np

from src.core.code_hash import code_digest
from src.features.registry import Feature, FeatureError
from src.features.windows import Array

LIBRARIES = {"pandas_ta": "pandas-ta", "talib": "TA-Lib"}
SETTINGS = ("scale", "columns")  # ours; every other key is the indicator's own parameter
PRICES = ("open", "high", "low", "close", "volume")
AHEAD = ("centered", "include_chikou", "lookahead")  # parameters by which pandas-ta's indicators look ahead


@dataclass(frozen=True)
class Indicator:
    """One call of a library, an ingredient of its columns: takes prices, returns all outputs, shape (outputs, bars)."""

    library: str
    name: str
    parameters: tuple[tuple[str, Any], ...]
    label: str  # begins the names of its columns
    outputs: int = 0  # 0 until it was tried; a series too short for the indicator gives that many rows of NaN

    @property
    def __signature__(self) -> inspect.Signature:
        return _signature((*PRICES, "day"))

    @property
    def ingredient(self) -> str:
        """Name under which its columns take it as an input."""
        return f"{self.label}_outputs"

    def __call__(self, *values: Array) -> Array:
        """Evaluate on open, high, low, close, volume and day."""
        call = {"pandas_ta": pandas_ta_values, "talib": talib_values}[self.library]
        outputs = call(self.name, dict(self.parameters), _copies(values))
        return np.full((self.outputs, len(values[0])), np.nan) if outputs is None else np.stack([*outputs.values()])

    def columns(self, *values: Array) -> list[str]:
        """Names of the outputs, as the library gives them."""
        call = {"pandas_ta": pandas_ta_values, "talib": talib_values}[self.library]
        return [*(call(self.name, dict(self.parameters), _copies(values)) or {})]

    def code(self) -> dict[str, str]:
        """Library with its release (and TA-Lib's, which pandas-ta calls), indicator and parameters."""
        call = {"pandas_ta": pandas_ta_values, "talib": talib_values}[self.library]
        releases = {name: version(name) for name in {LIBRARIES[self.library], "TA-Lib"}}
        named = json.dumps([self.library, self.name, self.parameters])
        return releases | {"call": code_digest(call), "indicator": named}

    def __str__(self) -> str:
        shown = "".join(f", {name}: {json.dumps(value)}" for name, value in self.parameters)
        return f"{{{self.library}: {self.name}{shown}}}"


@dataclass(frozen=True)
class IndicatorColumn:
    """One output of an indicator, over the close where it is in units of the price."""

    indicator: Indicator
    at: int
    title: str
    over_close: bool = False

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        return f"{self.title} of {self.indicator}{', over the close' if self.over_close else ''}."

    @property
    def __signature__(self) -> inspect.Signature:
        outputs = self.indicator.ingredient
        return _signature((outputs, "close") if self.over_close else (outputs,))

    def __call__(self, outputs: Array, close: Array | None = None) -> Array:
        """Take the output."""
        value: Array = outputs[self.at] if close is None else outputs[self.at] / close
        return value

    def code(self) -> dict[str, str]:
        """Which output, and over what; the indicator's own code comes with the indicator."""
        return {"column": f"{self.at} {self.over_close}"}


def indicator_of(settings: Mapping[str, Any]) -> Indicator:
    """Return the indicator that one entry of `features.extra` names.

    Raises
    ------
    FeatureError
        A library that isn't installed, an indicator or a parameter that it doesn't have.
    """
    library = next(name for name in LIBRARIES if name in settings)
    given = {key: value for key, value in settings.items() if key not in (*SETTINGS, library)}
    names = {name.lower(): name for name in _names(library)}
    name = names.get(str(settings[library]).lower())
    if name is None:
        hint = _near(str(settings[library]).lower(), {each.lower(): each for each in names.values()})
        raise FeatureError(f"features.extra: {library} has no indicator {settings[library]!r}: {hint}")
    parameters = _parameters(library, name)
    for key in given:
        if key not in parameters:
            hint = _near(key, {each: each for each in parameters})
            raise FeatureError(f"features.extra: {name} of {library} has no parameter {key!r}: {hint}")
    given = {key: given[key] for key in parameters if key in given}  # one order, whatever that of the YAML
    pairs = tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in given.items())
    return Indicator(library, name, pairs, _label(library, name, given, parameters))


def features_of(settings: Mapping[str, Any], prices: Iterable[Array]) -> list[Feature]:
    """Columns of one entry of `features.extra`, in the library's order; their windows are still to be measured.

    Parameters
    ----------
    settings : the entry.
    prices : open, high, low, close, volume and day of bars on which the indicator says which outputs it has.

    Raises
    ------
    FeatureError
        As `indicator_of`, or the indicator doesn't run, or lacks an output that `columns` names.
    """
    tried = indicator_of(settings)
    try:
        titles = tried.columns(*prices)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        raise FeatureError(f"features.extra: {tried} does not run: {type(error).__name__}: {first}") from error
    if not titles:
        raise FeatureError(f"features.extra: {tried} gives no value: its parameters are out of range, change them")
    indicator = Indicator(tried.library, tried.name, tried.parameters, tried.label, len(titles))
    wanted = settings.get("columns") or titles
    for title in wanted:
        if title not in titles:
            hint = _near(title, {each: each for each in titles})
            raise FeatureError(f"features.extra: {tried} has no column {title!r}: {hint}")
    return [
        Feature(
            name=tried.label if len(titles) == 1 else f"{tried.label}_{_sanitised(title)}",
            family="extra", function=IndicatorColumn(indicator, at, title), bars=None, window=1, scale="none",
            tolerance=0.0,
            source=f"{LIBRARIES[tried.library]} {version(LIBRARIES[tried.library])}",
            shelf={tried.ingredient: indicator},
        )
        for at, title in enumerate(titles) if title in wanted
    ]  # fmt: skip


def remedy_ahead(indicator: Indicator) -> str:
    """What to change in an indicator that looks ahead."""
    parameters = _parameters(indicator.library, indicator.name)
    by = next((name for name in AHEAD if name in parameters), None)
    return f"set {by}: false, or leave it out" if by else "leave it out"


def pandas_ta_values(name: str, parameters: dict[str, Any], arrays: Mapping[str, Array]) -> dict[str, Array] | None:
    """Outputs of an indicator of pandas-ta by name; None where the series is too short for it."""
    import pandas as pd

    index = pd.DatetimeIndex((arrays["day"] * 86_400e6).round().astype("datetime64[us]"))
    function = getattr(_pandas_ta(), name)
    wanted = [each for each in inspect.signature(function).parameters if each in (*PRICES, "open_")]
    series = {each: pd.Series(arrays[each.rstrip("_")], index=index) for each in wanted}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        result = function(**series, **parameters)
    result = result[0] if isinstance(result, tuple) else result  # ichimoku: its second table is about days to come
    if result is None:
        return None
    table = result.to_frame() if isinstance(result, pd.Series) else result
    return {str(title): table[title].to_numpy(dtype=np.float64, na_value=np.nan)[: len(index)] for title in table}


def talib_values(name: str, parameters: dict[str, Any], arrays: Mapping[str, Array]) -> dict[str, Array] | None:
    """Outputs of an indicator of TA-Lib by name; None where an input has no value at all."""
    import talib

    values = [arrays[each] for each in _talib_inputs(name)]
    if any(np.isnan(each).all() for each in values):
        return None
    result = getattr(talib, name)(*values, **parameters)
    outputs = result if isinstance(result, tuple) else (result,)
    titles = _talib(name).output_names
    return {title: np.asarray(each, dtype=np.float64) for title, each in zip(titles, outputs, strict=True)}


def _copies(values: Iterable[Array]) -> dict[str, Array]:
    """Inputs by name, which a library may write to."""
    return dict(zip((*PRICES, "day"), (np.array(each) for each in values), strict=True))


@cache
def _names(library: str) -> list[str]:
    if library == "pandas_ta":
        return [name for names in _pandas_ta().Category.values() for name in names]
    return list(importlib.import_module("talib").get_functions())


@cache
def _parameters(library: str, name: str) -> list[str]:
    """Parameters that a user may set, the most telling first."""
    if library == "talib":
        _talib_inputs(name)
        return list(_talib(name).parameters)
    own = inspect.signature(getattr(_pandas_ta(), name)).parameters.values()
    return [each.name for each in own if each.name not in (*PRICES, "open_") and each.kind is not each.VAR_KEYWORD]


def _pandas_ta() -> ModuleType:
    try:
        return importlib.import_module("pandas_ta")
    except ImportError as error:
        raise FeatureError(
            "features.extra: pandas-ta is not installed here (it needs Python 3.12 or later): "
            "use Python 3.12, or TA-Lib's indicator of that name"
        ) from error


@cache
def _talib(name: str) -> Any:
    return importlib.import_module("talib.abstract").Function(name)


@cache
def _talib_inputs(name: str) -> list[str]:
    """Inputs in the order of the call."""
    given = [
        each for value in _talib(name).input_names.values() for each in ([value] if isinstance(value, str) else value)
    ]
    if not set(given) <= set(PRICES):
        raise FeatureError(f"features.extra: {name} of talib needs more than prices and volume: leave it out")
    return given


def _label(library: str, name: str, given: Mapping[str, Any], parameters: list[str]) -> str:
    """``pandas_ta_supertrend_10``: the value of the indicator's first parameter, of the others name and value."""
    ends = [f"{value}" if key == parameters[0] else f"{key}_{value}" for key, value in given.items()]
    return "_".join([library, *(_sanitised(each) for each in (name, *ends))])


def _sanitised(text: str) -> str:
    """Letters, digits and underscores alone."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower().replace("-", "minus_")).strip("_")


def _near(name: str, names: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=3)
    shown = [names[each] for each in close] or sorted(names.values())[:12]
    return f"did you mean {' or '.join(shown)}?" if close else f"it has {', '.join(shown) or 'none'}"


def _signature(names: Iterable[str]) -> inspect.Signature:
    return inspect.Signature([inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names])
