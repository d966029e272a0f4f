"""The code that travels in logged pooled models: the loader, the ranks of a day, and each member's functions."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from src.models.registry import family

_FUNCTIONS = ("from_bytes", "score")
_MODULE = '''"""How a member of a logged pooled model is read and asked: two functions of src/models/{family}.py."""

from __future__ import annotations

import numpy as np


'''


@functools.cache
def loader() -> bytes:
    """Return the source of the loader, ``src/tracking/pooled_loader.py``."""
    return Path(__file__).with_name("pooled_loader.py").read_bytes()


@functools.cache
def ranks() -> bytes:
    """Return the source of the module that ranks a day's names: that of training, with the numbers that it imports."""
    from src.training.pooled import day_ranks

    lines = Path(day_ranks.__file__).read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(_standing_alone(day_ranks, line) for line in lines).encode()


def _standing_alone(module: ModuleType, line: str) -> str:
    """A line of a module without this project: an import of numbers becomes the numbers, one of types is left out."""
    if not line.startswith("from src."):
        return line
    names = (name.strip() for name in line.partition(" import ")[2].split(","))
    return "".join(f"{name} = {value}\n" for name in names if isinstance(value := getattr(module, name), int))


@functools.cache
def functions(name: str) -> bytes:
    """Return the source of a module that reads and asks a family's pooled models without this project.

    Parameters
    ----------
    name : str
        Name of the family.

    Returns
    -------
    bytes
        Python source of `from_bytes` and `score`.
    """
    library: Any = family(name)
    sources = (inspect.getsource(getattr(library, function)) for function in _FUNCTIONS)
    return (_MODULE.format(family=name) + "\n\n".join(sources)).encode()
