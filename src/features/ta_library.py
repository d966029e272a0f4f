"""TA-Lib, imported when the first formula computes: with it comes pandas, and most commands compute no feature.

Its functions are taken as they are compiled, without the wrapper that looks for Series among the arguments: on a window
of ten years that takes longer than an average does.
"""

from __future__ import annotations

import importlib
import inspect
import types
from typing import TYPE_CHECKING, Any


class _OnFirstUse(types.ModuleType):
    """Stands for a module until an attribute is taken from it; it has the module's name, which hashes of code see."""

    def __getattr__(self, name: str) -> Any:
        value = inspect.unwrap(getattr(importlib.import_module(self.__name__), name))
        vars(self)[name] = value
        return value


if TYPE_CHECKING:
    import talib
else:
    talib = _OnFirstUse("talib")

__all__ = ["talib"]
