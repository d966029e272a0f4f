"""The model families by name: every module of this package that fits (``src/models/lightgbm.py``: ``model=lightgbm``).

A new family is one such file and its Hydra option ``conf/model/<family>.yaml``; no other module names it.
"""

from __future__ import annotations

import builtins
import dis
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, cast

from src.core.errors import ConfigError
from src.models.library import ExplainedFamily, Family, PooledFamily, WindowedFamily

MEMBERS = ("LIBRARY", "FILE", "PARAMS", "SPACE", "cost", "fit", "predict", "importance", "to_bytes", "from_bytes")
"""What a family defines; see `src.models.library.Family`."""
STANDALONE = ("from_bytes", "predict")
"""Functions of a family that travel inside a logged model."""
POOLED_MEMBERS = ("fit_pooled", "score")
"""What a family with a pooled fit defines besides; see `src.models.library.PooledFamily`."""
_STANDALONE_MODULE = '''"""How a logged model is read and asked: two functions of src/models/{family}.py."""

from __future__ import annotations

import numpy as np

'''


class _Families(dict[str, Family]):
    """Families by name. A hash of code sees none of them here: a further family changes no key of the others."""

    def code(self) -> Mapping[str, str]:
        return {}


def _found() -> _Families:
    """Import the modules of this package and keep those that fit, in alphabetical order."""
    names = sorted(entry.name for entry in pkgutil.iter_modules([str(Path(__file__).parent)]))
    others = [name for name in names if name != Path(__file__).stem]
    modules = {name: importlib.import_module(f".{name}", __package__) for name in others}
    return _Families({name: _checked(name, module) for name, module in modules.items() if _fits(module)})


def _fits(module: ModuleType) -> bool:
    """Whether a module means to be a family."""
    return bool({"fit", "predict", "PARAMS"} & set(vars(module)))


def _checked(name: str, module: ModuleType) -> Family:
    """Refuse a family that lacks something, or whose functions would not work inside a logged model."""
    missing = [member for member in MEMBERS if not hasattr(module, member)]
    if missing:
        raise TypeError(
            f"src/models/{name}.py lacks {', '.join(missing)}: a model family defines all of {', '.join(MEMBERS)}"
        )
    half = [member for member in POOLED_MEMBERS if not hasattr(module, member)]
    if len(half) == 1:
        raise TypeError(f"src/models/{name}.py lacks {half[0]}: a pooled fit needs both {' and '.join(POOLED_MEMBERS)}")
    if module.FILE == "model.json":
        raise TypeError(
            f"FILE of src/models/{name}.py is model.json, which describes a logged model: name it otherwise"
        )
    for function in (*STANDALONE, "score"):
        if not hasattr(module, function):
            continue
        foreign = set(_global_names(getattr(module, function).__code__)) - {"np", *STANDALONE, "score", *dir(builtins)}
        if foreign:
            raise TypeError(
                f"{function} of src/models/{name}.py uses {', '.join(sorted(foreign))} of its module, which a logged "
                "model does not have: define or import it inside the function"
            )
    return cast(Family, module)


def _global_names(code: CodeType) -> Iterator[str]:
    """Names that a function reads from its module or from the builtins, nested functions included."""
    yield from (each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


_FAMILIES = _found()
FAMILIES = tuple(_FAMILIES)
PARAMS: dict[str, type[Any]] = {name: found.PARAMS for name, found in _FAMILIES.items()}


def family(name: str) -> Family:
    """Return a family's module.

    Parameters
    ----------
    name : str
        Name of its file, without the suffix.

    Returns
    -------
    Family

    Raises
    ------
    ValueError
        If no family has that name.
    """
    if name not in _FAMILIES:
        raise ValueError(f"model must be one of {', '.join(FAMILIES)}, got {name}")
    return _FAMILIES[name]


POOLED = tuple(name for name, found in _FAMILIES.items() if hasattr(found, "fit_pooled"))
"""Families that have a pooled fit."""


def pooled_family(name: str) -> PooledFamily:
    """Return the module of a family that can be fitted to a cross-section.

    Parameters
    ----------
    name : str
        Name of its file, without the suffix.

    Returns
    -------
    PooledFamily

    Raises
    ------
    ConfigError
        If the family has no pooled fit.
    """
    if name in FAMILIES and name not in POOLED:
        raise ConfigError(f"model={name}: the family has no pooled fit: choose {', '.join(POOLED)}")
    return cast(PooledFamily, family(name))


def windowed_family(name: str) -> WindowedFamily | None:
    """Return the module of a family whose fits on expanding windows share their bins; None for one that has none.

    Parameters
    ----------
    name : str
        Name of the family.
    """
    found = family(name)
    return cast(WindowedFamily, found) if hasattr(found, "fit_windows") else None


def explained_family(name: str) -> ExplainedFamily | None:
    """Return the module of a family that says which features moved a score; None for one that does not.

    Parameters
    ----------
    name : str
        Name of its file, without the suffix.
    """
    found = family(name)
    return cast(ExplainedFamily, found) if hasattr(found, "contributions") else None


def load(name: str) -> None:
    """Import a family's library: a second or two that should not count as part of a fit.

    Parameters
    ----------
    name : str
        Name of the family.
    """
    family(name).LIBRARY.load()


def standalone_module(name: str) -> str:
    """Return the source of a module that reads and asks a family's native models without this project.

    Parameters
    ----------
    name : str
        Name of the family.

    Returns
    -------
    str
        Python source of `from_bytes` and `predict`, for `src.tracking.loader`.
    """
    functions = (inspect.getsource(getattr(family(name), function)) for function in STANDALONE)
    return _STANDALONE_MODULE.format(family=name) + "\n\n".join(("", *functions)).lstrip("\n")
