"""Features of the user's own: indicators named in YAML (`features.extra`) and Python files of declarations."""

from __future__ import annotations

import importlib.util
import json
import linecache
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.hashing import text_digest
from src.core.project import ROOT
from src.features.catalog import declared, gathered
from src.features.indicators import PRICES, features_of
from src.features.registry import Feature, FeatureError, Windows

if TYPE_CHECKING:
    from src.config.schema import FeaturesConfig
    from src.features.windows import Array

MODULES = "own_features"  # a user's my_file.py is imported as own_features.my_file: the same name in every process


def own(choice: FeaturesConfig, windows: Windows | None = None) -> dict[str, Feature]:
    """Features of the user's own by name, after their checks.

    Parameters
    ----------
    choice : the configured set.
    windows : window and tolerance by name, from a process in which they passed; the checks are then left out.

    Raises
    ------
    FeatureError
        An unknown indicator, a file that can't be read, a name that is taken, or a rule broken.
    """
    added: dict[str, Feature] = {}
    for item in [*_of_files(tuple(choice.files), windows is None), *_of_extras(choice.extra, windows)]:
        if item.name in added or item.name in declared():
            raise FeatureError(f"features: {item.name} is declared twice: choose another name, or leave one out")
        added[item.name] = item
    return added


def _of_extras(entries: list[dict[str, Any]], windows: Windows | None) -> list[Feature]:
    features = [item for entry in entries for item in _extra(json.dumps(entry, sort_keys=True), windows is None)]
    return features if windows is None else [_as_measured(item, windows) for item in features]


@lru_cache(maxsize=256)
def _extra(entry: str, vet: bool) -> tuple[Feature, ...]:
    """Columns of one entry, each process trying it once."""
    from src.features.custom_checks import put_over_close, vet_extra
    from src.features.trial_bars import trial

    settings = json.loads(entry)
    arrays = trial()
    prices = [arrays[f"raw_{name}"] for name in PRICES[:4]]
    features = features_of(settings, [*prices, arrays["volume"], arrays["day"]])
    over_close = settings.get("scale") == "close"
    if vet:
        return tuple(vet_extra(features, over_close))
    return tuple(put_over_close(features) if over_close else features)


def _as_measured(item: Feature, windows: Windows) -> Feature:
    """The feature as another process measured it."""
    window, tolerance = windows[item.name]
    return replace(item, window=window, tolerance=tolerance)


def _of_files(names: tuple[str, ...], vet: bool) -> list[Feature]:
    seen: dict[str, str] = {}
    features: list[Feature] = []
    for name in names:
        path = ROOT / name
        if seen.setdefault(path.stem, name) != name:
            raise FeatureError(f"features.files: {seen[path.stem]} and {name} have one name: rename one of them")
        try:
            content = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FeatureError(f"features.files: can't read {name} ({error}): give its path from {ROOT}") from error
        features += _file(name, path, text_digest(content), vet)
    return features


@lru_cache(maxsize=64)
def _file(name: str, path: Path, content: str, vet: bool) -> tuple[Feature, ...]:  # noqa: ARG001 (content: read again when it changes)
    """Declarations of one file, imported once for each content."""
    from src.features.custom_checks import vet_declared

    shelf = _imported(name, path)
    features = tuple(replace(item, shelf=shelf) for item in shelf.values() if isinstance(item, Feature))
    if not features:
        raise FeatureError(
            f"features.files: {name} declares no feature: put @feature(...) of src.features.registry on one"
        )
    if vet:
        try:
            vet_declared(features)
        except FeatureError as error:
            where = _line(error.__cause__, path)
            raise FeatureError(f"features.files: {name}{where}: {error}") from error
    return features


def _imported(name: str, path: Path) -> Mapping[str, Feature | Callable[..., Array]]:
    """Run the file as a module and return what it declares."""
    module_name = f"{MODULES}.{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None:
        raise FeatureError(f"features.files: {name} must be a Python file: give a path that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    linecache.cache.pop(str(path), None)
    try:
        with gathered() as shelf:
            # Never from __pycache__, which takes an edit within the second that keeps the size for no edit.
            exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    except Exception as error:
        sys.modules.pop(module_name, None)
        kind = "" if isinstance(error, FeatureError) else f"{type(error).__name__}: "
        reason = error.msg if isinstance(error, SyntaxError) else (str(error).splitlines() or [""])[0]
        raise FeatureError(f"features.files: {name}{_line(error, path)}: {kind}{reason}") from error
    return shelf


def _line(error: BaseException | None, path: Path) -> str:
    """``, line 12``: where in the file it went wrong, empty where it wasn't in the file."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__) if error else []
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""
