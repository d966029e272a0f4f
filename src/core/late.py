"""Functions of libraries whose import takes long, at the module level of code that is imported in every command."""

from __future__ import annotations

import importlib
from typing import Any


class LateFunction:
    """A function of a library that is imported by the first call.

    Parameters
    ----------
    module, name : str
        Where the function is.

    Examples
    --------
    >>> LateFunction("math", "isqrt")(17)
    4
    """

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name
        self._function: Any = None
        self.__module__ = module  # by which `src.core.code_hash` counts the library's release

    def __call__(self, *values: Any) -> Any:
        """Call the function."""
        if self._function is None:
            module, name = self._place
            self._function = getattr(importlib.import_module(module), name)
        return self._function(*values)
