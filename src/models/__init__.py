"""The three model families behind one interface: fit, predict, save, load, each in its library's native format.

A family is a module of this package (``src/models/lightgbm.py`` is ``model=lightgbm``) with the members of `Family`.
Modules are imported on first use: each library costs up to a second to load.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


class Family(Protocol):
    """What a model family offers; `x` is float32 (rows, features) with NaN for missing, `y` is 0 or 1."""

    FILE: str
    """Name of the native model file."""

    def version(self) -> str:
        """Name and version of the library: part of a run's key."""

    def fit(self, x: Matrix, y: Vector, params: Any, seed: int, names: list[str], device: str = "cpu") -> Any:
        """Fit on one thread, deterministically for a seed."""

    def predict(self, model: Any, x: Matrix) -> Vector:
        """P(up) of each row, float64 in [0, 1]."""

    def importance(self, model: Any, names: list[str]) -> Vector:
        """Each feature's share of what the model's splits gained, in the order of `names`; sums to 1, or to 0."""

    def save(self, model: Any, path: Path) -> None:
        """Write the native file."""

    def load(self, path: Path) -> Any:
        """Read the native file; nothing is unpickled."""


class Library:
    """A model library, imported when it is first asked for something: whoever plans the work needs none of them."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)

    def code(self) -> dict[str, str]:
        """Return the library's name, which is all that a hash of code knows of it: its release is hashed elsewhere."""
        return {"library": self._name}


def release(name: str) -> str:
    """Release of a library, without importing it where its package has its name."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # built under another name, as xgboost-cpu is
        return str(importlib.import_module(name).__version__)


def load(name: str) -> None:
    """Import a family's library, a second or two that are no part of a fit."""
    family(name)
    importlib.import_module(name)


def shares(gains: Vector) -> Vector:
    """Gains as shares of their sum; all zero where there was no split."""
    total = gains.sum()
    return gains / total if total > 0.0 else np.zeros_like(gains)


def family(name: str) -> Family:
    """Import the family's module.

    Raises
    ------
    ValueError
        If no family has that name.
    """
    from src.config import FAMILIES

    if name not in FAMILIES:
        raise ValueError(f"model must be one of {', '.join(FAMILIES)}, got {name}")
    return cast(Family, importlib.import_module(f"src.models.{name}"))
